import type { Bus } from '@winnow/bus'
import { type CountingState, countRecord, type Decision, startOfCounting } from '@winnow/model'
import {
  type BlobStore,
  decisionOf,
  type ListedSegment,
  listSegments,
  readAllLedger,
  readSegmentMetadata,
} from '@winnow/storage'
import { readDecision, readDecisionHead } from '../decision-record.ts'

/** A decision that counts, and where it lies. */
export interface PlacedDecision {
  readonly partition: number
  readonly offset: number
  readonly decision: Decision
}

/** Of one read: a segment of the ledger, or a stretch of the log that is in no segment yet. */
export interface LedgerBatch {
  readonly partition: number
  readonly logId: string
  /** The last first. */
  readonly decisions: readonly PlacedDecision[]
  /** Key of the segment; absent: of the log. */
  readonly key?: string
}

export interface LedgerSource {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly topic: string
  readonly blobs: BlobStore
}

/** Records of the log that are in memory at once. */
const stretchMax = 4_096
const readBytesMax = 4 * 1024 * 1024
const dayMs = 86_400_000

/**
 * Every decision of the ledger that was taken since `sinceMs`, and those of `decisions` that no segment
 * has yet; of each partition the last first, so that a trace's last revision comes before the others.
 * One segment is in memory at a time.
 */
export async function* ledgerDecisions(
  source: LedgerSource,
  sinceMs: number,
  onSegments: (count: number) => void = () => {},
): AsyncGenerator<LedgerBatch> {
  const byLog = await segmentsByLog(source.blobs, sinceMs)
  onSegments([...byLog.values()].reduce((sum, { length }) => sum + length, 0))
  const logId = await source.bus.logId(source.topic)
  const partitions = await source.bus.partitionCount(source.topic)
  for (let partition = 0; partition < partitions; partition++) {
    const last = byLog.get(idOf(partition, logId))?.at(-1)
    yield* tailOf(source, partition, logId, last)
  }
  for (const segments of byLog.values()) {
    for (const segment of segments.toReversed()) {
      const batch = await segmentBatch(source.blobs, segment)
      yield batch
      if (batch.decisions.length > 0 && newestMs(batch) < sinceMs) break
    }
  }
}

/** By offset. A segment bears the date of its first record, so the day before may hold some. */
async function segmentsByLog(
  blobs: BlobStore,
  sinceMs: number,
): Promise<ReadonlyMap<string, ListedSegment[]>> {
  const byLog = new Map<string, ListedSegment[]>()
  const filter = { sinceMs: Math.max(0, sinceMs - dayMs) }
  for await (const segment of listSegments(blobs, 'ledger', filter)) {
    const id = idOf(segment.partition, segment.logId)
    const segments = byLog.get(id) ?? []
    byLog.set(id, segments)
    segments.push(segment)
  }
  for (const segments of byLog.values()) segments.sort((a, b) => a.offset - b.offset)
  return byLog
}

/** A segment has more decisions than a call has arguments. */
export function newestMs({ decisions }: Pick<LedgerBatch, 'decisions'>): number {
  let newest = Number.NEGATIVE_INFINITY
  for (const { decision } of decisions) newest = Math.max(newest, decision.decidedAtMs)
  return newest
}

const idOf = (partition: number, logId: string): string => `${partition} ${logId}`

async function segmentBatch(blobs: BlobStore, segment: ListedSegment): Promise<LedgerBatch> {
  const { key, partition, logId } = segment
  const rows = await readAllLedger(blobs, key, ['decision', 'sampling_offset'])
  const decisions = rows
    .sort((a, b) => b.sampling_offset - a.sampling_offset)
    .map(row => ({ partition, offset: row.sampling_offset, decision: decisionOf(row) }))
  return { key, partition, logId, decisions }
}

/** What counts is a fold in the order of the log; so that is found first, and then read backwards. */
async function* tailOf(
  { bus, topic, blobs }: LedgerSource,
  partition: number,
  logId: string,
  last: ListedSegment | undefined,
): AsyncGenerator<LedgerBatch> {
  const { first, end } = await bus.bounds(topic, partition)
  const metadata = last && (await readSegmentMetadata(blobs, last.key))
  const from = Math.max(first, metadata === undefined ? first : metadata.b + 1)
  if (from >= end) return
  const state = metadata === undefined || from > metadata.b + 1 ? undefined : metadata.after
  const counting = await countingOffsets(bus, topic, partition, { from, end, state })
  for (let to = end; to > from; to -= stretchMax) {
    const decisions: PlacedDecision[] = []
    for await (const { offset, value } of recordsOf(
      bus,
      topic,
      partition,
      Math.max(from, to - stretchMax),
      to,
    )) {
      if (!counting.has(offset)) continue
      const decision = readDecision(value, `${topic}/${partition}@${offset}`)
      if (decision?.kind === 'decision') decisions.push({ partition, offset, decision })
    }
    yield { partition, logId, decisions: decisions.reverse() }
  }
}

async function countingOffsets(
  bus: Bus,
  topic: string,
  partition: number,
  range: { readonly from: number; readonly end: number; readonly state: CountingState | undefined },
): Promise<ReadonlySet<number>> {
  const counting = new Set<number>()
  let state = range.state ?? (await stateAt(bus, topic, partition, range.from))
  for await (const { offset, value } of recordsOf(bus, topic, partition, range.from, range.end)) {
    const head = readDecisionHead(value, `${topic}/${partition}@${offset}`)
    if (head === undefined) continue
    const step = countRecord(state, offset, head)
    state = step.state
    if (step.counts) counting.add(offset)
  }
  return counting
}

/** The log may begin in the middle of a claim, which its first records name. */
async function stateAt(
  bus: Bus,
  topic: string,
  partition: number,
  from: number,
): Promise<CountingState> {
  const { records } = await bus.read(topic, partition, from, readBytesMax, 2_000)
  const heads = records.map(({ value, offset }) => readDecisionHead(value, `${offset}`))
  return startOfCounting(heads.filter(head => head !== undefined))
}

async function* recordsOf(bus: Bus, topic: string, partition: number, from: number, end: number) {
  for (let next = from; next < end; ) {
    const { records, gap } = await bus.read(topic, partition, next, readBytesMax, 2_000)
    for (const record of records) if (record.offset < end) yield record
    const last = records.at(-1)
    if (last === undefined && gap === undefined) return
    next = last === undefined ? (gap?.to ?? end) : last.offset + 1
  }
}
