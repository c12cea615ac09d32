import { tooLate } from './deadline.ts'

/** A request whose spans are on their way to the bus. */
export class Pending {
  readonly durable: Promise<void>
  /** The request's bytes are no longer looked at. */
  readonly composed: () => void
  /** Nothing of it is in memory any more. */
  readonly settled: () => void
  readonly #marks: Uint8Array
  readonly #resolve: () => void
  readonly #reject: (error: unknown) => void
  readonly #timer: NodeJS.Timeout
  #left = 0

  /** `marks`: 1 for each partition that has spans of the request. `onLate` is told when the wait is over. */
  constructor(
    memory: { readonly composed: () => void; readonly settled: () => void },
    marks: Uint8Array,
    waitMs: number,
    onLate: () => void,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.durable = promise
    this.composed = memory.composed
    this.settled = memory.settled
    this.#marks = marks
    this.#resolve = resolve
    this.#reject = reject
    for (const mark of marks) this.#left += mark
    this.#timer = setTimeout(() => {
      this.fail(tooLate(waitMs))
      onLate()
    }, waitMs)
  }

  landed(partition: number): void {
    if (this.#marks[partition] !== 1) return
    this.#left--
    if (this.#left > 0) return
    clearTimeout(this.#timer)
    this.#resolve()
  }

  failed(partition: number, error: unknown): void {
    if (this.#marks[partition] === 1) this.fail(error)
  }

  fail(error: unknown): void {
    clearTimeout(this.#timer)
    this.#reject(error)
  }
}
