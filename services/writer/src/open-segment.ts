import type { CountingState, Decision } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { type SpanRow, spanRows } from '@winnow/storage'
import type { WriterConfig } from './config.ts'
import type { FoldedRecord } from './decisions-reader.ts'
import type { SliceRead } from './slice-reader.ts'

/** A decision that counts, with the rows that it adds to warm and cold. */
export interface SegmentDecision {
  readonly offset: number
  readonly appendedAtMs: number
  readonly decision: Decision
  readonly rows: readonly SpanRow[]
}

/** What is written for exactly [a, b]. */
export interface SegmentRange {
  readonly a: number
  readonly b: number
  /** Offset of the first record of the range; a itself unless retention had passed it. */
  readonly first: number
  /** Append time of the first record of the range: its UTC date is in the name. */
  readonly dateMs: number
  /** The counting state after b. */
  readonly after: CountingState
  readonly decisions: readonly SegmentDecision[]
  /** Slices without rows: retention had passed them, or their bytes were none of the trace. */
  readonly goneSlices: number
}

/** The range that is being gathered from one partition of `decisions`. Pure: what to write, never how. */
export class OpenSegment {
  #a: number
  #records: { offset: number; appendedAtMs: number; after: CountingState; gone: number }[] = []
  #decisions: SegmentDecision[] = []
  #sinceMs = Number.POSITIVE_INFINITY
  #bytes = 0
  /** Set while another's segment of the same name reaches beyond what has been read. */
  readThrough = -1

  constructor(a: number) {
    this.#a = a
  }

  /** Where the range begins: part of the name of its objects. */
  get a(): number {
    return this.#a
  }

  /** The last offset that has been read; a - 1 before the first. */
  get last(): number {
    return this.#records.at(-1)?.offset ?? this.#a - 1
  }

  /** Retention has removed what the range would have begun with. */
  skipTo(offset: number): void {
    if (this.#records.length === 0) this.#a = Math.max(this.#a, offset)
  }

  /** `reads` are the slices that the decision's `write` names. Slices of another trace count as gone. */
  add(partition: number, record: FoldedRecord, reads: readonly SliceRead[], nowMs: number): void {
    const { offset, appendedAtMs, after, decision } = record
    let gone = reads.filter(slice => slice.kind !== 'read').length
    if (decision !== undefined) {
      const read = reads.filter(slice => slice.kind === 'read')
      let rows: readonly SpanRow[] = []
      try {
        if (decision.verdict === 'keep') rows = spanRows(decision, partition, offset, read)
      } catch (error) {
        if (!(error instanceof PipelineError && error.code === 'DATA_CORRUPT')) throw error
        gone += read.length
      }
      this.#decisions.push({ offset, appendedAtMs, decision, rows })
      this.#bytes += read.reduce((sum, slice) => sum + slice.bytes.length, 0)
      this.#sinceMs = Math.min(this.#sinceMs, nowMs)
    }
    this.#records.push({ offset, appendedAtMs, after, gone })
  }

  /** A range without a counting decision is never due: it joins the next one. */
  due(config: WriterConfig, nowMs: number): boolean {
    if (this.#decisions.length === 0 || this.last < this.readThrough) return false
    return (
      nowMs - this.#sinceMs >= config.segmentAge ||
      this.#bytes >= config.segmentBytes ||
      this.#decisions.length >= config.segmentDecisions ||
      this.readThrough >= 0
    )
  }

  /** [a, b] of what was read; `b` defaults to all of it. */
  range(b = this.last): SegmentRange {
    const records = this.#records.filter(record => record.offset <= b)
    const first = records[0]
    const last = records.at(-1)
    if (first === undefined || last === undefined)
      throw new TypeError(`no record in [${this.#a}, ${b}]`)
    const decisions = this.#decisions.filter(({ offset }) => offset <= b)
    return {
      a: this.#a,
      b,
      first: first.offset,
      dateMs: first.appendedAtMs,
      after: last.after,
      decisions,
      goneSlices: records.reduce((sum, { gone }) => sum + gone, 0),
    }
  }

  /** The range through `b` is written; the next begins behind it. */
  forgetThrough(b: number, nowMs: number): void {
    this.#a = b + 1
    this.#records = this.#records.filter(({ offset }) => offset > b)
    this.#decisions = this.#decisions.filter(({ offset }) => offset > b)
    this.#sinceMs = this.#decisions.length === 0 ? Number.POSITIVE_INFINITY : nowMs
    this.#bytes = 0
    this.readThrough = -1
  }
}
