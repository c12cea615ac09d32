// Hot: one row for every slice of the window. Columns, no object a slice.
import { longer } from './longer.ts'
import { RecordColumns } from './record-columns.ts'

/**
 * The slices of one partition of `spans` whose records are in the window:
 *
 *   record ─▶ row ─▶ row     by start, as far as they were added so; 0 ends the list
 *   bucket ─▶ row ─▶ row     by (offset, start)
 *
 * 47 bytes a row. Rows come in any order, for a decision may be what names one, and keep their index for
 * as long as they are held; 0 is none.
 */
export class SliceTable {
  readonly records = new RecordColumns()
  offset = new Float64Array(rowsMin)
  start = new Uint32Array(rowsMin)
  byteLength = new Uint32Array(rowsMin)
  spanCount = new Uint32Array(rowsMin)
  /** Of its spans, those whose id no earlier slice of the series has; valid once it is accounted for. */
  fresh = new Uint32Array(rowsMin)
  /** See {@link sliceCheck}. */
  check = new Uint32Array(rowsMin)
  /** The series that accounts for it, plus one; 0: none yet. See {@link account}. */
  series = new Uint32Array(rowsMin)
  tenant = new Uint16Array(rowsMin)
  flags = new Uint8Array(rowsMin)
  #inRecord = new Uint32Array(rowsMin)
  #inBucket = new Uint32Array(rowsMin)
  #buckets = new Uint32Array(rowsMin)
  #rows = 0
  #firstFree = 0
  #size = 0
  #unaccounted = 0
  /** No record before it has a row that is not accounted for. */
  #settled = 0

  /** Offset of the first record held. */
  get first(): number {
    return this.records.first
  }

  /** The offset that the next record has to have. */
  get end(): number {
    return this.records.end
  }

  /** Rows held. */
  get size(): number {
    return this.#size
  }

  /** Rows that no series accounts for. */
  get unaccounted(): number {
    return this.#unaccounted
  }

  /** The empty table goes on at another offset. */
  restart(first: number): void {
    this.dropFront(this.end)
    this.records.restart(first)
    this.#settled = first
  }

  /** A row of the record at `offset`, which is held. The least start of a record is best added last. */
  add(
    offset: number,
    start: number,
    byteLength: number,
    spanCount: number,
    check: number,
    tenant: number,
  ): number {
    const row = this.#newRow()
    this.offset[row] = offset
    this.start[row] = start
    this.byteLength[row] = byteLength
    this.spanCount[row] = spanCount
    this.check[row] = check
    this.tenant[row] = tenant
    this.series[row] = 0
    this.flags[row] = 0
    this.#inRecord[row] = this.records.addRow(offset, row)
    const bucket = this.#bucketOf(offset, start)
    this.#inBucket[row] = this.#buckets[bucket] as number
    this.#buckets[bucket] = row
    this.#size++
    this.#open(offset)
    return row
  }

  /** The row of the slice at (offset, start); 0: there is none. */
  find(offset: number, start: number): number {
    let row = this.#buckets[this.#bucketOf(offset, start)] as number
    while (row !== 0 && (this.start[row] !== start || this.offset[row] !== offset)) {
      row = this.#inBucket[row] as number
    }
    return row
  }

  /** The first row of the record at `offset`; 0: it has none. */
  firstOf(offset: number): number {
    return this.records.firstRowOf(offset)
  }

  /** The next row of the same record; 0: that was the last. */
  nextOf(row: number): number {
    return this.#inRecord[row] as number
  }

  /** The series that accounts for the row from now on; -1: none. */
  account(row: number, series: number): void {
    const was = (this.series[row] as number) - 1
    this.series[row] = series + 1
    if (was < 0 && series >= 0) this.#settle(this.offset[row] as number)
    else if (was >= 0 && series < 0) this.#open(this.offset[row] as number)
  }

