// Hot: the slices of every counting decision are read here.
import { type Slice, spanBlockBytes } from '@winnow/model'

/** The slices that a decision or a summary names, with the ids of the spans that it says they hold. Reused. */
export class NamedSlices {
  length = 0
  offset = new Float64Array(64)
  start = new Uint32Array(64)
  byteLength = new Uint32Array(64)
  /** As the ref states it. */
  spanCount = new Uint32Array(64)
  /** How many ids there are, which may differ; the first is number `spanFrom`. */
  ids = new Uint32Array(64)
  spanFrom = new Uint32Array(64)
  /** Two big-endian words a span. */
  spanIds = new Uint32Array(256)
  spans = 0
  /** Greatest offset named; -1: none. */
  lastOffset = -1
  #block = Buffer.alloc(4096)

  /**
   * Reads the text between the brackets of `slices`. What stages write has one layout, which is read
   * without parsing it: that is a tenth of the cost. Any other text is parsed. False where it is none.
   */
  read(text: string): boolean {
    this.#clear()
    if (text === '') return true
    if (this.#readKnown(text)) return true
    this.#clear()
    let slices: readonly Slice[]
    try {
      slices = JSON.parse(`[${text}]`) as readonly Slice[]
      for (const { ref, facts } of slices) {
        this.#add(ref.offset, ref.start, ref.length, ref.spanCount, facts.spans)
      }
      return true
    } catch {
      return false
    }
  }

  #clear(): void {
    this.length = 0
    this.spans = 0
    this.lastOffset = -1
  }

  /** Within a string quotes are escaped, so that none of these texts can be content. */
  #readKnown(text: string): boolean {
    let at = 0
    for (;;) {
      if (!text.startsWith('{"ref":{"partition":', at)) return false
      at = afterNumber(text, at + 20)
      const offset = numberAt(text, at, ',"offset":')
      at = afterNumber(text, at + 10)
      const start = numberAt(text, at, ',"start":')
      at = afterNumber(text, at + 9)
      const byteLength = numberAt(text, at, ',"length":')
      at = afterNumber(text, at + 10)
      const spanCount = numberAt(text, at, ',"spanCount":')
      at = afterNumber(text, at + 13)
      if (offset < 0 || start < 0 || byteLength < 0 || spanCount < 0) return false
      const next = text.indexOf(',{"ref":{"partition":', at)
      const from = text.indexOf(',"spans":"', at)
      if (from < 0 || (next >= 0 && from > next)) return false
      const to = text.indexOf('"', from + 10)
      this.#add(offset, start, byteLength, spanCount, text.slice(from + 10, to))
      if (next < 0) return true
      at = next + 1
    }
  }

  #add(offset: number, start: number, byteLength: number, spanCount: number, blocks: string): void {
    if (this.length === this.start.length) this.#grow()
    const slice = this.length++
    this.offset[slice] = offset
    this.start[slice] = start
    this.byteLength[slice] = byteLength
    this.spanCount[slice] = spanCount
    this.spanFrom[slice] = this.spans
    if (offset > this.lastOffset) this.lastOffset = offset
    if (this.#block.length < blocks.length) this.#block = Buffer.alloc(2 * blocks.length)
    const block = this.#block
    const spans = Math.floor(block.write(blocks, 0, 'base64') / spanBlockBytes)
    this.ids[slice] = spans
    if (2 * (this.spans + spans) > this.spanIds.length) {
      const longer = new Uint32Array(4 * (this.spans + spans))
      longer.set(this.spanIds)
      this.spanIds = longer
    }
    let to = 2 * this.spans
    for (let at = 0; at < spans * spanBlockBytes; at += spanBlockBytes) {
      this.spanIds[to++] = block.readUInt32BE(at)
      this.spanIds[to++] = block.readUInt32BE(at + 4)
    }
    this.spans += spans
  }

  #grow(): void {
    const offset = new Float64Array(2 * this.length)
    offset.set(this.offset)
    this.offset = offset
    for (const name of ['start', 'byteLength', 'spanCount', 'ids', 'spanFrom'] as const) {
      const column = new Uint32Array(2 * this.length)
      column.set(this[name])
      this[name] = column
    }
  }
}

/** The number behind `key`, which has to stand at `at`; -1 where it does not. */
function numberAt(text: string, at: number, key: string): number {
  if (!text.startsWith(key, at)) return -1
  const from = at + key.length
  let value = 0
  for (let digit = from; ; digit++) {
    const code = text.charCodeAt(digit) - 48
    if (!(code >= 0 && code <= 9)) return digit === from ? -1 : value
    value = value * 10 + code
  }
}

function afterNumber(text: string, at: number): number {
  let end = at
  for (;;) {
    const code = text.charCodeAt(end) - 48
    if (!(code >= 0 && code <= 9)) return end
    end++
  }
}
