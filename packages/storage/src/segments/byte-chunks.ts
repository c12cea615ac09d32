// Hot: the bytes of every decision lie in one of these until their segment is written.

/** Large enough that there are few. */
export const chunkBytes = 256 * 1024

/** Chunks that wait to be used again, all segments of a process together: 16 MiB. */
export const freeChunksMax = 64

const free: Buffer[] = []

/**
 * Byte strings of rows, in order of arrival, in chunks that are used again: memory of buffers that come
 * and go is what makes the collector look at everything, and each decision is some kilobytes.
 */
export class ByteChunks {
  /** Of `#first` and those behind it; one that is larger has a single string. */
  readonly #chunks: Buffer[] = []
  /** Number of the first chunk that is held. */
  #first = 0
  #used = 0

  /** The number of the chunk that has room for `length` more bytes, which begin at `end`. */
  take(length: number): number {
    const last = this.#chunks.at(-1)
    if (last === undefined || this.#used + length > last.length) {
      const isLarge = length > chunkBytes
      this.#chunks.push(
        isLarge
          ? Buffer.allocUnsafeSlow(length)
          : (free.pop() ?? Buffer.allocUnsafeSlow(chunkBytes)),
      )
      this.#used = 0
    }
    this.#used += length
    return this.#first + this.#chunks.length - 1
  }

  /** Behind what was taken last. */
  get end(): number {
    return this.#used
  }

  at(chunk: number): Buffer {
    return this.#chunks[chunk - this.#first] as Buffer
  }

  /** What lies in chunks before this one is needed no more. */
  forgetBefore(chunk: number): void {
    while (this.#first < chunk && this.#chunks.length > 0) this.#forgetFirst()
  }

  clear(): void {
    while (this.#chunks.length > 0) this.#forgetFirst()
    this.#used = 0
  }

  #forgetFirst(): void {
    const chunk = this.#chunks.shift() as Buffer
    this.#first++
    if (chunk.length === chunkBytes && free.length < freeChunksMax) free.push(chunk)
  }
}
