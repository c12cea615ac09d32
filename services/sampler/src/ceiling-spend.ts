import { type Decision, type RuleAnswer, randomnessHex } from '@winnow/model'
import { isGivenBy, partOf } from './limit-answer.ts'
import { thresholdHex } from './threshold-hex.ts'

export type CeilingPer = 'minute' | 'hour'

export const ceilingWindowMs: Readonly<Record<CeilingPer, number>> = {
  minute: 60_000,
  hour: 3_600_000,
}

/** What was kept under a ceiling in one window of log time. */
export interface WindowSpend {
  readonly window: number
  readonly kept: number
  /** As many would have been on average. */
  readonly expected: number
}

/** By tenant, rule and window's length; those beyond them begin a window anew where they move. */
export const ceilingSpendsMax = 10_000

/**
 * What a partition has kept under ceilings, in the window that its log time is in. A fold of `decisions`,
 * as what variants have used of their caps is: so whoever takes the partition up goes on with what its
 * owner before had left. An answer that a revision only repeats was counted with the one that gave it.
 */
export class CeilingSpend {
  readonly #spends: Readonly<Record<CeilingPer, Map<string, WindowSpend>>> = {
    minute: new Map(),
    hour: new Map(),
  }
  readonly #windows: Record<CeilingPer, number> = { minute: -1, hour: -1 }

  /** Undefined where nothing was kept in the window that `nowMs` is in. */
  of(tenant: string, rule: string, per: CeilingPer, nowMs: number): WindowSpend | undefined {
    const spend = this.#spends[per].get(keyOf(tenant, rule))
    return spend?.window === Math.floor(nowMs / ceilingWindowMs[per]) ? spend : undefined
  }

  add(decision: SpentBy): void {
    const { rules, revision } = decision
    for (let i = 0; i < rules.length; i++) {
      const answer = rules[i] as RuleAnswer
      if (isLimitedAnswer(answer) && isGivenBy(answer, revision)) this.#take(answer, decision)
    }
  }

  /** For a snapshot. */
  *entries(): Generator<CeilingSpendEntry> {
    for (const per of ['minute', 'hour'] as const) {
      for (const [key, { window, kept, expected }] of this.#spends[per]) {
        yield [per, key, window, kept, expected]
      }
    }
  }

  load(entries: Iterable<CeilingSpendEntry>): void {
    for (const [per, key, window, kept, expected] of entries) {
      this.#spends[per].set(key, { window, kept, expected })
      this.#windows[per] = Math.max(this.#windows[per], window)
    }
  }

  /** By R as the trace's id has it: one that states another is counted with the same probability. */
  #take(answer: RuleAnswer, { tenant, traceId, decidedAtMs }: SpentBy): void {
    const part = partOf(answer)
    if (part === undefined) return
    const { probability, per } = part
    const window = Math.floor(decidedAtMs / ceilingWindowMs[per])
    const spends = this.#spends[per]
    if (window < this.#windows[per]) return
    // Nobody asks for a window that is over.
    if (window > this.#windows[per]) spends.clear()
    this.#windows[per] = window
    const key = keyOf(tenant, answer.name)
    const known = spends.get(key)
    if (known === undefined && spends.size >= ceilingSpendsMax) return
    const { kept, expected } = known ?? { kept: 0, expected: 0 }
    const isKept = randomnessHex(traceId) >= thresholdHex(probability)
    spends.set(key, { window, kept: kept + (isKept ? 1 : 0), expected: expected + probability })
  }
}

/** Whether a ceiling has limited an answer of the decision. */
export function isLimited({ rules }: Pick<SpentBy, 'rules'>): boolean {
  for (let i = 0; i < rules.length; i++) if (isLimitedAnswer(rules[i] as RuleAnswer)) return true
  return false
}

function isLimitedAnswer({ matched, detail }: RuleAnswer): boolean {
  return matched && detail?.ceiling !== undefined
}

/** `key` names tenant and rule. */
export type CeilingSpendEntry = readonly [
  per: CeilingPer,
  key: string,
  window: number,
  kept: number,
  expected: number,
]

type SpentBy = Pick<Decision, 'tenant' | 'traceId' | 'rules' | 'revision' | 'decidedAtMs'>

const keyOf = (tenant: string, rule: string): string => `${tenant}\0${rule}`
