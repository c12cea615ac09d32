/**
 * Memory that goes back to its pool once the last who holds it has let go. Who never lets go does no harm:
 * then the collector takes it.
 */
export class HeldMemory {
  /** At least as long as was asked for; what was there before is still in it. */
  readonly bytes: Buffer
  readonly #giveBack: (bytes: Buffer) => void
  #holders = 1

  constructor(bytes: Buffer, giveBack: (bytes: Buffer) => void) {
    this.bytes = bytes
    this.#giveBack = giveBack
  }

  hold(): void {
    if (this.#holders === 0) throw new TypeError('memory that was let go is held again')
    this.#holders++
  }

  /** Whoever calls this has no view of it left. */
  release(): void {
    if (this.#holders === 0) throw new TypeError('memory is let go more often than it is held')
    this.#holders--
    if (this.#holders === 0) this.#giveBack(this.bytes)
  }
}

/**
 * Memory outside of the heap, used again and again. V8 collects its whole heap for every 64 MiB of such
 * memory that it sees come: taken anew for every batch or record that cost more than all that is done with
 * it. Pieces are powers of two, so that a few kinds serve all.
 */
export class MemoryPool {
  readonly #idleBytesMax: number
  readonly #idle = new Map<number, Buffer[]>()
  #idleBytes = 0

  /**
   * `idleBytesMax`: held for later. For what comes back beyond it pieces of other sizes are left to the
   * collector, which may be of a load that is over, and of its own size the piece itself.
   */
  constructor(idleBytesMax: number) {
    this.#idleBytesMax = idleBytesMax
  }

  get idleBytes(): number {
    return this.#idleBytes
  }

  take(bytes: number): HeldMemory {
    const size = Math.max(pieceBytesMin, 2 ** Math.ceil(Math.log2(bytes)))
    const idle = this.#idle.get(size)?.pop()
    if (idle !== undefined) this.#idleBytes -= size
    return new HeldMemory(idle ?? Buffer.allocUnsafeSlow(size), this.#giveBack)
  }

  readonly #giveBack = (bytes: Buffer): void => {
    const { length } = bytes
    const idle = this.#idle.get(length) ?? []
    if ((idle.length + 1) * length > this.#idleBytesMax) return
    while (this.#idleBytes + length > this.#idleBytesMax) this.#dropLargest(length)
    this.#idleBytes += length
    idle.push(bytes)
    this.#idle.set(length, idle)
  }

  /** Of the other sizes, so that the fewest pieces go. */
  #dropLargest(but: number): void {
    let largest = 0
    for (const [size, { length }] of this.#idle) {
      if (size !== but && length > 0) largest = Math.max(largest, size)
    }
    this.#idle.get(largest)?.pop()
    this.#idleBytes -= largest
  }
}

export const pieceBytesMin = 16 * 1024
