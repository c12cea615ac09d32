import type { Decision, RuleAnswer } from '@winnow/model'
import { isGivenBy } from './limit-answer.ts'
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
    this.clear()
    for (const entry of entries) this.plus(entry)
  }

  plus([day, arm, traces]: SpendEntry): void {
    const arms = this.#days.get(day) ?? new Map<string, number>()
    this.#days.set(day, arms.set(arm, (arms.get(arm) ?? 0) + traces))
  }

  /** Takes over what is more than is known here. */
  raise(entries: Iterable<SpendEntry>): void {
    let newest = Number.NEGATIVE_INFINITY
    for (const [day, arm, traces] of entries) {
      newest = Math.max(newest, day)
      const more = traces - (this.#days.get(day)?.get(arm) ?? 0)
      if (more > 0) this.plus([day, arm, more])
    }
    this.#forgetBefore(newest - 1)
  }

  add(decision: SpentBy): void {
    const { decidedAtMs, experiment, variant } = decision
    if (experiment === null || variant === null || capSpent(decision) === undefined) return
    const day = Math.floor(decidedAtMs / dayMs)
    this.plus([day, armKey(experiment, variant), 1])
    this.#forgetBefore(day - 1)
  }

  #forgetBefore(day: number): void {
    for (const old of this.#days.keys()) if (old < day) this.#days.delete(old)
  }
}

/** The cap under which this very decision has taken a place; undefined where it took none. */
export function capSpent({ rules, revision }: Pick<SpentBy, 'rules' | 'revision'>) {
  for (let i = 0; i < rules.length; i++) {
    const answer = rules[i] as RuleAnswer
    const cap = answer.matched ? answer.detail?.cap : undefined
    if (cap !== undefined && isGivenBy(answer, revision)) return cap
  }
  return undefined
}

/** `arm` as `armKey` makes it. */
export type SpendEntry = readonly [day: number, arm: string, traces: number]

type SpentBy = Pick<Decision, 'rules' | 'revision' | 'decidedAtMs' | 'experiment' | 'variant'>
