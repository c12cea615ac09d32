import { type Batch, type Bus, type Lease, type Membership, partitionOfHex } from '@winnow/bus'
import {
  type Component,
  isRetryable,
  type Log,
  type Metrics,
  PipelineError,
  type StageClock,
} from '@winnow/runtime'
import {
  type AssemblerConfig,
  appendBytesMax,
  commitEveryMs,
  idleWaitMs,
  readBytesMax,
  summariesPerAppendMax,
} from './config.ts'
import { type ClosedTrace, PartitionFold, type ReadSlice } from './partition-fold.ts'
import { summaryJson } from './summary-json.ts'

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
  readonly readSlices: (value: Uint8Array, header: Uint8Array | undefined) => Iterable<ReadSlice>
}

/** What is known of a trace that is still open: its spans so far. Times are log time. */
export interface PendingTrace {
  readonly spanCount: number
  readonly slices: number
  readonly firstAppendedAtMs: number
  readonly lastAppendedAtMs: number
}

/** Folds `spans` into summaries on `evidence`. Zombies and replays are harmless: summaries are sets. */
export class Assembler implements Component {
  readonly #options: AssemblerOptions
  readonly #folds = new Map<number, PartitionFold>()
  readonly #failure = Promise.withResolvers<never>()
  #membership: Membership | undefined
  #partitions = 1
  #stopping = false

  constructor(options: AssemblerOptions) {
    this.#options = options
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when the stage cannot go on: the process has to end. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  async start(): Promise<void> {
    const { bus, topics, group } = this.#options
    this.#partitions = await bus.partitionCount(topics.spans)
    this.#membership = bus.join(topics.spans, group ?? 'assembler', lease => this.#run(lease))
    this.#membership.failed.catch(this.#failure.reject)
  }

  /** Open traces stay open: what is committed lies behind them, and whoever comes next reads them again. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#membership?.close()
    this.#membership = undefined
  }

  get openTraces(): number {
    let count = 0
    for (const fold of this.#folds.values()) count += fold.openCount
    return count
  }

  /** Undefined: not open here. Where several processes assemble, that says nothing. */
  pending(tenant: string, traceId: string): PendingTrace | undefined {
    const fold = this.#folds.get(partitionOfHex(traceId, this.#partitions))
    const trace = fold?.find(tenant, traceId)
    const first = trace?.slices[0]
    const last = trace?.slices.at(-1)
    if (trace === undefined || first === undefined || last === undefined) return undefined
    return {
      spanCount: trace.spanCount - trace.duplicateSpans,
      slices: trace.slices.length,
      firstAppendedAtMs: first.appendedAtMs,
      lastAppendedAtMs: last.appendedAtMs,
    }
  }

  async #run(lease: Lease): Promise<void> {
    const { bus, topics, clock, config } = this.#options
    const { first } = await bus.bounds(topics.spans, lease.partition)
    const fold = new PartitionFold(config, lease.committed?.offset ?? first)
    this.#folds.set(lease.partition, fold)
    let committed = fold.position
    let commitAtMs = clock.nowMs() + commitEveryMs
    try {
      while (!lease.lost.aborted && !this.#stopping) {
        const batch = await lease.read(readBytesMax, idleWaitMs)
        await this.#apply(lease, fold, batch)
        if (batch.records.length === 0) fold.closeAtWall(clock.nowMs(), config.clockSlack)
        await this.#writeSummaries(lease, fold)
        if (fold.committable > committed && clock.nowMs() >= commitAtMs) {
          committed = await this.#commit(lease, fold.committable, committed)
          commitAtMs = clock.nowMs() + commitEveryMs
        }
      }
      if (!lease.lost.aborted && fold.committable > committed) {
        await this.#commit(lease, fold.committable, committed)
      }
    } finally {
      if (this.#folds.get(lease.partition) === fold) this.#folds.delete(lease.partition)
    }
  }

  async #apply(lease: Lease, fold: PartitionFold, batch: Batch): Promise<void> {
    const { metrics, log, readSlices } = this.#options
    if (batch.gap !== undefined) {
      // What was in those records nobody can know any more; the open traces that had slices there
      // keep what they have.
      metrics.lostToRetention.inc(batch.gap.to - batch.gap.from)
      log.warn('assembler.retention_gap', { partition: lease.partition, ...batch.gap })
      fold.position = Math.max(fold.position, batch.gap.to)
    }
    const jumps = fold.time.jumps
    const duplicates = fold.duplicateSpans
    for (const record of batch.records) {
      try {
        fold.apply(record.offset, record.appendedAtMs, readSlices(record.value, record.header))
      } catch (error) {
        if (!(error instanceof PipelineError)) throw error
        // The receiver checked these bytes before it wrote them: a record that cannot be read is
        // counted and left, because a partition that stops at it would lose everything behind it.
        log.error('assembler.unreadable_record', error, { offset: record.offset })
        metrics.spansRejected.inc({ reason: 'unreadable_record' })
        fold.position = record.offset + 1
      }
      if (fold.closed.length >= summariesPerAppendMax) await this.#writeSummaries(lease, fold)
    }
    metrics.clockJumps.inc(fold.time.jumps - jumps)
    metrics.duplicateSpans.inc(fold.duplicateSpans - duplicates)
  }

  /** Writes what is closed, repeating a failed append unchanged: a summary twice is the same set. */
  async #writeSummaries(lease: Lease, fold: PartitionFold): Promise<void> {
    const { bus, topics, metrics, clock } = this.#options
    while (fold.closed.length > 0) {
      const records = summaryRecords(lease.partition, fold.closed)
      const closed = fold.closed.slice(0, records.length)
      for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2000)) {
        if (lease.lost.aborted) return
        try {
          await bus.append(topics.evidence, lease.partition, records)
          break
        } catch (error) {
          if (!isRetryable(error)) throw error
          this.#options.log.error('assembler.append_failed', error)
          await clock.sleep(waitMs, lease.lost)
        }
      }
      fold.acknowledge(closed.length)
      for (const { reason } of closed) metrics.tracesClosed.inc({ reason })
    }
  }

  /** Returns what is committed now. */
  async #commit(lease: Lease, offset: number, before: number): Promise<number> {
    try {
      await lease.commit({ offset, note: '' })
      return offset
    } catch (error) {
      const stale = error instanceof PipelineError && error.code === 'STALE_OWNER'
      if (!stale && !isRetryable(error)) throw error
      return before
    }
  }
}

/** The records of as many closed traces, oldest first, as one append takes: at least one. */
function summaryRecords(
  partition: number,
  closed: readonly ClosedTrace[],
): { readonly value: Uint8Array }[] {
  const records: { readonly value: Uint8Array }[] = []
  let bytes = 0
  for (const one of closed) {
    const value = Buffer.from(summaryJson(partition, one))
    bytes += value.length
    if (records.length > 0 && bytes > appendBytesMax) break
    records.push({ value })
    if (records.length >= summariesPerAppendMax) break
  }
  return records
}
