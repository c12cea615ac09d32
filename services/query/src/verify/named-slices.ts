// Hot: the slices of every counting decision are read here.
import { PackedSliceReader, readSpanIds } from '@winnow/model'

/** The slices that a decision or a summary names, with the ids of the spans that it says they hold. Reused. */
export class NamedSlices {
  length = 0
  offset = new Float64Array(64)
  start = new Uint32Array(64)
  byteLength = new Uint32Array(64)
  spanCount = new Uint32Array(64)
  /** The number of its first span. */
  spanFrom = new Uint32Array(64)
  /** Two big-endian words a span. */
  spanIds = new Uint32Array(256)
  spans = 0
  /** Greatest offset named; -1: none. */
  lastOffset = -1
  readonly #reader = new PackedSliceReader()

  /** Reads the text between the brackets of `slices`. False where it is none. */
  read(text: string): boolean {
    if (this.#readPacked(text)) return true
    // Stages write the texts side by side, as they are in base64; any other JSON may say the same.
    const plain = plainText(text)
    return plain !== undefined && this.#readPacked(plain)
  }

  #readPacked(text: string): boolean {
    this.#clear()
    const slices = this.#reader.begin(text)
    while (slices.next()) this.#add(slices)
    return !slices.isBroken
  }

  #clear(): void {
    this.length = 0
    this.spans = 0
    this.lastOffset = -1
  }

  #add(read: PackedSliceReader): void {
    if (this.length === this.start.length) this.#grow()
    const slice = this.length++
    const { offset, spanCount } = read
    this.offset[slice] = offset
    this.start[slice] = read.start
    this.byteLength[slice] = read.length
    this.spanCount[slice] = spanCount
    this.spanFrom[slice] = this.spans
    if (offset > this.lastOffset) this.lastOffset = offset
    if (2 * (this.spans + spanCount) > this.spanIds.length) {
      const longer = new Uint32Array(4 * (this.spans + spanCount))
      longer.set(this.spanIds)
      this.spanIds = longer
    }
    readSpanIds(read.bytes, read.spansFrom, spanCount, this.spanIds, 2 * this.spans)
    this.spans += spanCount
  }

  #grow(): void {
    const offset = new Float64Array(2 * this.length)
    offset.set(this.offset)
    this.offset = offset
    for (const name of ['start', 'byteLength', 'spanCount', 'spanFrom'] as const) {
      const column = new Uint32Array(2 * this.length)
      column.set(this[name])
      this[name] = column
    }
  }
}

function plainText(text: string): string | undefined {
  try {
    const texts = JSON.parse(`[${text}]`) as unknown[]
    return texts.map(one => JSON.stringify(one)).join(',')
  } catch {
    return undefined
  }
}
