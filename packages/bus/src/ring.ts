// Hot file: no object or closure a record.

/**
 * The tail of a log in memory. A commit is composed here at file layout, written to the file from
 * here, and read from here until the ring has come round:
 *
 *            size ┌───────────────┬─────────────┬────────────────────┐
 *                 │ newer commits │   (free)    │ older, still live  │
 *                 └───────────────┴─────────────┴────────────────────┘
 *                                 ▲ end mod size
 *
 * Places are counted on without end, so that "still here" is one comparison. A commit that does not
 * fit before the end of the memory begins at its start again.
 */
export class Ring {
  /** Indexed by `indexOf(place)`. */
  readonly memory: Buffer
  readonly #base: number
  readonly #size: number
  #end = 0

  /** `memory` has `size` bytes after `base`; both lengths whole blocks, so that commits stay aligned. */
  constructor(memory: Buffer, base: number, size: number) {
    this.memory = memory
    this.#base = base
    this.#size = size
  }

  /** For other threads. The memory is shared so that they can copy records out of it by themselves. */
  get shared(): {
    readonly memory: SharedArrayBuffer
    readonly base: number
    readonly size: number
  } {
    const memory = this.memory.buffer as SharedArrayBuffer
    return { memory, base: this.#base, size: this.#size }
  }

  /** Places before it are taken. */
  get end(): number {
    return this.#end
  }

  /** Takes the next `bytes` in one piece, over what is oldest, and returns their place. */
  reserve(bytes: number): number {
    const rest = this.#size - (this.#end % this.#size)
    const place = bytes <= rest ? this.#end : this.#end + rest
    this.#end = place + bytes
    return place
  }

  /** Whether the next `bytes` leave what begins at `place` untouched. */
  sparesFrom(place: number, bytes: number): boolean {
    const rest = this.#size - (this.#end % this.#size)
    const next = bytes <= rest ? this.#end : this.#end + rest
    return next + bytes <= place + this.#size
  }

  indexOf(place: number): number {
    return this.#base + (place % this.#size)
  }

  isLive(place: number): boolean {
    return place >= 0 && place >= this.#end - this.#size
  }
}
