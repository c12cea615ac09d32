// Hot: one row for every trace of the window, met once a counting decision.
import type { Verdict } from '@winnow/model'

/**
 * What the last counting decision of every series says, for series that have slices in the window. A
 * table of columns with a free list, and open addressing from (tenant, trace id) to the last series.
 *
 *   id 16 · tenant 2 · claimed spans, duplicates · out: fresh, duplicates · live: slices, spans, fresh · origin
 *   → 66 bytes a series with its place in the index
 */
export class SeriesTable {
  ids = new Uint32Array(4 * rowsMin)
  tenant = new Uint16Array(rowsMin)
  /** As the decision states them. */
  spanCount = new Uint32Array(rowsMin)
  duplicateSpans = new Uint32Array(rowsMin)
  /** Of slices that are not in the window any more, or never were: fresh spans and repeats. */
  outFresh = new Uint32Array(rowsMin)
  outRepeats = new Uint32Array(rowsMin)
  /** Of slices that are in the window. */
  liveSlices = new Uint32Array(rowsMin)
  liveSpans = new Uint32Array(rowsMin)
  liveFresh = new Uint32Array(rowsMin)
  /** Tells series of one trace apart: see `originOf` in partition-ledger.ts. */
  origin = new Uint32Array(rowsMin)
  /** 0: free; else {@link seriesKept} or {@link seriesDropped}. */
  verdict = new Uint8Array(rowsMin)
  readonly #seed: number
  readonly #free: number[] = []
  #rows = 0
  #indexed = 0
  #index = new Int32Array(2 * rowsMin)

  /** `seed`: 32 random bits, because clients choose trace ids and must not choose their places. */
  constructor(seed: number) {
    this.#seed = seed
  }

  get size(): number {
    return this.#rows - this.#free.length
  }

  /** The last series of the trace whose id is `words`; -1: none. */
  find(words: Uint32Array, tenant: number): number {
    return (this.#index[this.#placeOf(words, 0, tenant)] as number) - 1
  }

  /** A new series, the last of its trace from now on. All its columns are zero but the verdict. */
  open(words: Uint32Array, tenant: number, verdict: Verdict): number {
    const row = this.#free.pop() ?? this.#rows++
    if (row === this.tenant.length) this.#grow()
    this.ids.set(words, 4 * row)
    this.tenant[row] = tenant
    for (const column of this.#counts()) column[row] = 0
    this.verdict[row] = verdict === 'keep' ? seriesKept : seriesDropped
    const place = this.#placeOf(words, 0, tenant)
    if (this.#index[place] === 0) this.#indexed++
    this.#index[place] = row + 1
    if (2 * this.#indexed > this.#index.length) this.#reindex()
    return row
  }

  close(row: number): void {
    const place = this.#placeOf(this.ids, 4 * row, this.tenant[row] as number)
    // A later series of the trace may have taken the place.
    if (this.#index[place] === row + 1) this.#remove(place)
    this.verdict[row] = 0
    this.#free.push(row)
  }

  traceIdOf(row: number): string {
    let text = ''
    for (let word = 0; word < 4; word++) {
      text += (this.ids[4 * row + word] as number).toString(16).padStart(8, '0')
    }
    return text
  }

  #counts(): Uint32Array[] {
    return [
      this.spanCount,
      this.duplicateSpans,
      this.outFresh,
      this.outRepeats,
      this.liveSlices,
      this.liveSpans,
      this.liveFresh,
      this.origin,
    ]
  }

  /** Closes the hole, so that no search ends before its key. */
  #remove(hole: number): void {
    const mask = this.#index.length - 1
    this.#indexed--
    let to = hole
    for (let from = (hole + 1) & mask; this.#index[from] !== 0; from = (from + 1) & mask) {
      const row = (this.#index[from] as number) - 1
      const home = this.#home(this.ids, 4 * row, this.tenant[row] as number)
      if (((from - home) & mask) < ((from - to) & mask)) continue
      this.#index[to] = row + 1
      to = from
    }
    this.#index[to] = 0
  }

  #reindex(): void {
    const old = this.#index
    this.#index = new Int32Array(2 * old.length)
    for (const entry of old) {
      if (entry === 0) continue
      const place = this.#placeOf(this.ids, 4 * (entry - 1), this.tenant[entry - 1] as number)
      this.#index[place] = entry
    }
  }

  /** The place that holds the key, else the free one where it belongs. */
  #placeOf(words: Uint32Array, at: number, tenant: number): number {
    const mask = this.#index.length - 1
    let place = this.#home(words, at, tenant)
    for (;;) {
      const row = (this.#index[place] as number) - 1
      if (row < 0) return place
      const is =
        this.ids[4 * row + 3] === words[at + 3] &&
        this.ids[4 * row + 2] === words[at + 2] &&
        this.ids[4 * row + 1] === words[at + 1] &&
        this.ids[4 * row] === words[at] &&
        this.tenant[row] === tenant
      if (is) return place
      place = (place + 1) & mask
    }
  }

  #home(words: Uint32Array, at: number, tenant: number): number {
    let hash = Math.imul(this.#seed ^ (words[at] as number), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 15) ^ (words[at + 1] as number), 0xc2b2ae35)
    hash = Math.imul(hash ^ (hash >>> 13) ^ (words[at + 2] as number), 0x27d4eb2f)
    hash = Math.imul(hash ^ (hash >>> 14) ^ (words[at + 3] as number) ^ tenant, 0x9e3779b1)
    return (hash ^ (hash >>> 16)) & (this.#index.length - 1)
  }

  #grow(): void {
    const rows = 2 * this.tenant.length
    this.ids = longer(this.ids, 4 * rows)
    this.spanCount = longer(this.spanCount, rows)
    this.duplicateSpans = longer(this.duplicateSpans, rows)
    this.outFresh = longer(this.outFresh, rows)
    this.outRepeats = longer(this.outRepeats, rows)
    this.liveSlices = longer(this.liveSlices, rows)
    this.liveSpans = longer(this.liveSpans, rows)
    this.liveFresh = longer(this.liveFresh, rows)
    this.origin = longer(this.origin, rows)
    const tenant = new Uint16Array(rows)
    tenant.set(this.tenant)
    this.tenant = tenant
    const verdict = new Uint8Array(rows)
    verdict.set(this.verdict)
    this.verdict = verdict
  }
}

export const seriesKept = 1
export const seriesDropped = 2

const rowsMin = 1024

function longer(column: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const next = new Uint32Array(length)
  next.set(column)
  return next
}
