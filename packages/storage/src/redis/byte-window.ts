import type { Clock } from '@winnow/runtime'

const panes = 32

/** Bytes added within the last `lifeMs`, and up to a pane, a thirty-second of it, more. */
export class ByteWindow {
  readonly #clock: Clock
  readonly #paneMs: number
  /** One more than a life, so that what is counted has all been there for as long as it lives. */
  readonly #bytes = new Float64Array(panes + 1)
  #pane = 0
  #sum = 0

  constructor(clock: Clock, lifeMs: number) {
    this.#clock = clock
    this.#paneMs = Math.max(1, lifeMs / panes)
    this.#pane = this.#now()
  }

  get bytes(): number {
    this.#move()
    return this.#sum
  }

  add(bytes: number): void {
    this.#move()
    const at = this.#pane % this.#bytes.length
    this.#bytes[at] = (this.#bytes[at] as number) + bytes
    this.#sum += bytes
  }

  #move(): void {
    const now = this.#now()
    // A clock that was set back a little adds to the pane it has; one that was set back by a life knows nothing.
    const passed =
      now < this.#pane - panes ? this.#bytes.length : Math.min(now - this.#pane, this.#bytes.length)
    for (let step = 1; step <= passed; step++) {
      const at = (this.#pane + step) % this.#bytes.length
      this.#sum -= this.#bytes[at] as number
      this.#bytes[at] = 0
    }
    if (passed > 0) this.#pane = now
  }

  #now(): number {
    return Math.floor(this.#clock.nowMs() / this.#paneMs)
  }
}
