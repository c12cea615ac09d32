// Hot: one row for every slice of the window. Columns, no object a slice.

/**
 * The slices of one partition of `spans` whose records are in the window, oldest first:
 *
 *   records  │ offset first │ first+1 │ …          sliceFrom: its first row, appendedAtMs
 *   rows     │ a │ b │ c │ d │ e │ f │ …           23 bytes each
 *              ▲ head: what lies before has left the window
 *
 * Rows are named by their index, which changes when the front is given back: nobody keeps one.
 */
export class SliceTable {
  start = new Uint32Array(rowsMin)
  spanCount = new Uint32Array(rowsMin)
  /** Of its spans, those whose id no earlier slice of the series has; valid once it is accounted for. */
  fresh = new Uint32Array(rowsMin)
  /** See {@link sliceCheck}. */
  check = new Uint32Array(rowsMin)
  /** The series that accounts for it, plus one; 0: none yet. */
  series = new Uint32Array(rowsMin)
  tenant = new Uint16Array(rowsMin)
  flags = new Uint8Array(rowsMin)
  #appendedAtMs = new Float64Array(rowsMin)
  #sliceFrom = new Uint32Array(rowsMin)
  #first = 0
  #headRecord = 0
  #records = 0
  #head = 0
  #rows = 0

  /** Offset of the first record held. */
  get first(): number {
    return this.#first
  }

  /** The offset that the next record has to have. */
  get end(): number {
    return this.#first + this.#records - this.#headRecord
  }

  get head(): number {
    return this.#head
  }

  /** Behind the last row. */
  get rows(): number {
    return this.#rows
  }

  get size(): number {
    return this.#rows - this.#head
  }

  get firstAtMs(): number | undefined {
    return this.#headRecord < this.#records ? this.#appendedAtMs[this.#headRecord] : undefined
  }

  get lastAtMs(): number | undefined {
    return this.#headRecord < this.#records ? this.#appendedAtMs[this.#records - 1] : undefined
  }

  /** The empty table goes on at another offset. */
  restart(first: number): void {
    this.dropFront(this.end)
    this.#first = first
  }

  /** A record at {@link end}; the rows that follow are its slices. */
  openRecord(appendedAtMs: number): void {
    if (this.#records === this.#sliceFrom.length) {
      this.#sliceFrom = longer(this.#sliceFrom)
      this.#appendedAtMs = longer(this.#appendedAtMs)
    }
    this.#sliceFrom[this.#records] = this.#rows
    this.#appendedAtMs[this.#records++] = appendedAtMs
  }

  addSlice(start: number, spanCount: number, check: number, tenant: number): void {
    if (this.#rows === this.start.length) this.#grow()
    const row = this.#rows++
    this.start[row] = start
    this.spanCount[row] = spanCount
    this.check[row] = check
    this.tenant[row] = tenant
    this.series[row] = 0
    this.flags[row] = 0
  }

  /** The row of the slice at (offset, start); -1: there is none. */
  find(offset: number, start: number): number {
    if (offset < this.#first || offset >= this.end) return -1
    const record = this.#headRecord + (offset - this.#first)
    let low = this.#sliceFrom[record] as number
    let high = this.#rowsEnd(record)
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.start[middle] as number) < start) low = middle + 1
      else high = middle
    }
    return low < this.#rowsEnd(record) && this.start[low] === start ? low : -1
  }

  /** Where the rows of records appended before `ms` end. */
  rowsBefore(ms: number): number {
    let low = this.#headRecord
    let high = this.#records
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#appendedAtMs[middle] as number) < ms) low = middle + 1
      else high = middle
    }
    return low === this.#records ? this.#rows : (this.#sliceFrom[low] as number)
  }

  /** Where the rows of records below `offset` end. */
  rowsBelow(offset: number): number {
    if (offset >= this.end) return this.#rows
    if (offset <= this.#first) return this.#head
    return this.#sliceFrom[this.#headRecord + (offset - this.#first)] as number
  }

  offsetOf(row: number): number {
    let low = this.#headRecord
    let high = this.#records
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sliceFrom[middle] as number) <= row) low = middle + 1
      else high = middle
    }
    return this.#first + (low - 1 - this.#headRecord)
  }

  /** Gives back what lies below `offset`; the caller has read its rows. */
  dropFront(offset: number): void {
    const to = Math.min(Math.max(offset, this.#first), this.end)
    this.#head = this.rowsBelow(to)
    this.#headRecord += to - this.#first
    this.#first = to
    if (this.#headRecord > rowsMin && this.#headRecord * 2 > this.#records) this.#moveRecords()
    if (this.#head > rowsMin && this.#head * 2 > this.#rows) this.#moveRows()
  }

  #rowsEnd(record: number): number {
    return record + 1 < this.#records ? (this.#sliceFrom[record + 1] as number) : this.#rows
  }

  #moveRecords(): void {
    this.#sliceFrom.copyWithin(0, this.#headRecord, this.#records)
    this.#appendedAtMs.copyWithin(0, this.#headRecord, this.#records)
    this.#records -= this.#headRecord
    this.#headRecord = 0
  }

  #moveRows(): void {
    const head = this.#head
    for (const column of [this.start, this.spanCount, this.fresh, this.check, this.series]) {
      column.copyWithin(0, head, this.#rows)
    }
    this.tenant.copyWithin(0, head, this.#rows)
    this.flags.copyWithin(0, head, this.#rows)
    for (let record = this.#headRecord; record < this.#records; record++) {
      this.#sliceFrom[record] = (this.#sliceFrom[record] as number) - head
    }
    this.#rows -= head
    this.#head = 0
  }

  #grow(): void {
    this.start = longer(this.start)
    this.spanCount = longer(this.spanCount)
    this.fresh = longer(this.fresh)
    this.check = longer(this.check)
    this.series = longer(this.series)
    this.tenant = longer(this.tenant)
    this.flags = longer(this.flags)
  }
}

/** More than one series accounts for the slice. */
export const sliceDoubled = 1
/** Named by evidence that the sampler has not committed: it is still entitled to decide. */
export const sliceEntitled = 2

const rowsMin = 1024

type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array

function longer<T extends Column>(column: T): T {
  const next = new (column.constructor as new (length: number) => T)(2 * column.length)
  next.set(column)
  return next
}
