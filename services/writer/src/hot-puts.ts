import type { StageClock } from '@winnow/runtime'
import type { HotStore, HotTrace } from '@winnow/storage'

/**
 * How long a put waits for those of other partitions: each transaction is two syncs of its own, and writes
 * every page again that the one before had begun.
 */
export const hotGatherMs = 100

/** Traces that are put without waiting for more: a partition that catches up is not held up. */
export const hotGatherTraces = 64

interface Waiting {
  readonly traces: readonly HotTrace[]
  readonly answer: PromiseWithResolvers<void>
}

/** Puts of all partitions of one writer, a few times a second instead of one by one. */
export class HotPuts {
  readonly #hot: HotStore
  readonly #clock: StageClock
  readonly #bytesMax: number
  #waiting: Waiting[] = []
  #bytes = 0
  #traces = 0
  #gathered: AbortController | undefined

  /** Bodies of `bytesMax` together are put without waiting for more. */
  constructor(hot: HotStore, clock: StageClock, bytesMax: number) {
    this.#hot = hot
    this.#clock = clock
    this.#bytesMax = bytesMax
  }

  /** As `HotStore.put`. What one of them is refused, all are that came with it: each is to ask again. */
  put(traces: readonly HotTrace[]): Promise<void> {
    const answer = Promise.withResolvers<void>()
    this.#waiting.push({ traces, answer })
    this.#traces += traces.length
    for (const { bodies } of traces) for (const { bytes } of bodies) this.#bytes += bytes.length
    if (this.#gathered === undefined) {
      this.#gathered = new AbortController()
      void this.#putSoon(this.#gathered.signal)
    }
    const isFull = this.#bytes >= this.#bytesMax || this.#traces >= hotGatherTraces
    if (isFull) this.#gathered.abort()
    return answer.promise
  }

  async #putSoon(full: AbortSignal): Promise<void> {
    await this.#clock.sleep(hotGatherMs, full)
    const waiting = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    this.#traces = 0
    this.#gathered = undefined
    try {
      await this.#hot.put(waiting.flatMap(({ traces }) => traces))
      for (const { answer } of waiting) answer.resolve()
    } catch (error) {
      for (const { answer } of waiting) answer.reject(error)
    }
  }
}
