import { randomInt } from 'node:crypto'
import { type Bus, type BusRecord, partitionOfHex, reusedMemory } from '@winnow/bus'
import {
  type CountingState,
  countingStart,
  countRecord,
  type Decision,
  parseDecision,
} from '@winnow/model'
import { type Component, isRetryable, type Log, type StageClock } from '@winnow/runtime'
import { clockSlackMs, readBytesMax, tailWaitMs } from './config.ts'
import { countingFrom, type DecisionItem, decisionItem } from './decision-item.ts'
import { DecisionTable, type FoldEntry } from './decision-table.ts'

export interface FoldOptions {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly topic: string
  /** What the last decisions may take in memory; older ones are forgotten. */
  readonly bytesMax: number
  readonly clock: StageClock
  readonly log: Log
  /** Is given what was parsed, whether it counts or not, in order. */
  readonly onRead?: (partition: number, item: DecisionItem) => void
}

/**
 * The retained part of `decisions`, folded: which records count, and where the last one of every trace
 * lies. Every reader of the log comes to the same answer, because nothing else enters.
 */
export class DecisionFold implements Component {
  readonly #options: FoldOptions
  readonly #table: DecisionTable
  readonly #tails: Promise<void>[] = []
  readonly #stop = new AbortController()
  /** By partition, when it was last found read to its end; 0: never. */
  readonly #endSeenAtMs: number[] = []
  /** Partitions whose last read failed. */
  readonly #unreadable = new Set<number>()
  #partitions = 1
  #stampMs = 0

  constructor(options: FoldOptions) {
    this.#options = options
    this.#table = new DecisionTable(options.bytesMax, randomInt(2 ** 32))
  }

  /** Resolves once everything that was in the log at the call has been folded. */
  async start(): Promise<void> {
    const { bus, topic } = this.#options
    this.#partitions = await bus.partitionCount(topic)
    const caughtUp: Promise<void>[] = []
    for (let partition = 0; partition < this.#partitions; partition++) {
      const { first, end } = await bus.bounds(topic, partition)
      const ready = Promise.withResolvers<void>()
      this.#endSeenAtMs[partition] = 0
      caughtUp.push(ready.promise)
      const tail = this.#tail(partition, first, end, ready.resolve)
      this.#tails.push(tail)
      tail.catch(ready.reject)
    }
    await Promise.all(caughtUp)
    // From now on nobody waits: what ends a tail ends the process.
    for (const tail of this.#tails) {
      tail.catch((error: unknown) => {
        throw error
      })
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#tails)
  }

  /**
   * The time against which retention is judged: the greatest append timestamp seen. Once the log was read
   * to its end the wall clock, less {@link clockSlackMs}, moves it too, or else nothing would ever expire in
   * a pipeline that is idle; a backlog never does.
   */
  get logTimeMs(): number {
    return Math.max(this.#stampMs, Math.min(...this.#endSeenAtMs) - clockSlackMs)
  }

  /** The log can be read: false while a partition's last read has failed. */
  get isReadable(): boolean {
    return this.#unreadable.size === 0
  }

  /** Traces that were pushed out by `bytesMax`. */
  get forgotten(): number {
    return this.#table.forgotten
  }

  /** Those of one tenant: how many others have is not its to know. */
  forgottenOf(tenant: string): number {
    return this.#table.forgottenOf(tenant)
  }

  /** The last counting decision of a trace, from the log. Undefined: none in what is remembered. */
  async latest(tenant: string, traceId: string): Promise<Decision | undefined> {
    const entry = this.#table.find(tenant, traceId)
    if (entry === undefined) return undefined
    const record = await this.#options.bus.fetch(this.#options.topic, entry.partition, entry.offset)
    const parsed = parseDecision(Buffer.from(record.value).toString())
    const isDecision = parsed.kind === 'record' && parsed.record.kind === 'decision'
    return isDecision ? (parsed.record as Decision) : undefined
  }

  /** Where the last counting decision of a trace lies. */
  find(tenant: string, traceId: string): FoldEntry | undefined {
    return this.#table.find(tenant, traceId)
  }

  /** Of one tenant, oldest decision first. */
  entries(tenant: string): IterableIterator<FoldEntry> {
    return this.#table.entries(tenant)
  }

  async #tail(partition: number, first: number, end: number, ready: () => void): Promise<void> {
    const { bus, topic, log } = this.#options
    const memory = reusedMemory()
    let state: CountingState | undefined
    let next = first
    while (!this.#stop.signal.aborted) {
      if (next >= end) ready()
      try {
        const batch = await bus.read(topic, partition, next, readBytesMax, tailWaitMs, memory)
        this.#unreadable.delete(partition)
        next = Math.max(next, batch.gap?.to ?? 0)
        // Without state, or past a gap that may have held a claim, the log says by itself what counts.
        if (batch.gap !== undefined) state = undefined
        if (batch.records.length > 0) state ??= this.#stateBefore(partition, batch.records)
        for (const record of batch.records) {
          state = this.#apply(partition, record, state ?? countingStart)
          next = record.offset + 1
        }
        if (batch.records.length === 0) this.#endSeenAtMs[partition] = this.#options.clock.nowMs()
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (!isRetryable(error)) throw error
        this.#unreadable.add(partition)
        log.error('query.decisions_unreadable', error, { partition })
        await this.#options.clock.sleep(1000, this.#stop.signal)
      }
    }
  }

  #stateBefore(partition: number, records: readonly BusRecord[]): CountingState {
    const where = `${this.#options.topic}/${partition}`
    return countingFrom(records.map(({ offset, value }) => decisionItem(where, offset, value)))
  }

  /** One record at a time, so that what was parsed is garbage at once. Bytes that are no record count for no reader. */
  #apply(partition: number, record: BusRecord, state: CountingState): CountingState {
    const { topic, onRead } = this.#options
    this.#stampMs = Math.max(this.#stampMs, record.appendedAtMs)
    const item = decisionItem(`${topic}/${partition}`, record.offset, record.value)
    onRead?.(partition, item)
    if (item.record === undefined) return state
    const step = countRecord(state, item.offset, item.record)
    if (step.counts && item.record.kind === 'decision') {
      this.#table.put(partition, item.offset, item.record)
    }
    return step.state
  }

  /** The partition in which a trace's decisions lie. */
  partitionOf(traceId: string): number {
    return partitionOfHex(traceId, this.#partitions)
  }
}
