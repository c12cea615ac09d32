import { type Clock, PipelineError } from '@winnow/runtime'

/** Far from the limit the free space is looked at only now and then, and no commit waits for it. */
const farBytes = 256 << 20
const lookMs = 1000

/**
 * Refuses what would leave less than `freeBytesMin` on the disk. What is written by others shows
 * within `lookMs`; close to the limit every commit looks first.
 */
export class DiskGuard {
  readonly #folder: string
  readonly #freeBytesMin: number
  readonly #clock: Clock
  readonly #freeBytes: (folder: string) => Promise<number>
  /** What may still be written, as far as known. */
  #budget = 0
  #lookedAtMs = Number.NEGATIVE_INFINITY
  #isLooking = false

  constructor(
    folder: string,
    freeBytesMin: number,
    clock: Clock,
    freeBytes: (folder: string) => Promise<number>,
  ) {
    this.#folder = folder
    this.#freeBytesMin = freeBytesMin
    this.#clock = clock
    this.#freeBytes = freeBytes
  }

  /** Rejects with QUOTA_EXCEEDED; undefined where there is plenty, so that nobody waits for nothing. */
  take(bytes: number): Promise<void> | undefined {
    if (this.#budget - bytes < farBytes) return this.#lookAndTake(bytes)
    this.#budget -= bytes
    if (this.#clock.nowMs() - this.#lookedAtMs >= lookMs && !this.#isLooking) {
      // What a look in passing cannot tell, the next one will: close to the limit it is not in passing.
      this.#look().catch(() => {
        this.#budget = 0
      })
    }
    return undefined
  }

  async #lookAndTake(bytes: number): Promise<void> {
    await this.#look()
    if (this.#budget < bytes) {
      throw new PipelineError(
        'QUOTA_EXCEEDED',
        `${this.#folder} has ${this.#budget + this.#freeBytesMin} bytes free and freeBytesMin is ` +
          `${this.#freeBytesMin}; free some, or shorten retention`,
      )
    }
    this.#budget -= bytes
  }

  async #look(): Promise<void> {
    this.#isLooking = true
    try {
      this.#budget = (await this.#freeBytes(this.#folder)) - this.#freeBytesMin
      this.#lookedAtMs = this.#clock.nowMs()
    } finally {
      this.#isLooking = false
    }
  }
}
