import type { Bus, Lease } from '@winnow/bus'
import { type CountingState, countingStart } from '@winnow/model'
import {
  type BlobStore,
  type ListedSegment,
  listSegments,
  readSegmentMetadata,
  type SegmentMetadata,
} from '@winnow/storage'
import { stateOf } from './position.ts'

/** Where the first range of a lease begins, and what counts from there on. */
export interface SegmentStart {
  readonly offset: number
  readonly state: CountingState
}

export interface SegmentHistory {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly decisions: string
  readonly logId: string
  readonly blobs: BlobStore
}

/**
 * A commit of ours says it. Without one, or without its note (then it was none of ours), the last
 * ledger segment of this log does: it is written again from its own start where its records are
 * still there, because its other tiers may be missing; what exists is found.
 */
export async function startOf(lease: Lease, history: SegmentHistory): Promise<SegmentStart> {
  const { partition, committed } = lease
  if (committed !== undefined && committed.note !== '') {
    return { offset: committed.offset, state: stateOf(committed.note) }
  }
  const floor = committed?.offset ?? (await history.bus.bounds(history.decisions, partition)).first
  const [last, before] = await lastLedgers(history, partition)
  if (last === undefined || last.b < floor) return behind(last, floor)
  if (last.a < floor) return behind(last, last.b + 1)
  return behind(before, last.a)
}

/**
 * Retention has passed records before they were read here. Another writer may have read them, and
 * written further than that: then its segments are not written again.
 */
export async function startBehindGap(
  partition: number,
  to: number,
  history: SegmentHistory,
): Promise<SegmentStart> {
  const [last] = await lastLedgers(history, partition)
  return behind(last, Math.max(to, (last?.b ?? -1) + 1))
}

/** The segment's own state where `offset` is the one behind it, else nothing is known. */
function behind(segment: SegmentMetadata | undefined, offset: number): SegmentStart {
  return { offset, state: segment?.b === offset - 1 ? segment.after : countingStart }
}

/** The two of the greatest offset, the last one first. */
async function lastLedgers(
  { blobs, logId }: SegmentHistory,
  partition: number,
): Promise<readonly (SegmentMetadata | undefined)[]> {
  let last: ListedSegment | undefined
  let before: ListedSegment | undefined
  for await (const segment of listSegments(blobs, 'ledger', { partition, logId })) {
    if (last === undefined || segment.offset > last.offset) {
      before = last
      last = segment
    } else if (before === undefined || segment.offset > before.offset) before = segment
  }
  return [
    last && (await readSegmentMetadata(blobs, last.key)),
    before && (await readSegmentMetadata(blobs, before.key)),
  ]
}
