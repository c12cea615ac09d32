import type { DecisionHead } from '@winnow/model'
import type { HeldTrace, HotCensus, HotFrontier } from './hot-census.ts'
import type { HotPeriod } from './hot-period.ts'
import type { SpanPack } from './span-pack.ts'
import type { SpanRow } from './span-row.ts'

/** One kept trace, or what a further revision of it adds. */
export interface HotTrace {
  /** Of a full one the slices are left out. */
  readonly decision: DecisionHead
  /** What it was parsed from, without slices, where that is known: to write it again costs more. */
  readonly json?: string | undefined
  /**
   * Where the decision lies, in which log: a document of a lower offset never replaces one of a
   * higher of the same log, nor one of an earlier decision a later of another.
   */
  readonly logId: string
  readonly partition: number
  readonly offset: number
  /** Structured level. Its rows come before an earlier decision's of the same span id; others stay. */
  readonly spans: SpanPack
  /** The slices' own bytes, full level: valid TracesData. Expires before the rest. */
  readonly bodies: readonly HotBody[]
}

export interface HotBody {
  /** `refKey` of the slice. */
  readonly ref: string
  readonly bytes: Uint8Array
}

export interface HotTraceRead {
  /** The last one, without free text: see `factsOnly`. */
  readonly decision: DecisionHead
  readonly logId: string
  readonly partition: number
  readonly offset: number
  /** One a span id, by start time, then by span id. */
  readonly spans: readonly SpanRow[]
  /** By (offset, start) of their slices. Empty once the text has expired; then only `spans` is left. */
  readonly bodies: readonly HotBody[]
}

export interface TraceFilter {
  readonly tenant: string
  /** 1 to {@link searchLimitMax}. */
  readonly limit: number
  /** As returned by the page before. */
  readonly cursor?: string
  /** By decision time, Unix milliseconds, [since, until). */
  readonly sinceMs?: number
  readonly untilMs?: number
  /** Primary or any matching rule. */
  readonly rule?: string
  /** The decision's `service`: the root's. */
  readonly service?: string
  readonly variant?: string
  /** A trace without a duration is shorter than any. */
  readonly minDurationMs?: number
}

export interface TracePage {
  /** Newest decision first; of equal times the greater trace id. Each trace's last decision only. */
  readonly decisions: readonly DecisionHead[]
  /** Absent on the last page. */
  readonly cursor?: string
}

/** What an erasure took out of the hot tier. */
export interface ErasedFromHot {
  readonly traces: number
  /** Span rows, and the documents that stand for them. */
  readonly rows: number
  /** Of span rows and of text. */
  readonly bytes: number
}

/** How long the hot tier holds what; both count from the end of the UTC day or hour. */
export interface HotLife {
  /** Trace and span rows, by the day of the decision's `seriesAtMs`. */
  readonly tracesMs: number
  /** Bodies, by the hour of the decision's `decidedAtMs`. */
  readonly textMs: number
}

/** What a store drops as one: a file or an index, or what stands for one in memory. */
export interface HeldPeriod {
  readonly name: string
  /** Undefined: by its name it is none of ours, so that nothing will ever drop it. */
  readonly period: HotPeriod | undefined
  /** `seriesAtMs` of the oldest trace in it; undefined where it has none, or names no trace. */
  readonly oldestMs?: number | undefined
  readonly bytes: number
}

export const defaultHotLife: HotLife = { tracesMs: 7 * 86_400_000, textMs: 86_400_000 }

/** Most traces on one page. */
export const searchLimitMax = 1_000

/**
 * The hot tier: kept traces for days, their text for one day. Every call is within one tenant.
 *
 * What it holds depends on the set of traces put into it and on expiry, not on their order or on how
 * often each came: a replay, or a second writer behind the first, changes nothing. It rejects with
 * CONFIG_INVALID for a cursor or limit that is none, with STORE_UNAVAILABLE where the store does not
 * answer or is full, with DATA_CORRUPT where it is damaged.
 */
export interface HotStore {
  /** Idempotent, durable when it resolves. Of decisions it keeps `factsHead`, of text the bodies. */
  put(traces: readonly HotTrace[]): Promise<void>
  /** Without the text that decisions before `textFromMs` brought, whether it has been deleted or not. */
  get(tenant: string, traceId: string, textFromMs?: number): Promise<HotTraceRead | undefined>
  search(filter: TraceFilter): Promise<TracePage>
  /** Deletes whole days of traces and whole hours of text that are older than the tier allows. */
  expire(nowMs: number): Promise<void>
  /** What it holds at this moment, whatever its age: for the audit of ages. */
  periods(): Promise<readonly HeldPeriod[]>
  /** Counts what it holds of the UTC day of traces that begins at `dayStartMs`, by groups, for the audit. */
  census(dayStartMs: number, frontier: HotFrontier): Promise<HotCensus>
  /** The traces of one group, ascending by id, then tenant; `heldTracesMax` at most. */
  held(dayStartMs: number, group: string, frontier: HotFrontier): Promise<readonly HeldTrace[]>
  /**
   * Takes traces of one tenant out of the store, with their text, so that their bytes are in none of its
   * files or indices any more once it resolves; also where a call before it was cut short. It says what this
   * call took. Whoever puts one of them again may have it again: not to is the caller's to see to.
   */
  erase(tenant: string, traceIds: readonly string[]): Promise<ErasedFromHot>
  /** Bytes the store occupies, for metrics and the audit. */
  bytes(): Promise<number>
  /** Nothing may be called after it. */
  close(): Promise<void>
}
