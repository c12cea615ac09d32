import type { Clock } from '@winnow/runtime'

export interface BreakerWaits {
  readonly minMs: number
  /** Each probe that fails doubles the wait, up to this one. */
  readonly maxMs: number
}

interface Broken {
  untilMs: number
  waitMs: number
  isProbing: boolean
}

/**
 * Circuit breakers by key, so that what does not answer costs its callers nothing until it may be asked
 * again: then one call goes through as the probe, and the others still do not.
 *
 *   closed ─ failed ─▶ open ─ after its wait, one call ─▶ probing ─ passed ─▶ closed
 *                       ▲                                    │
 *                       └─────────── failed, twice the wait ─┘
 */
export class Breakers {
  readonly #clock: Clock
  readonly #waits: BreakerWaits
  readonly #broken = new Map<number, Broken>()

  constructor(clock: Clock, waits: BreakerWaits) {
    this.#clock = clock
    this.#waits = waits
  }

  /** How many are not closed. */
  get open(): number {
    return this.#broken.size
  }

  mayTry(key: number): boolean {
    const broken = this.#broken.get(key)
    if (broken === undefined) return true
    const nowMs = this.#clock.nowMs()
    if (nowMs < broken.untilMs) return false
    broken.isProbing = true
    // Others wait for the probe; should nobody ever hear of it, there is another one after as long.
    broken.untilMs = nowMs + broken.waitMs
    return true
  }

  passed(key: number): void {
    // The answer to what was asked before it broke says nothing of now.
    if (this.#broken.get(key)?.isProbing) this.#broken.delete(key)
  }

  failed(key: number): void {
    const { minMs, maxMs } = this.#waits
    const broken = this.#broken.get(key)
    if (broken !== undefined && !broken.isProbing) return
    const waitMs = broken === undefined ? minMs : Math.min(broken.waitMs * 2, maxMs)
    const untilMs = this.#clock.nowMs() + waitMs
    this.#broken.set(key, { untilMs, waitMs, isProbing: false })
  }

  /** All are closed: whoever answers now is another one. */
  reset(): void {
    this.#broken.clear()
  }
}
