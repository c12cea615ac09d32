import type { Decision, RuleAnswer } from '@winnow/model'
import type { Clock, Metrics } from '@winnow/runtime'
import { briefOf, type DecisionBrief } from './decision-brief.ts'
import { KeptRatios } from './kept-ratios.ts'
import type { Policy, RuleKind } from './policy-file.ts'
import { ruleName } from './policy-file.ts'
import type { Revision } from './revise.ts'

/** What a decision changes in the figures, known when it is made and told when it counts. */
export interface Outcome {
  readonly decision: DecisionBrief
  readonly evaluations: Revision['evaluations']
  readonly isRescue: boolean
  /** It has slices, and is the first that has. */
  readonly isFirst: boolean
  /** The revision found that its bytes had left the bus: it is in no ratio from then on. */
  readonly becameGone: boolean
  /** It shows a failure that the trace's last decision did not show. */
  readonly isNewFailure: boolean
  /** Rules, the catch-all apart, that match now and did not match the trace's last decision. */
  readonly newMatches: readonly string[]
  /** The first one after that on its spans. */
  readonly isDecidedAgain: boolean
  /** A registered experiment asked for it. */
  readonly isActiveVariant: boolean
  /** Append time of the last slice where the revision brought one. */
  readonly lastSpanAtMs: number | null
}

/** The part of a decision's life that operators see. Told of counting decisions alone. */
export class DecisionMetrics {
  readonly #metrics: Metrics
  readonly #clock: Clock
  readonly #ratios = new KeptRatios()

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics
    this.#clock = clock
  }

  counted(outcome: Outcome): void {
    const { becameGone, decision, isFirst, isNewFailure, isRescue, lastSpanAtMs } = outcome
    const metrics = this.#metrics
    const nowMs = this.#clock.nowMs()
    const tenant = metrics.capped('tenant', decision.tenant)
    for (const { name, effect } of outcome.evaluations) this.#evaluation(name, effect)
    // Awaiting, or kept too late to be written: in no ratio.
    if (decision.sliceCount === 0) return
    metrics.decisions.inc({ verdict: decision.verdict, rule: decision.primary, tenant })
    if (decision.shadow !== undefined) {
      const { verdict: shadow, primary: rule } = decision.shadow
      metrics.shadowDecisions.inc({ live: decision.verdict, shadow, rule })
    }
    if (lastSpanAtMs !== null) {
      metrics.decisionDelay.observe(Math.max(0, nowMs - lastSpanAtMs) / 1000)
    }
    if (outcome.isDecidedAgain) metrics.tracesRedecided.inc({ cause: decision.cause })
    if (isRescue) metrics.rescued.inc({ cause: decision.cause })
    for (const rule of outcome.newMatches) metrics.ruleMatches.inc({ rule })
    const isKept = decision.verdict === 'keep' && !decision.isGone
    this.#traces(outcome, isKept && (isFirst || isRescue))
    this.#ratios.add(tenant, nowMs, {
      decided: (isFirst ? 1 : 0) - (becameGone ? 1 : 0),
      kept: isKept && (isFirst || isRescue) ? 1 : 0,
      failing: isNewFailure ? 1 : 0,
      failingKept: isNewFailure && isKept ? 1 : 0,
    })
    const { kept, failingKept } = this.#ratios.read(tenant, nowMs)
    if (kept === undefined) metrics.keptRatio.remove({ tenant })
    else metrics.keptRatio.set({ tenant }, kept)
    if (failingKept !== undefined) metrics.fullResolutionPerError.set({ tenant }, failingKept)
  }

  /** An evaluation that was not taken: too many of its trace, or too many without one. */
  refused(name: string): void {
    this.#evaluation(name, 'missed')
  }

  /** Once a trace when it is decided, and once when it becomes kept. */
  #traces({ decision, isFirst, isActiveVariant }: Outcome, becameKept: boolean): void {
    if (!isFirst && !becameKept) return
    const metrics = this.#metrics
    const service = metrics.capped('service', decision.service ?? 'unknown')
    if (isFirst) metrics.tracesDecided.inc({ service })
    if (becameKept)
      metrics.tracesKept.inc({ service, rule: decision.primary, by: keptBy(decision) })
    if (decision.variant === null) return
    const variant = metrics.capped('variant', decision.variant)
    const labels = { variant, active: String(isActiveVariant) }
    if (isFirst) metrics.variantDecided.inc(labels)
    if (becameKept) metrics.variantKept.inc(labels)
  }

  #evaluation(name: string, result: string): void {
    this.#metrics.evaluations.inc({ name: this.#metrics.capped('name', name), result })
  }
}

