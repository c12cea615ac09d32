import type { Bus, Lease, Membership } from '@winnow/bus'
import type { ColdHashers } from '@winnow/privacy'
import { type Component, Gate, type Log, type Metrics, type StageClock } from '@winnow/runtime'
import type { BlobStore, HotStore, TraceBuffer } from '@winnow/storage'
import { Abreast } from './abreast.ts'
import { ChainReader } from './chain.ts'
import { flushesMax, parsedBytesMax, stopWaitMs, type WriterConfig } from './config.ts'
import { RecordParser } from './decisions-reader.ts'
import { Eraser } from './erase/eraser.ts'
import type { Erasures } from './erase/erasures.ts'
import { Gathered } from './gathered.ts'
import { runHotGroup } from './hot-group.ts'
import { HotPuts } from './hot-puts.ts'
import { IdIndexer } from './id-index.ts'
import { KeptReader } from './kept-reader.ts'
import { untilDone } from './retry.ts'
import { runSegmentGroup } from './segment-group.ts'
import { SliceReader } from './slice-reader.ts'
import { sweepExpired } from './sweeper.ts'

export interface WriterOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly decisions: string }
  readonly hot: HotStore
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  /** Asked for bodies before the bus. */
  readonly buffer?: TraceBuffer
  /** What is erased here, and must not come back; without it nothing is. */
  readonly erasure?: WriterErasure
  readonly config: WriterConfig
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
}

export interface WriterErasure {
  readonly erasures: Erasures
  /** Full topic names. */
  readonly topics: { readonly evidence: string; readonly control: string }
  readonly retentionMs: Readonly<Record<'spans' | 'evidence' | 'decisions', number>>
  /** How long the trace buffer holds a record; 0 without one. */
  readonly bufferLifeMs: number
  /** Check value of a tenant's key of tokens, as this process was given it. */
  readonly tokenKeyCheck?: (tenant: string) => Promise<string | undefined>
  /** By then every process has heard of what is blocked, and has put what it had in hand. */
  readonly settleMs: number
}

/** The groups that fold `decisions`, each with its own positions. */
export const hotGroup = 'writer-hot'
export const segmentsGroup = 'writer-segments'

/**
 * Folds `decisions` in two groups, so that an outage of one store never lets bodies expire for the
 * other, and writes what is kept to the hot store and to segments. Starts once.
 */
export class Writer implements Component {
  readonly #options: WriterOptions
  readonly #failure = Promise.withResolvers<never>()
  readonly #stop = new AbortController()
  readonly #folds = new Set<Promise<void>>()
  readonly #memberships: Membership[] = []
  readonly #ids: IdIndexer
  #expiry: Promise<void> | undefined
  #following: Promise<void> | undefined

  constructor(options: WriterOptions) {
    this.#options = options
    const { blobs, log, metrics } = options
    this.#ids = new IdIndexer({ blobs, ended: this.#stop.signal, log, metrics })
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when a group cannot go on: the process has to end. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  async start(): Promise<void> {
    const { bus, topics, buffer, config, log } = this.#options
    const slices = new SliceReader(bus, topics.spans, buffer)
    const erasures = this.#options.erasure?.erasures
    // Before anything is read: what is erased must not come back with the first record.
    await untilDone(
      this.#stop.signal,
      0,
      this.#options.clock,
      async () => {
        await erasures?.readToEnd()
        return true
      },
      error => log.error('writer.erasures_read_failed', error),
    )
    this.#following = erasures?.follow(this.#stop.signal).catch(this.#failure.reject)
    const abreast = new Abreast(this.#options.clock)
    const shared = {
      ...this.#options,
      abreast,
      decisions: topics.decisions,
      kept: new KeptReader(slices, abreast.shelf(config.keptCache), log),
      hotPuts: new HotPuts(this.#options.hot, this.#options.clock, config.hotBatchBytes),
      chains: new ChainReader(bus, topics.decisions, log),
      parser: new RecordParser(abreast.shelf(parsedBytesMax)),
      gathered: new Gathered(config.gatheredBytes),
      flushes: new Gate(flushesMax),
      ids: this.#ids,
      erasures,
      stopping: this.#stop.signal,
    }
    this.#join(hotGroup, lease => runHotGroup(lease, shared))
    this.#join(segmentsGroup, async lease => {
      await Promise.all([runSegmentGroup(lease, shared), this.#erase(lease)])
    })
    this.#expiry = this.#expire().catch(this.#failure.reject)
  }

  /**
   * The hot group commits what it has put. What the segments have gathered and not written is read
   * again by whoever comes next.
   */
  async stop(): Promise<void> {
    this.#stop.abort()
    // Folds end by themselves while their leases still let them commit; a bus that is away is not waited for.
    const waited = new AbortController()
    await Promise.race([
      Promise.allSettled(this.#folds),
      this.#options.clock.sleep(stopWaitMs, waited.signal),
    ])
    waited.abort()
    await Promise.all(this.#memberships.map(membership => membership.close()))
    await this.#expiry
    await this.#following
    await this.#ids.idle()
  }

  /** One writer of all erases: who has the first partition. */
  async #erase(lease: Lease): Promise<void> {
    const { erasure, topics, clock, log } = this.#options
    if (erasure === undefined || lease.partition !== 0) return
    const eraser = new Eraser({
      ...this.#options,
      ...erasure,
      topics: { ...topics, ...erasure.topics },
      clock,
      log,
    })
    await eraser.run(AbortSignal.any([lease.lost, this.#stop.signal]))
  }

  #join(group: string, run: (lease: Lease) => Promise<void>): void {
    const { bus, topics } = this.#options
    const membership = bus.join(topics.decisions, group, async lease => {
      const fold = run(lease)
      this.#folds.add(fold)
      await fold.finally(() => this.#folds.delete(fold))
    })
    membership.failed.catch(this.#failure.reject)
    this.#memberships.push(membership)
  }

  async #expire(): Promise<void> {
    const { hot, blobs, clock, config, log, metrics } = this.#options
    const { signal } = this.#stop
    const life = { warm: config.warmLife, cold: config.coldLife, ledger: config.ledgerLife }
    while (!signal.aborted) {
      try {
        await hot.expire(clock.nowMs())
        await sweepExpired(blobs, life, clock.nowMs(), metrics)
      } catch (error) {
        // Expiry that fails now is done the next time; nothing else waits for it.
        log.error('writer.expiry_failed', error)
      }
      await clock.sleep(config.expireEvery, signal)
    }
  }
}
