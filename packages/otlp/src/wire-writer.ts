import { PipelineError } from '@winnow/runtime'

/**
 * Writes protobuf, a field at a time, into one growing buffer. A message's length is not known
 * before its end: a guess of bytes is left free for it and the body moved when the guess was wrong,
 * which costs one memmove and spares a second pass that would measure everything.
 *
 *     const start = writer.begin(18, 2)   // tag, bytes left for the length
 *     …fields…
 *     writer.end(start, 2)
 */
export class WireWriter {
  #buffer: Buffer
  #pos = 0

  constructor(bytesHint = 4096) {
    this.#buffer = Buffer.allocUnsafe(bytesHint)
  }

  /** A copy of exactly what was written: it may be transferred or kept without the rest. */
  finish(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#pos))
  }

  begin(tag: number, lengthBytes = 1): number {
    this.#tag(tag)
    this.#reserve(lengthBytes)
    this.#pos += lengthBytes
    return this.#pos
  }

  end(start: number, lengthBytes = 1): void {
    const length = this.#pos - start
    const needed = varintBytes(length)
    if (needed !== lengthBytes) {
      // First, because copyWithin clamps at the buffer's end: the body's tail would be lost silently.
      this.#reserve(Math.max(0, needed - lengthBytes))
      const moved = start - lengthBytes + needed
      this.#buffer.copyWithin(moved, start, this.#pos)
      this.#pos = moved + length
    }
    this.#varintAt(start - lengthBytes, length)
  }

  /** Both leave out the default, as proto3 does. */
  uint32(tag: number, value: number): void {
    if (value === 0) return
    this.#tag(tag)
    this.#varint(value >>> 0)
  }

  /** An enum or int32: negative numbers take ten bytes. */
  int32(tag: number, value: number): void {
    if (value === 0) return
    if (value < 0) {
      this.int64(tag, BigInt(value))
    } else {
      this.#tag(tag)
      this.#varint(value)
    }
  }

  fixed32(tag: number, value: number): void {
    if (value === 0) return
    this.#tag(tag)
    this.#reserve(4)
    this.#pos = this.#buffer.writeUInt32LE(value >>> 0, this.#pos)
  }

  fixed64(tag: number, value: bigint): void {
    if (value === 0n) return
    if (BigInt.asUintN(64, value) !== value) throw outOfRange(value, 'an unsigned 64-bit number')
    this.#tag(tag)
    this.#reserve(8)
    this.#pos = this.#buffer.writeBigUInt64LE(value, this.#pos)
  }

  string(tag: number, value: string): void {
    if (value !== '') this.stringAlways(tag, value)
  }

  /** From here on the default is written too: members of a union, whose presence is the information. */
  stringAlways(tag: number, value: string): void {
    const length = value.length
    this.#tag(tag)
    if (length <= shortLength && this.#ascii(value)) return
    const byteCount = Buffer.byteLength(value, 'utf8')
    this.#varint(byteCount)
    this.#reserve(byteCount)
    this.#pos += this.#buffer.write(value, this.#pos, byteCount, 'utf8')
  }

  /** False, and nothing written, at the first character that takes more than a byte. */
  #ascii(value: string): boolean {
    const length = value.length
    this.#reserve(length + 1)
    const buffer = this.#buffer
    const start = this.#pos
    let pos = start + 1
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 127) return false
      buffer[pos++] = code
    }
    buffer[start] = length
    this.#pos = pos
    return true
  }

  bool(tag: number, value: boolean): void {
    this.#tag(tag)
    this.#varint(value ? 1 : 0)
  }

  int64(tag: number, value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) throw outOfRange(value, 'a signed 64-bit number')
    this.#tag(tag)
    if (value >= 0n && value < 0x8000_0000n) this.#varint(Number(value))
    else this.#longVarint(BigInt.asUintN(64, value))
  }

  #longVarint(value: bigint): void {
    this.#reserve(10)
    let rest = value
    while (rest > 127n) {
      this.#buffer[this.#pos++] = Number(rest & 127n) | 128
      rest >>= 7n
    }
    this.#buffer[this.#pos++] = Number(rest)
  }

  double(tag: number, value: number): void {
    this.#tag(tag)
    this.#reserve(8)
    this.#pos = this.#buffer.writeDoubleLE(value, this.#pos)
  }

  bytes(tag: number, value: Uint8Array): void {
    this.#tag(tag)
    this.#varint(value.length)
    this.#reserve(value.length)
    this.#buffer.set(value, this.#pos)
    this.#pos += value.length
  }

  /** A byte field given as hex digits of either case; left out when empty. */
  hex(tag: number, value: string): void {
    if (value === '') return
    const byteCount = value.length >>> 1
    this.#tag(tag)
    this.#varint(byteCount)
    this.#reserve(byteCount)
    // Buffer stops at the first digit that is none, so that writing less is how it says so.
    const written = this.#buffer.write(value, this.#pos, byteCount, 'hex')
    if (written !== byteCount || (value.length & 1) === 1) {
      throw new PipelineError(
        'PAYLOAD_INVALID',
        `id ${JSON.stringify(value.slice(0, 40))} is not hex; send an even number of hex digits`,
      )
    }
    this.#pos += byteCount
  }

  #tag(tag: number): void {
    this.#varint(tag)
  }

  #varint(value: number): void {
    this.#reserve(5)
    this.#pos = this.#varintAt(this.#pos, value)
  }

  #varintAt(at: number, value: number): number {
    const buffer = this.#buffer
    let pos = at
    let rest = value
    while (rest > 127) {
      buffer[pos++] = (rest & 127) | 128
      rest >>>= 7
    }
    buffer[pos++] = rest
    return pos
  }

  #reserve(count: number): void {
    const needed = this.#pos + count
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#pos)
    this.#buffer = grown
  }
}

/** Below 128, so that the length is one byte; a loop is faster than Buffer up to about here. */
const shortLength = 40

function varintBytes(value: number): number {
  let count = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) count++
  return count
}

function outOfRange(value: bigint, what: string): PipelineError {
  return new PipelineError('PAYLOAD_INVALID', `${value} is not ${what}`)
}
