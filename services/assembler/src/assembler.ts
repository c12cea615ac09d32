import { type Bus, type Membership, partitionOfHex } from '@winnow/bus'
import type { Component, Log, Metrics, StageClock } from '@winnow/runtime'
import type { TraceBuffer } from '@winnow/storage'
import { type AssemblerConfig, stopWaitMs } from './config.ts'
import type { PendingTrace } from './partition-fold.ts'
import { PartitionLoop } from './partition-loop.ts'
import type { SliceReader } from './read-slices.ts'
import type { Shared } from './shared.ts'
import { TurnPace } from './turn-pace.ts'

export interface AssemblerOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string }
  readonly group?: string
  readonly config: AssemblerConfig
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  /** Reads the slices of one record of `spans`; injected so that the loop is tested apart from bytes. */
  readonly readSlices: SliceReader
  /** Holds records and checkpoints of open traces. Without it a start reads again what is not committed. */
  readonly buffer?: TraceBuffer
}

/** Folds `spans` into summaries on `evidence`. Zombies and replays are harmless: summaries are sets. */
export class Assembler implements Component {
  readonly #shared: Shared
  /** By partition. */
  readonly #loops = new Map<number, PartitionLoop>()
  readonly #running = new Set<Promise<void>>()
  readonly #failure = Promise.withResolvers<never>()
  #membership: Membership | undefined
  #partitions = 1
  #isStopping = false

  constructor(options: AssemblerOptions) {
    this.#failure.promise.catch(() => {})
    const assembler = this
    this.#shared = {
      ...options,
      group: options.group ?? 'assembler',
      buffer: options.buffer,
      pace: new TurnPace(options.clock),
      get isStopping() {
        return assembler.#isStopping
      },
    }
  }

  /** Rejects when the stage cannot go on: the process has to end. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  async start(): Promise<void> {
    const { bus, topics, group } = this.#shared
    this.#isStopping = false
    this.#partitions = await bus.partitionCount(topics.spans)
    this.#membership = bus.join(topics.spans, group, async lease => {
      const loop = new PartitionLoop(this.#shared, lease)
      const running = loop.run()
      this.#loops.set(lease.partition, loop)
      this.#running.add(running)
      await running.finally(() => {
        this.#running.delete(running)
        if (this.#loops.get(lease.partition) === loop) this.#loops.delete(lease.partition)
      })
    })
    this.#membership.failed.catch(this.#failure.reject)
  }

  /** Open traces stay open: what is committed lies behind them, and whoever comes next has them again. */
  async stop(): Promise<void> {
    const { clock } = this.#shared
    this.#isStopping = true
    // Loops end by themselves, with their last commit and checkpoint, while the leases are still theirs;
    // one that waits for a broker that does not answer is told to give up.
    const ended = new AbortController()
    const loops = Promise.allSettled(this.#running).then(() => ended.abort())
    await Promise.race([loops, clock.sleep(stopWaitMs, ended.signal)])
    await this.#membership?.close()
    this.#membership = undefined
  }

  get openTraces(): number {
    let count = 0
    for (const { fold } of this.#loops.values()) count += fold.openCount
    return count
  }

  /** The next offset of `spans` that is not folded yet; undefined where the partition is not held here, or not yet. */
  position(partition: number): number | undefined {
    return this.#loops.get(partition)?.position
  }

  /** Undefined: not open here. Where several processes assemble, that says nothing. */
  pending(tenant: string, traceId: string): PendingTrace | undefined {
    const loop = this.#loops.get(partitionOfHex(traceId, this.#partitions))
    return loop?.fold.find(tenant, traceId)
  }
}