/** `rule`: something asked for every such trace; a request is answered like a rule of probability 1. */
function keptBy({ probability }: DecisionBrief): 'rule' | 'chance' {
  return probability >= 1 ? 'rule' : 'chance'
}

export function outcomeOf(
  last: Decision | undefined,
  { decision, evaluations, facts, isRescue, placed }: Revision,
  policy: Policy,
): Outcome {
  const isNewFailure = hasFailure(decision, policy) && !(last && hasFailure(last, policy))
  const isNew = placed.taken.length > 0
  return {
    decision: briefOf(decision),
    evaluations,
    isRescue,
    becameGone: decision.gone === true && last?.gone !== true,
    isFirst: decision.sliceCount > 0 && (last === undefined || last.sliceCount === 0),
    isDecidedAgain: isDecidedAgain(decision, last),
    isNewFailure: isNewFailure && decision.sliceCount > 0,
    newMatches: decision.sliceCount > 0 ? newMatches(decision, last) : [],
    isActiveVariant: asksForVariant(decision, policy),
    lastSpanAtMs: isNew ? facts.lastAppendedAtMs : null,
  }
}

/** What has the trace's spans for the first time is its first decision, with or without one that awaited them. */
function isDecidedAgain(
  { sliceCount }: Pick<Decision, 'sliceCount'>,
  last: Decision | undefined,
): boolean {
  if (last === undefined || last.sliceCount === 0 || sliceCount === 0) return false
  return last.revision === 1 || last.cause === 'completed'
}

/** A trace that awaited its spans has matched nothing yet that was counted. */
function newMatches({ rules }: Pick<Decision, 'rules'>, last: Decision | undefined): string[] {
  const names: string[] = []
  const before = last === undefined || last.sliceCount === 0 ? [] : last.rules
  for (let i = 0; i < rules.length - 1; i++) {
    const { name, matched } = rules[i] as RuleAnswer
    if (matched && !before.some(rule => rule.name === name && rule.matched)) names.push(name)
  }
  return names
}

function asksForVariant(
  { rules, variant }: Pick<Decision, 'rules' | 'variant'>,
  policy: Policy,
): boolean {
  if (variant === null) return false
  return policy.rules.some(
    spec =>
      spec.kind === 'active-variant' &&
      rules.some(rule => rule.matched && rule.name === ruleName(spec)),
  )
}

const failures: ReadonlySet<RuleKind> = new Set<RuleKind>([
  'span-error',
  'judge-failed',
  'citation-failed',
  'low-csat',
  'outcome-failed',
])

/** Shows a failure on spans that are there: an evaluation that awaits its trace shows none yet. */
function hasFailure(
  { sliceCount, rules }: Pick<Decision, 'sliceCount' | 'rules'>,
  policy: Policy,
): boolean {
  if (sliceCount === 0) return false
  let names: ReadonlySet<string> | undefined
  for (let i = 0; i < rules.length; i++) {
    const { name, matched } = rules[i] as RuleAnswer
    // The catch-all matches every trace, and shows none.
    if (!matched || i === rules.length - 1) continue
    names ??= failureNames(policy)
    if (names.has(name)) return true
  }
  return false
}

const namesByPolicy = new WeakMap<Policy, ReadonlySet<string>>()

function failureNames(policy: Policy): ReadonlySet<string> {
  const known = namesByPolicy.get(policy)
  if (known !== undefined) return known
  const names = new Set(policy.rules.filter(rule => failures.has(rule.kind)).map(ruleName))
  namesByPolicy.set(policy, names)
  return names
}
