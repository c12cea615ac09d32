// Hot: every rule is asked for every revision. No expression, no configuration looked up, one object an answer.
import { assertNever, factTextBytesMax, type RuleAnswer } from '@winnow/model'
import type { CeilingPart } from './ceilings.ts'
import { conditionRule } from './condition-rule.ts'
import type { Outcome, TraceFacts } from './fold.ts'
import { limitAnswer } from './limit-answer.ts'
import type { Close } from './merge.ts'
import { csatOf, missingClaims } from './outcome-values.ts'
import { type Policy, type RuleSpec, ruleName, type VariantSpec } from './policy-file.ts'
import { repeated } from './repeated-answers.ts'
import { type Quantity, quantitiesOf, type SlowBar, slow } from './slow-rule.ts'
import { thresholdHex } from './threshold-hex.ts'

/** All that a rule may look at beside the facts. Everything of it that matters is in its answer. */
export interface RuleEnvironment {
  /** Log time, Unix milliseconds. */
  readonly nowMs: number
  /**
   * Of the trace, under which the answers will be on record: what takes a place under a cap or a ceiling
   * says it, so that later revisions that repeat the answer do not count it again. Absent: of no record.
   */
  readonly revision?: number
  /** R and the rules' own thresholds are compared as text of 14 hex digits. */
  readonly randomness: string
  /** What a rule of this name answered in the revision before. */
  earlier(name: string): RuleAnswer | undefined
  slowBar(facts: TraceFacts, quantile: number, quantity: Quantity): SlowBar
  /** What a ceiling leaves a match of this kind; absent where there are none. */
  ceiling?(rule: string, kind: string, asked: number): CeilingPart | undefined
  /** How the trace was closed, as far as it was. */
  readonly close?: Omit<Close, 'closedAtMs'>
  /** Traces kept for a variant in the UTC day of `nowMs` so far. */
  variantUsed(experiment: string, variant: string): number
}

/** One rule as a closure. Its answer is complete whether or not it matched. */
export type Rule = (facts: TraceFacts, environment: RuleEnvironment) => RuleAnswer

export interface CompiledPolicy {
  readonly policy: Policy
  readonly names: readonly string[]
  readonly rules: readonly Rule[]
  /** Those of all rules of kind `active-variant`. */
  readonly variants: readonly VariantSpec[]
  /** Of `variants`, as `armKey` makes them. */
  readonly arms: ReadonlySet<string>
  /** What `slow` rules compare beside durations: baselines of nothing else are kept. */
  readonly quantities: readonly Quantity[]
  /**
   * Every rule's answer in policy order; every rule is always asked. A rule that throws matches with
   * probability 1, says `threw`, and is handed to `onThrow`: a bug must not drop what it cannot judge.
   */
  readonly answer: (facts: TraceFacts, environment: RuleEnvironment) => RuleAnswer[]
}

/** Hot when called: branches on no configuration. */
export function compilePolicy(
  policy: Policy,
  onThrow: (name: string, error: unknown) => void = () => {},
  compile: (spec: RuleSpec) => Rule = compileRule,
): CompiledPolicy {
  const names = policy.rules.map(ruleName)
  const rules = policy.rules.map(compile)
  const isLimited = policy.ceilings !== undefined
  const variants = policy.rules.flatMap(rule =>
    rule.kind === 'active-variant' ? rule.variants : [],
  )
  return {
    policy,
    names,
    rules,
    variants,
    arms: new Set(variants.map(({ experiment, variant }) => armKey(experiment, variant))),
    quantities: quantitiesOf(policy),
    answer: (facts, environment) => {
      const answers = new Array<RuleAnswer>(rules.length)
      for (let i = 0; i < rules.length; i++) {
        try {
          const answer = (rules[i] as Rule)(facts, environment)
          answers[i] = isLimited ? limitAnswer(answer, facts, environment) : answer
        } catch (error) {
          const name = names[i] as string
          onThrow(name, error)
          answers[i] = { name, matched: true, probability: 1, detail: { threw: true } }
        }
      }
      return answers
    },
  }
}

