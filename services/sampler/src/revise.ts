import type {
  DecidedEvaluation,
  DecidedRequest,
  Decision,
  Evaluation,
  RuleAnswer,
  Slice,
} from '@winnow/model'
import { fingerprintOf, fingerprintText } from './fingerprint.ts'
import { foldTrace, type TraceFacts } from './fold.ts'
import { type Input, type Merged, merge } from './merge.ts'
import type { CompiledPolicy, SlowBar } from './rules.ts'
import type { Placed, Series } from './series.ts'
import { type EarlierVerdict, type Judged, judge, randomnessText } from './verdict.ts'

/** What a revision needs beside the trace's own evidence. */
export interface RevisionContext {
  readonly policy: CompiledPolicy
  /** Log time: the running maximum of append times up to the last input. */
  readonly nowMs: number
  readonly spansRetentionMs: number
  /** An older decision exists, and its index entry has outlived its life. */
  readonly isLaterSeries: boolean
  slowBar(tenant: string, facts: TraceFacts, quantile: number): SlowBar
  variantUsed(experiment: string, variant: string): number
}

export interface Revision {
  /** Claim and sequence number are given when it is appended. */
  readonly decision: Omit<Decision, 'claim' | 'seq'>
  readonly facts: TraceFacts
  /** Evaluations that the last decision did not know, or that have met their trace now. */
  readonly evaluations: readonly DecidedEvaluation[]
  readonly isRescue: boolean
  /** Names of the evaluations left out because the trace has too many. */
  readonly refusedNames: readonly string[]
  /** Where the slices of the series are now. */
  readonly placed: Placed
}

/**
 * The next revision of a trace: its series merged with `inputs` (one trace's, in log order), every rule
 * asked. Undefined when they say nothing new. Where `placed.isPartial` the same inputs say more, once
 * this revision has its offset. Pure.
 */
export function revise(
  series: Series | undefined,
  inputs: readonly Input[],
  context: RevisionContext,
): Revision | undefined {
  const merged = merge(series, inputs, evaluation =>
    rescues(context.policy, evaluation, failingAlone),
  )
  const { placed, cause } = merged
  if (cause === undefined) return undefined
  const { tenant, traceId } = (inputs[0] as Input).evidence
  const { slices, earlier } = placed
  const all = earlier.slices.length === 0 ? slices : [...earlier.slices, ...slices]
  const facts = foldTrace(all, merged.evaluations)
  const randomness = randomnessText(traceId, facts)
  // Of the series before this one, if there is one, only a keep is handed down.
  const last = placed.begins === undefined ? series?.last : undefined
  const rules = answersOf(context, tenant, facts, randomness, last?.rules, merged.requests)
  const judged = judge(rules, randomness, facts.upstream, earlierOf(placed, series?.last))
  const isLost = judged.verdict === 'keep' && isTooLate(series?.last, facts, context)
  const effectOf = effects(judged, isLost, all.length > 0, evaluation =>
    rescues(context.policy, evaluation, randomness),
  )
  const evaluations = merged.evaluations.map(effectOf)
  return {
    decision: {
      v: 1,
      kind: 'decision',
      tenant,
      traceId,
      revision: (last?.revision ?? 0) + 1,
      ...verdictFields(judged, rules, isLost),
      policyVersion: context.policy.policy.version,
      cause,
      ...timesOf(placed, last, inputs, facts, context),
      ...merged.close,
      ...factFields(facts),
      ...writeFields(judged, isLost, series?.last, placed),
      evaluations,
      requests: merged.requests,
      ...seriesFields(placed, last, merged, all.length),
      slices,
    },
    facts,
    evaluations: evaluations.filter(
      ({ id, effect }) =>
        series?.last.evaluations.find(known => known.id === id)?.effect !== effect,
    ),
    isRescue: judged.isRescue && !isLost,
    refusedNames: merged.refusedNames,
    placed,
  }
}

/** A keep of which nothing was written in time and nothing can be any more: a matter of log time alone. */
function isTooLate(
  last: Decision | undefined,
  { lastAppendedAtMs }: TraceFacts,
  { nowMs, spansRetentionMs }: RevisionContext,
): boolean {
  const wasKept = last?.verdict === 'keep' && last.sliceCount > 0 && last.gone !== true
  return !wasKept && lastAppendedAtMs !== null && lastAppendedAtMs + spansRetentionMs < nowMs
}

function answersOf(
  context: RevisionContext,
  tenant: string,
  facts: TraceFacts,
  randomness: string,
  earlier: readonly RuleAnswer[] | undefined,
  requests: readonly DecidedRequest[],
): RuleAnswer[] {
  const answers = context.policy.answer(facts, {
    nowMs: context.nowMs,
    randomness,
    earlier: name => earlier?.find(answer => answer.name === name),
    slowBar: (of, quantile) => context.slowBar(tenant, of, quantile),
    variantUsed: context.variantUsed,
  })
  return withRequests(answers, requests)
}

