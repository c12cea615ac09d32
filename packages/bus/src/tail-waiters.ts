import { movedInt } from './tail-index.ts'
import type { TailReader } from './tail-reader.ts'
import { timerMaxMs } from './waiters.ts'

interface Waiting {
  readonly partition: number
  /** What it found. */
  readonly end: number
  /** Commits that had got their times when it began to wait. */
  readonly stamped: number
  readonly resolve: () => void
  isTimeOver: boolean
}

/**
 * Who waits in this thread for the end of a partition that another thread moves. All wait as one for
 * the memory of the tail to say that something moved: one wake a commit, whatever their number, and
 * nothing at all while nobody waits.
 */
export class TailWaiters {
  readonly #tail: TailReader
  readonly #waiting = new Set<Waiting>()
  #isWatching = false

  constructor(tail: TailReader) {
    this.#tail = tail
  }

  /**
   * Resolves once the end of the partition is no longer `end`, once `lost` aborts, or after `waitMs`;
   * then not before what had been stamped when it was called is durable or given up: who is told
   * "nothing more" may take it that nothing comes that was stamped before it asked.
   */
  wait(
    partition: number,
    end: number,
    waitMs: number,
    lost: AbortSignal | undefined,
  ): Promise<void> {
    if (lost?.aborted === true) return Promise.resolve()
    const stamped = this.#tail.stamped()
    return new Promise(done => {
      const resolve = (): void => {
        clearTimeout(timer)
        lost?.removeEventListener('abort', resolve)
        this.#waiting.delete(waiting)
        done()
      }
      const waiting: Waiting = { partition, end, stamped, resolve, isTimeOver: waitMs <= 0 }
      const timer = setTimeout(
        () => {
          waiting.isTimeOver = true
          this.#look()
        },
        Math.min(waitMs, timerMaxMs),
      )
      lost?.addEventListener('abort', resolve)
      this.#waiting.add(waiting)
      this.#watch()
    })
  }

  /** Lets everybody go. */
  close(): void {
    for (const { resolve } of this.#waiting) resolve()
  }

  #watch(): void {
    while (!this.#isWatching && this.#waiting.size > 0) {
      const moved = this.#tail.moved()
      // What moved before that number was read is found by looking; what moves after it wakes.
      this.#look()
      if (this.#waiting.size === 0) return
      const { async, value } = Atomics.waitAsync(this.#tail.ints, movedInt, moved)
      if (!async) continue
      this.#isWatching = true
      void value.then(() => {
        this.#isWatching = false
        this.#watch()
      })
    }
  }

  #look(): void {
    for (const waiting of this.#waiting) {
      const { partition, end, stamped, isTimeOver, resolve } = waiting
      const isDone = this.#tail.bounds(partition)?.end !== end
      if (isDone || (isTimeOver && this.#tail.hasSettled(stamped))) resolve()
    }
  }
}
