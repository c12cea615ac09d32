/** Bytes of one slab; a larger text has bytes of its own. */
const slabBytes = 256 * 1024

/**
 * The bytes of records on their way, one behind the other in slabs that are used again and again: a
 * fresh page for every record costs more than what is written to it. As many slabs as one flush fills.
 */
export class ByteSlabs {
  readonly #slabs: Buffer[] = []
  #slab = 0
  #end = 0

  /** Borrowed: valid until `clear`. */
  write(text: string): Uint8Array {
    const bytes = Buffer.byteLength(text)
    if (bytes > slabBytes) return Buffer.from(text)
    if (this.#end + bytes > slabBytes) {
      this.#slab++
      this.#end = 0
    }
    let slab = this.#slabs[this.#slab]
    if (slab === undefined) {
      slab = Buffer.allocUnsafeSlow(slabBytes)
      this.#slabs.push(slab)
    }
    const start = this.#end
    this.#end += slab.write(text, start)
    return slab.subarray(start, this.#end)
  }

  clear(): void {
    this.#slab = 0
    this.#end = 0
  }
}
