import type { VariantSpec } from './policy-file.ts'
import { armKey } from './rules.ts'

const dayMs = 86_400_000
const slotMs = 60_000
/** An hour of traffic tells a split; a day of it would hide that the split was changed. */
const slotsMax = 60
/** Fewer traces, or less time, do not tell a rate. */
const tracesMin = 500
const observedMinMs = slotMs

interface Slot {
  all: number
  readonly arms: Map<string, number>
}

export interface Forecast {
  /** The arm's part of the traces seen in the last hour. */
  readonly split: number
  /** Part of all traces that will be kept for it, if the hour goes on for a day. */
  readonly share: number
}

/** What part of the traffic a watched variant will have kept, told from the split that was seen. */
export class VariantForecast {
  /** By minute of log time. */
  readonly #slots = new Map<number, Slot>()

  /** A trace that was decided for the first time. `arm` where it names a registered variant. */
  note(arm: string | undefined, nowMs: number): void {
    const minute = Math.floor(nowMs / slotMs)
    let slot = this.#slots.get(minute)
    if (slot === undefined) {
      slot = { all: 0, arms: new Map() }
      this.#slots.set(minute, slot)
      for (const old of this.#slots.keys()) if (old <= minute - slotsMax) this.#slots.delete(old)
    }
    slot.all++
    if (arm !== undefined) slot.arms.set(arm, (slot.arms.get(arm) ?? 0) + 1)
  }

  /** `partShare`: the share of all partitions that was seen here. Undefined: too little was. */
  of(
    { experiment, variant, dailyCap }: VariantSpec,
    nowMs: number,
    partShare: number,
  ): Forecast | undefined {
    const minute = Math.floor(nowMs / slotMs)
    const arm = armKey(experiment, variant)
    let all = 0
    let own = 0
    let oldest = minute
    for (const [at, slot] of this.#slots) {
      if (at <= minute - slotsMax) continue
      all += slot.all
      own += slot.arms.get(arm) ?? 0
      oldest = Math.min(oldest, at)
    }
    const observedMs = nowMs - oldest * slotMs
    if (all < tracesMin || observedMs < observedMinMs || partShare <= 0) return undefined
    const split = own / all
    const perDay = ((all / partShare) * dayMs) / observedMs
    return { split, share: Math.min(split, dailyCap / perDay) }
  }
}
