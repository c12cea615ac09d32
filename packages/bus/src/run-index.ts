// Hot file: typed arrays and indexed loops only.

/**
 * Where the records of one partition lie in one segment. A run is a stretch of neighbouring frames
 * of one partition within one commit, cut at `runBytesMax`, so that a fetch reads at most that and
 * one record. 28 bytes a run, in arrays that double.
 */
export class RunIndex {
  #firsts = new Float64Array(4)
  #positions = new Uint32Array(4)
  #bytes = new Uint32Array(4)
  #ringAts = new Float64Array(4)
  #count = 0

  get count(): number {
    return this.#count
  }

  /** `ringAt`: the place in the ring (see Ring), or -1 when the run was never there. */
  push(first: number, position: number, bytes: number, ringAt: number): void {
    if (this.#count === this.#firsts.length) this.#grow()
    const at = this.#count++
    this.#firsts[at] = first
    this.#positions[at] = position
    this.#bytes[at] = bytes
    this.#ringAts[at] = ringAt
  }

  /** The last run that begins at or before `offset`; -1 when none does. */
  find(offset: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#firsts[middle] as number) <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  firstOf(run: number): number {
    return this.#firsts[run] as number
  }

  positionOf(run: number): number {
    return this.#positions[run] as number
  }

  bytesOf(run: number): number {
    return this.#bytes[run] as number
  }

  ringAtOf(run: number): number {
    return this.#ringAts[run] as number
  }

  #grow(): void {
    const length = 2 * this.#firsts.length
    this.#firsts = copied(this.#firsts, new Float64Array(length))
    this.#positions = copied(this.#positions, new Uint32Array(length))
    this.#bytes = copied(this.#bytes, new Uint32Array(length))
    this.#ringAts = copied(this.#ringAts, new Float64Array(length))
  }
}

export const runBytesMax = 64 * 1024

function copied<Values extends Float64Array | Uint32Array>(from: Values, to: Values): Values {
  to.set(from)
  return to
}
