import type { Decision, PackedSlice, RuleAnswer } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { conditionOf, isRepeat } from './condition-rule.ts'
import { fingerprintText, noFingerprint } from './fingerprint.ts'
import { foldTrace, type TraceFacts } from './fold.ts'
import { limitAnswer, partOf } from './limit-answer.ts'
import type { RuleSpec } from './policy-file.ts'
import { factFields, withRequests } from './revise.ts'
import type { CompiledPolicy, Rule, RuleEnvironment } from './rules.ts'
import { quantityOf } from './slow-rule.ts'
import { type EarlierVerdict, judge, randomnessText } from './verdict.ts'

export interface Rederived {
  /** The decision says what its own facts, recorded thresholds and policy say. */
  readonly agrees: boolean
  /** One line each: the field, what is recorded, what is derived. */
  readonly differences: readonly string[]
}

/**
 * Takes a decision again from its own record alone (invariant 5): facts from its slices and evaluations,
 * the bar and the cap from its rules' answers. Where `prev` is set, `earlier` are the slices of the rest
 * of its chain, in order. What an earlier revision handed down - an inherited keep,
 * the answer on a root that another has replaced - is checked as far as the record goes. CONFIG_INVALID
 * when `policy` is not the version that the decision names.
 */
export function rederive(
  decision: Decision,
  policy: CompiledPolicy,
  earlier: readonly PackedSlice[] = [],
): Rederived {
  const { version } = policy.policy
  if (version !== decision.policyVersion) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `decision on ${decision.traceId} names policy ${decision.policyVersion}, not ${version}; give that one`,
    )
  }
  const slices = [...earlier, ...decision.slices]
  const facts = foldTrace(slices, decision.evaluations, policy.variants)
  const randomness = randomnessText(decision.traceId, facts)
  const answers = policy.rules.map((rule, at) => {
    const recorded = decision.rules.find(({ name }) => name === policy.names[at])
    return answerAgain(policy.policy.rules[at] as RuleSpec, rule, recorded, {
      decision,
      facts,
      randomness,
    })
  })
  const rules = withRequests(answers, decision.requests)
  const derived = { ...factFields(facts), ...seriesFields(decision, slices, facts) }
  const differences = compare(
    { rules: decision.rules, ...pick(decision, derived) },
    { rules, ...derived },
  )
  differences.push(...verdictDifferences(decision, rules, randomness, facts.upstream))
  return { agrees: differences.length === 0, differences }
}

function seriesFields(
  { evaluations, requests, retractions }: Decision,
  slices: readonly PackedSlice[],
  { firstAppendedAtMs, lastAppendedAtMs }: TraceFacts,
) {
  return {
    sliceCount: slices.length,
    firstSpanAtMs: firstAppendedAtMs,
    lastSpanAtMs: lastAppendedAtMs,
    fingerprint: fingerprintText(noFingerprint, slices, evaluations, requests, retractions),
  }
}

interface Ground {
  readonly decision: Decision
  readonly facts: TraceFacts
  readonly randomness: string
}

function answerAgain(
  spec: RuleSpec,
  rule: Rule,
  recorded: RuleAnswer | undefined,
  { decision, facts, randomness }: Ground,
): RuleAnswer {
  if (recorded?.detail?.threw === true) return recorded
  if (recorded !== undefined && isHandedDown(spec, recorded, decision, facts)) return recorded
  const { threshold, detail } = recorded ?? {}
  const environment: RuleEnvironment = {
    nowMs: typeof detail?.atMs === 'number' ? detail.atMs : decision.decidedAtMs,
    ...(typeof detail?.revision === 'number' && { revision: detail.revision }),
    randomness,
    close: decision,
    earlier: () => undefined,
    slowBar: () => ({
      ...(typeof threshold === 'number' && { threshold }),
      count: Number(detail?.count ?? 0),
      key: String(detail?.key ?? ''),
      ...(typeof detail?.apart === 'number' && { apart: detail.apart }),
      ...(detail?.raised === true && { raised: true }),
    }),
    ceiling: () => recorded && partOf(recorded),
    variantUsed: () => Number(detail?.used ?? 0),
  }
  return limitAnswer(rule(facts, environment), facts, environment)
}

/** A match of an earlier revision that this one only repeats, and that its own figures bear out. */
function isHandedDown(
  spec: RuleSpec,
  recorded: RuleAnswer,
  decision: Decision,
  facts: TraceFacts,
): boolean {
  const { matched, value, threshold, spanId, detail } = recorded
  if (decision.revision === 1) return false
  if (spec.kind === 'condition') return isRepeat(recorded, conditionOf(spec.when).hash)
  if (spec.kind === 'slow') {
    const isAbove = typeof threshold === 'number' && Number(value) > threshold
    if (spanId !== facts.root?.spanId) return matched && isAbove
    // Sums grow with fragments, and the root was judged before it had them.
    const { quantity = 'duration' } = spec
    return (
      quantity !== 'duration' && Number(value) < quantityOf(facts, quantity) && matched === isAbove
    )
  }
  if (!matched) return false
  if (spec.kind !== 'active-variant') return false
  const { atMs, until, used, cap } = detail ?? {}
  const isEarlier = Number(atMs) <= decision.decidedAtMs && Number(atMs) < Date.parse(String(until))
  return isEarlier && Number(used) < Number(cap)
}

function verdictDifferences(
  decision: Decision,
  rules: readonly RuleAnswer[],
  randomness: string,
  upstream: string | undefined,
): string[] {
  const own = judge(rules, randomness, upstream, undefined)
  if (decision.inherited === true) {
    return compare(
      { verdict: 'keep', rules: 'drop' },
      {
        verdict: decision.verdict,
        rules: own.verdict,
      },
    )
  }
  const wasDropped: EarlierVerdict = { ...decision, verdict: 'drop', isAwaiting: false }
  const isRescued = decision.stratum === 'rescued'
  const judged = isRescued ? judge(rules, randomness, upstream, wasDropped) : own
  const { verdict, primary, probability, th, stratum } = judged
  const adjustedCount = decision.gone === true ? 0 : judged.adjustedCount
  const derived = { verdict, primary, probability, th, stratum, adjustedCount }
  return compare(pick(decision, derived), derived)
}

function pick(from: Decision, like: object): Record<string, unknown> {
  const keys = Object.keys(like) as (keyof Decision)[]
  return Object.fromEntries(keys.map(key => [key, from[key]]))
}

function compare(
  recorded: Readonly<Record<string, unknown>>,
  derived: Readonly<Record<string, unknown>>,
): string[] {
  return Object.keys(derived).flatMap(key => {
    const [a, b] = [JSON.stringify(recorded[key]), JSON.stringify(derived[key])]
    return a === b ? [] : [`${key}: ${a} recorded, ${b} derived`]
  })
}
