import { PipelineError } from '@winnow/runtime'

/** Kafka's big-endian primitives, written one after the other: strings are `int16 length, bytes`. */
export class WireWriter {
  #bytes = Buffer.alloc(1024)
  #at = 0

  int8(value: number): this {
    this.#at = this.#room(1).writeInt8(value, this.#at)
    return this
  }

  int16(value: number): this {
    this.#at = this.#room(2).writeInt16BE(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#at = this.#room(4).writeInt32BE(value, this.#at)
    return this
  }

  int64(value: number): this {
    this.#at = this.#room(8).writeBigInt64BE(BigInt(value), this.#at)
    return this
  }

  /** Lengths and counts of the flexible versions: stored as one more, so that 0 can mean null. */
  compactLength(length: number): this {
    let rest = length + 1
    while (rest >= 0x80) {
      this.int8((rest & 0x7f) - 0x80)
      rest >>>= 7
    }
    return this.int8(rest)
  }

  string(value: string): this {
    return this.int16(Buffer.byteLength(value)).raw(Buffer.from(value))
  }

  compactString(value: string): this {
    return this.compactLength(Buffer.byteLength(value)).raw(Buffer.from(value))
  }

  raw(value: Uint8Array): this {
    this.#room(value.length).set(value, this.#at)
    this.#at += value.length
    return this
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  #room(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], 2 * (this.#at + length))
    }
    return this.#bytes
  }
}

/** The same primitives, read. Reading past the end is DATA_CORRUPT, never a RangeError. */
export class WireReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get at(): number {
    return this.#at
  }

  int8(): number {
    return this.#bytes.readInt8(this.#step(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#step(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#step(4))
  }

  /** Offsets and times: below 2^53 for as long as anybody will live. */
  int64(): number {
    return Number(this.#bytes.readBigInt64BE(this.#step(8)))
  }

  /** Zigzag: what a record's lengths and deltas are stored as. */
  varint(): number {
    const raw = this.uvarint()
    return (raw >>> 1) ^ -(raw & 1)
  }

  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.int8()
      value |= (byte & 0x7f) << shift
      if (byte >= 0) return value >>> 0
    }
    throw new PipelineError('DATA_CORRUPT', 'a varint of more than five bytes in a Kafka record')
  }

  /** A varlong that nobody needs. */
  skipVarlong(): void {
    for (let length = 0; length < 10; length++) if (this.int8() >= 0) return
    throw new PipelineError('DATA_CORRUPT', 'a varlong of more than ten bytes in a Kafka record')
  }

  string(): string {
    const length = this.int16()
    return length < 0 ? '' : this.raw(length).toString()
  }

  compactString(): string {
    return this.raw(Math.max(0, this.uvarint() - 1)).toString()
  }

  /** A view, not a copy. */
  raw(length: number): Buffer {
    const start = this.#step(length)
    return this.#bytes.subarray(start, start + length)
  }

  array<T>(each: () => T): T[] {
    return this.#items(this.int32(), each)
  }

  compactArray<T>(each: () => T): T[] {
    return this.#items(this.uvarint() - 1, each)
  }

  /** The tagged fields that end every structure of a flexible version; none is known here. */
  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint()
      this.raw(this.uvarint())
    }
  }

  #items<T>(count: number, each: () => T): T[] {
    const items: T[] = []
    for (let at = 0; at < count; at++) items.push(each())
    return items
  }

  #step(length: number): number {
    const start = this.#at
    if (length < 0 || start + length > this.#bytes.length) {
      throw new PipelineError(
        'DATA_CORRUPT',
        `a Kafka message wants ${length} bytes at ${start} of ${this.#bytes.length}`,
      )
    }
    this.#at = start + length
    return start
  }
}
