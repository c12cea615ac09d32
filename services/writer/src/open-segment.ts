import { hash } from 'node:crypto'
import type { CountingState } from '@winnow/model'
import { LedgerTable, ledgerEntry, type SegmentRows, type SpanPack } from '@winnow/storage'
import { emptyRangeAgeMs, type WriterConfig } from './config.ts'
import type { FoldedRecord } from './decisions-reader.ts'
import { GatheredRecords } from './gathered-records.ts'
import type { KeptSpans } from './kept-reader.ts'
import { packBytes } from './row-bytes.ts'

/** What is written for exactly [a, b]. */
export interface SegmentRange {
  readonly a: number
  readonly b: number
  /** The first record of the range: its append time names the objects. */
  readonly first: { readonly offset: number; readonly appendedAtMs: number }
  /** Lower-case hex SHA-256 of its bytes, which tell another log's object of the same name from ours. */
  readonly digest: string | undefined
  /** The counting state after b. */
  readonly after: CountingState
  /** A row each counting decision. Encoded when asked, so only while the range is open. */
  readonly ledger: Extract<SegmentRows, { readonly count: number }>
  /** Spans of warm, in the order of the log; a span id may come twice. */
  readonly packs: readonly SpanPack[]
  /** Spans without rows: retention had passed them; their bytes were none of the trace. */
  readonly spansGone: number
  readonly spansAside: number
  /** Rows that were left out as they came, since their trace is erased: the ledger counts them all the same. */
  readonly spansErased: number
  /** Retention passed part of the range before it was read: which decisions count there is not known here. */
  readonly isCut: boolean
}

/** What a record that is no counting decision takes. */
const entryOverheadBytes = 200

/** The range that is being gathered from one partition of `decisions`. Pure: what to write, never how. */
export class OpenSegment {
  readonly partition: number
  #a: number
  readonly #records = new GatheredRecords()
  /** Of their spans, in their order. */
  #packs: SpanPack[] = []
  /** Of the decisions among the records, in their order. */
  readonly #ledger = new LedgerTable()
  #bytes = 0
  #readThrough = -1
  /** Of the first record; undefined where the range was cut, and its bytes are no longer here. */
  #digest: string | undefined

  constructor(partition: number, a: number) {
    this.partition = partition
    this.#a = a
  }

  /** Where the range begins: part of the name of its objects. */
  get a(): number {
    return this.#a
  }

  /** The offset that is read next. */
  get next(): number {
    return this.isEmpty ? this.#a : this.#records.lastOffset + 1
  }

  get isEmpty(): boolean {
    return this.#records.count === 0
  }

  /** Counting decisions gathered. */
  get decisions(): number {
    return this.#ledger.count
  }

  /** Memory of what is gathered, as an estimate. */
  get bytes(): number {
    return this.#bytes
  }

  /** Nothing is gathered, and the range begins elsewhere: retention, or another writer, has been there. */
  beginAt(offset: number): void {
    if (!this.isEmpty) throw new TypeError(`[${this.#a}, ${this.next}) is gathered already`)
    this.#a = offset
  }

  /** `kept` are the pieces of the record, all of them. */
  add(record: FoldedRecord, kept: readonly KeptSpans[], nowMs: number): void {
    const { offset, appendedAtMs, after, logged } = record
    const written = { slices: 0, bytes: 0 }
    let spansGone = 0
    let spansAside = 0
    let spansErased = 0
    let bytes = entryOverheadBytes
    for (const one of kept) {
      written.slices += one.slicesRead
      written.bytes += one.bytesRead
      spansGone += one.spansGone
      spansAside += one.spansAside
      spansErased += one.spansErased ?? 0
      if (one.spans.count === 0) continue
      this.#packs.push(one.spans)
      bytes += packBytes(one.spans)
    }
    if (logged !== undefined) {
      const json = logged.json ?? record.value
      bytes += this.#ledger.add(ledgerEntry(logged, json, this.partition, offset, written))
    }
    if (this.isEmpty) this.#digest = sha256(record.value)
    this.#records.push({
      offset,
      appendedAtMs,
      claim: after.claim,
      next: after.next,
      readAtMs: nowMs,
      decisions: logged === undefined ? 0 : 1,
      spansGone,
      spansAside,
      spansErased,
      bytes,
    })
    this.#bytes += bytes
  }

  /** Another's segment of the same name reaches to `b`: nothing is due before that has been read. */
  waitFor(b: number): void {
    this.#readThrough = b
  }

  /** Whether there is something to write, and nobody else's `b` to be reached first. */
  get isWritable(): boolean {
    return this.decisions > 0 && this.next > this.#readThrough
  }

  due(config: WriterConfig, nowMs: number): boolean {
    if (this.isEmpty || this.next <= this.#readThrough) return false
    if (this.#readThrough >= 0) return true
    if (this.#bytes >= config.segmentBytes) return true
    if (this.#records.count >= config.segmentDecisions) return true
    const decidedReadAtMs = this.#records.decidedReadAtMs
    if (decidedReadAtMs !== undefined) return nowMs - decidedReadAtMs >= config.segmentAge
    return nowMs - (this.#records.at(0)?.readAtMs ?? nowMs) >= emptyRangeAgeMs
  }

  /** [a, b] of what was read; `b` defaults to all of it. */
  range(b = this.next - 1): SegmentRange {
    const records = this.#records
    const count = records.through(b)
    const first = records.at(0)
    const last = records.at(count - 1)
    if (first === undefined || last === undefined) {
      throw new TypeError(`no record in [${this.#a}, ${b}]`)
    }
    const decisions = records.sum('decisions', count)
    return {
      a: this.#a,
      b,
      isCut: count !== b - this.#a + 1,
      first,
      digest: this.#digest,
      after: { claim: last.claim, next: last.next },
      ledger: {
        tier: 'ledger',
        count: decisions,
        groups: () => this.#ledger.groups(decisions),
      },
      packs: this.#packs.filter(({ offset }) => offset <= b),
      spansGone: records.sum('spansGone', count),
      spansAside: records.sum('spansAside', count),
      spansErased: records.sum('spansErased', count),
    }
  }

  /** The range through `b` is written; the next begins behind it. */
  forgetThrough(b: number): void {
    this.#a = b + 1
    const count = this.#records.through(b)
    this.#ledger.forgetFirst(this.#records.sum('decisions', count))
    this.#bytes -= this.#records.sum('bytes', count)
    this.#records.forgetFirst(count)
    this.#packs = this.#packs.filter(({ offset }) => offset > b)
    this.#readThrough = -1
    this.#digest = undefined
  }
}

export function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
