/**
 * A slice as an open trace holds it, in the chain of the trace's bytes:
 *
 *   u32 bytes that follow │ varints: offset, start, length, spans, appended at (ms) │ packed facts
 */
export interface SliceHead {
  offset: number
  start: number
  length: number
  spanCount: number
  appendedAtMs: number
  /** Where its packed facts lie. */
  factsFrom: number
  factsTo: number
}

/** The longest head: its length and five varints of up to 53 bits. */
const headBytesMax = 4 + 5 * 8

/** Writes heads into memory of its own. */
export class SliceHeadWriter {
  readonly bytes = Buffer.alloc(headBytesMax)
  #at = 0

  /** How many of `bytes` are the head of a slice with so many bytes of facts. */
  write(
    offset: number,
    start: number,
    length: number,
    spanCount: number,
    appendedAtMs: number,
    factBytes: number,
  ): number {
    this.#at = 4
    this.#varint(offset)
    this.#varint(start)
    this.#varint(length)
    this.#varint(spanCount)
    this.#varint(appendedAtMs)
    this.bytes.writeUInt32LE(this.#at - 4 + factBytes, 0)
    return this.#at
  }

  /** Of 53 bits: shifts would cut it to 32. */
  #varint(value: number): void {
    let rest = value
    while (rest > 127) {
      this.bytes[this.#at++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.bytes[this.#at++] = rest
  }
}

/** Reads the slices of one trace's bytes one after another, into the same object. */
export class SliceHeadReader implements SliceHead {
  offset = 0
  start = 0
  length = 0
  spanCount = 0
  appendedAtMs = 0
  factsFrom = 0
  factsTo = 0
  #bytes: Buffer = Buffer.alloc(0)
  #end = 0
  #at = 0

  begin(bytes: Buffer, end: number): this {
    this.#bytes = bytes
    this.#end = end
    this.factsTo = 0
    return this
  }

  /** Whether there was one more. Throws a RangeError where the bytes end within it. */
  next(): boolean {
    const from = this.factsTo
    if (from === this.#end) return false
    const to = from + 4 + this.#bytes.readUInt32LE(from)
    if (to > this.#end) throw new RangeError('a slice ends behind its trace')
    this.#at = from + 4
    this.offset = this.#varint()
    this.start = this.#varint()
    this.length = this.#varint()
    this.spanCount = this.#varint()
    this.appendedAtMs = this.#varint()
    this.factsFrom = this.#at
    this.factsTo = to
    return true
  }

  #varint(): number {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      const byte = this.#bytes[this.#at++] as number
      value += (byte & 127) * unit
      if (byte < 128) return value
    }
  }
}
