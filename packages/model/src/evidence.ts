import type { SliceFacts } from './facts.ts'
import type { PackedSlice } from './packed-slice.ts'
import type { SpanRef } from './span-ref.ts'

/** A slice spelled out. Summaries and decisions carry it as {@link PackedSlice}, which reads as one. */
export interface Slice {
  readonly ref: SpanRef
  /** Append time of the record that holds it, log time. Retention counts from here. */
  readonly appendedAtMs: number
  readonly facts: SliceFacts
}

/** Why an assembler closed a trace. `fragment`s have the reason of their own close. */
export type CloseReason = 'root' | 'rootless' | 'long' | 'spans' | 'bytes' | 'refs'

/** What an assembler knows of a trace when it closes it. Replays and overlaps are harmless: a set of slices. */
export interface Summary {
  readonly v: number
  readonly kind: 'summary'
  readonly tenant: string
  readonly traceId: string
  /** Always the record's last key. */
  readonly slices: readonly PackedSlice[]
  readonly reason: CloseReason
  /** Parents that were named and had not come when it closed. */
  readonly missingParents: number
  readonly closedAtMs: number
}

/** An outcome that arrives beside the spans. Free text (`comment`) is content and never a fact. */
export interface Evaluation {
  /** `<traceId>.<client id or hash of the content>`, so that a retry is the same evaluation. */
  readonly id: string
  /** `judge`, `citation`, `csat`, or any other name. */
  readonly name: string
  readonly spanId?: string
  readonly score?: number
  readonly label?: string
  readonly passed?: boolean
  readonly source?: string
  /** When the evaluator says it was made, Unix milliseconds. */
  readonly atMs?: number
  /** Which arm of which experiment the trace ran in, by who knows it; both or neither. */
  readonly experiment?: string
  readonly variant?: string
  /** The name that it was sent under, where `outcomes:` of the configuration gave it another. */
  readonly sentAs?: string
  /** A condition of `outcomes:` has said whether it passed: its score and label are judged by no rule. */
  readonly settled?: true
}

export interface EvaluationRecord extends Evaluation {
  readonly v: number
  readonly kind: 'evaluation'
  readonly tenant: string
  readonly traceId: string
  readonly comment?: string
}

/**
 * Somebody takes an evaluation back, by its id. It is a fact beside the evaluation, whichever came first: the
 * verdict is still that of all that was ever said, so that no order of records lets a keep become a drop.
 */
export interface RetractionRecord {
  readonly v: number
  readonly kind: 'retraction'
  readonly tenant: string
  readonly traceId: string
  /** That of the evaluation. */
  readonly id: string
  readonly source?: string
  readonly atMs?: number
}

/** Somebody asks for a trace to be kept. Folded like an evaluation, by id. */
export interface RescueRequest {
  readonly v: number
  readonly kind: 'request'
  readonly tenant: string
  readonly traceId: string
  readonly id: string
  /** At most {@link requestReasonBytesMax} of UTF-8. */
  readonly reason: string
}

export const requestReasonBytesMax = 512

/** What a decision carries of an evaluation, or of a retraction, in UTF-8 JSON; a larger one is not taken. */
export const evaluationBytesMax = 1_024
export const retractionBytesMax = 512

/** A record of the `evidence` topic: all that a sampler folds. */
export type Evidence = Summary | EvaluationRecord | RetractionRecord | RescueRequest
