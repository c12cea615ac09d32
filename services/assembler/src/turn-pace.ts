import type { StageClock } from '@winnow/runtime'
import { turnBytesMax } from './config.ts'

/**
 * What the loops of one assembler do between two turns of the event loop, together: what they read lies
 * in memory as a rule, and a backlog of all partitions would else be one long turn, in which nobody's
 * request is answered.
 */
export class TurnPace {
  readonly #clock: StageClock
  #bytes = 0
  #resting: Promise<void> | undefined

  constructor(clock: StageClock) {
    this.#clock = clock
  }

  /** To be waited for before more is done; undefined where there is nothing to wait for. */
  get resting(): Promise<void> | undefined {
    return this.#resting
  }

  /** So many bytes of records were folded. */
  did(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < turnBytesMax || this.#resting !== undefined) return
    this.#resting = this.#clock.sleep(0).finally(() => {
      this.#bytes = 0
      this.#resting = undefined
    })
  }
}
