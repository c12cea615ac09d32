// Hot: asked once a root, as rules.ts.
import { assertNever, type RuleAnswer } from '@winnow/model'
import type { TraceFacts } from './fold.ts'
import type { Policy } from './policy-file.ts'
import type { Rule } from './rules.ts'

/** What of a root is compared with its past: `duration` in milliseconds, `cost` in US dollars. */
export type Quantity = 'duration' | 'tokens' | 'cost' | 'spans'

/** What a root is compared with, of the past of its kind, when it is judged. */
export interface SlowBar {
  /** Upper bound of the quantile's bucket; absent while too few values are known. */
  readonly threshold?: number
  /** Values the bar was taken from, and whose: `<service> <operation>[ <variant>]`. */
  readonly count: number
  readonly key: string
  /** Values that it was not taken from, because their time stands apart from what is usual. */
  readonly apart?: number
  /** It stands above what is usual, or too many would match. */
  readonly raised?: true
}

/**
 * A trace is judged once: later revisions repeat the answer, because the past they would be compared
 * with has moved on, and because a match must never turn off. Only a new root is judged anew.
 */
export function slow(none: RuleAnswer, quantile: number, quantity: Quantity): Rule {
  const { name, probability } = none
  const isDuration = quantity === 'duration'
  return (facts, environment) => {
    const earlier = environment.earlier(name)
    if (earlier?.matched === true) return { ...earlier, probability }
    const { root } = facts
    if (root === null) return none
    const value = quantityOf(facts, quantity)
    // A fragment adds tokens; the root is the same, and was judged with what was known of it.
    if (earlier?.spanId === root.spanId && (!isDuration || earlier.value === value)) {
      return { ...earlier, probability }
    }
    const { threshold, count, key, apart, raised } = environment.slowBar(facts, quantile, quantity)
    return {
      name,
      matched: threshold !== undefined && value > threshold,
      probability,
      value,
      ...(threshold !== undefined && { threshold }),
      spanId: root.spanId,
      detail: {
        key,
        count,
        ...(!isDuration && { quantity }),
        ...(apart !== undefined && { apart }),
        ...(raised === true && { raised }),
      },
    }
  }
}

/** What of a trace is compared; its root's duration in milliseconds, which is 0 without one. */
export function quantityOf(facts: TraceFacts, quantity: Quantity): number {
  switch (quantity) {
    case 'duration':
      return facts.root?.durationMs ?? 0
    case 'tokens':
      return facts.inputTokens + facts.outputTokens
    case 'cost':
      return facts.costUsd
    case 'spans':
      return facts.spanCount
    default:
      return assertNever(quantity)
  }
}

/** What the rules compare beside durations, each once. */
export function quantitiesOf({ rules }: Policy): readonly Quantity[] {
  const quantities = rules.map(rule => (rule.kind === 'slow' ? rule.quantity : undefined))
  return [...new Set(quantities)].filter(one => one !== undefined && one !== 'duration')
}
