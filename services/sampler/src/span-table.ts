// Hot: every span of every revision passes here.
import {
  blockFlag,
  idText,
  type PackedSlice,
  type RootFact,
  type SpanColumns,
  spanColumns,
} from '@winnow/model'

/**
 * The spans of one trace, decoded into columns that are used again and again. No object, closure or
 * expression per span; a table is loaded, read and loaded again, and is nobody's to keep.
 *
 *   slices    │ a: 3 spans │ b: 2 spans │
 *   rows      │ 0 │ 1 │ 2  │ 3 │ 4      │
 *   repeats     0   0   0    1   0                (the first span of b came in a already)
 */
export class SpanTable {
  /** All blocks, repeats included. */
  count = 0
  duplicates = 0
  inputTokens = 0
  outputTokens = 0
  costUsd = 0
  errors = 0
  #rows = 128
  #columns: SpanColumns = spanColumns(this.#rows)
  #repeats = new Uint8Array(128)
  /** Any copy of the span has status ERROR: a late copy must not take an error back. */
  #failed = new Uint8Array(128)
  /** Start of each span in milliseconds, good for comparing alone. */
  #startMs = new Float64Array(128)
  #buckets = new Int32Array(64)

  /** `slices` in the order of the fold (protocol F): a span whose id came before is a repeat. */
  load(slices: readonly PackedSlice[]): void {
    this.#decode(slices)
    this.#markRepeats()
    this.#add()
  }

  has(spanId: string): boolean {
    const high = Number.parseInt(spanId.slice(0, 8), 16)
    const low = Number.parseInt(spanId.slice(8), 16)
    for (let at = 0; at < this.count; at++) if (this.#is(at, high, low)) return true
    return false
  }

  /**
   * How many failed spans were the last attempt of their operation or are `root`, and which span shows
   * it best: the first of those, else the first that failed.
   */
  fatal(root: RootFact | null): { readonly count: number; readonly spanId: string | null } {
    let count = 0
    let shown = -1
    let isShownFatal = false
    const last = this.#lastAttempts()
    for (let at = 0; at < this.count; at++) {
      if (this.#failed[at] === 0 || this.#repeats[at] === 1) continue
      const isFatal =
        last.get(this.#opHash(at)) === at || (root !== null && this.#spanId(at) === root.spanId)
      if (isFatal) count++
      if (shown === -1 || (isFatal && !isShownFatal)) {
        shown = at
        isShownFatal = isFatal
      }
    }
    return { count, spanId: shown === -1 ? null : this.#spanId(shown) }
  }

  #decode(slices: readonly PackedSlice[]): void {
    let rows = 0
    for (let i = 0; i < slices.length; i++) rows += (slices[i] as PackedSlice).ref.spanCount
    if (rows > this.#rows) this.#grow(rows)
    const { startOffsetMs } = this.#columns
    this.count = 0
    for (let i = 0; i < slices.length; i++) {
      const slice = slices[i] as PackedSlice
      slice.readSpans(this.#columns, this.count)
      const baseMs = slice.startMs
      const end = this.count + slice.ref.spanCount
      for (let at = this.count; at < end; at++) {
        this.#startMs[at] = baseMs + (startOffsetMs[at] as number)
      }
      this.count = end
    }
  }

  #markRepeats(): void {
    const { flags } = this.#columns
    for (let at = 0; at < this.count; at++) {
      this.#failed[at] = ((flags[at] as number) & blockFlag.error) === 0 ? 0 : 1
    }
    this.#repeats.fill(0, 0, this.count)
    if (this.count > pairwiseMax) this.#markRepeatsHashed()
    else this.#markRepeatsPairwise()
  }

  #markRepeatsPairwise(): void {
    for (let at = 1; at < this.count; at++) {
      const high = this.#high(at)
      const low = this.#low(at)
      for (let before = 0; before < at; before++) {
        if (this.#is(before, high, low)) {
          this.#repeat(at, before)
          break
        }
      }
    }
  }

  /** Open addressing; a bucket holds the index of a span plus one. */
  #markRepeatsHashed(): void {
    let size = 64
    while (size < this.count * 2) size *= 2
    if (this.#buckets.length < size) this.#buckets = new Int32Array(size)
    this.#buckets.fill(0, 0, size)
    for (let at = 0; at < this.count; at++) {
      const high = this.#high(at)
      const low = this.#low(at)
      let bucket = (Math.imul(high ^ Math.imul(low, 0x9e3779b1), 0x85ebca6b) >>> 7) & (size - 1)
      for (;;) {
        const held = (this.#buckets[bucket] as number) - 1
        if (held === -1) {
          this.#buckets[bucket] = at + 1
          break
        }
        if (this.#is(held, high, low)) {
          this.#repeat(at, held)
          break
        }
        bucket = (bucket + 1) & (size - 1)
      }
    }
  }

  #add(): void {
    const { inputTokens, outputTokens, costUsd } = this.#columns
    this.duplicates = 0
    this.inputTokens = 0
    this.outputTokens = 0
    this.costUsd = 0
    this.errors = 0
    for (let at = 0; at < this.count; at++) {
      if (this.#repeats[at] === 1) {
        this.duplicates++
        continue
      }
      this.inputTokens += inputTokens[at] as number
      this.outputTokens += outputTokens[at] as number
      this.costUsd += costUsd[at] as number
      this.errors += this.#failed[at] as number
    }
  }

  /** By operation, the attempt that started last; of two at once, the one that is folded later. */
  #lastAttempts(): Map<number, number> {
    const last = new Map<number, number>()
    for (let at = 0; at < this.count; at++) {
      if (this.#repeats[at] === 1) continue
      const operation = this.#opHash(at)
      const held = last.get(operation)
      const isLater = held === undefined || this.#start(at) >= this.#start(held)
      if (isLater) last.set(operation, at)
    }
    return last
  }

  #grow(rows: number): void {
    this.#rows = 2 * rows
    this.#columns = spanColumns(this.#rows)
    this.#startMs = new Float64Array(this.#rows)
    this.#repeats = new Uint8Array(this.#rows)
    this.#failed = new Uint8Array(this.#rows)
  }

  #repeat(at: number, of: number): void {
    this.#repeats[at] = 1
    if (this.#failed[at] === 1) this.#failed[of] = 1
  }

  #is(at: number, high: number, low: number): boolean {
    return this.#low(at) === low && this.#high(at) === high
  }

  #high(at: number): number {
    return this.#columns.idHigh[at] as number
  }

  #low(at: number): number {
    return this.#columns.idLow[at] as number
  }

  #opHash(at: number): number {
    return this.#columns.opHash[at] as number
  }

  #start(at: number): number {
    return this.#startMs[at] as number
  }

  #spanId(at: number): string {
    return idText(this.#high(at), this.#low(at))
  }
}

/** Up to here comparing every pair of spans is cheaper than a table. */
const pairwiseMax = 16
