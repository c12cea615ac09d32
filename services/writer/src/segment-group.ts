import type { Batch, Bus, Lease } from '@winnow/bus'
import { countingStart } from '@winnow/model'
import type { ColdHashers } from '@winnow/privacy'
import { type Gate, isRetryable, type Log, type Metrics, type StageClock } from '@winnow/runtime'
import { type BlobStore, eraseFromSegment, segmentKey } from '@winnow/storage'
import type { Abreast, Runner } from './abreast.ts'
import type { Chain, ChainReader } from './chain.ts'
import {
  idleWaitMs,
  readAheadBytesMax,
  readAheadRecordsMax,
  readBytesMax,
  segmentsPace,
  type WriterConfig,
} from './config.ts'
import { type FoldedRecord, foldRecords, type RecordParser } from './decisions-reader.ts'
import { isActive } from './erase/erasure-record.ts'
import type { Erasures } from './erase/erasures.ts'
import { leaveOut } from './erase/leave-out.ts'
import type { Gathered } from './gathered.ts'
import type { IdIndexer } from './id-index.ts'
import { type KeptReader, type KeptSpans, windowsOf } from './kept-reader.ts'
import { OpenSegment, type SegmentRange } from './open-segment.ts'
import { Ownership } from './ownership.ts'
import { putSegment, type SegmentPut } from './put-segment.ts'
import { untilDone } from './retry.ts'
import { type SegmentStart, startBehindGap, startOf } from './segment-start.ts'

export interface SegmentGroupOptions {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly decisions: string
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  readonly kept: KeptReader
  readonly abreast: Abreast
  readonly chains: ChainReader
  readonly parser: RecordParser
  /** Shared by all partitions of one writer, as is the gate that their puts go through. */
  readonly gathered: Gathered
  readonly flushes: Gate
  readonly ids: IdIndexer
  /** Traces that must not come back; without it there are none. */
  readonly erasures?: Erasures | undefined
  readonly config: WriterConfig
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  /** The writer is to stop. */
  readonly stopping: AbortSignal
}

/**
 * Writes one partition of `decisions` as segments, each exactly once without a coordinator: a segment
 * is a range [a, b] named by a alone and created by a conditional put. The ledger's goes first and
 * fixes b; whoever finds it there takes its b (protocol, Writer 1-4). What is gathered when the lease
 * is lost is not committed: whoever comes next reads it again.
 */
export async function runSegmentGroup(lease: Lease, options: SegmentGroupOptions): Promise<void> {
  const group = new SegmentGroup(lease, options)
  try {
    await group.run()
  } finally {
    group.close()
  }
}

class SegmentGroup {
  readonly #lease: Lease
  readonly #options: SegmentGroupOptions
  readonly #ended: AbortSignal
  readonly #open: OpenSegment
  readonly #runner: Runner
  /** The partition has another owner, though the lease does not say so yet. */
  readonly #giveUp = new AbortController()
  readonly #ownership: Ownership
  #logId = ''
  #state = countingStart
  /** What was blocked when the first record of the range came, and whether one of the range was. */
  #erasedVersion = 0
  #hasErased = false
  /** Of the record whose pieces are being read. */
  #pieces: KeptSpans[] = []

  constructor(lease: Lease, options: SegmentGroupOptions) {
    this.#lease = lease
    this.#options = options
    this.#ended = AbortSignal.any([lease.lost, options.stopping, this.#giveUp.signal])
    this.#ownership = new Ownership(lease, options.clock, options.config.maxStall)
    this.#open = new OpenSegment(lease.partition, 0)
    options.gathered.add(this.#open)
    this.#runner = options.abreast.enter(lease.partition, 'segments')
  }

  close(): void {
    this.#options.gathered.delete(this.#open)
    this.#runner.leave()
  }

  async run(): Promise<void> {
    const { bus, decisions } = this.#options
    const start = await this.#ask('start', async () => {
      this.#logId = await bus.logId(decisions)
      return startOf(this.#lease, this.#history)
    })
    if (start === undefined) return
    this.#begin(start)
    this.#options.ids.taken(this.#lease.partition, this.#logId)
    let newestMs = 0
    while (!this.#ended.aborted) {
      await this.#pace(newestMs)
      const batch = await this.#lease.read(readBytesMax, idleWaitMs)
      this.#ownership.heard()
      if (batch.records.length === 0) await this.#ownership.commitUnanswered()
      newestMs = batch.records.at(-1)?.appendedAtMs ?? newestMs
      await this.#passGap(batch)
      await this.#gather(batch)
      await this.#flushIfDue()
      if (batch.records.length === 0) this.#saySilent()
    }
    await this.#writeRest()
  }

  /** What has to be written must not wait: others may wait for it. */
  async #pace(newestMs: number): Promise<void> {
    const { next } = this.#open
    while (await this.#runner.pace(next, newestMs, segmentsPace, this.#ended)) {
      if (this.#isDue()) return
    }
  }

  get #history() {
    const { bus, decisions, blobs } = this.#options
    return { bus, decisions, blobs, logId: this.#logId }
  }

