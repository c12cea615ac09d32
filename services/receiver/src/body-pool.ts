/**
 * Memory for request bodies, used again and again: touching a fresh page costs more than copying what
 * goes into it. Buffers have a power of two of bytes; of what comes back so much is kept, the rest is
 * the collector's.
 */
export class BodyPool {
  readonly #keptBytesMax: number
  readonly #free = new Map<number, Buffer[]>()
  #keptBytes = 0

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  /** At least so many bytes, of which none is zeroed. */
  take(bytesMin: number): Buffer {
    const size = Math.max(smallestBytes, 2 ** Math.ceil(Math.log2(bytesMin)))
    const buffer = this.#free.get(size)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size)
    this.#keptBytes -= size
    return buffer
  }

  /** The caller, and whoever it lent the bytes to, is done with them. */
  give(buffer: Buffer): void {
    if (this.#keptBytes + buffer.length > this.#keptBytesMax) return
    const free = this.#free.get(buffer.length) ?? []
    this.#free.set(buffer.length, free)
    free.push(buffer)
    this.#keptBytes += buffer.length
  }
}

const smallestBytes = 16 * 1024
