// Hot on a source of snappy or lz4: once a match of either.
import { PipelineError } from '@winnow/runtime'

/** What is decompressed so far. It grows by need and never beyond its limit. */
export class LzOutput {
  readonly #bytesMax: number
  bytes: Buffer
  length = 0

  /** `expected`: what the compressed bytes say of themselves, so that honest ones are not copied. */
  constructor(expected: number, bytesMax: number) {
    this.#bytesMax = bytesMax
    this.bytes = Buffer.allocUnsafeSlow(Math.min(Math.max(expected, 64), firstBytesMax, bytesMax))
  }

  literal(from: Buffer, start: number, length: number): void {
    if (length > from.length - start) throw tooShort()
    this.#reserve(length)
    from.copy(this.bytes, this.length, start, start + length)
    this.length += length
  }

  /** Bytes that stand `distance` before the end, again; where they overlap, what is just written too. */
  match(distance: number, length: number): void {
    if (distance < 1 || distance > this.length) {
      throw new PipelineError('DATA_CORRUPT', `a match ${distance} bytes back of ${this.length}`)
    }
    this.#reserve(length)
    const { bytes } = this
    let to = this.length
    this.length += length
    if (distance >= length) {
      bytes.copyWithin(to, to - distance, to - distance + length)
      return
    }
    for (; to < this.length; to++) bytes[to] = bytes[to - distance] as number
  }

  whole(): Buffer {
    return this.bytes.subarray(0, this.length)
  }

  #reserve(more: number): void {
    const needed = this.length + more
    if (needed > this.#bytesMax) {
      throw new PipelineError('DATA_CORRUPT', `a batch of over ${this.#bytesMax} bytes`)
    }
    if (needed <= this.bytes.length) return
    const longer = Buffer.allocUnsafeSlow(
      Math.min(this.#bytesMax, Math.max(needed, 2 * this.bytes.length)),
    )
    this.bytes.copy(longer, 0, 0, this.length)
    this.bytes = longer
  }
}

/** Set aside for a length that somebody else states. */
const firstBytesMax = 4 * 1024 * 1024

export function tooShort(): PipelineError {
  return new PipelineError('DATA_CORRUPT', 'a compressed batch ends too early')
}
