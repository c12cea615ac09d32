import type { Decision } from '@winnow/model'
import { armKey } from './rules.ts'

const dayMs = 86_400_000

/**
 * Traces kept for a watched variant, by UTC day of log time, of one partition. A fold of `decisions`:
 * an answer that a revision only repeats was counted with the revision that gave it.
 */
export class VariantSpend {
  /** Day → arm → traces. Two days at most: a decision never looks further back. */
  readonly #days = new Map<number, Map<string, number>>()

  used(experiment: string, variant: string, nowMs: number): number {
    return this.#days.get(Math.floor(nowMs / dayMs))?.get(armKey(experiment, variant)) ?? 0
  }

  clear(): void {
    this.#days.clear()
  }

  /** For a snapshot. */
  *entries(): Generator<SpendEntry> {
    for (const [day, arms] of this.#days) for (const [arm, traces] of arms) yield [day, arm, traces]
  }

  load(entries: Iterable<SpendEntry>): void {
    for (const [day, arm, traces] of entries) {
      const arms = this.#days.get(day) ?? new Map<string, number>()
      this.#days.set(day, arms.set(arm, traces))
    }
  }

  add({ rules, decidedAtMs, experiment, variant }: SpentBy): void {
    if (experiment === null || variant === null) return
    const isSpent = rules.some(
      ({ matched, detail }) => matched && detail?.atMs === decidedAtMs && detail.cap !== undefined,
    )
    if (!isSpent) return
    const day = Math.floor(decidedAtMs / dayMs)
    const arms = this.#days.get(day) ?? new Map<string, number>()
    this.#days.set(day, arms)
    const key = armKey(experiment, variant)
    arms.set(key, (arms.get(key) ?? 0) + 1)
    for (const old of this.#days.keys()) if (old < day - 1) this.#days.delete(old)
  }
}

/** `arm` as `armKey` makes it. */
export type SpendEntry = readonly [day: number, arm: string, traces: number]

type SpentBy = Pick<Decision, 'rules' | 'decidedAtMs' | 'experiment' | 'variant'>
