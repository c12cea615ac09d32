import type { CloseReason, Evaluation } from './evidence.ts'
import type { PackedSlice } from './packed-slice.ts'

export type Verdict = 'keep' | 'drop'

/** What made a sampler decide: the first kind of evidence in the record that brought something new. */
export type Cause = 'completed' | 'fragment' | 'evaluation' | 'retraction' | 'request'

/** One rule's answer, always recorded, matched or not. */
export interface RuleAnswer {
  readonly name: string
  readonly matched: boolean
  /** Keep probability the rule asks for when it matches, 0 to 1. */
  readonly probability: number
  /** What was compared: a number, a boolean, or a label of at most 64 bytes. */
  readonly value?: number | boolean | string
  /** What it was compared with. */
  readonly threshold?: number | string
  /** The span that decided, 16 hex digits. */
  readonly spanId?: string
  /** Further facts of the rule, e.g. extracted, supported, unsupported; fatal, recovered; key, count. */
  readonly detail?: Readonly<Record<string, number | string | boolean>>
}

/** What an evaluation did when it met its trace. `awaiting`: it has not met it yet. */
export type EvaluationEffect = 'applied' | 'rescued' | 'awaiting' | 'missed'

export interface DecidedEvaluation extends Evaluation {
  readonly effect: EvaluationEffect
}

/** A rescue that somebody asked for, by id, as the decision remembers it. */
export interface DecidedRequest {
  readonly id: string
  readonly reason: string
}

/** That an evaluation was taken back, as the decision remembers it. */
export interface DecidedRetraction {
  /** That of the evaluation, which may not have come. */
  readonly id: string
  readonly source?: string
  readonly atMs?: number
}

/** From its offset on it is the current claim of the partition; the next sequence number is 1. */
export interface Claim {
  readonly v: number
  readonly kind: 'claim'
  /** Who claims: host, process id and a random part. For people; nothing compares it. */
  readonly by: string
  /**
   * The policy that decides under this claim: it takes effect here, and another one with another claim.
   * Absent in claims of releases that did not say it.
   */
  readonly policy?: string
  /** Offset in `control` of the record that put it in force; never less than in the claim before. */
  readonly policyAt?: number
  /** The policy that is evaluated beside it and decides nothing. */
  readonly shadow?: string
}

/** What another policy would have said, compactly. Nobody acts upon it. */
export interface ShadowVerdict {
  readonly policyVersion: string
  readonly verdict: Verdict
  readonly primary: string
  readonly probability: number
}

/**
 * Revision n of the verdict on (tenant, trace id). Counts iff `claim` is the current claim of its
 * partition and `seq` the next of that claim (protocol D). All times are log time, Unix milliseconds.
 */
export interface Decision {
  readonly v: number
  readonly kind: 'decision'
  readonly tenant: string
  readonly traceId: string
  readonly revision: number
  readonly claim: number
  readonly seq: number
  readonly verdict: Verdict
  /** First match in policy order; `ordinary` for a drop. */
  readonly primary: string
  readonly rules: readonly RuleAnswer[]
  /** Highest probability among the matching rules, and its threshold as 1-14 hex digits (`0`: all). */
  readonly probability: number
  readonly th: string
  /** How many traces of its stratum a kept trace stands for; 0 for a drop. */
  readonly adjustedCount: number
  /** The primary rule's name, or `rescued` once a drop was turned into a keep. */
  readonly stratum: string
  readonly policyVersion: string
  /** Of the policy in the shadow; absent while there is none. */
  readonly shadow?: ShadowVerdict
  readonly cause: Cause
  readonly firstSpanAtMs: number | null
  readonly closedAtMs: number | null
  readonly decidedAtMs: number
  /** Since when a keep has had its `th`; absent: since `decidedAtMs`. What came later changed nothing of it. */
  readonly weighedAtMs?: number
  /** Append time of the first evidence of the series; every revision repeats it. */
  readonly seriesAtMs: number
  /** Not the first series: the index entry had outlived its life when it began, or see {@link seriesFrom}. */
  readonly series?: true
  readonly closeReason: CloseReason | null
  readonly complete: boolean | null
  readonly missingParents: number
  /** Distinct spans; repeats are counted apart. */
  readonly spanCount: number
  readonly duplicateSpans: number
  readonly rootSpanId: string | null
  readonly service: string | null
  readonly operation: string | null
  readonly experiment: string | null
  readonly variant: string | null
  readonly durationMs: number | null
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number
  /** Slices of the series so far, those of earlier records of its chain included; 0: awaiting. */
  readonly sliceCount: number
  /** Append time of the last of them, log time; null without. `firstSpanAtMs` is the first's. */
  readonly lastSpanAtMs: number | null
  /** Hash of all slices, evaluations and requests that the series knows, 16 hex digits: equal sets, equal texts. */
  readonly fingerprint: string
  /**
   * The slices that the record at `prev` and its own chain do not have, by (offset, start); all of the
   * series where `prev` is null. Always the record's last key: see `decisionHead`.
   */
  readonly slices: readonly PackedSlice[]
  /** Indices into `slices` of what the writer has to write for this revision; empty for a drop. */
  readonly write: readonly number[]
  /** The trace became kept with this revision: the slices of the whole chain are to be written too. */
  readonly writePrev?: true
  readonly evaluations: readonly DecidedEvaluation[]
  readonly requests: readonly DecidedRequest[]
  /** Absent where there are none. */
  readonly retractions?: readonly DecidedRetraction[]
  /** More came than a trace has room for: some are on no record. */
  readonly retractionsRefused?: true
  /** Its trace was erased: of the decision only its accounting is left. */
  readonly erased?: true
  /** A keep whose slices had all left the bus by log time: nothing to write, in no kept ratio. */
  readonly gone?: true
  /** The rules alone would drop it now: verdict, primary rule and weight are the earlier revision's. */
  readonly inherited?: true
  /**
   * The series before this one was over {@link seriesRefsMax} or {@link seriesBytesMax}, or retention
   * had passed part of its chain: this is the series that goes on with the trace. Its keep is inherited,
   * its facts are those of its own slices and of all evaluations, and slices at or before this place, by
   * (offset, start), are the other's. Every revision of the series repeats it.
   */
  readonly seriesFrom?: { readonly offset: number; readonly start: number }
  /** Offset of the record that has the slices this one leaves out; null when it has them all. */
  readonly prev: number | null
}

/** A decision without its slices: all that an index, a list or an explanation needs. */
export type DecisionHead = Omit<Decision, 'slices'>

/** A record of the `decisions` topic. */
export type DecisionRecord = Claim | Decision

/** A decision record is at most this, by construction. */
export const decisionBytesMax = 720 * 1024

/**
 * Most slices one record carries, and their bytes as JSON; over either a record chains to `prev`.
 * One slice alone may have more, up to {@link sliceBytesMax}.
 */
export const refsMax = 256
export const slicesBytesMax = 128 * 1024

/**
 * Most bytes of one slice as JSON: 2,000 spans of 36 bytes, which is where a receiver splits, four full
 * lists of facts whose every byte has to be escaped, and rows with the names of their columns; all of it
 * in base64, which is a third more.
 */
export const sliceBytesMax = 240 * 1024

/**
 * Most slices of one series, over all records of its chain, and their bytes as JSON: some 500,000
 * spans, whose fold takes about 40 ms with every new summary.
 */
export const seriesRefsMax = 20_000
export const seriesBytesMax = 16 * 1024 * 1024
