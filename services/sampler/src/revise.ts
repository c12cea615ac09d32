import {
  type Cause,
  type CloseReason,
  type DecidedEvaluation,
  type DecidedRequest,
  type Decision,
  type Evaluation,
  type Evidence,
  type RuleAnswer,
  refKey,
  refsMax,
  type Slice,
  type Summary,
} from '@winnow/model'
import { sliceBytes, slicesBytes, slicesBytesMax } from './decision-record.ts'
import { evaluationOf } from './evidence-record.ts'
import { fingerprintOf, fingerprintText } from './fingerprint.ts'
import { foldTrace, inOrder, type TraceFacts } from './fold.ts'
import type { CompiledPolicy, SlowBar } from './rules.ts'
import { type EarlierVerdict, type Judged, judge, randomnessText } from './verdict.ts'

/** Evaluations and requests that one trace's decision carries; later ones are not taken. */
export const evaluationsMax = 128

/** Places beyond {@link evaluationsMax} for those that would have the trace kept: they must not come too late. */
export const failingEvaluationsMax = 32
export const requestsMax = 32

/** A record of `evidence` on the trace in question. */
export interface Input {
  readonly evidence: Evidence
  readonly appendedAtMs: number
}

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
}

/**
 * The next revision of a trace: `last` merged with `inputs` (one trace's, in log order), every rule
 * asked. Undefined when they say nothing new. Pure.
 */
export function revise(
  last: Decision | undefined,
  inputs: readonly Input[],
  context: RevisionContext,
): Revision | undefined {
  const merged = merge(last, inputs, evaluation =>
    rescues(context.policy, evaluation, failingAlone),
  )
  if (merged.cause === undefined) return undefined
  const { tenant, traceId } = (inputs[0] as Input).evidence
  const { slices } = merged
  const facts = foldTrace(slices, merged.evaluations)
  const randomness = randomnessText(traceId, facts)
  const rules = answersOf(context, tenant, facts, randomness, last?.rules, merged.requests)
  const judged = judge(rules, randomness, facts.upstream, earlierOf(last))
  const isLost = judged.verdict === 'keep' && isTooLate(last, slices, context)
  const effectOf = effects(judged, isLost, slices.length > 0, evaluation =>
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
      cause: merged.cause,
      ...timesOf(last, inputs, facts, context),
      ...merged.close,
      ...factFields(facts),
      write: isLost ? [] : toWrite(judged, last, slices),
      evaluations,
      requests: merged.requests,
      ...(merged.ended && { ended: true }),
      sliceCount: slices.length,
      fingerprint: fingerprintText(
        fingerprintOf(
          slices.map(({ ref }) => ref),
          evaluations.map(({ id }) => id),
          merged.requests.map(({ id }) => id),
        ),
      ),
      prev: null,
      slices,
    },
    facts,
    evaluations: evaluations.filter(
      ({ id, effect }) => last?.evaluations.find(known => known.id === id)?.effect !== effect,
    ),
    isRescue: judged.isRescue && !isLost,
    refusedNames: merged.refusedNames,
  }
}

/** A keep of which nothing was written in time and nothing can be any more: a matter of log time alone. */
function isTooLate(
  last: Decision | undefined,
  slices: readonly Slice[],
  { nowMs, spansRetentionMs }: RevisionContext,
): boolean {
  const wasKept = last?.verdict === 'keep' && last.slices.length > 0 && last.gone !== true
  const isHeld = (slice: Slice): boolean => slice.appendedAtMs + spansRetentionMs >= nowMs
  return !wasKept && slices.length > 0 && !slices.some(isHeld)
}

interface Merged {
  readonly slices: readonly Slice[]
  /** Those of the last decision have their effect, new ones none yet. */
  readonly evaluations: readonly (Evaluation | DecidedEvaluation)[]
  readonly requests: readonly DecidedRequest[]
  readonly close: Close
  readonly ended: boolean
  readonly refusedNames: readonly string[]
  /** Of the first input that brought something new. */
  readonly cause: Cause | undefined
}