  /**
   * The offset of the first record at or after `offset`, and before `end`, that has a row which is not
   * accounted for; `end`: there is none.
   */
  nextUnaccounted(offset: number, end: number): number {
    if (this.#unaccounted === 0) return end
    const from = Math.max(offset, this.first, this.#settled)
    const found = this.records.nextOpen(from, Math.min(end, this.end))
    if (offset <= Math.max(this.first, this.#settled)) this.#settled = found
    return found < Math.min(end, this.end) ? found : end
  }

  /** Whether the rows of the record lie one behind the other from its first byte to its last, each in a run of its tenant. */
  isTiled(offset: number): boolean {
    const { records } = this
    const length = records.lengthOf(offset)
    let rows = 0
    let at = 0
    while (at < length) {
      const row = this.find(offset, at)
      const bytes = this.byteLength[row] as number
      if (row === 0 || bytes === 0 || at + bytes > length) return false
      if (!records.isRunOf(offset, at, at + bytes, this.tenant[row] as number)) return false
      at += bytes
      rows++
    }
    return rows === records.rowsOf(offset)
  }

  remove(row: number): void {
    const offset = this.offset[row] as number
    let before = this.records.firstRowOf(offset)
    const after = this.#inRecord[row] as number
    if (before === row) this.records.setFirstRow(offset, after)
    else {
      while (this.#inRecord[before] !== row) before = this.#inRecord[before] as number
      this.#inRecord[before] = after
    }
    this.records.removedRow(offset)
    if (this.series[row] === 0) this.#settle(offset)
    this.#free(row)
  }

  /** Gives back what lies below `offset`; the caller has read its rows. */
  dropFront(offset: number): void {
    const { records } = this
    const to = Math.min(Math.max(offset, this.first), this.end)
    for (let at = this.first; at < to; at++) {
      for (let row = records.firstRowOf(at); row !== 0; ) {
        const next = this.#inRecord[row] as number
        if (this.series[row] === 0) this.#unaccounted--
        this.#free(row)
        row = next
      }
    }
    records.dropFront(to)
  }

  #open(offset: number): void {
    this.#unaccounted++
    this.records.addOpen(offset, 1)
    if (offset < this.#settled) this.#settled = offset
  }

  #settle(offset: number): void {
    this.#unaccounted--
    this.records.addOpen(offset, -1)
  }

  #free(row: number): void {
    const bucket = this.#bucketOf(this.offset[row] as number, this.start[row] as number)
    let before = this.#buckets[bucket] as number
    const after = this.#inBucket[row] as number
    if (before === row) this.#buckets[bucket] = after
    else {
      while (this.#inBucket[before] !== row) before = this.#inBucket[before] as number
      this.#inBucket[before] = after
    }
    this.#inBucket[row] = this.#firstFree
    this.#firstFree = row
    this.#size--
  }

  #newRow(): number {
    const free = this.#firstFree
    if (free !== 0) {
      this.#firstFree = this.#inBucket[free] as number
      return free
    }
    if (this.#rows + 1 === this.start.length) this.#grow()
    return ++this.#rows
  }

  #bucketOf(offset: number, start: number): number {
    const mixed = Math.imul(offset % 0x1_0000_0000, 0x9e3779b1) ^ Math.imul(start, 0x85ebca6b)
    return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) & (this.#buckets.length - 1)
  }

  /** Only when no row is free: so all of them are in a bucket. */
  #grow(): void {
    this.offset = longer(this.offset)
    this.start = longer(this.start)
    this.byteLength = longer(this.byteLength)
    this.spanCount = longer(this.spanCount)
    this.fresh = longer(this.fresh)
    this.check = longer(this.check)
    this.series = longer(this.series)
    this.tenant = longer(this.tenant)
    this.flags = longer(this.flags)
    this.#inRecord = longer(this.#inRecord)
    this.#inBucket = longer(this.#inBucket)
    this.#buckets = new Uint32Array(this.start.length)
    for (let row = 1; row <= this.#rows; row++) {
      const bucket = this.#bucketOf(this.offset[row] as number, this.start[row] as number)
      this.#inBucket[row] = this.#buckets[bucket] as number
      this.#buckets[bucket] = row
    }
  }
}

/** More than one series accounts for the slice. */
export const sliceDoubled = 1
/** Named by evidence that the sampler has not committed: it is still entitled to decide. */
export const sliceEntitled = 2
/** Met in the bytes of its record, while that is read behind decisions that named it. */
export const sliceMet = 4

const rowsMin = 1024
