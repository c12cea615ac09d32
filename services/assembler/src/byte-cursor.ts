/** Little-endian bytes that grow as they are written. A text is its length in bytes as u32 and UTF-8. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(64 * 1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** What was written so far: a view. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  u8(value: number): void {
    this.#reserve(1)
    this.#length = this.#buffer.writeUInt8(value, this.#length)
  }

  u32(value: number): void {
    this.#reserve(4)
    this.#length = this.#buffer.writeUInt32LE(value, this.#length)
  }

  f64(value: number): void {
    this.#reserve(8)
    this.#length = this.#buffer.writeDoubleLE(value, this.#length)
  }

  text(value: string): void {
    // No character of a string takes more than three bytes.
    this.#reserve(4 + 3 * value.length)
    const bytes = this.#buffer.write(value, this.#length + 4, 'utf8')
    this.#buffer.writeUInt32LE(bytes, this.#length)
    this.#length += 4 + bytes
  }

  /** The next so many bytes, for the caller to fill. */
  room(bytes: number): Buffer {
    this.#reserve(bytes)
    const at = this.#length
    this.#length += bytes
    return this.#buffer.subarray(at, this.#length)
  }

  /** The last so many bytes, for the caller to change. */
  last(bytes: number): Buffer {
    return this.#buffer.subarray(this.#length - bytes, this.#length)
  }

  setU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at)
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const wider = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length))
    this.#buffer.copy(wider, 0, 0, this.#length)
    this.#buffer = wider
  }
}

/** Reads what a {@link ByteWriter} wrote; past the end it throws a RangeError. */
export class ByteReader {
  readonly #buffer: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get rest(): number {
    return this.#buffer.length - this.#at
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1))
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4))
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8))
  }

  text(): string {
    const bytes = this.u32()
    const at = this.#take(bytes)
    return this.#buffer.toString('utf8', at, at + bytes)
  }

  /** A view. */
  bytes(count: number): Buffer {
    const at = this.#take(count)
    return this.#buffer.subarray(at, at + count)
  }

  #take(bytes: number): number {
    const at = this.#at
    if (at + bytes > this.#buffer.length) throw new RangeError('the bytes end too early')
    this.#at = at + bytes
    return at
  }
}
