import type { Decision } from '@winnow/model'

/**
 * Traces of which only evaluations or requests have come, by tenant, of one partition. They would be
 * free to make in any number - an id costs a client nothing - so they are bounded; one that has waited
 * longer than its life frees its place.
 */
export class Awaiting {
  readonly #countMax: number
  readonly #lifeMs: number
  /** Tenant → trace id → since when, oldest first. */
  readonly #byTenant = new Map<string, Map<string, number>>()

  constructor(options: { readonly countMax: number; readonly lifeMs: number }) {
    this.#countMax = options.countMax
    this.#lifeMs = options.lifeMs
  }

  /** Whether one more trace of the tenant may wait. */
  hasRoom(tenant: string, nowMs: number): boolean {
    const waiting = this.#byTenant.get(tenant)
    if (waiting === undefined) return true
    for (const [traceId, sinceMs] of waiting) {
      if (sinceMs + this.#lifeMs > nowMs) break
      waiting.delete(traceId)
    }
    return waiting.size < this.#countMax
  }

  /** Takes note of a decision: a trace without slices waits, one with slices does no longer. */
  note({ tenant, traceId, slices, decidedAtMs }: Noted): void {
    const waiting = this.#byTenant.get(tenant)
    if (slices.length > 0) {
      waiting?.delete(traceId)
      if (waiting?.size === 0) this.#byTenant.delete(tenant)
      return
    }
    if (waiting?.has(traceId) === true) return
    if (waiting === undefined) this.#byTenant.set(tenant, new Map([[traceId, decidedAtMs]]))
    else waiting.set(traceId, decidedAtMs)
  }
}

type Noted = Pick<Decision, 'tenant' | 'traceId' | 'slices' | 'decidedAtMs'>