function merge(
  last: Decision | undefined,
  inputs: readonly Input[],
  fails: (evaluation: Evaluation) => boolean,
): Merged {
  const known = new Set(last?.slices.map(slice => refKey(slice.ref)))
  const evaluations = new Map<string, Evaluation | DecidedEvaluation>()
  for (const evaluation of last?.evaluations ?? []) evaluations.set(evaluation.id, evaluation)
  const requests = new Map(last?.requests.map(request => [request.id, request]))
  let fresh: readonly Slice[] = []
  let close = closeOf(last)
  let cause: Cause | undefined
  const refusedNames: string[] = []
  const isEnded = last?.ended === true
  for (const { evidence } of inputs) {
    switch (evidence.kind) {
      case 'summary': {
        if (isEnded) break
        const more = evidence.slices.filter(slice => !known.has(refKey(slice.ref)))
        if (more.length === 0) break
        for (const slice of more) known.add(refKey(slice.ref))
        // The list itself where it is all there is: its text is known.
        fresh = isOnlyList(fresh, more, evidence) ? evidence.slices : [...fresh, ...more]
        cause ??= last !== undefined && last.slices.length > 0 ? 'fragment' : 'completed'
        close = better(close, evidence)
        break
      }
      case 'evaluation':
        if (evaluations.has(evidence.id)) break
        if (!hasPlace(evaluations.size, evidence, fails)) refusedNames.push(evidence.name)
        else {
          evaluations.set(evidence.id, evaluationOf(evidence))
          cause ??= 'evaluation'
        }
        break
      case 'request':
        // The trace is kept for good once there is one: what is left out changes nothing.
        if (requests.has(evidence.id) || requests.size >= requestsMax) break
        requests.set(evidence.id, { id: evidence.id, reason: evidence.reason })
        cause ??= 'request'
        break
    }
  }
  const isFirst = last === undefined || last.slices.length === 0
  const ordered = inOrder(fresh)
  const fitting = fit(last?.slices ?? [], ordered)
  const ended = isEnded || fitting.length < ordered.length
  return {
    slices: isFirst ? fitting : inOrder([...(last?.slices ?? []), ...fitting]),
    evaluations: [...evaluations.values()],
    requests: [...requests.values()],
    close: ended ? { ...close, complete: false } : close,
    ended,
    refusedNames,
    cause,
  }
}

function hasPlace(
  taken: number,
  evaluation: Evaluation,
  fails: (evaluation: Evaluation) => boolean,
): boolean {
  if (taken < evaluationsMax) return true
  return taken < evaluationsMax + failingEvaluationsMax && fails(evaluation)
}

function isOnlyList(fresh: readonly Slice[], more: readonly Slice[], { slices }: Summary): boolean {
  return fresh.length === 0 && more.length === slices.length
}

/** As many of the new slices, in order, as one record takes beside the known ones. */
function fit(known: readonly Slice[], fresh: readonly Slice[]): readonly Slice[] {
  let bytes = slicesBytes(known)
  const fits =
    known.length + fresh.length <= refsMax && bytes + slicesBytes(fresh) <= slicesBytesMax
  if (fits) return fresh
  for (let taken = 0; taken < fresh.length; taken++) {
    bytes += sliceBytes(fresh[taken] as Slice)
    if (known.length + taken >= refsMax || bytes > slicesBytesMax) return fresh.slice(0, taken)
  }
  return fresh
}

interface Close {
  readonly closeReason: CloseReason | null
  readonly closedAtMs: number | null
  readonly missingParents: number
  readonly complete: boolean | null
}

function closeOf(last: Decision | undefined): Close {
  const { closeReason = null, closedAtMs = null, missingParents = 0, complete = null } = last ?? {}
  return { closeReason, closedAtMs, missingParents, complete }
}

/**
 * Of a trace's summaries the one that speaks for how it was closed: one with the root before others,
 * then the later. A maximum, so that their order does not matter.
 */
function better(close: Close, { reason, missingParents, closedAtMs }: Summary): Close {
  const isComplete = reason === 'root' && missingParents === 0
  const next = { closeReason: reason, closedAtMs, missingParents, complete: isComplete }
  if (close.closeReason === null) return next
  const [a, b] = [close.closeReason === 'root', reason === 'root']
  if (a !== b) return a ? close : next
  return closedAtMs > (close.closedAtMs ?? 0) ? next : close
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

function earlierOf(last: Decision | undefined): EarlierVerdict | undefined {
  return last === undefined ? undefined : { ...last, isAwaiting: last.slices.length === 0 }
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
  last: Decision | undefined,
  inputs: readonly Input[],
  facts: TraceFacts,
  context: RevisionContext,
) {
  const isLaterSeries = last === undefined ? context.isLaterSeries : last.series === true
  return {
    firstSpanAtMs: facts.firstAppendedAtMs,
    lastSpanAtMs: facts.lastAppendedAtMs,
    decidedAtMs: context.nowMs,
    seriesAtMs: last?.seriesAtMs ?? (inputs[0] as Input).appendedAtMs,
    ...(isLaterSeries && { series: true as const }),
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

/** All slices when the trace becomes kept, afterwards the new ones alone; as indices. */
function toWrite(judged: Judged, last: Decision | undefined, slices: readonly Slice[]): number[] {
  if (judged.verdict !== 'keep') return []
  const indices = slices.map((_, index) => index)
  if (last?.verdict !== 'keep') return indices
  const written = new Set(last.slices.map(slice => refKey(slice.ref)))
  return indices.filter(index => !written.has(refKey((slices[index] as Slice).ref)))
}
