import type { Bus } from '@winnow/bus'
import { isRetryable, type Log, PipelineError } from '@winnow/runtime'
import type { Baselines } from './baselines.ts'
import { lastBaselines, readBaselines } from './baselines-record.ts'

/** What of the process following needs. */
export interface FollowContext {
  readonly bus: Bus
  /** Full name of `baselines`. */
  readonly topic: string
  readonly baselines: Baselines
  readonly log: Log
}

/**
 * Takes over, again and again, what the owners of other partitions wrote, so that every sampler judges
 * by the traffic of the fleet. A process that holds all partitions reads nothing.
 */
export class BaselinesFollower {
  readonly #context: FollowContext
  /** By partition, the next offset to read; those held here have none. */
  readonly #next = new Map<number, number>()
  #isFollowing = false

  constructor(context: FollowContext) {
    this.#context = context
  }

  /** One look at every partition that is another's; a second call meanwhile does nothing. */
  async follow(): Promise<void> {
    if (this.#isFollowing) return
    this.#isFollowing = true
    const { bus, topic, baselines, log } = this.#context
    try {
      const count = await bus.partitionCount(topic)
      // One after another: records of some megabytes are parsed on the thread that decides.
      for (let partition = 0; partition < count; partition++) {
        if (baselines.isHeld(partition)) this.#next.delete(partition)
        else await this.#look(partition)
      }
    } catch (error) {
      // The bars of the last look serve until the next one.
      if (!isRetryable(error)) throw error
      log.error('sampler.baselines_not_followed', error)
    } finally {
      this.#isFollowing = false
    }
  }

  async #look(partition: number): Promise<void> {
    const { bus, topic, baselines } = this.#context
    const from = this.#next.get(partition)
    try {
      const { entries, next } =
        from === undefined
          ? await lastBaselines(bus, topic, partition)
          : await readBaselines(bus, topic, partition, from, 0)
      // It may have been given to this process meanwhile: then `follow` leaves it alone.
      if (entries !== undefined) baselines.follow(partition, entries)
      this.#next.set(partition, next)
    } catch (error) {
      const isAhead = error instanceof PipelineError && error.code === 'OFFSET_AHEAD'
      if (!isAhead) throw error
      // Another log under the same name: it is read from its last record, as at the start.
      this.#next.delete(partition)
    }
  }
}
