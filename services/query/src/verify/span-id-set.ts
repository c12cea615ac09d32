// Hot: every span of every counting decision is asked for here once.

/** A set of 8-byte span ids as two words each; open addressing, at most half full. */
export class SpanIdSet {
  #ids = new Uint32Array(2 * 64)
  #buckets = new Int32Array(128)
  #mask = 127
  #size = 0

  get size(): number {
    return this.#size
  }

  clear(): void {
    if (this.#size === 0) return
    this.#size = 0
    this.#mask = 127
    this.#buckets.fill(0, 0, 128)
  }

  has(high: number, low: number): boolean {
    return this.#buckets[this.#bucketOf(high, low)] !== 0
  }

  /** False where it has it already. */
  add(high: number, low: number): boolean {
    const bucket = this.#bucketOf(high, low)
    if (this.#buckets[bucket] !== 0) return false
    if (2 * this.#size === this.#ids.length) {
      const ids = new Uint32Array(2 * this.#ids.length)
      ids.set(this.#ids)
      this.#ids = ids
    }
    this.#ids[2 * this.#size] = high
    this.#ids[2 * this.#size + 1] = low
    this.#buckets[bucket] = ++this.#size
    if (2 * this.#size > this.#mask) this.#rehash()
    return true
  }

  #rehash(): void {
    const length = 2 * (this.#mask + 1)
    if (this.#buckets.length < length) this.#buckets = new Int32Array(length)
    else this.#buckets.fill(0, 0, length)
    this.#mask = length - 1
    for (let at = 0; at < this.#size; at++) {
      const bucket = this.#bucketOf(this.#ids[2 * at] as number, this.#ids[2 * at + 1] as number)
      this.#buckets[bucket] = at + 1
    }
  }

  /** The bucket that holds the id, else the free one where it belongs. */
  #bucketOf(high: number, low: number): number {
    const mixed = Math.imul(high ^ Math.imul(low, 0x9e3779b1), 0x85ebca6b)
    let bucket = (mixed ^ (mixed >>> 13)) & this.#mask
    for (;;) {
      const held = (this.#buckets[bucket] as number) - 1
      if (held < 0) return bucket
      if (this.#ids[2 * held + 1] === low && this.#ids[2 * held] === high) return bucket
      bucket = (bucket + 1) & this.#mask
    }
  }
}
