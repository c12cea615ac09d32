import {
  assertNever,
  type Cause,
  type CloseReason,
  type DecidedEvaluation,
  type DecidedRequest,
  type DecidedRetraction,
  type Decision,
  type Evaluation,
  type Evidence,
  type PackedSlice,
  refKey,
  type Summary,
} from '@winnow/model'
import { evaluationOf, retractionOf } from './evidence-record.ts'
import { inOrder } from './fold.ts'
import { knows, type Placed, place, type Series } from './series.ts'

/** Evaluations and requests that one trace's decision carries; later ones are not taken. */
export const evaluationsMax = 128

/** Places beyond {@link evaluationsMax} for those that would have the trace kept: they must not come too late. */
export const failingEvaluationsMax = 32
export const requestsMax = 16

/** As many as evaluations: whatever was taken can be taken back. */
export const retractionsMax = evaluationsMax + failingEvaluationsMax

/** A record of `evidence` on the trace in question. */
export interface Input {
  readonly evidence: Evidence
  readonly appendedAtMs: number
}

/** What a series knows, and what evidence adds to it. */
export interface Merged {
  readonly placed: Placed
  /** Those of the last decision have their effect, new ones none yet. */
  readonly evaluations: readonly (Evaluation | DecidedEvaluation)[]
  readonly requests: readonly DecidedRequest[]
  readonly retractions: readonly DecidedRetraction[]
  readonly close: Close
  readonly refused: Refused
  /** The series has refused a retraction, now or before. */
  readonly hasRefusedRetraction: boolean
  /** Of the first input that brought something new; undefined when none did. */
  readonly cause: Cause | undefined
}

/** What of the inputs has no place any more. */
export interface Refused {
  /** Of evaluations, by name. */
  readonly evaluations: readonly string[]
  readonly retractions: number
}

export interface Close {
  readonly closeReason: CloseReason | null
  readonly closedAtMs: number | null
  readonly missingParents: number
  readonly complete: boolean | null
}

/** `fails`: would this evaluation have the trace kept by itself? */
export function merge(
  series: Series | undefined,
  inputs: readonly Input[],
  fails: (evaluation: Evaluation) => boolean,
): Merged {
  const last = series?.last
  const outcomes = new OutcomesOf(last, fails)
  let fresh: readonly PackedSlice[] = nothing
  let close = closeOf(last)
  let cause: Cause | undefined
  for (let i = 0; i < inputs.length; i++) {
    const { evidence } = inputs[i] as Input
    if (evidence.kind !== 'summary') {
      if (outcomes.take(evidence)) cause ??= evidence.kind
      continue
    }
    const more = newTo(series, fresh, evidence)
    if (more.length === 0) continue
    // The summary's own list is what its text says; any other one has none.
    fresh = fresh.length === 0 ? more : [...fresh, ...more]
    cause ??= last !== undefined && last.sliceCount > 0 ? 'fragment' : 'completed'
    close = better(close, evidence)
  }
  const placed = place(series, inOrder(fresh))
  // Part of the trace is another series'.
  const isPart = placed.begins !== undefined || last?.seriesFrom !== undefined
  return {
    placed,
    evaluations: outcomes.evaluations,
    requests: outcomes.requests,
    retractions: outcomes.retractions,
    close: isPart ? { ...close, complete: false } : close,
    refused: outcomes.refused,
    hasRefusedRetraction: outcomes.hasRefusedRetraction,
    cause,
  }
}

const nothing: readonly never[] = []

/** Slices of the summary that neither the series nor the inputs before it have; its own list where that is all. */
function newTo(
  series: Series | undefined,
  fresh: readonly PackedSlice[],
  { slices }: Summary,
): readonly PackedSlice[] {
  const isFirst = fresh.length === 0
  const isNewSeries = series === undefined || series.last.sliceCount === 0
  if (isFirst && isNewSeries) return slices
  const before = new Set(isFirst ? nothing : fresh.map(({ ref }) => refKey(ref)))
  const more = slices.filter(
    ({ ref }) => (isNewSeries || !knows(series, ref)) && (isFirst || !before.has(refKey(ref))),
  )
  return more.length === slices.length ? slices : more
}

/** Evaluations, retractions and requests by id, bounded. */
class OutcomesOf {
  evaluations: readonly (Evaluation | DecidedEvaluation)[]
  requests: readonly DecidedRequest[]
  retractions: readonly DecidedRetraction[]
  readonly refused = { evaluations: [] as string[], retractions: 0 }
  hasRefusedRetraction: boolean
  readonly #fails: (evaluation: Evaluation) => boolean

  constructor(last: Decision | undefined, fails: (evaluation: Evaluation) => boolean) {
    this.evaluations = last?.evaluations ?? nothing
    this.requests = last?.requests ?? nothing
    this.retractions = last?.retractions ?? nothing
    this.hasRefusedRetraction = last?.retractionsRefused === true
    this.#fails = fails
  }

  /** True when it is new. */
  take(evidence: Exclude<Evidence, Summary>): boolean {
    if (this.#listOf(evidence.kind).some(({ id }) => id === evidence.id)) return false
    if (evidence.kind === 'evaluation') {
      if (!this.#hasPlace(evidence)) {
        this.refused.evaluations.push(evidence.name)
        return false
      }
      this.evaluations = [...this.evaluations, evaluationOf(evidence)]
      return true
    }
    if (evidence.kind === 'retraction') {
      if (this.retractions.length >= retractionsMax) return this.#refuseRetraction()
      this.retractions = [...this.retractions, retractionOf(evidence)]
      return true
    }
    // The trace is kept for good once there is one: what is left out changes nothing.
    if (this.requests.length >= requestsMax) return false
    this.requests = [...this.requests, { id: evidence.id, reason: evidence.reason }]
    return true
  }

  /** The first is news: which ones they were is not known later, that there were some is. */
  #refuseRetraction(): boolean {
    this.refused.retractions++
    const isFirst = !this.hasRefusedRetraction
    this.hasRefusedRetraction = true
    return isFirst
  }

  #listOf(kind: Exclude<Evidence, Summary>['kind']): readonly { readonly id: string }[] {
    switch (kind) {
      case 'evaluation':
        return this.evaluations
      case 'retraction':
        return this.retractions
      case 'request':
        return this.requests
      default:
        return assertNever(kind)
    }
  }

  #hasPlace(evaluation: Evaluation): boolean {
    const taken = this.evaluations.length
    if (taken < evaluationsMax) return true
    return taken < evaluationsMax + failingEvaluationsMax && this.#fails(evaluation)
  }
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
