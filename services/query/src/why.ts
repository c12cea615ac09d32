import {
  type DecidedEvaluation,
  type DecisionHead,
  type RuleAnswer,
  takesBack,
} from '@winnow/model'
import type { Content } from './content.ts'
import type { Found, Searched } from './decision-lookup.ts'

/** Six different answers. `dropped`: its bytes can still be read, so it can be rescued; `expired`: they cannot. */
export type TraceState = 'kept' | 'dropped' | 'expired' | 'pending' | 'awaiting' | 'unknown'

/** The answer to "why?". What is not yet known is null. Times are RFC 3339 UTC, log time. */
export interface Why {
  readonly traceId: string
  readonly state: TraceState
  readonly revision: number | null
  readonly verdict: 'keep' | 'drop' | null
  readonly primary: string | null
  readonly rules: readonly RuleAnswer[]
  readonly probability: number | null
  readonly adjustedCount: number | null
  readonly th: string | null
  readonly stratum: string | null
  readonly policyVersion: string | null
  readonly closeReason: string | null
  readonly complete: boolean | null
  readonly missingParents: number | null
  /** Parts in which its spans came to the decision, those of earlier records of its chain included. */
  readonly sliceCount: number | null
  /** It goes on with a trace that was larger than one series takes: its verdict is that one's. */
  readonly continuesSeries: boolean | null
  readonly spanCount: number | null
  readonly service: string | null
  readonly operation: string | null
  readonly variant: string | null
  readonly durationMs: number | null
  readonly firstSpanAt: string | null
  readonly closedAt: string | null
  readonly decidedAt: string | null
  readonly cause: string | null
  readonly evaluations: readonly WhyEvaluation[]
  /** Evaluations that were taken back; each says so itself too, if it has come. */
  readonly retractions: readonly WhyRetraction[]
  /** More came than a trace has room for. */
  readonly retractionsRefused?: true
  /** A reason is text: null for a key without the scope `content`. */
  readonly requests: readonly { readonly id: string; readonly reason: string | null }[]
  /** A lower bound: the oldest of its bytes leave the bus no earlier. Null where there are none. */
  readonly bytesReadableUntil: string | null
  /** What the stores may still hold of its spans, by its age; null where they hold none of them. */
  readonly content: Content | null
  /** Where it was looked for: `unknown` says no more than that. */
  readonly searched: Searched
}

export type WhyEvaluation = Omit<DecidedEvaluation, 'effect' | 'atMs'> & {
  readonly state: DecidedEvaluation['effect']
  readonly at?: string
  readonly retracted?: true
}

export interface WhyRetraction {
  readonly id: string
  readonly source?: string
  readonly at?: string
}

/** What is known of a trace that has not been decided: it is still open in an assembler. */
export interface PendingFacts {
  readonly spanCount: number
  readonly firstAppendedAtMs: number
}

export interface Waits {
  readonly spansRetentionMs: number
  readonly awaitingMaxMs: number
}

/** Pure: log time against retention decides, never an attempt to read. */
export function explain(
  traceId: string,
  found: Found,
  pending: PendingFacts | undefined,
  logTimeMs: number,
  waits: Waits,
  content?: Content,
): Why {
  const { decision, searched } = found
  if (decision === undefined) return undecided(traceId, searched, pending, waits)
  return {
    traceId,
    state: stateOf(decision, pending !== undefined, logTimeMs, waits.spansRetentionMs),
    revision: decision.revision,
    verdict: decision.verdict,
    primary: decision.primary,
    rules: decision.rules,
    probability: decision.probability,
    adjustedCount: decision.adjustedCount,
    th: decision.th,
    stratum: decision.stratum,
    policyVersion: decision.policyVersion,
    closeReason: decision.closeReason,
    complete: decision.complete,
    missingParents: decision.missingParents,
    sliceCount: decision.sliceCount,
    continuesSeries: decision.seriesFrom !== undefined,
    spanCount: decision.spanCount,
    service: decision.service,
    operation: decision.operation,
    variant: decision.variant,
    durationMs: decision.durationMs,
    firstSpanAt: iso(decision.firstSpanAtMs),
    closedAt: iso(decision.closedAtMs),
    decidedAt: iso(decision.decidedAtMs),
    cause: decision.cause,
    evaluations: decision.evaluations.map(one => shown(one, decision, logTimeMs, waits)),
    retractions: (decision.retractions ?? []).map(({ atMs, ...rest }) => ({
      ...rest,
      ...at(atMs),
    })),
    ...(decision.retractionsRefused === true && { retractionsRefused: true as const }),
    requests: decision.requests,
    bytesReadableUntil:
      decision.firstSpanAtMs === null ? null : iso(decision.firstSpanAtMs + waits.spansRetentionMs),
    content: content ?? null,
    searched,
  }
}

function stateOf(
  decision: DecisionHead,
  open: boolean,
  logTimeMs: number,
  retentionMs: number,
): TraceState {
  if (decision.sliceCount === 0) return open ? 'pending' : 'awaiting'
  if (decision.gone === true) return 'expired'
  if (decision.verdict === 'keep') return 'kept'
  return (decision.lastSpanAtMs ?? 0) + retentionMs < logTimeMs ? 'expired' : 'dropped'
}

/** An evaluation as the API shows it; one that has awaited its trace for too long has missed it. */
export function shown(
  evaluation: DecidedEvaluation,
  decision: DecisionHead,
  logTimeMs: number,
  waits: Waits,
): WhyEvaluation {
  const { effect, atMs, ...rest } = evaluation
  const late = decision.seriesAtMs + waits.awaitingMaxMs < logTimeMs
  const state = effect === 'awaiting' && late ? 'missed' : effect
  const isRetracted = decision.retractions?.some(({ id }) => takesBack(id, rest.id)) === true
  return { ...rest, state, ...at(atMs), ...(isRetracted && { retracted: true as const }) }
}

function at(ms: number | undefined): { readonly at?: string } {
  return ms === undefined ? {} : { at: new Date(ms).toISOString() }
}

function undecided(
  traceId: string,
  searched: Searched,
  pending: PendingFacts | undefined,
  waits: Waits,
): Why {
  return {
    traceId,
    state: pending === undefined ? 'unknown' : 'pending',
    revision: null,
    verdict: null,
    primary: null,
    rules: [],
    probability: null,
    adjustedCount: null,
    th: null,
    stratum: null,
    policyVersion: null,
    closeReason: null,
    complete: null,
    missingParents: null,
    sliceCount: null,
    continuesSeries: null,
    spanCount: pending?.spanCount ?? null,
    service: null,
    operation: null,
    variant: null,
    durationMs: null,
    firstSpanAt: null,
    closedAt: null,
    decidedAt: null,
    cause: null,
    evaluations: [],
    retractions: [],
    requests: [],
    bytesReadableUntil:
      pending === undefined ? null : iso(pending.firstAppendedAtMs + waits.spansRetentionMs),
    content: null,
    searched,
  }
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
