import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus, Membership } from '@winnow/bus'
import type { ColdHashers } from '@winnow/privacy'
import type { Clock, Component, Log, Metrics } from '@winnow/runtime'
import type { BlobStore, HotStore } from '@winnow/storage'
import type { WriterConfig } from './config.ts'
import { runHotGroup } from './hot-group.ts'
import { runSegmentGroup } from './segment-group.ts'
import { SliceReader } from './slice-reader.ts'

export interface WriterOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly decisions: string }
  readonly hot: HotStore
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  readonly config: WriterConfig
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/**
 * Folds `decisions` in two groups, so that an outage of one store never lets bodies expire for the
 * other, and writes what is kept to the hot store and to segments.
 */
export class Writer implements Component {
  readonly #options: WriterOptions
  readonly #failure = Promise.withResolvers<never>()
  readonly #stop = new AbortController()
  #memberships: Membership[] = []
  #expiry: Promise<void> | undefined

  constructor(options: WriterOptions) {
    this.#options = options
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when a group cannot go on: the process has to end. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  async start(): Promise<void> {
    const { bus, topics, config } = this.#options
    const slices = new SliceReader(bus, topics.spans, config.recordCache)
    const shared = { ...this.#options, slices, stopping: () => this.#stop.signal.aborted }
    this.#memberships = [
      bus.join(topics.decisions, 'writer-hot', lease => runHotGroup(lease, shared)),
      bus.join(topics.decisions, 'writer-segments', lease =>
        runSegmentGroup(lease, { ...shared, decisions: topics.decisions }),
      ),
    ]
    for (const membership of this.#memberships) membership.failed.catch(this.#failure.reject)
    this.#expiry = this.#expire().catch(this.#failure.reject)
  }

  /** What is gathered and not written yet is read again by whoever comes next. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#memberships.map(membership => membership.close()))
    this.#memberships = []
    await this.#expiry
  }

  async #expire(): Promise<void> {
    const { hot, clock, config, log } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await hot.expire(clock.nowMs())
      } catch (error) {
        // Expiry that fails now is done the next time; nothing else waits for it.
        log.error('writer.expiry_failed', error)
      }
      await sleep(config.expireEvery, undefined, { signal }).catch(() => {})
    }
  }
}
