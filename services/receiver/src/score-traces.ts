/** Ids of a client's own of which is remembered whose traces they judge, so that he can take them back by them. */
export const rememberedScoresMax = 20_000

/** Of one id the last traces that it was said of. */
export const tracesOfScoreMax = 16

/**
 * The traces that a client's scores judge, by tenant and his own id. What was used longest ago goes first,
 * of the tenant that has most: one that sends much makes the receiver forget nobody else's.
 */
export class ScoreTraces {
  readonly #max: number
  readonly #ofTenant = new Map<string, Map<string, readonly string[]>>()
  #count = 0

  constructor(max = rememberedScoresMax) {
    this.#max = max
  }

  /** None where it is not remembered; else the newest last. */
  get(tenant: string, id: string): readonly string[] {
    const ids = this.#ofTenant.get(tenant)
    const traces = ids?.get(id)
    if (ids === undefined || traces === undefined) return []
    ids.delete(id)
    ids.set(id, traces)
    return traces
  }

  add(tenant: string, id: string, traceId: string): void {
    const ids = this.#ofTenant.get(tenant) ?? new Map<string, readonly string[]>()
    this.#ofTenant.set(tenant, ids)
    const before = ids.get(id)
    if (before === undefined) this.#count++
    ids.delete(id)
    const others = (before ?? []).filter(one => one !== traceId)
    ids.set(id, [...others, traceId].slice(-tracesOfScoreMax))
    if (this.#count > this.#max) this.#forgetOne()
  }

  #forgetOne(): void {
    let most: [tenant: string, ids: Map<string, readonly string[]>] | undefined
    for (const entry of this.#ofTenant) {
      if (most === undefined || entry[1].size > most[1].size) most = entry
    }
    const [oldest] = most?.[1].keys() ?? []
    if (most === undefined || oldest === undefined) return
    most[1].delete(oldest)
    if (most[1].size === 0) this.#ofTenant.delete(most[0])
    this.#count--
  }
}
