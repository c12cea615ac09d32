import { type Batch, type Lease, type NewRecord, reusedMemory } from '@winnow/bus'
import { isRetryable, PipelineError } from '@winnow/runtime'
import {
  appendBytesMax,
  commitEveryMs,
  idleWaitMs,
  readBytesMax,
  retryWaitMs,
  summariesPerAppendMax,
} from './config.ts'
import { PartitionCheckpoints } from './partition-checkpoints.ts'
import { PartitionFold } from './partition-fold.ts'
import type { Shared } from './shared.ts'
import { summaryJson } from './summary-json.ts'

/**
 * The assembler's loop on one partition, step by step as the protocol has it:
 *
 *   resume ─▶ read ─▶ close what is due, add its slices ─▶ append summaries ─▶ commit, checkpoint ─┐
 *               ▲                                                                                │
 *               └────────────────────────────────────────────────────────────────────────────────┘
 *
 * What it appends is harmless when it comes from a former owner, and twice is the same as once.
 */
export class PartitionLoop {
  readonly #shared: Shared
  readonly #lease: Lease
  #fold: PartitionFold
  #checkpoints: PartitionCheckpoints | undefined
  #logId = ''
  #isResumed = false
  /** The lease's own place is where reading began: else every read is by offset. */
  #isLeaseRead = true
  /** Of reads by offset, as the lease has its own. */
  readonly #memory = reusedMemory()
  #committed = 0
  #commitAtMs = 0
  /** When the last call that the bus answered was made: the answer may have waited for us to wake up. */
  #answeredAtMs: number

  constructor(shared: Shared, lease: Lease) {
    this.#shared = shared
    this.#lease = lease
    this.#fold = new PartitionFold(shared.config, 0)
    this.#answeredAtMs = shared.clock.nowMs()
  }

  get fold(): PartitionFold {
    return this.#fold
  }

  /** The next offset that is not folded yet; undefined until it is known where to go on. */
  get position(): number | undefined {
    return this.#isResumed ? this.#fold.position : undefined
  }