export function compileRule(spec: RuleSpec): Rule {
  const name = ruleName(spec)
  const { probability } = spec
  // What says nothing of the trace is the same answer for all of them.
  const none = repeated({ name, matched: false, probability })
  switch (spec.kind) {
    case 'span-error': {
      const noErrors = repeated({ name, matched: false, probability, value: 0, threshold: 0 })
      return facts => spanError(noErrors, facts)
    }
    case 'judge-failed':
      return judgeFailed(none, failure(spec.labels, spec.scoreBelow), spec.scoreBelow)
    case 'citation-failed':
      return citationFailed(none, failure(spec.labels, spec.scoreBelow))
    case 'low-csat':
      return facts => lowCsat(none, spec.atMost, facts)
    case 'outcome-failed': {
      const passed = repeated({ name, matched: false, probability, value: true })
      return facts => outcomeFailed(none, passed, facts)
    }
    case 'slow':
      return slow(none, spec.quantile, spec.quantity ?? 'duration')
    case 'active-variant':
      return activeVariant(none, spec.variants)
    case 'condition':
      return conditionRule(name, probability, spec.when)
    case 'ordinary': {
      const threshold = thresholdHex(probability)
      return (_facts, { randomness }) => ({
        name,
        matched: true,
        probability,
        value: randomness,
        threshold,
      })
    }
    default:
      return assertNever(spec)
  }
}

function spanError(none: RuleAnswer, facts: TraceFacts): RuleAnswer {
  const errors = facts.fatalErrors + facts.recoveredErrors
  if (errors === 0) return none
  const { name, probability } = none
  return {
    name,
    matched: true,
    probability,
    value: errors,
    threshold: 0,
    ...(facts.errorSpanId !== null && { spanId: facts.errorSpanId }),
    detail: { fatal: facts.fatalErrors, recovered: facts.recoveredErrors },
  }
}

type Failure = (outcome: Outcome) => boolean | number | string | undefined

/** What of an outcome says that it failed: its flag, its label or its score; undefined when nothing does. */
function failure(labels: readonly string[], scoreBelow: number): Failure {
  const failing = new Set(labels)
  return ({ passed, label, score, settled }) => {
    if (passed === false) return false
    if (settled === true) return undefined
    if (label !== undefined && failing.has(label.trim().toLowerCase())) return label
    if (score !== undefined && score >= 0 && score < scoreBelow) return score
    return undefined
  }
}

function judgeFailed(none: RuleAnswer, fails: Failure, scoreBelow: number): Rule {
  const { name, probability } = none
  return facts => {
    let judged = 0
    let failed = 0
    let shown: Outcome | undefined
    let sign: boolean | number | string | undefined
    for (const outcome of facts.outcomes) {
      if (outcome.name !== 'judge') continue
      judged++
      const found = fails(outcome)
      if (found !== undefined) failed++
      if (shown === undefined || (found !== undefined && sign === undefined)) {
        shown = outcome
        sign = found
      }
    }
    if (shown === undefined) return none
    const value = sign ?? shown.score ?? shortLabel(shown) ?? shown.passed
    return {
      name,
      matched: failed > 0,
      probability,
      ...(value !== undefined && { value }),
      ...(typeof value === 'number' && { threshold: scoreBelow }),
      ...spanOf(shown),
      detail: { judged, passed: judged - failed },
    }
  }
}

/** A longer text is content, and never in a decision's rules. */
function shortLabel({ label }: Outcome): string | undefined {
  return label === undefined || Buffer.byteLength(label) > factTextBytesMax ? undefined : label
}

