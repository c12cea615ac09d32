// Hot: the writer goes through here for every decision, dropped ones too.
import {
  type Decision,
  type DecisionHead,
  type DropOutline,
  type PackedSlice,
  parseDecision,
  type SpanOutcome,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { factsOnly } from '../facts-only.ts'
import { matchingRules } from '../hot-search.ts'
import type { LedgerEntry, LedgerRow } from './ledger-row.ts'

/** What a writer knows of a decision that counts. */
export interface LoggedDecision {
  /** Of a drop that is as usual what the ledger holds of it; else the whole head. */
  readonly decision: DecisionHead | DropOutline
  /** Of its own record; where nobody has to write any, none. */
  readonly slices: readonly SlicePlace[]
  readonly outcomes: LedgerOutcomes
  /** The whole decision as JSON, without free text; undefined: the record says nothing else. */
  readonly json: Uint8Array | undefined
  /** The same without slices, where it is known: of a keep. */
  readonly head: string | undefined
}

/** Slices that were there to be written, and their bytes as clients sent them. */
export interface WrittenSlices {
  readonly slices: number
  readonly bytes: number
}

/** Where a slice lies, and since when. */
export type SlicePlace = Pick<PackedSlice, 'ref' | 'appendedAtMs'>

/** The columns of the ledger that outcomes fill. */
export type LedgerOutcomes = Pick<
  LedgerRow,
  | 'judge_passed'
  | 'judge_score'
  | 'citation_extracted'
  | 'citation_supported'
  | 'citation_unsupported'
  | 'csat'
>

/**
 * The row of a counting decision at (partition, offset), whose JSON is `json`. `written` is what was there
 * of what it has written, its chain's slices included; outcomes are those of its own record's slices.
 */
export function ledgerEntry(
  { decision, outcomes }: Pick<LoggedDecision, 'decision' | 'outcomes'>,
  json: string | Uint8Array,
  partition: number,
  offset: number,
  written: WrittenSlices,
): LedgerEntry {
  const evaluations = 'matched' in decision ? [] : factsOnly(decision).evaluations
  return {
    tenant: decision.tenant,
    trace_id: decision.traceId,
    revision: decision.revision,
    verdict: decision.verdict,
    primary_rule: decision.primary,
    rules: JSON.stringify(matchingRules(decision)),
    probability: decision.probability,
    th: decision.th,
    adjusted_count: decision.adjustedCount,
    stratum: decision.stratum,
    policy_version: decision.policyVersion,
    cause: decision.cause,
    close_reason: decision.closeReason,
    complete: decision.complete,
    missing_parents: decision.missingParents,
    span_count: decision.spanCount,
    duplicate_spans: decision.duplicateSpans,
    slice_count: decision.sliceCount,
    slices_written: written.slices,
    gone: decision.gone === true,
    root_span_id: decision.rootSpanId,
    service_name: decision.service,
    root_name: decision.operation,
    experiment_id: decision.experiment,
    experiment_variant: decision.variant,
    duration_ms: decision.durationMs,
    input_tokens: decision.inputTokens,
    output_tokens: decision.outputTokens,
    cost_usd: decision.costUsd,
    judge_passed: outcomes.judge_passed,
    judge_score: outcomes.judge_score,
    citation_extracted: outcomes.citation_extracted,
    citation_supported: outcomes.citation_supported,
    citation_unsupported: outcomes.citation_unsupported,
    csat: outcomes.csat,
    first_span_at: decision.firstSpanAtMs,
    closed_at: decision.closedAtMs,
    decided_at: decision.decidedAtMs,
    series_at: decision.seriesAtMs,
    sampling_partition: partition,
    sampling_offset: offset,
    evaluations: evaluations.length === 0 ? '[]' : JSON.stringify(evaluations),
    decision: json,
    bytes_written: written.bytes,
  }
}

/** The same from a whole decision. */
export function ledgerRow(
  decision: Decision,
  partition: number,
  offset: number,
  written = writtenBy(decision),
): LedgerRow {
  const json = JSON.stringify(factsOnly(decision))
  const stated = decision.slices.flatMap(slice => slice.outcomes)
  const logged = { decision, outcomes: ledgerOutcomes(stated, decision.evaluations) }
  return { ...ledgerEntry(logged, json, partition, offset, written), decision: json }
}

function writtenBy({ write, slices }: Decision): WrittenSlices {
  const bytes = write.reduce((sum, at) => sum + (slices[at]?.ref.length ?? 0), 0)
  return { slices: write.length, bytes }
}

/** The decision of a ledger row. */
export function decisionOf(row: Pick<LedgerRow, 'decision'>): Decision {
  const parsed = parseDecision(row.decision)
  if (parsed.kind === 'record' && parsed.record.kind === 'decision') return parsed.record
  throw new PipelineError('DATA_CORRUPT', 'a row of the ledger holds no decision')
}

/** Of what the spans state themselves, in the order of their slices, and what came beside them. */
export function ledgerOutcomes(
  stated: readonly SpanOutcome[],
  evaluations: DecisionHead['evaluations'],
): LedgerOutcomes {
  if (stated.length + evaluations.length === 0) return noOutcomes
  let judgePassed: boolean | null = null
  let judgeScore: number | null = null
  let csat: number | null = null
  const citation = { extracted: null, supported: null, unsupported: null } as {
    extracted: number | null
    supported: number | null
    unsupported: number | null
  }
  const see = (name: string, score?: number, passed?: boolean): void => {
    if (name === 'csat') csat = lower(csat, score)
    if (name !== 'judge') return
    judgeScore = lower(judgeScore, score)
    if (passed !== undefined) judgePassed = judgePassed !== false && passed
  }
  for (const outcome of stated) {
    see(outcome.name, outcome.score, outcome.passed)
    if (outcome.name !== 'citation') continue
    if ((outcome.unsupported ?? 0) < (citation.unsupported ?? 0)) continue
    citation.extracted = outcome.extracted ?? null
    citation.supported = outcome.supported ?? null
    citation.unsupported = outcome.unsupported ?? null
  }
  for (const { name, score, passed } of evaluations) see(name, score, passed)
  return {
    judge_passed: judgePassed,
    judge_score: judgeScore,
    citation_extracted: citation.extracted,
    citation_supported: citation.supported,
    citation_unsupported: citation.unsupported,
    csat,
  }
}

const noOutcomes: LedgerOutcomes = {
  judge_passed: null,
  judge_score: null,
  citation_extracted: null,
  citation_supported: null,
  citation_unsupported: null,
  csat: null,
}

function lower(held: number | null, score: number | undefined): number | null {
  if (score === undefined) return held
  return held === null ? score : Math.min(held, score)
}
