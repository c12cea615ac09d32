import type { DecisionHead } from '@winnow/model'

/**
 * Traces of which only evaluations or requests have come, by tenant, of one partition: a fold of
 * `decisions`. They would be free to make in any number - an id costs a client nothing - so they are
 * bounded; one that has waited longer than its life is missed and frees its place.
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

  /** Whether one more trace of the tenant may wait beside `inFlight` that the fold does not have yet. */
  hasRoom(tenant: string, nowMs: number, inFlight: number): boolean {
    const waiting = this.#byTenant.get(tenant)
    if (waiting === undefined) return inFlight < this.#countMax
    let missed = 0
    for (const sinceMs of waiting.values()) {
      if (!this.#isMissed(sinceMs, nowMs)) break
      missed++
    }
    return waiting.size - missed + inFlight < this.#countMax
  }

  has(tenant: string, traceId: string, nowMs: number): boolean {
    const sinceMs = this.#byTenant.get(tenant)?.get(traceId)
    return sinceMs !== undefined && !this.#isMissed(sinceMs, nowMs)
  }

  /** Folds a counting decision: a trace without slices waits, one with slices does no longer. */
  note({ tenant, traceId, sliceCount, decidedAtMs }: Noted): void {
    const waiting = this.#byTenant.get(tenant)
    if (sliceCount > 0) {
      waiting?.delete(traceId)
      if (waiting?.size === 0) this.#byTenant.delete(tenant)
      return
    }
    if (waiting === undefined) {
      this.#byTenant.set(tenant, new Map([[traceId, decidedAtMs]]))
      return
    }
    for (const [id, sinceMs] of waiting) {
      if (!this.#isMissed(sinceMs, decidedAtMs)) break
      waiting.delete(id)
    }
    if (!waiting.has(traceId)) waiting.set(traceId, decidedAtMs)
  }

  /** For a snapshot: tenant, trace id, since when; oldest first within a tenant. */
  *entries(): Generator<AwaitingEntry> {
    for (const [tenant, waiting] of this.#byTenant) {
      for (const [traceId, sinceMs] of waiting) yield [tenant, traceId, sinceMs]
    }
  }

  load(entries: Iterable<AwaitingEntry>): void {
    for (const [tenant, traceId, decidedAtMs] of entries) {
      this.note({ tenant, traceId, sliceCount: 0, decidedAtMs })
    }
  }

  #isMissed(sinceMs: number, nowMs: number): boolean {
    return sinceMs + this.#lifeMs < nowMs
  }
}

export type AwaitingEntry = readonly [tenant: string, traceId: string, sinceMs: number]

type Noted = Pick<DecisionHead, 'tenant' | 'traceId' | 'sliceCount' | 'decidedAtMs'>
