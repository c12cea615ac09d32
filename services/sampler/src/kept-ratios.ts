const minuteMs = 60_000
const minutes = 60

/** What became of a tenant's traces in the last hour, for the two gauges that say whether sampling works. */
export class KeptRatios {
  /** Tenant → minute → counts. */
  readonly #tenants = new Map<string, Map<number, Counts>>()

  add(tenant: string, nowMs: number, counts: Partial<Counts>): void {
    const minute = Math.floor(nowMs / minuteMs)
    const byMinute = this.#tenants.get(tenant) ?? new Map<number, Counts>()
    this.#tenants.set(tenant, byMinute)
    const held = byMinute.get(minute) ?? { decided: 0, kept: 0, failing: 0, failingKept: 0 }
    byMinute.set(minute, {
      decided: held.decided + (counts.decided ?? 0),
      kept: held.kept + (counts.kept ?? 0),
      failing: held.failing + (counts.failing ?? 0),
      failingKept: held.failingKept + (counts.failingKept ?? 0),
    })
    for (const old of byMinute.keys()) if (old <= minute - minutes) byMinute.delete(old)
  }

  /**
   * Kept of decided, and kept of those that failed; undefined where there were none. At most 1: a
   * rescue counts in the minute of the rescue, and its trace may have been decided before the hour.
   */
  read(tenant: string, nowMs: number): { readonly kept?: number; readonly failingKept?: number } {
    const oldest = Math.floor(nowMs / minuteMs) - minutes
    const sum = { decided: 0, kept: 0, failing: 0, failingKept: 0 }
    for (const [minute, counts] of this.#tenants.get(tenant) ?? []) {
      if (minute <= oldest) continue
      sum.decided += counts.decided
      sum.kept += counts.kept
      sum.failing += counts.failing
      sum.failingKept += counts.failingKept
    }
    return {
      ...(sum.decided > 0 && { kept: Math.min(1, sum.kept / sum.decided) }),
      ...(sum.failing > 0 && { failingKept: Math.min(1, sum.failingKept / sum.failing) }),
    }
  }
}

interface Counts {
  readonly decided: number
  readonly kept: number
  readonly failing: number
  readonly failingKept: number
}
