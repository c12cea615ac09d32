import { factTextBytesMax } from './facts.ts'

/** A condition on what was sent; several of its members are all to hold. */
export interface OutcomeCondition {
  readonly scoreAbove?: number | undefined
  readonly scoreBelow?: number | undefined
  readonly scoreAtLeast?: number | undefined
  readonly scoreAtMost?: number | undefined
  /** Any of these, whatever their case. */
  readonly label?: readonly string[] | undefined
  readonly passed?: boolean | undefined
}

/** One line of `outcomes:` in the configuration: what somebody calls his outcome, and what it is here. */
export interface OutcomeRule {
  readonly from: { readonly attribute: string } | { readonly evaluation: string }
  /** `judge`, `citation`, `csat`, or a name of its own. */
  readonly to: string
  readonly failWhen?: OutcomeCondition | undefined
  readonly passWhen?: OutcomeCondition | undefined
}

/** What was sent, as far as a condition can be asked of it. */
export interface StatedOutcome {
  readonly score?: number | undefined
  readonly label?: string | undefined
  readonly passed?: boolean | undefined
}

/** The lines of `outcomes:`, to be looked up by what was sent. Plain data goes in, so that threads can share it. */
export class OutcomeMap {
  readonly rules: readonly OutcomeRule[]
  /** Keys of attributes that are outcomes. */
  readonly attributes: readonly string[]
  readonly #byAttribute = new Map<string, OutcomeRule>()
  readonly #byEvaluation = new Map<string, OutcomeRule>()

  constructor(rules: readonly OutcomeRule[] = []) {
    this.rules = rules
    for (const rule of rules) {
      if ('attribute' in rule.from) this.#byAttribute.set(rule.from.attribute, rule)
      else this.#byEvaluation.set(rule.from.evaluation, rule)
    }
    this.attributes = [...this.#byAttribute.keys()]
  }

  ofAttribute(key: string): OutcomeRule | undefined {
    return this.#byAttribute.get(key)
  }

  ofEvaluation(name: string): OutcomeRule | undefined {
    return this.#byEvaluation.get(name)
  }
}

export const noOutcomeMap = new OutcomeMap()

/**
 * Whether what was sent passes by the rule's conditions. Undefined: it has none, or they ask for what was
 * not sent. Failing is asked first; of one condition alone the other is its opposite.
 */
export function settled(
  { failWhen, passWhen }: OutcomeRule,
  stated: StatedOutcome,
): boolean | undefined {
  const fails = failWhen === undefined ? undefined : holds(failWhen, stated)
  if (fails === true) return false
  const passes = passWhen === undefined ? undefined : holds(passWhen, stated)
  if (passes !== undefined) return passes
  return passWhen === undefined && fails === false ? true : undefined
}

/** Undefined where a member asks for what was not sent. */
function holds(condition: OutcomeCondition, stated: StatedOutcome): boolean | undefined {
  const { scoreAbove, scoreBelow, scoreAtLeast, scoreAtMost, label, passed } = condition
  const { score } = stated
  const asksScore = [scoreAbove, scoreBelow, scoreAtLeast, scoreAtMost].some(it => it !== undefined)
  if (asksScore && score === undefined) return undefined
  if (label !== undefined && stated.label === undefined) return undefined
  if (passed !== undefined && stated.passed === undefined) return undefined
  if (score !== undefined) {
    if (scoreAbove !== undefined && !(score > scoreAbove)) return false
    if (scoreBelow !== undefined && !(score < scoreBelow)) return false
    if (scoreAtLeast !== undefined && !(score >= scoreAtLeast)) return false
    if (scoreAtMost !== undefined && !(score <= scoreAtMost)) return false
  }
  const sent = stated.label?.trim().toLowerCase()
  if (label !== undefined && !label.some(one => one.toLowerCase() === sent)) return false
  return passed === undefined || stated.passed === passed
}

/** What a line gives an evaluation that was sent under its name. */
export function mapped<T extends StatedOutcome & { readonly name: string }>(
  map: OutcomeMap,
  evaluation: T,
): T & { readonly sentAs?: string; readonly settled?: true } {
  const rule = map.ofEvaluation(evaluation.name)
  if (rule === undefined) return evaluation
  const { name } = evaluation
  // Longer it is content; what it has become is told all the same.
  const isTold = rule.to !== name && Buffer.byteLength(name) <= factTextBytesMax
  const passed = settled(rule, evaluation)
  return {
    ...evaluation,
    name: rule.to,
    ...(isTold && { sentAs: name }),
    ...(passed !== undefined && { passed, settled: true as const }),
  }
}
