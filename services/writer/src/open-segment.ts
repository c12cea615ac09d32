import { hash } from 'node:crypto'
import type { CountingState } from '@winnow/model'
import { LedgerTable, ledgerEntry, type SegmentRows, type SpanPack } from '@winnow/storage'
import { emptyRangeAgeMs, type WriterConfig } from './config.ts'
import type { FoldedRecord } from './decisions-reader.ts'
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
}

interface Entry {
  readonly offset: number
  readonly appendedAtMs: number
  readonly after: CountingState
  readonly readAtMs: number
  /** It counts, and has a row in the ledger. */
  readonly isDecision: boolean
  readonly packs: readonly SpanPack[]
  readonly spansGone: number
  readonly spansAside: number
  readonly bytes: number
}

/** What a record that is no counting decision takes. */
const entryOverheadBytes = 200

/** The range that is being gathered from one partition of `decisions`. Pure: what to write, never how. */
export class OpenSegment {
  readonly partition: number
  #a: number
  #entries: Entry[] = []
  /** Of the decisions among the entries, in their order. */
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
    return (this.#entries.at(-1)?.offset ?? this.#a - 1) + 1
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0
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
    let slicesRead = 0
    let spansGone = 0
    let spansAside = 0
    let bytes = entryOverheadBytes
    const packs: SpanPack[] = []
    for (const one of kept) {
      slicesRead += one.slicesRead
      spansGone += one.spansGone
      spansAside += one.spansAside
      if (one.spans.count === 0) continue
      packs.push(one.spans)
      bytes += packBytes(one.spans)
    }
    if (logged !== undefined) {
      const json = logged.json ?? record.value
      bytes += this.#ledger.add(ledgerEntry(logged, json, this.partition, offset, slicesRead))
    }
    if (this.isEmpty) this.#digest = sha256(record.value)
    this.#entries.push({
      offset,
      appendedAtMs,
      after,
      readAtMs: nowMs,
      isDecision: logged !== undefined,
      packs: packs.length === 0 ? noPacks : packs,
      spansGone,
      spansAside,
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
    const [first] = this.#entries
    if (first === undefined || this.next <= this.#readThrough) return false
    if (this.#readThrough >= 0) return true
    if (this.#bytes >= config.segmentBytes) return true
    if (this.#entries.length >= config.segmentDecisions) return true
    const decided = this.#entries.find(({ isDecision }) => isDecision)
    return decided === undefined
      ? nowMs - first.readAtMs >= emptyRangeAgeMs
      : nowMs - decided.readAtMs >= config.segmentAge
  }

  /** [a, b] of what was read; `b` defaults to all of it. */
  range(b = this.next - 1): SegmentRange {
    const entries = this.#entries.filter(({ offset }) => offset <= b)
    const [first] = entries
    const last = entries.at(-1)
    if (first === undefined || last === undefined) {
      throw new TypeError(`no record in [${this.#a}, ${b}]`)
    }
    return {
      a: this.#a,
      b,
      first,
      digest: this.#digest,
      after: last.after,
      ledger: this.#ledgerOf(entries),
      packs: entries.flatMap(({ packs }) => packs),
      spansGone: entries.reduce((sum, { spansGone }) => sum + spansGone, 0),
      spansAside: entries.reduce((sum, { spansAside }) => sum + spansAside, 0),
    }
  }

  /** The range through `b` is written; the next begins behind it. */
  forgetThrough(b: number): void {
    this.#a = b + 1
    const before = this.#entries
    this.#entries = before.filter(({ offset }) => offset > b)
    this.#ledger.forgetFirst(decisionsOf(before) - decisionsOf(this.#entries))
    this.#bytes = this.#entries.reduce((sum, { bytes }) => sum + bytes, 0)
    this.#readThrough = -1
    this.#digest = undefined
  }

  #ledgerOf(entries: readonly Entry[]): SegmentRange['ledger'] {
    const count = decisionsOf(entries)
    return { tier: 'ledger', count, groups: () => this.#ledger.groups(count) }
  }
}

const noPacks: readonly SpanPack[] = []

function decisionsOf(entries: readonly Entry[]): number {
  let count = 0
  for (const { isDecision } of entries) if (isDecision) count++
  return count
}

export function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
