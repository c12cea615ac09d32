const minuteMs = 60_000
const minutes = 60

/** What became of a tenant's traces in the last hour, for the two gauges that say whether sampling works. */
export class KeptRatios {
  readonly #tenants = new Map<string, Hour>()

  /** `nowMs` does not go back by more than the hour that is looked at. */
  add(tenant: string, nowMs: number, counts: Counts): void {
    let hour = this.#tenants.get(tenant)
    if (hour === undefined) {
      hour = { minutes: new Map(), sum: { ...zero } }
      this.#tenants.set(tenant, hour)
    }
    const minute = Math.floor(nowMs / minuteMs)
    let held = hour.minutes.get(minute)
    if (held === undefined) {
      held = { ...zero }
      hour.minutes.set(minute, held)
    }
    addTo(held, counts, 1)
    addTo(hour.sum, counts, 1)
    forget(hour, minute)
  }

  /**
   * Kept of decided, and kept of those that failed; undefined where there were none. At most 1: a
   * rescue counts in the minute of the rescue, and its trace may have been decided before the hour.
   */
  read(tenant: string, nowMs: number): { readonly kept?: number; readonly failingKept?: number } {
    const hour = this.#tenants.get(tenant)
    if (hour === undefined) return {}
    forget(hour, Math.floor(nowMs / minuteMs))
    const { decided, kept, failing, failingKept } = hour.sum
    return {
      ...(decided > 0 && { kept: Math.min(1, kept / decided) }),
      ...(failing > 0 && { failingKept: Math.min(1, failingKept / failing) }),
    }
  }
}

/** The minutes with their sum, which is asked for with every decision. */
interface Hour {
  readonly minutes: Map<number, Counts>
  readonly sum: Counts
}

interface Counts {
  decided: number
  kept: number
  failing: number
  failingKept: number
}

const zero: Counts = { decided: 0, kept: 0, failing: 0, failingKept: 0 }

/** Minutes come in order, but for a clock that is set back: then an old one stays a little longer. */
function forget(hour: Hour, minute: number): void {
  for (const [old, counts] of hour.minutes) {
    if (old > minute - minutes) break
    addTo(hour.sum, counts, -1)
    hour.minutes.delete(old)
  }
}

function addTo(sum: Counts, counts: Counts, sign: 1 | -1): void {
  sum.decided += sign * counts.decided
  sum.kept += sign * counts.kept
  sum.failing += sign * counts.failing
  sum.failingKept += sign * counts.failingKept
}
