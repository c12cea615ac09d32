import {
  type DecidedEvaluation,
  type DecidedRequest,
  type Decision,
  type Evaluation,
  type PackedSlice,
  type RuleAnswer,
  writtenVersion,
} from '@winnow/model'
import type { CeilingPart } from './ceilings.ts'
import { fingerprintText, noFingerprint } from './fingerprint.ts'
import { foldTrace, type TraceFacts } from './fold.ts'
import { type Input, type Merged, merge, type Refused } from './merge.ts'
import type { CompiledPolicy } from './rules.ts'
import type { Placed, Series } from './series.ts'
import { shadowVerdict } from './shadow-verdict.ts'
import type { Quantity, SlowBar } from './slow-rule.ts'
import { type EarlierVerdict, type Judged, judge, randomnessText } from './verdict.ts'

/** What a revision needs beside the trace's own evidence. */
export interface RevisionContext {
  /** Under which it will be appended. */
  readonly claim: number
  readonly seq: number
  readonly policy: CompiledPolicy
  /** Evaluated beside it, never acted upon. */
  readonly shadow?: CompiledPolicy | undefined
  /** Log time: the running maximum of append times up to the last input. */
  readonly nowMs: number
  readonly spansRetentionMs: number
  /** An older decision exists, and its index entry has outlived its life. */
  readonly isLaterSeries: boolean
  /** It was a keep, in its life still, and `decisions` no longer has it: the keep is all that is known. */
  readonly wasKept: boolean
  slowBar(tenant: string, facts: TraceFacts, quantile: number, quantity: Quantity): SlowBar
  variantUsed(experiment: string, variant: string): number
  /** Absent: the policy has no ceilings. */
  ceiling?(tenant: string, rule: string, kind: string, asked: number): CeilingPart | undefined
  /** Told what of the inputs was left out because the trace has too many, whether or not there is a revision. */
  refused?(traceId: string, what: Refused): void
}

export interface Revision {
  readonly decision: Decision
  readonly facts: TraceFacts
  /** Evaluations that the last decision did not know, or that have met their trace now. */
  readonly evaluations: readonly DecidedEvaluation[]
  readonly isRescue: boolean
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
  const { tenant, traceId } = (inputs[0] as Input).evidence
  tellRefused(traceId, merged, context)
  if (cause === undefined) return undefined
  const { facts, rules, judged, isLost, evaluations } = judgementOf(series, merged, inputs, context)
  const { slices } = placed
  // Of the series before this one, if there is one, only a keep is handed down.
  const last = placed.begins === undefined ? series?.last : undefined
  const stated = factFields(facts)
  // One literal, whose keys every decision has: copied together from parts it cost as much as its rules.
  const decision: Writable<Decision> = {
    v: writtenVersion('decision'),
    kind: 'decision',
    tenant,
    traceId,
    revision: nextRevision(last),
    claim: context.claim,
    seq: context.seq,
    verdict: judged.verdict,
    primary: judged.primary,
    rules,
    probability: judged.probability,
    th: judged.th,
    adjustedCount: isLost ? 0 : judged.adjustedCount,
    stratum: judged.stratum,
    policyVersion: context.policy.policy.version,
    cause,
    firstSpanAtMs: facts.firstAppendedAtMs,
    lastSpanAtMs: facts.lastAppendedAtMs,
    closedAtMs: merged.close.closedAtMs,
    decidedAtMs: context.nowMs,
    seriesAtMs: last?.seriesAtMs ?? (inputs[0] as Input).appendedAtMs,
    closeReason: merged.close.closeReason,
    complete: merged.close.complete,
    missingParents: merged.close.missingParents,
    spanCount: stated.spanCount,
    duplicateSpans: stated.duplicateSpans,
    rootSpanId: stated.rootSpanId,
    service: stated.service,
    operation: stated.operation,
    experiment: stated.experiment,
    variant: stated.variant,
    durationMs: stated.durationMs,
    inputTokens: stated.inputTokens,
    outputTokens: stated.outputTokens,
    costUsd: stated.costUsd,
    sliceCount: placed.earlier.slices.length + slices.length,
    fingerprint: nextFingerprint(last, placed, merged),
    write: isLost ? [] : toWrite(judged, series?.last, placed),
    evaluations,
    requests: merged.requests,
    prev: placed.prev,
    slices,
  }
  addRetractions(decision, merged)
  addSeries(decision, placed, last, context)
  addShadow(decision, facts, last, context)
  if (judged.isInherited) decision.inherited = true
  if (isLost) decision.gone = true
  else if (isWeighedAs(last, decision)) decision.weighedAtMs = last.weighedAtMs ?? last.decidedAtMs
  const isTurned = decision.write.length > 0 && series?.last.verdict !== 'keep'
  if (isTurned && placed.prev !== null) decision.writePrev = true
  return {
    decision,
    facts,
    evaluations: changedOf(evaluations, series?.last),
    isRescue: judged.isRescue && !isLost,
    placed,
  }
}

