// Hot: once a record of `spans`, and once a slice of every counting decision.
import { longer } from './longer.ts'

/**
 * The records of one partition of `spans` that are in the window, by offset:
 *
 *   │ first │ first+1 │ … │ end-1 │     appendedAtMs, its first row, rows, rows not accounted for
 *     ▲ head: what lies before has left the window
 *
 * A record is known once its bytes have been read, or the slices that decisions name have been found to
 * be all that it holds; until then it is `unread`, and has its length and the tenants of its runs.
 */
export class RecordColumns {
  #appendedAtMs = new Float64Array(recordsMin)
  #length = new Uint32Array(recordsMin)
  #named = new Float64Array(recordsMin)
  #firstRow = new Uint32Array(recordsMin)
  #rows = new Uint32Array(recordsMin)
  #open = new Uint32Array(recordsMin)
  #tenant = new Uint16Array(recordsMin)
  #isUnread = new Uint8Array(recordsMin)
  /** Of unread records of several tenants, the runs. */
  readonly #runs = new Map<number, readonly NumberedRun[]>()
  #first = 0
  #head = 0
  #count = 0
  #unread = 0
  /** No record before it is unread: such ones come at the end alone. */
  #unreadFrom = 0

  get first(): number {
    return this.#first
  }

  get end(): number {
    return this.#first + this.#count - this.#head
  }

  /** Unread records. */
  get unread(): number {
    return this.#unread
  }

  get firstAtMs(): number | undefined {
    return this.#head < this.#count ? this.#appendedAtMs[this.#head] : undefined
  }

  get lastAtMs(): number | undefined {
    return this.#head < this.#count ? this.#appendedAtMs[this.#count - 1] : undefined
  }

  /** Nothing is held. */
  restart(first: number): void {
    this.#first = first
  }

  /** A record at {@link end} that is known. */
  push(appendedAtMs: number): void {
    if (this.#count === this.#rows.length) this.#grow()
    const at = this.#count++
    this.#appendedAtMs[at] = appendedAtMs
    this.#firstRow[at] = 0
    this.#rows[at] = 0
    this.#open[at] = 0
    this.#isUnread[at] = 0
  }

  /** A record at {@link end} of so many bytes, which are those of the runs from end to end. */
  pushUnread(appendedAtMs: number, length: number, runs: readonly NumberedRun[]): void {
    const offset = this.end
    this.push(appendedAtMs)
    const at = this.#count - 1
    this.#length[at] = length
    this.#named[at] = 0
    this.#isUnread[at] = 1
    this.#unread++
    const [only] = runs
    this.#tenant[at] = runs.length === 1 ? (only as NumberedRun).tenant : severalTenants
    if (runs.length !== 1) this.#runs.set(offset, runs)
  }

  isUnread(offset: number): boolean {
    return this.#holds(offset) && this.#isUnread[this.#at(offset)] === 1
  }

  /** It has been read, or its slices are all known. */
  setKnown(offset: number): void {
    const at = this.#at(offset)
    if (this.#isUnread[at] === 0) return
    this.#isUnread[at] = 0
    this.#unread--
    if (this.#tenant[at] === severalTenants) this.#runs.delete(offset)
  }

  /** The first unread record from `offset` on that was appended before `ms`; undefined: there is none. */
  nextUnread(offset: number, ms: number): number | undefined {
    if (this.#unread === 0) return undefined
    const isFromStart = offset <= Math.max(this.#first, this.#unreadFrom)
    let at = this.#at(Math.max(offset, this.#first, this.#unreadFrom))
    while (at < this.#count && this.#isUnread[at] === 0) at++
    const found = this.#first + at - this.#head
    if (isFromStart) this.#unreadFrom = found
    const isOne = at < this.#count && (this.#appendedAtMs[at] as number) < ms
    return isOne ? found : undefined
  }

  lengthOf(offset: number): number {
    return this.#length[this.#at(offset)] as number
  }

  /** Adds bytes that a decision names; returns all that are named, twice what is named twice. */
  addNamed(offset: number, bytes: number): number {
    const at = this.#at(offset)
    this.#named[at] = (this.#named[at] as number) + bytes
    return this.#named[at] as number
  }

  /** Whether bytes [from, to) of an unread record lie in one run of the tenant. */
  isRunOf(offset: number, from: number, to: number, tenant: number): boolean {
    const only = this.#tenant[this.#at(offset)] as number
    if (only !== severalTenants) return only === tenant
    for (const run of this.#runs.get(offset) ?? []) {
      if (from >= run.start && to <= run.start + run.length) return run.tenant === tenant
    }
    return false
  }

  firstRowOf(offset: number): number {
    return this.#firstRow[this.#at(offset)] as number
  }

  setFirstRow(offset: number, row: number): void {
    this.#firstRow[this.#at(offset)] = row
  }

  rowsOf(offset: number): number {
    return this.#rows[this.#at(offset)] as number
  }

  /** Returns the row that was the first. */
  addRow(offset: number, row: number): number {
    const at = this.#at(offset)
    const next = this.#firstRow[at] as number
    this.#firstRow[at] = row
    this.#rows[at] = (this.#rows[at] as number) + 1
    return next
  }

  removedRow(offset: number): void {
    const at = this.#at(offset)
    this.#rows[at] = (this.#rows[at] as number) - 1
  }

  addOpen(offset: number, rows: number): void {
    const at = this.#at(offset)
    this.#open[at] = (this.#open[at] as number) + rows
  }

  /** The first record of [offset, end) with rows that are not accounted for; `end`: there is none. */
  nextOpen(offset: number, end: number): number {
    let next = offset
    while (next < end && this.#open[this.#at(next)] === 0) next++
    return next
  }

  /** Offset of the first record appended at `ms` or later. */
  offsetAt(ms: number): number {
    let low = this.#head
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#appendedAtMs[middle] as number) < ms) low = middle + 1
      else high = middle
    }
    return this.#first + low - this.#head
  }

  /** `offset` is one that is held, or {@link end}. */
  dropFront(offset: number): void {
    for (let at = this.#first; this.#unread > 0 && at < offset; at++) this.setKnown(at)
    this.#head += offset - this.#first
    this.#first = offset
    if (this.#head > recordsMin && this.#head * 2 > this.#count) this.#move()
  }

  #holds(offset: number): boolean {
    return offset >= this.#first && offset < this.end
  }

  #at(offset: number): number {
    return this.#head + (offset - this.#first)
  }

  #move(): void {
    for (const column of this.#columns()) column.copyWithin(0, this.#head, this.#count)
    this.#count -= this.#head
    this.#head = 0
  }

  #columns() {
    return [
      this.#appendedAtMs,
      this.#length,
      this.#named,
      this.#firstRow,
      this.#rows,
      this.#open,
      this.#tenant,
      this.#isUnread,
    ]
  }

  #grow(): void {
    this.#appendedAtMs = longer(this.#appendedAtMs)
    this.#length = longer(this.#length)
    this.#named = longer(this.#named)
    this.#firstRow = longer(this.#firstRow)
    this.#rows = longer(this.#rows)
    this.#open = longer(this.#open)
    this.#tenant = longer(this.#tenant)
    this.#isUnread = longer(this.#isUnread)
  }
}

/** One tenant's bytes of a record, as its header states them. */
export interface NumberedRun {
  readonly tenant: number
  readonly start: number
  readonly length: number
}

/** The number of no tenant, see `tenantsMax`. */
const severalTenants = 65_535

const recordsMin = 1024
