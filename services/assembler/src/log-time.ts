/** A jump of the log over this is applied as this, and counted: one bad clock must not close every trace. */
export const jumpMaxMs = 60_000

/** All that a log time remembers; `stampMs` is null before the first record. */
export interface LogTimeState {
  readonly effectiveMs: number
  readonly stampMs: number | null
}

/**
 * The log's own time, as a fold of append timestamps: it never runs backwards, and neither a jump nor
 * a step back of the clock that stamped the records moves it by more than {@link jumpMaxMs}.
 *
 *   stamps     0 ── 5 ─────────── (1 h) ──────────── 3605 ── 3606
 *   effective  0 ── 5 ── 65 ── 66          the 59 min in between are skipped for good
 */
export class LogTime {
  #effectiveMs: number
  #stampMs: number
  jumps = 0

  constructor(state: LogTimeState = { effectiveMs: 0, stampMs: null }) {
    this.#effectiveMs = state.effectiveMs
    this.#stampMs = state.stampMs ?? Number.NaN
  }

  get state(): LogTimeState {
    const stampMs = Number.isNaN(this.#stampMs) ? null : this.#stampMs
    return { effectiveMs: this.#effectiveMs, stampMs }
  }

  /** Milliseconds on a scale of its own; only differences mean something. */
  get nowMs(): number {
    return this.#effectiveMs
  }

  /** Greatest append timestamp since the last step back; for people, not for the fold. */
  get stampMs(): number {
    return Number.isNaN(this.#stampMs) ? 0 : this.#stampMs
  }

  /** The same stamp once more changes nothing. */
  apply(appendedAtMs: number): void {
    const delta = Number.isNaN(this.#stampMs) ? 0 : appendedAtMs - this.#stampMs
    if (Math.abs(delta) > jumpMaxMs) this.jumps++
    this.#effectiveMs += Math.min(Math.max(delta, 0), jumpMaxMs)
    // A small step back is disorder between brokers; a large one is a clock set right again.
    if (delta >= 0 || delta < -jumpMaxMs || Number.isNaN(this.#stampMs))
      this.#stampMs = appendedAtMs
  }

  /** What the log's time would be now if a record came with the wall clock's stamp. For the end of the log only. */
  atWall(wallMs: number): number {
    return this.#effectiveMs + Math.max(wallMs - this.stampMs, 0)
  }
}
