import type { Decision } from '@winnow/model'
import type { SpanRow } from './span-row.ts'

/** One kept trace, or what a further revision of it adds. */
export interface HotTrace {
  readonly decision: Decision
  /** Where the decision lies; a document of a lower offset never replaces one of a higher. */
  readonly partition: number
  readonly offset: number
  /** Structured level. Replaces rows of the same span id; others of the trace stay. */
  readonly spans: readonly SpanRow[]
  /** The slices' own bytes, full level: valid TracesData. Expires before the rest. */
  readonly bodies: readonly HotBody[]
}

export interface HotBody {
  /** `refKey` of the slice. */
  readonly ref: string
  readonly bytes: Uint8Array
}

export interface HotTraceRead {
  readonly decision: Decision
  readonly partition: number
  readonly offset: number
  readonly spans: readonly SpanRow[]
  /** Empty once the text has expired; then only `spans` is left. */
  readonly bodies: readonly HotBody[]
}

export interface TraceFilter {
  readonly tenant: string
  readonly limit: number
  /** As returned by the page before. */
  readonly cursor?: string
  /** By decision time, Unix milliseconds, [since, until). */
  readonly sinceMs?: number
  readonly untilMs?: number
  /** Primary or any matching rule. */
  readonly rule?: string
  readonly service?: string
  readonly variant?: string
  readonly minDurationMs?: number
}

export interface TracePage {
  /** Newest decision first. */
  readonly decisions: readonly Decision[]
  readonly cursor?: string
}

/** The hot tier: kept traces for days, their text for one day. Every call is within one tenant. */
export interface HotStore {
  /** Idempotent, durable when it resolves. */
  put(traces: readonly HotTrace[]): Promise<void>
  get(tenant: string, traceId: string): Promise<HotTraceRead | undefined>
  search(filter: TraceFilter): Promise<TracePage>
  /** Deletes whole days of traces and whole hours of text that are older than the tier allows. */
  expire(nowMs: number): Promise<void>
  /** Bytes the store occupies, for metrics and the audit. */
  bytes(): Promise<number>
  close(): Promise<void>
}
