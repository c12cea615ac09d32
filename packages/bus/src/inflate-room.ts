interface Holder {
  bytes: number
}

/**
 * Memory for batches that are inflated and not yet done with, over all partitions of a source. What a
 * batch becomes is known only once it is inflated, so one at a time is: over the limit is at most the
 * last of them. Whoever waits holds nothing, and whoever holds waits for nothing here, so that it goes on.
 */
export class InflateRoom {
  readonly #bytesMax: number
  readonly #holders = new Map<object, Holder>()
  #bytes = 0
  #turn: Promise<unknown> = Promise.resolve()
  #freed: () => void = () => {}

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Once there is room. What comes out is held for `owner` until it is released. */
  inflate<T>(
    owner: object,
    work: () => Promise<T>,
    bytesOf: (result: T) => number,
    signal?: AbortSignal,
  ): Promise<T> {
    const mine = this.#turn
      .then(async () => {
        while (this.#bytes >= this.#bytesMax && signal?.aborted !== true) {
          await new Promise<void>(resolve => {
            this.#freed = resolve
            signal?.addEventListener('abort', () => resolve(), { once: true })
          })
        }
        return work()
      })
      .then(result => {
        this.#hold(owner, bytesOf(result))
        return result
      })
    this.#turn = mine.catch(() => {})
    return mine
  }

  release(owner: object): void {
    const holder = this.#holders.get(owner)
    if (holder === undefined) return
    this.#holders.delete(owner)
    this.#bytes -= holder.bytes
    this.#freed()
  }

  #hold(owner: object, bytes: number): void {
    const holder = this.#holders.get(owner) ?? { bytes: 0 }
    this.#holders.set(owner, holder)
    holder.bytes += bytes
    this.#bytes += bytes
  }
}
