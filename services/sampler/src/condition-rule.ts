// Hot: once a revision and condition.

import type { RuleAnswer, SpanCell } from '@winnow/model'
import { isClearText } from '@winnow/privacy'
import { PipelineError } from '@winnow/runtime'
import { type ComparedFact, type Condition, checkCondition } from './condition-check.ts'
import { readerOf, type Step } from './condition-program.ts'
import { Values } from './condition-values.ts'
import { ConditionView } from './condition-view.ts'
import type { TraceFacts } from './fold.ts'
import { repeated } from './repeated-answers.ts'
import type { Rule, RuleEnvironment } from './rules.ts'

/** Facts that one answer states: a decision carries the answers of all rules. */
export const statedFactsMax = 3

/**
 * A condition as a rule. Where it depends on the order in which facts come it is asked only once the
 * trace has a span, and a match is repeated by later revisions: a keep must not turn into a drop. One that
 * does not match says what it names and no slice has (`notRecorded`): so it may be false for want of that.
 */
export function conditionRule(name: string, probability: number, text: string): Rule {
  const condition = conditionOf(text)
  const { program, columns, compared, orderDependent, hash } = condition
  const none = repeated({ name, matched: false, probability })
  const unseen = new Map(
    columns.map(column => [column, repeated({ ...none, detail: { notRecorded: column } })]),
  )
  const stated = compared.slice(0, statedFactsMax).map(readable)
  return (facts, environment) => {
    if (orderDependent !== undefined) {
      if (facts.spanCount === 0) return none
      const earlier = environment.earlier(name)
      if (isRepeat(earlier, hash)) return { ...earlier, probability }
    }
    const view = viewOf(facts, environment).begin()
    const matched = program(view, undefined)
    const [first] = stated
    const value = first === undefined ? undefined : statedOf(view, first, matched)
    if (!matched) {
      const column = columns.length === 0 ? undefined : view.notRecorded(columns)
      const answer = column === undefined ? none : (unseen.get(column) as RuleAnswer)
      return value === undefined ? answer : { ...answer, value }
    }
    if (first === undefined && orderDependent === undefined) return { name, matched, probability }
    const detail = detailOf(view, stated, orderDependent === undefined ? undefined : hash)
    return { name, matched, probability, ...(value !== undefined && { value }), detail }
  }
}

interface StatedFact {
  readonly text: string
  readonly read: Step
}

const readable = ({ text, path, key }: ComparedFact): StatedFact => ({
  text,
  read: readerOf(path, key),
})

/** A match by a rule with this very condition, which a later revision takes over. */
export function isRepeat(earlier: RuleAnswer | undefined, hash: string): earlier is RuleAnswer {
  return earlier?.matched === true && earlier.detail?.when === hash
}

const known = new Map<string, Condition>()
const knownMax = 1_024

/** CONFIG_INVALID where it is none: a policy's conditions were checked when it was read. */
export function conditionOf(text: string): Condition {
  const before = known.get(text)
  if (before !== undefined) return before
  const check = checkCondition(text)
  if (!check.ok) {
    throw new PipelineError('CONFIG_INVALID', `condition ${text}: ${check.mistakes[0]?.message}`)
  }
  if (known.size >= knownMax) known.clear()
  known.set(text, check.condition)
  return check.condition
}

let lastFacts: TraceFacts | undefined
let lastEnvironment: RuleEnvironment | undefined
let lastView: ConditionView | undefined

/** The conditions of a policy are asked one after another for the same trace: what one computed is there. */
function viewOf(facts: TraceFacts, environment: RuleEnvironment): ConditionView {
  if (facts !== lastFacts || environment !== lastEnvironment || lastView === undefined) {
    lastView = new ConditionView(facts, environment)
    lastFacts = facts
    lastEnvironment = environment
  }
  return lastView
}

function detailOf(
  view: ConditionView,
  stated: readonly StatedFact[],
  hash: string | undefined,
): Record<string, string | number | boolean> {
  const detail: Record<string, string | number | boolean> = {}
  for (const fact of stated) {
    const value = statedOf(view, fact, true)
    if (value !== undefined) detail[fact.text] = value
  }
  if (hash !== undefined) detail.when = hash
  return detail
}

/** What can be stated: a number, a flag, a text that is no prose; of a list how many it has. */
function statedOf(
  view: ConditionView,
  { read }: StatedFact,
  matched: boolean,
): string | number | boolean | undefined {
  const value = read(view, undefined)
  if (value instanceof Values) return asFact(shownOf(value, matched))
  return asFact(Array.isArray(value) ? value.length : value)
}

function asFact(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (typeof value === 'string') return value !== '' && isClearText(value) ? value : undefined
  return typeof value === 'boolean' ? value : undefined
}

const shownOf = ({ shown, all }: Values, matched: boolean): SpanCell | undefined =>
  matched && shown !== null ? shown : all[0]
