import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus, Lease } from '@winnow/bus'
import { type CountingState, countingStart, type Decision, refKey } from '@winnow/model'
import type { ColdHashers } from '@winnow/privacy'
import { type Clock, isRetryable, type Log, type Metrics, PipelineError } from '@winnow/runtime'
import type { BlobStore } from '@winnow/storage'
import { idleWaitMs, readBytesMax, type WriterConfig } from './config.ts'
import { foldBatch, noteOf, stateOf } from './decisions-reader.ts'
import { OpenSegment } from './open-segment.ts'
import { afterLastSegment, putSegment } from './put-segment.ts'
import type { SliceRead, SliceReader } from './slice-reader.ts'

export interface SegmentGroupOptions {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly decisions: string
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  readonly slices: SliceReader
  readonly config: WriterConfig
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly stopping: () => boolean
}

/**
 * Writes one partition of `decisions` as segments, each exactly once without a coordinator: a segment
 * is a range [a, b] named by a alone and created by a conditional put. The ledger's goes first and
 * fixes b; whoever finds it there takes its b (protocol, Writer 1-4).
 */
export async function runSegmentGroup(lease: Lease, options: SegmentGroupOptions): Promise<void> {
  const { bus, decisions, config, clock, log } = options
  const { partition } = lease
  const logId = await bus.logId(decisions)
  const from = await startOf(lease, logId, options)
  const open = new OpenSegment(from.offset)
  let state = from.state
  while (!lease.lost.aborted && !options.stopping()) {
    const batch = await lease.read(readBytesMax, idleWaitMs)
    if (batch.gap !== undefined) {
      log.warn('writer.segments_gap', { partition, ...batch.gap })
      state = countingStart
      open.skipTo(batch.gap.to)
    }
    // Where nothing was committed but segments exist, the lease begins before them.
    const records = batch.records.filter(({ offset }) => offset >= from.offset)
    const folded = foldBatch({ records }, state)
    state = folded.at(-1)?.after ?? state
    for (const record of folded) {
      const reads = await readSlices(lease, record.decision, options)
      if (reads === undefined) return
      open.add(partition, record, reads, clock.nowMs())
    }
    if (open.due(config, clock.nowMs())) await flush(lease, logId, open, options)
  }
}

/** From the commit, else behind the last segment that somebody wrote, else from the first record held. */
async function startOf(
  lease: Lease,
  logId: string,
  options: SegmentGroupOptions,
): Promise<{ readonly offset: number; readonly state: CountingState }> {
  if (lease.committed !== undefined) {
    return { offset: lease.committed.offset, state: stateOf(lease.committed.note) }
  }
  const last = await afterLastSegment(options.blobs, lease.partition, logId)
  if (last !== undefined) return last
  const { first } = await options.bus.bounds(options.decisions, lease.partition)
  return { offset: first, state: countingStart }
}

/** Undefined once the lease is lost. Read as soon as the decision is, so that no body expires waiting. */
async function readSlices(
  lease: Lease,
  decision: Decision | undefined,
  options: SegmentGroupOptions,
): Promise<readonly SliceRead[] | undefined> {
  const refs = decision?.write.flatMap(at => decision.slices[at]?.ref ?? []) ?? []
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5000)) {
    if (lease.lost.aborted) return undefined
    try {
      const reads = await options.slices.read(refs)
      for (const slice of reads) {
        if (slice.kind !== 'unreadable') continue
        options.log.error('writer.unreadable_slice', slice.error, { ref: refKey(slice.ref) })
      }
      return reads
    } catch (error) {
      if (!isRetryable(error)) throw error
      options.log.error('writer.read_failed', error, { partition: lease.partition })
      await sleep(waitMs)
    }
  }
}

/** Repeats until the range is written, the lease is lost, or more has to be read first. */
async function flush(
  lease: Lease,
  logId: string,
  open: OpenSegment,
  options: SegmentGroupOptions,
): Promise<void> {
  for (let waitMs = 100; !lease.lost.aborted; waitMs = Math.min(waitMs * 2, 5000)) {
    try {
      const written = await putSegment({ ...options, partition: lease.partition, logId }, open)
      if (written === undefined) return
      await commit(lease, written.b + 1, written.after)
      open.forgetThrough(written.b, options.clock.nowMs())
      return
    } catch (error) {
      if (!isRetryable(error)) throw error
      options.log.error('writer.segment_put_failed', error, { partition: lease.partition })
      await sleep(waitMs)
    }
  }
}

async function commit(lease: Lease, offset: number, state: CountingState): Promise<void> {
  try {
    await lease.commit({ offset, note: noteOf(state) })
  } catch (error) {
    const stale = error instanceof PipelineError && error.code === 'STALE_OWNER'
    if (!stale && !isRetryable(error)) throw error
  }
}
