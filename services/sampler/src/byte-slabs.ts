/** Bytes of one slab; a larger record has bytes of its own. */
const slabBytes = 256 * 1024

/**
 * The bytes of records on their way, one behind the other in slabs that are used again and again: a
 * fresh page for every record costs more than what is written to it. As many slabs as one flush fills.
 */
export class ByteSlabs {
  readonly #slabs: Buffer[] = []
  #slab = 0
  #end = 0

  /** A copy. Borrowed: valid until `clear`. */
  copy(value: Uint8Array): Uint8Array {
    const { length } = value
    if (length > slabBytes) return Buffer.from(value)
    if (this.#end + length > slabBytes) {
      this.#slab++
      this.#end = 0
    }
    let slab = this.#slabs[this.#slab]
    if (slab === undefined) {
      slab = Buffer.allocUnsafeSlow(slabBytes)
      this.#slabs.push(slab)
    }
    slab.set(value, this.#end)
    this.#end += length
    return slab.subarray(this.#end - length, this.#end)
  }

  clear(): void {
    this.#slab = 0
    this.#end = 0
  }
}
