import type { Lease } from '@winnow/bus'
import type { CountingState } from '@winnow/model'
import { PipelineError, type StageClock } from '@winnow/runtime'
import { commitPosition, noteOf } from './position.ts'

/**
 * What a fold knows of whether its partition is still its own. A process that slept (a suspended
 * machine, a long pause) may wake up as a former owner, and hear of it only later.
 */
export class Ownership {
  readonly #lease: Lease
  readonly #clock: StageClock
  readonly #stallMaxMs: number
  #answeredAtMs: number
  /** Everything before it is written; `state` is what counts from there on. */
  #position: { readonly offset: number; readonly state: CountingState } | undefined
  #isUnanswered = false

  constructor(lease: Lease, clock: StageClock, stallMaxMs: number) {
    this.#lease = lease
    this.#clock = clock
    this.#stallMaxMs = stallMaxMs
    this.#answeredAtMs = clock.nowMs()
  }

  /** Where the fold begins, before it has committed anything. */
  beginAt(offset: number, state: CountingState): void {
    this.#position = { offset, state }
  }

  /** The bus has answered this fold. */
  heard(): void {
    this.#answeredAtMs = this.#clock.nowMs()
  }

  async commit(offset: number, state: CountingState): Promise<void> {
    this.#isUnanswered = !(await commitPosition(this.#lease, offset, state))
    this.#position = { offset, state }
  }

  /** Repeats a commit that had no answer: at the end of the log no other one would follow it. */
  async commitUnanswered(): Promise<void> {
    if (this.#isUnanswered && this.#position !== undefined) {
      await this.commit(this.#position.offset, this.#position.state)
    }
  }

  /**
   * To be asked before each put. After `stallMaxMs` without an answer of the bus it repeats the last
   * commit unchanged: false where that is refused. Rejects with BUS_UNAVAILABLE: neither yes nor no.
   */
  async isOurs(): Promise<boolean> {
    const isStalled = this.#clock.nowMs() - this.#answeredAtMs > this.#stallMaxMs
    if (!isStalled || this.#position === undefined) return true
    const { offset, state } = this.#position
    try {
      await this.#lease.commit({ offset, note: noteOf(state) })
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'STALE_OWNER') return false
      throw error
    }
    this.heard()
    return true
  }
}