/** Counts alone: the text of a claim is content and never in a decision. */
function citationFailed(none: RuleAnswer, fails: Failure): Rule {
  const { name, probability } = none
  return facts => {
    let shown: Outcome | undefined
    let matched = false
    for (const outcome of facts.outcomes) {
      if (outcome.name !== 'citation') continue
      const isFailure = (missingClaims(outcome) ?? 0) > 0 || fails(outcome) !== undefined
      if (shown === undefined || (isFailure && !matched)) shown = outcome
      matched ||= isFailure
    }
    if (shown === undefined) return none
    const missing = missingClaims(shown)
    const sign = missing !== undefined && missing > 0 ? missing : (fails(shown) ?? missing)
    const value = sign ?? shown.score ?? shortLabel(shown) ?? shown.passed
    return {
      name,
      matched,
      probability,
      ...(value !== undefined && { value }),
      ...(value === missing && missing !== undefined && { threshold: 0 }),
      ...spanOf(shown),
      ...(missing !== undefined && { detail: claimsOf(shown) }),
    }
  }
}

function claimsOf({ extracted, supported, unsupported }: Outcome): Record<string, number> {
  return {
    ...(extracted !== undefined && { extracted }),
    ...(supported !== undefined && { supported }),
    ...(unsupported !== undefined && { unsupported }),
  }
}

function lowCsat(none: RuleAnswer, atMost: number, facts: TraceFacts): RuleAnswer {
  let value: number | undefined
  let shown: Outcome | undefined
  let ignored = 0
  for (const outcome of facts.outcomes) {
    // What a condition of the configuration lets pass is not judged by its score again.
    if (outcome.name !== 'csat' || (outcome.settled === true && outcome.passed === true)) continue
    const csat = csatOf(outcome)
    if (csat === undefined) ignored++
    else if (value === undefined || csat < value) {
      value = csat
      shown = outcome
    }
  }
  if (value === undefined || shown === undefined) {
    return ignored === 0 ? none : { ...none, detail: { ignored } }
  }
  const { name, probability } = none
  return {
    name,
    matched: value <= atMost,
    probability,
    value,
    threshold: atMost,
    ...spanOf(shown),
    ...(ignored > 0 && { detail: { ignored } }),
  }
}

function outcomeFailed(none: RuleAnswer, passed: RuleAnswer, facts: TraceFacts): RuleAnswer {
  let failed = 0
  let stated = 0
  let shown: Outcome | undefined
  for (const outcome of facts.outcomes) {
    if (outcome.name === 'judge' || outcome.name === 'citation') continue
    if (outcome.passed === undefined) continue
    stated++
    if (outcome.passed) continue
    failed++
    shown ??= outcome
  }
  if (stated === 0) return none
  if (shown === undefined) return passed
  const { name, probability } = none
  return {
    name,
    matched: true,
    probability,
    value: false,
    ...spanOf(shown),
    detail: { outcome: shown.name, failed },
  }
}

/** A match is repeated by later revisions, as in {@link slow}: it has taken its place under the cap. */
function activeVariant(none: RuleAnswer, variants: readonly VariantSpec[]): Rule {
  const { name, probability } = none
  const byArm = new Map<string, VariantSpec & { readonly untilMs: number }>()
  for (const spec of variants) {
    byArm.set(armKey(spec.experiment, spec.variant), { ...spec, untilMs: Date.parse(spec.until) })
  }
  return ({ experiment, variant }, environment) => {
    const earlier = environment.earlier(name)
    if (earlier?.matched === true) return { ...earlier, probability }
    if (experiment === null || variant === null) return none
    const spec = byArm.get(armKey(experiment, variant))
    if (spec?.experiment !== experiment || spec.variant !== variant) {
      return { name, matched: false, probability, value: variant }
    }
    const { nowMs, revision } = environment
    const used = environment.variantUsed(experiment, variant)
    return {
      name,
      matched: nowMs < spec.untilMs && used < spec.dailyCap,
      probability,
      value: variant,
      detail: {
        experiment,
        used,
        cap: spec.dailyCap,
        until: spec.until,
        atMs: nowMs,
        ...(revision !== undefined && { revision }),
      },
    }
  }
}

export const armKey = (experiment: string, variant: string): string => `${experiment}\n${variant}`

function spanOf({ spanId }: Outcome): { readonly spanId?: string } {
  return spanId === undefined ? {} : { spanId }
}
