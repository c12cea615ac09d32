import type { Decision, RuleAnswer, ShadowVerdict } from '@winnow/model'
import type { TraceFacts } from './fold.ts'
import { partOf } from './limit-answer.ts'
import type { Policy, RuleSpec } from './policy-file.ts'
import type { RevisionContext } from './revise.ts'
import type { CompiledPolicy, Rule } from './rules.ts'
import { judge, randomnessText } from './verdict.ts'

interface Ground {
  /** As the live policy decided it. */
  readonly decision: Decision
  readonly facts: TraceFacts
  /** The revision before, of the same series. */
  readonly last: Decision | undefined
  readonly context: RevisionContext
}

/**
 * What the policy in the shadow says of a trace on the same facts. A rule that stands in both policies word for
 * word has one answer, with its bar and its place under a cap. Others are asked anew at every revision: a
 * bar of their own may have moved since, and what they keep of a variant uses up no cap. A ceiling holds
 * where rule and ceiling are the same in both, and nowhere else: nobody counts what the shadow alone would
 * keep. As in the live policy a keep is never taken back.
 */
export function shadowVerdict(
  shadow: CompiledPolicy,
  { decision, facts, last, context }: Ground,
): ShadowVerdict {
  const { tenant, traceId, rules, requests } = decision
  const randomness = randomnessText(traceId, facts)
  const before = last?.shadow
  const { version: policyVersion } = shadow.policy
  if (before?.verdict === 'keep' && before.policyVersion === policyVersion) return before
  const answers = answersOf(shadow, context.policy, rules, rule =>
    rule(facts, {
      nowMs: context.nowMs,
      close: decision,
      randomness,
      earlier: () => undefined,
      slowBar: (of, quantile, quantity) => context.slowBar(tenant, of, quantile, quantity),
      variantUsed: context.variantUsed,
    }),
  )
  if (requests.length > 0) answers.splice(-1, 0, requested)
  const { verdict, primary, probability } = judge(answers, randomness, facts.upstream, undefined)
  return { policyVersion, verdict, primary, probability }
}

const requested: RuleAnswer = { name: 'requested', matched: true, probability: 1 }

/** A rule of the shadow that throws keeps the trace, as a live one would. */
function answersOf(
  shadow: CompiledPolicy,
  live: CompiledPolicy,
  answered: readonly RuleAnswer[],
  ask: (rule: Rule) => RuleAnswer,
): RuleAnswer[] {
  const sameAs = sharedRules(shadow, live)
  return shadow.rules.map((rule, at) => {
    const name = shadow.names[at] as string
    const same = sameAs[at]
    const known = same && answered.find(answer => answer.name === same.name)
    if (known !== undefined) {
      const isLimited = same?.isAsLimited === false && partOf(known) !== undefined
      if (!isLimited) return { ...known, name }
      // Whether it matched is the same; how much of what it matches is kept is the shadow's own.
      const { probability } = shadow.policy.rules[at] as RuleSpec
      return { name, matched: known.matched, probability }
    }
    try {
      return ask(rule)
    } catch {
      return { name, matched: true, probability: 1, detail: { threw: true } }
    }
  })
}

interface SharedRule {
  /** Of the live rule that asks the same. */
  readonly name: string
  /** Under the same ceilings too, or under none. */
  readonly isAsLimited: boolean
}

type SharedRules = readonly (SharedRule | undefined)[]

const shared = new WeakMap<CompiledPolicy, WeakMap<CompiledPolicy, SharedRules>>()

/** For each rule of the shadow the live one that asks the same. */
function sharedRules(shadow: CompiledPolicy, live: CompiledPolicy): SharedRules {
  const ofShadow = shared.get(shadow) ?? new WeakMap()
  shared.set(shadow, ofShadow)
  const known = ofShadow.get(live)
  if (known !== undefined) return known
  const texts = new Map(live.policy.rules.map((rule, at) => [ruleText(rule), live.names[at]]))
  const rules = shadow.policy.rules.map((rule, at) => {
    const name = texts.get(ruleText(rule))
    if (name === undefined) return undefined
    const own = ceilingsText(shadow.policy, shadow.names[at] as string)
    return { name, isAsLimited: own === ceilingsText(live.policy, name) }
  })
  ofShadow.set(live, rules)
  return rules
}

function ceilingsText({ ceilings = [] }: Policy, name: string): string {
  const own = ceilings.filter(({ rule }) => rule === name)
  return JSON.stringify(own.map(line => ({ ...line, rule: undefined })))
}

function ruleText(rule: object): string {
  return JSON.stringify({ ...rule, name: undefined })
}
