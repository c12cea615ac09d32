// Hot: the bytes of every kept slice are written here.

/** Of a UTF-16 unit as UTF-8. */
const unitBytesMax = 3

/**
 * The bytes of requests, one after another in the same memory: a string of megabytes would be flattened,
 * written as bytes and collected for each. Whoever has not had an answer may still be reading them, so
 * that they are given back only after one.
 */
export class RequestBytes {
  readonly #free: Buffer[] = []

  /** The texts as UTF-8. */
  take(texts: readonly { readonly lines: string }[]): Buffer {
    let units = 0
    for (const { lines } of texts) units += lines.length
    let bytes = this.#free.pop()
    if (bytes === undefined || bytes.length < units) bytes = Buffer.allocUnsafeSlow(roomFor(units))
    let at = 0
    for (const { lines } of texts) {
      if (at + unitBytesMax * lines.length > bytes.length) {
        const needed = at + Buffer.byteLength(lines)
        if (needed > bytes.length) {
          const larger = Buffer.allocUnsafeSlow(roomFor(needed))
          bytes.copy(larger, 0, 0, at)
          bytes = larger
        }
      }
      at += bytes.write(lines, at)
    }
    return bytes.subarray(0, at)
  }

  /** What `take` gave, once nobody reads it. */
  giveBack(taken: Buffer): void {
    if (taken.byteOffset === 0) this.#free.push(Buffer.from(taken.buffer))
  }
}

/** Some more, so that the next of about the same size fits too. */
function roomFor(bytes: number): number {
  return Math.ceil((bytes * 1.25) / 65_536) * 65_536
}