  /** Resolves once the partition is given back or lost. Rejects when the process has to end. */
  async run(): Promise<void> {
    const { lost } = this.#lease
    try {
      if (!lost.aborted && !this.#shared.isStopping) await this.#run()
    } catch (error) {
      const isStale = error instanceof PipelineError && error.code === 'STALE_OWNER'
      if (!isStale || !(lost.aborted || this.#shared.isStopping)) throw error
    }
  }

  async #run(): Promise<void> {
    const { lost } = this.#lease
    await this.#resume()
    this.#isResumed = true
    this.#commitAtMs = this.#shared.clock.nowMs() + commitEveryMs
    while (!lost.aborted && !this.#shared.isStopping) await this.#turn()
    // Open traces stay open: whoever comes next resumes them, or reads them again.
    if (lost.aborted) return
    await this.#commit()
    await this.#checkpoints?.write(this.#fold, true)
  }

  async #resume(): Promise<void> {
    const { bus, topics, config, buffer } = this.#shared
    const { partition, committed } = this.#lease
    const bounds = await this.#ask(() => bus.bounds(topics.spans, partition))
    const from = committed?.offset ?? bounds.first
    this.#committed = from
    this.#fold = new PartitionFold(config, from)
    if (buffer === undefined) return
    this.#logId = await this.#ask(() => bus.logId(topics.spans))
    this.#checkpoints = new PartitionCheckpoints(this.#shared, this.#lease, this.#logId)
    const state = await this.#checkpoints.resume(bounds, from, call => this.#ask(call))
    if (state === undefined) return
    this.#fold = new PartitionFold(config, state)
    this.#isLeaseRead = state.position === from
  }

  /** One batch of spans, from read to committed. */
  async #turn(): Promise<void> {
    const { clock, buffer, pace } = this.#shared
    // Before the read: what was appended until then is in the batch, however long we slept since.
    const wallMs = clock.nowMs()
    const batch = await this.#read()
    // Again and again: of all who waited the first may use up the next turn as well.
    while (pace.resting !== undefined) await pace.resting
    if (this.#lease.lost.aborted) return
    this.#answeredAtMs = wallMs
    const { records, gap } = batch
    const putting = buffer?.putRecords(this.#logId, this.#lease.partition, records)
    await this.#apply(batch)
    if (records.length === 0 && gap === undefined) await this.#closeAtWall(wallMs)
    await this.#writeSummaries()
    // The values are borrowed until the next read.
    await putting
    const last = records.at(-1)
    if (last !== undefined) this.#checkpoints?.folded(last)
    if (clock.nowMs() >= this.#commitAtMs) await this.#commit()
    await this.#checkpoints?.write(this.#fold)
  }

  /** Nothing after a while at the end of the log, as soon as the lease is lost, or when stopping. */
  async #read(): Promise<Batch> {
    if (this.#isLeaseRead) return this.#lease.read(readBytesMax, idleWaitMs)
    const { bus, topics } = this.#shared
    const { partition } = this.#lease
    const from = this.#fold.position
    return this.#ask(() =>
      bus.read(topics.spans, partition, from, readBytesMax, idleWaitMs, this.#memory),
    )
  }

  async #apply({ records, gap }: Batch): Promise<void> {
    const { metrics, log, readSlices, pace } = this.#shared
    const fold = this.#fold
    if (gap !== undefined) {
      // What was in those records nobody can know any more; the open traces that had slices there
      // keep what they have.
      metrics.lostToRetention.inc(gap.to - gap.from)
      log.warn('assembler.retention_gap', { partition: this.#lease.partition, ...gap })
      fold.position = Math.max(fold.position, gap.to)
    }
    const { jumps } = fold.time
    const duplicates = fold.duplicateSpans
    for (const { offset, appendedAtMs, value, header } of records) {
      while (!fold.closeBefore(appendedAtMs, summariesPerAppendMax)) await this.#writeSummaries()
      try {
        fold.add(offset, appendedAtMs, readSlices(value, header))
      } catch (error) {
        if (!(error instanceof PipelineError)) throw error
        // The receiver checked these bytes before it wrote them: a record that cannot be read is
        // counted and left, because a partition that stops at it would lose everything behind it.
        log.error('assembler.unreadable_record', error, { offset })
        metrics.spansRejected.inc({ reason: 'unreadable_record' })
        fold.position = offset + 1
      }
      pace.did(value.length)
      if (fold.closed.length >= summariesPerAppendMax) await this.#writeSummaries()
    }
    metrics.clockJumps.inc(fold.time.jumps - jumps)
    metrics.duplicateSpans.inc(fold.duplicateSpans - duplicates)
  }

  async #closeAtWall(wallMs: number): Promise<void> {
    const { clockSlack } = this.#shared.config
    while (!this.#fold.closeAtWall(wallMs, clockSlack, summariesPerAppendMax)) {
      await this.#writeSummaries()
    }
  }

  /** Writes what is closed, repeating a failed append unchanged: a summary twice is the same set. */
  async #writeSummaries(): Promise<void> {
    const { bus, topics, metrics } = this.#shared
    const fold = this.#fold
    while (fold.closed.length > 0) {
      const records = summaryRecords(this.#lease.partition, fold)
      await this.#ask(async () => {
        await this.#beAwake()
        await bus.append(topics.evidence, this.#lease.partition, records)
      })
      for (const { reason } of fold.closed.slice(0, records.length)) {
        metrics.tracesClosed.inc({ reason })
      }
      fold.acknowledge(records.length)
    }
  }

  /**
   * Who heard nothing of the bus for `maxStall` may have lost the partition long ago, and what it knows
   * may be older than others remember: it asks by a commit that changes nothing. STALE_OWNER: lost.
   */
  async #beAwake(): Promise<void> {
    const { clock, config, log } = this.#shared
    const nowMs = clock.nowMs()
    const silentMs = nowMs - this.#answeredAtMs
    if (silentMs <= config.maxStall) return
    log.warn('assembler.stalled', { partition: this.#lease.partition, silentMs })
    await this.#lease.commit({ offset: this.#committed, note: '' })
    this.#answeredAtMs = nowMs
  }

  /** Forwards only, and never at any price: the next commit says more. */
  async #commit(): Promise<void> {
    const { clock, log } = this.#shared
    const { committable } = this.#fold
    this.#commitAtMs = clock.nowMs() + commitEveryMs
    if (committable <= this.#committed) return
    try {
      await this.#lease.commit({ offset: committable, note: '' })
      this.#committed = committable
    } catch (error) {
      const isStale = error instanceof PipelineError && error.code === 'STALE_OWNER'
      if (!isStale && !isRetryable(error)) throw error
      log.warn('assembler.commit_failed', { partition: this.#lease.partition, isStale })
    }
  }

  /** Asks until the bus answers. STALE_OWNER once the lease is lost, or stopping has no answer. */
  async #ask<T>(call: () => Promise<T>): Promise<T> {
    const { clock, log } = this.#shared
    const { lost, partition } = this.#lease
    for (;;) {
      if (lost.aborted) throw this.#lost()
      const askedAtMs = clock.nowMs()
      try {
        const answer = await call()
        this.#answeredAtMs = askedAtMs
        return answer
      } catch (error) {
        if (!isRetryable(error)) throw error
        log.error('assembler.bus_unavailable', error, { partition })
        if (this.#shared.isStopping) throw this.#lost()
        await clock.sleep(retryWaitMs, lost)
      }
    }
  }

  #lost(): PipelineError {
    return new PipelineError('STALE_OWNER', `partition ${this.#lease.partition} was given back`)
  }
}

/** The records of as many closed traces, oldest first, as one append takes: at least one. */
function summaryRecords(partition: number, fold: PartitionFold): NewRecord[] {
  const records: NewRecord[] = []
  let bytes = 0
  for (const closed of fold.closed) {
    const value = Buffer.from(summaryJson(partition, fold, closed))
    bytes += value.length
    if (records.length > 0 && bytes > appendBytesMax) break
    records.push({ value })
    if (records.length >= summariesPerAppendMax) break
  }
  return records
}