const nextRevision = (last: Decision | undefined): number => (last?.revision ?? 0) + 1

/** What came since has not changed with which probability the trace is here. */
function isWeighedAs(last: Decision | undefined, { th, verdict }: Decision): last is Decision {
  return last?.verdict === 'keep' && verdict === 'keep' && last.gone !== true && last.th === th
}

/** Facts and verdict of all slices of the series, wherever they are placed. */
function judgementOf(
  series: Series | undefined,
  merged: Merged,
  inputs: readonly Input[],
  context: RevisionContext,
) {
  const { placed } = merged
  const { tenant, traceId } = (inputs[0] as Input).evidence
  const { slices, earlier } = placed
  const all = earlier.slices.length === 0 ? slices : [...earlier.slices, ...slices]
  const facts = foldTrace(all, merged.evaluations, context.policy.variants)
  const randomness = randomnessText(traceId, facts)
  const before = placed.begins === undefined ? series?.last : undefined
  const rules = answersOf(context, tenant, facts, randomness, before, merged)
  const judged = judge(rules, randomness, facts.upstream, earlierOf(placed, series?.last, context))
  const isLost = judged.verdict === 'keep' && isTooLate(series?.last, facts, context)
  const evaluations = effects(merged.evaluations, judged, isLost, all.length > 0, evaluation =>
    rescues(context.policy, evaluation, randomness),
  )
  return { facts, rules, judged, isLost, evaluations }
}

/** A group that is decided link by link says it with the last one. */
function tellRefused(
  traceId: string,
  { placed, refused }: Merged,
  context: Pick<RevisionContext, 'refused'>,
): void {
  const count = refused.evaluations.length + refused.retractions
  if (!placed.isPartial && count > 0) context.refused?.(traceId, refused)
}

function addRetractions(
  decision: Writable<Decision>,
  { retractions, hasRefusedRetraction }: Merged,
): void {
  if (retractions.length > 0) decision.retractions = retractions
  if (hasRefusedRetraction) decision.retractionsRefused = true
}

function addSeries(
  decision: Writable<Decision>,
  placed: Placed,
  last: Decision | undefined,
  context: RevisionContext,
): void {
  const seriesFrom = placed.begins ?? last?.seriesFrom
  if (isLaterSeries(placed, last, context)) decision.series = true
  if (seriesFrom !== undefined) decision.seriesFrom = seriesFrom
}

