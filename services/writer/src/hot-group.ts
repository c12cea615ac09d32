import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus, Lease } from '@winnow/bus'
import { type CountingState, countingStart, type Decision, refKey } from '@winnow/model'
import { type Clock, isRetryable, type Log, type Metrics, PipelineError } from '@winnow/runtime'
import { type HotStore, type HotTrace, spanRows } from '@winnow/storage'
import { idleWaitMs, readBytesMax, type WriterConfig } from './config.ts'
import { type FoldedRecord, foldBatch, noteOf, stateOf } from './decisions-reader.ts'
import type { SliceReader } from './slice-reader.ts'

export interface HotGroupOptions {
  readonly bus: Bus
  readonly hot: HotStore
  readonly slices: SliceReader
  readonly config: WriterConfig
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly stopping: () => boolean
}

/**
 * Keeps the hot store in step with one partition of `decisions`. A store that is slow or refuses makes
 * this group lag and nothing else: it has its own position, so bodies do not expire for the segments.
 */
export async function runHotGroup(lease: Lease, options: HotGroupOptions): Promise<void> {
  const { config } = options
  let state = stateOf(lease.committed?.note)
  while (!lease.lost.aborted && !options.stopping()) {
    const batch = await lease.read(readBytesMax, idleWaitMs)
    if (batch.gap !== undefined) {
      options.log.warn('writer.hot_gap', { partition: lease.partition, ...batch.gap })
      state = countingStart
    }
    const folded = foldBatch(batch, state)
    for (let from = 0; from < folded.length; from += config.hotBatch) {
      const part = folded.slice(from, from + config.hotBatch)
      if (!(await persist(lease, part, options))) return
    }
    state = await commit(lease, folded, state)
  }
}

/** False once the lease is lost. Repeats until the store has everything: nothing is dropped here. */
async function persist(
  lease: Lease,
  part: readonly FoldedRecord[],
  options: HotGroupOptions,
): Promise<boolean> {
  const kept = part.filter(({ decision }) => decision?.verdict === 'keep')
  if (kept.length === 0) return true
  for (let waitMs = 100; !lease.lost.aborted; waitMs = Math.min(waitMs * 2, 5000)) {
    try {
      const traces: HotTrace[] = []
      for (const { decision, offset } of kept) {
        if (decision !== undefined)
          traces.push(await hotTrace(lease.partition, offset, decision, options))
      }
      await options.hot.put(traces)
      const bytes = traces.reduce((sum, trace) => sum + bodyBytes(trace), 0)
      options.metrics.tierBytes.inc({ tier: 'hot' }, bytes)
      options.metrics.tierObjects.inc({ tier: 'hot' }, traces.length)
      return true
    } catch (error) {
      if (!isRetryable(error)) throw error
      options.log.error('writer.hot_put_failed', error, { partition: lease.partition })
      await sleep(waitMs)
    }
  }
  return false
}

async function hotTrace(
  partition: number,
  offset: number,
  decision: Decision,
  options: HotGroupOptions,
): Promise<HotTrace> {
  const refs = decision.write.flatMap(at => decision.slices[at]?.ref ?? [])
  const reads = await options.slices.read(refs)
  const read = reads.filter(slice => slice.kind === 'read')
  for (const slice of reads) {
    if (slice.kind === 'unreadable') {
      options.log.error('writer.unreadable_slice', slice.error, { ref: refKey(slice.ref) })
    }
  }
  return {
    decision,
    partition,
    offset,
    spans: rowsOf(decision, partition, offset, read, options.log),
    bodies: read.map(({ ref, bytes }) => ({ ref: refKey(ref), bytes })),
  }
}

/** A slice of another trace is nobody's row: set aside with its reason, never a reason to stop. */
function rowsOf(
  decision: Decision,
  partition: number,
  offset: number,
  read: Parameters<typeof spanRows>[3],
  log: Log,
): ReturnType<typeof spanRows> {
  try {
    return spanRows(decision, partition, offset, read)
  } catch (error) {
    if (!(error instanceof PipelineError && error.code === 'DATA_CORRUPT')) throw error
    log.error('writer.foreign_slice', error, { traceId: decision.traceId })
    return []
  }
}

function bodyBytes(trace: HotTrace): number {
  return trace.bodies.reduce((sum, body) => sum + body.bytes.length, 0)
}

async function commit(
  lease: Lease,
  folded: readonly FoldedRecord[],
  before: CountingState,
): Promise<CountingState> {
  const last = folded.at(-1)
  if (last === undefined) return before
  try {
    await lease.commit({ offset: last.offset + 1, note: noteOf(last.after) })
  } catch (error) {
    const stale = error instanceof PipelineError && error.code === 'STALE_OWNER'
    if (!stale && !isRetryable(error)) throw error
  }
  return last.after
}
