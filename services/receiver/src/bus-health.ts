import type { Clock, HealthPart } from '@winnow/runtime'

/**
 * A receiver whose appends fail is not ready. It says so for this long after the last failure: a
 * balancer that has taken it out sends nothing, and without traffic nothing could ever succeed again.
 */
export const unreadyMs = 10_000

/** What the last append says of the bus. */
export class BusHealth {
  readonly #clock: Clock
  #failedAtMs: number | undefined
  #reason = ''

  constructor(clock: Clock) {
    this.#clock = clock
  }

  succeeded(): void {
    this.#failedAtMs = undefined
  }

  failed(error: unknown): void {
    this.#failedAtMs = this.#clock.nowMs()
    this.#reason = error instanceof Error ? error.message : String(error)
  }

  read(): HealthPart {
    const isFailing =
      this.#failedAtMs !== undefined && this.#clock.nowMs() < this.#failedAtMs + unreadyMs
    return isFailing
      ? { ready: false, detail: `the last append failed: ${this.#reason}` }
      : { ready: true }
  }
}