function addShadow(
  decision: Writable<Decision>,
  facts: TraceFacts,
  last: Decision | undefined,
  context: RevisionContext,
): void {
  const { shadow } = context
  if (shadow === undefined) return
  decision.shadow = shadowVerdict(shadow, { decision, facts, last, context })
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

function changedOf(
  evaluations: readonly DecidedEvaluation[],
  last: Decision | undefined,
): readonly DecidedEvaluation[] {
  if (evaluations.length === 0) return evaluations
  const before = new Map(last?.evaluations.map(({ id, effect }) => [id, effect]))
  return evaluations.filter(({ id, effect }) => before.get(id) !== effect)
}

function isLaterSeries(
  { begins }: Placed,
  last: Decision | undefined,
  context: RevisionContext,
): boolean {
  if (begins !== undefined) return true
  return last === undefined ? context.isLaterSeries : last.series === true
}

/** A keep of which nothing was written in time and nothing can be any more: a matter of log time alone. */
function isTooLate(
  last: Decision | undefined,
  { lastAppendedAtMs }: TraceFacts,
  { nowMs, spansRetentionMs, ...context }: RevisionContext,
): boolean {
  const wasKept =
    context.wasKept || (last?.verdict === 'keep' && last.sliceCount > 0 && last.gone !== true)
  return !wasKept && lastAppendedAtMs !== null && lastAppendedAtMs + spansRetentionMs < nowMs
}

function answersOf(
  context: RevisionContext,
  tenant: string,
  facts: TraceFacts,
  randomness: string,
  last: Decision | undefined,
  { close, requests }: Merged,
): RuleAnswer[] {
  const { ceiling } = context
  const earlier = last?.rules
  const revision = nextRevision(last)
  const answers = context.policy.answer(facts, {
    nowMs: context.nowMs,
    revision,
    randomness,
    close,
    earlier: name => earlier?.find(answer => answer.name === name),
    slowBar: (of, quantile, quantity) => context.slowBar(tenant, of, quantile, quantity),
    variantUsed: context.variantUsed,
    ...(ceiling !== undefined && {
      ceiling: (rule, kind, asked) => ceiling(tenant, rule, kind, asked),
    }),
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

function earlierOf(
  placed: Placed,
  last: Decision | undefined,
  { wasKept }: RevisionContext,
): EarlierVerdict | undefined {
  if (last === undefined && wasKept) return keptBefore
  if (last === undefined || (placed.begins !== undefined && last.verdict !== 'keep'))
    return undefined
  return { ...last, isAwaiting: last.sliceCount === 0 }
}

/** What is left of a keep whose record is gone: that it was one. It stands for itself. */
const keptBefore: EarlierVerdict = {
  verdict: 'keep',
  isAwaiting: false,
  primary: 'ordinary',
  stratum: 'ordinary',
  probability: 1,
  th: '0',
  adjustedCount: 1,
}

/** The lowest draw: only a rule that keeps all it matches passes with it. */
const failingAlone = '0'.repeat(14)

/** Would this evaluation have the trace kept by itself? */
function rescues(policy: CompiledPolicy, evaluation: Evaluation, randomness: string): boolean {
  const { experiment = null, variant = null } = evaluation
  const facts = { ...foldTrace([], [evaluation]), experiment, variant }
  const answers = policy.answer(facts, {
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
  evaluations: readonly (Evaluation | DecidedEvaluation)[],
  judged: Judged,
  isLost: boolean,
  hasSlices: boolean,
  isCause: (evaluation: Evaluation) => boolean,
): readonly DecidedEvaluation[] {
  return evaluations.map(evaluation => {
    if (!hasSlices) return { ...evaluation, effect: 'awaiting' }
    if ('effect' in evaluation) {
      const effect = evaluation.effect === 'awaiting' ? 'applied' : evaluation.effect
      return { ...evaluation, effect }
    }
    const matters = (judged.isRescue || isLost) && isCause(evaluation)
    if (!matters) return { ...evaluation, effect: 'applied' }
    return { ...evaluation, effect: isLost ? 'missed' : 'rescued' }
  })
}

/** That of the series so far and what is new to it. */
function nextFingerprint(
  last: Decision | undefined,
  { taken, slices }: Placed,
  { evaluations, requests, retractions }: Merged,
): string {
  return fingerprintText(
    last?.fingerprint ?? noFingerprint,
    last === undefined ? slices : taken,
    evaluations.slice(last?.evaluations.length),
    requests.slice(last?.requests.length),
    retractions.slice(last?.retractions?.length),
  )
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

/** All slices when the trace becomes kept, afterwards the new ones alone; as indices. */
function toWrite(
  { verdict }: Judged,
  last: Decision | undefined,
  { slices, taken }: Placed,
): readonly number[] {
  if (verdict !== 'keep') return []
  const indices = slices.map((_, index) => index)
  if (last?.verdict !== 'keep' || taken.length === slices.length) return indices
  const fresh = new Set(taken)
  return indices.filter(index => fresh.has(slices[index] as PackedSlice))
}
