export interface CircuitLimits {
  /** Failures in a row after which nobody asks for a while. */
  readonly failuresMax: number
  /** For how long; then one asks, and the others once it was answered. */
  readonly pauseMs: number
}

/**
 * Spares the waits for one who does not answer.
 *
 *     closed ──failuresMax in a row──▶ open ──pauseMs──▶ one tries ──answered──▶ closed
 *                                        ▲                   │
 *                                        └─────failed────────┘
 */
export class Circuit {
  readonly #limits: CircuitLimits
  readonly #nowMs: () => number
  #failures = 0
  #openUntilMs = 0
  #isTrying = false

  constructor(limits: CircuitLimits, nowMs: () => number) {
    this.#limits = limits
    this.#nowMs = nowMs
  }

  get isOpen(): boolean {
    return this.#failures >= this.#limits.failuresMax
  }

  /** False: whoever asked now would not be let through. */
  get isWorthWaiting(): boolean {
    return !this.isOpen || (!this.#isTrying && this.#nowMs() >= this.#openUntilMs)
  }

  /** True of an open one: the caller is the one who tries, and has to say how it ended. */
  mayAsk(): boolean {
    if (!this.isOpen) return true
    if (!this.isWorthWaiting) return false
    this.#isTrying = true
    return true
  }

  succeeded(): void {
    this.#failures = 0
    this.#isTrying = false
  }

  failed(): void {
    this.#failures++
    this.#isTrying = false
    if (this.isOpen) this.#openUntilMs = this.#nowMs() + this.#limits.pauseMs
  }

  /** It was given up before anybody could tell. */
  unknown(): void {
    this.#isTrying = false
  }
}