/** A rescue that somebody asked for is no rule of the policy; it stands before the catch-all. */
export function withRequests(
  answers: RuleAnswer[],
  requests: readonly DecidedRequest[],
): RuleAnswer[] {
  if (requests.length === 0) return answers
  const value = requests.length
  return answers.toSpliced(-1, 0, { name: 'requested', matched: true, probability: 1, value })
}

function earlierOf(placed: Placed, last: Decision | undefined): EarlierVerdict | undefined {
  if (last === undefined || (placed.begins !== undefined && last.verdict !== 'keep'))
    return undefined
  return { ...last, isAwaiting: last.sliceCount === 0 }
}

/** The lowest draw: only a rule that keeps all it matches passes with it. */
const failingAlone = '0'.repeat(14)

/** Would this evaluation have the trace kept by itself? */
function rescues(policy: CompiledPolicy, evaluation: Evaluation, randomness: string): boolean {
  const answers = policy.answer(foldTrace([], [evaluation]), {
    nowMs: 0,
    randomness,
    earlier: () => undefined,
    slowBar: () => ({ count: 0, key: '' }),
    variantUsed: () => 0,
  })
  const failing = answers.slice(0, -1).filter(answer => answer.matched)
  return judge(failing, randomness, undefined, undefined).verdict === 'keep'
}

function effects(
  judged: Judged,
  isLost: boolean,
  hasSlices: boolean,
  isCause: (evaluation: Evaluation) => boolean,
): (evaluation: Evaluation | DecidedEvaluation) => DecidedEvaluation {
  return evaluation => {
    if (!hasSlices) return { ...evaluation, effect: 'awaiting' }
    if ('effect' in evaluation) {
      const effect = evaluation.effect === 'awaiting' ? 'applied' : evaluation.effect
      return { ...evaluation, effect }
    }
    const matters = (judged.isRescue || isLost) && isCause(evaluation)
    if (!matters) return { ...evaluation, effect: 'applied' }
    return { ...evaluation, effect: isLost ? 'missed' : 'rescued' }
  }
}

function verdictFields(judged: Judged, rules: readonly RuleAnswer[], isGone: boolean) {
  return {
    verdict: judged.verdict,
    primary: judged.primary,
    rules,
    probability: judged.probability,
    th: judged.th,
    adjustedCount: isGone ? 0 : judged.adjustedCount,
    stratum: judged.stratum,
    ...(judged.isInherited && { inherited: true as const }),
    ...(isGone && { gone: true as const }),
  }
}

function timesOf(
  { begins }: Placed,
  last: Decision | undefined,
  inputs: readonly Input[],
  facts: TraceFacts,
  context: RevisionContext,
) {
  const isLaterSeries =
    begins !== undefined || (last === undefined ? context.isLaterSeries : last.series === true)
  return {
    firstSpanAtMs: facts.firstAppendedAtMs,
    lastSpanAtMs: facts.lastAppendedAtMs,
    decidedAtMs: context.nowMs,
    seriesAtMs: last?.seriesAtMs ?? (inputs[0] as Input).appendedAtMs,
    ...(isLaterSeries && { series: true as const }),
  }
}

function seriesFields(
  { prev, begins, taken, slices }: Placed,
  last: Decision | undefined,
  { evaluations, requests }: Merged,
  sliceCount: number,
) {
  const seriesFrom = begins ?? last?.seriesFrom
  const added = fingerprintOf(
    (last === undefined ? slices : taken).map(({ ref }) => ref),
    evaluations.slice(last?.evaluations.length).map(({ id }) => id),
    requests.slice(last?.requests.length).map(({ id }) => id),
  )
  const known = last === undefined ? 0n : BigInt(`0x${last.fingerprint}`)
  return {
    ...(seriesFrom !== undefined && { seriesFrom }),
    sliceCount,
    fingerprint: fingerprintText(BigInt.asUintN(64, known + added)),
    prev,
  }
}

/** The facts that a decision states in fields of its own. */
export function factFields(facts: TraceFacts) {
  return {
    spanCount: facts.spanCount,
    duplicateSpans: facts.duplicateSpans,
    rootSpanId: facts.root?.spanId ?? null,
    service: facts.root?.service ?? facts.services[0] ?? null,
    operation: facts.root?.name ?? null,
    experiment: facts.experiment,
    variant: facts.variant,
    durationMs: facts.root?.durationMs ?? null,
    inputTokens: facts.inputTokens,
    outputTokens: facts.outputTokens,
    costUsd: facts.costUsd,
  }
}

/** All slices when the trace becomes kept, those of its chain too; afterwards the new ones alone, as indices. */
function writeFields(
  { verdict }: Judged,
  isLost: boolean,
  last: Decision | undefined,
  { slices, taken, prev }: Placed,
): Pick<Decision, 'write' | 'writePrev'> {
  if (verdict !== 'keep' || isLost) return { write: [] }
  const indices = slices.map((_, index) => index)
  if (last?.verdict !== 'keep') {
    return { write: indices, ...(prev !== null && { writePrev: true as const }) }
  }
  if (taken.length === slices.length) return { write: indices }
  const fresh = new Set(taken)
  return { write: indices.filter(index => fresh.has(slices[index] as Slice)) }
}