  #begin({ offset, state }: SegmentStart): void {
    this.#open.beginAt(offset)
    this.#state = state
    this.#ownership.beginAt(offset, state)
  }

  #saySilent(): void {
    const { ids, clock } = this.#options
    if (this.#open.decisions === 0) ids.silent(this.#lease.partition, this.#logId, clock.nowMs())
  }

  /** What was in those records nobody can know any more, so each counts as one span. */
  async #passGap({ records, gap }: Batch): Promise<void> {
    const { log, metrics } = this.#options
    const from = this.#open.next
    const to = Math.max(gap?.to ?? 0, records[0]?.offset ?? 0)
    if (to <= from) return
    log.warn('writer.decisions_gap', { partition: this.#lease.partition, from, to })
    if (!this.#open.isEmpty) {
      metrics.lostToRetention.inc(to - from)
      this.#state = countingStart
      return
    }
    const start = await this.#ask('start', () =>
      startBehindGap(this.#lease.partition, to, this.#history),
    )
    if (start === undefined) return
    if (start.offset === to) metrics.lostToRetention.inc(to - from)
    this.#begin(start)
  }

  async #gather(batch: Batch): Promise<void> {
    const { partition } = this.#lease
    const { log, gathered, parser } = this.#options
    // Where nothing was committed but segments exist, the lease begins before them.
    const unread = batch.records.filter(({ offset }) => offset >= this.#open.next)
    const records = foldRecords(
      unread,
      this.#state,
      (value, offset) => parser.parse(partition, offset, value),
      (offset, what) => log.warn(what, { partition, offset }),
    )
    this.#state = records.at(-1)?.after ?? this.#state
    const chainOf = (record: FoldedRecord): Promise<Chain | undefined> =>
      this.#ask('read', () => this.#options.chains.read(partition, record))
    const limits = { piecesMax: readAheadRecordsMax, bytesMax: readAheadBytesMax }
    for await (const window of windowsOf(records, chainOf, limits)) {
      await gathered.room(this.#open, this.#ended)
      // As soon as the decision is there, so that no body expires while a segment fills.
      const read = await this.#ask('read', () => this.#options.kept.read(partition, window))
      if (read === undefined) return
      for (const [at, piece] of window.entries()) {
        this.#pieces.push(read[at] as KeptSpans)
        if (!piece.isLast) continue
        const { erasures, clock } = this.#options
        if (this.#open.isEmpty) this.#erasedVersion = erasures?.version ?? 0
        const { record, kept, isErased } = leaveOut(erasures, piece.record, this.#pieces)
        this.#hasErased ||= isErased
        this.#open.add(record, kept, clock.nowMs())
        this.#pieces = []
        if (this.#isDue()) await this.#flushIfDue()
      }
    }
  }

  #isDue(): boolean {
    const { config, clock, gathered } = this.#options
    return this.#open.due(config, clock.nowMs()) || gathered.excess === this.#open
  }

  async #flushIfDue(): Promise<void> {
    const { gathered } = this.#options
    const open = this.#open
    while (this.#isDue()) {
      const put = await this.#ask('put', () => this.#put())
      if (put === undefined) return
      if (put.kind === 'lost') return this.#giveUp.abort()
      if (put.kind === 'behind') {
        open.waitFor(put.b)
        gathered.changed()
        return
      }
      await this.#written(put)
    }
  }

  /**
   * At a stop: bodies that were read would be read again by the next run, and may have expired by
   * then. Tried once, for nothing is lost but time.
   */
  async #writeRest(): Promise<void> {
    const { partition, lost } = this.#lease
    if (lost.aborted || this.#giveUp.signal.aborted || !this.#open.isWritable) return
    try {
      const put = await this.#put()
      if (put.kind === 'written') await this.#written(put)
    } catch (error) {
      if (!isRetryable(error)) throw error
      this.#options.log.error('writer.segments_put_failed', error, { partition })
    }
  }

  #put(): Promise<SegmentPut | { readonly kind: 'lost' }> {
    const target = { ...this.#options, logId: this.#logId }
    return this.#options.flushes.run(async () => {
      if (!(await this.#ownership.isOurs())) return { kind: 'lost' }
      const put = await putSegment(target, this.#open)
      if (put.kind === 'written') await this.#eraseAgain(put.range)
      return put
    })
  }

  /**
   * What was blocked while the range was gathered, or lay in objects that were found, is taken out before the
   * range is committed: an erasure that has begun since is in `control`, and one that begins later finds them.
   */
  async #eraseAgain({ a, first }: SegmentRange): Promise<void> {
    const { erasures, blobs } = this.#options
    if (erasures === undefined) return
    await erasures.readToEnd()
    if (!this.#hasErased && erasures.version === this.#erasedVersion) return
    const { partition } = this.#lease
    for (const { id, tenant } of erasures.all.filter(isActive)) {
      const wanted = new Set(erasures.tracesOf(id))
      if (wanted.size === 0) continue
      const isErased = (of: string, traceId: string): boolean =>
        of === tenant && wanted.has(traceId)
      for (const tier of ['ledger', 'cold', 'warm'] as const) {
        const key = segmentKey(tier, first.appendedAtMs, partition, this.#logId, a)
        await eraseFromSegment(blobs, key, { id, isErased })
      }
    }
  }

  async #written({ range, after }: SegmentPut & { kind: 'written' }): Promise<void> {
    const { gathered, metrics } = this.#options
    metrics.lostToRetention.inc(range.spansGone)
    metrics.spansRejected.inc({ reason: 'unreadable_slice' }, range.spansAside)
    this.#options.ids.written(this.#lease.partition, this.#logId, range.first.appendedAtMs)
    await this.#ownership.commit(range.b + 1, after)
    this.#open.forgetThrough(range.b)
    this.#hasErased = this.#hasErased && !this.#open.isEmpty
    gathered.changed()
  }

  /** Undefined once the lease is lost or the writer is to stop. */
  #ask<T extends object | boolean>(
    what: 'start' | 'read' | 'put',
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    const { partition } = this.#lease
    return untilDone(this.#ended, partition, this.#options.clock, work, error =>
      this.#options.log.error(`writer.segments_${what}_failed`, error, { partition }),
    )
  }
}
