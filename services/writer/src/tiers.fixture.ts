import type { Bus } from '@winnow/bus'
import {
  type CountingState,
  countingStart,
  countRecord,
  type Decision,
  type DecisionRecord,
  unpackSlices,
} from '@winnow/model'
import {
  type BlobStore,
  type LedgerRow,
  listSegments,
  readAllLedger,
  readAllSpans,
  readSegmentMetadata,
  type SegmentMetadata,
  type SpanRow,
} from '@winnow/storage'
import { decisionsTopic } from './writer.fixture.ts'

export interface TierSegment<Row> {
  readonly key: string
  readonly metadata: SegmentMetadata
  readonly rows: readonly Row[]
}

export interface Tiers {
  readonly ledger: readonly TierSegment<LedgerRow>[]
  readonly warm: readonly TierSegment<SpanRow>[]
  readonly cold: readonly TierSegment<SpanRow>[]
}

/** Everything that the segments of all three tiers hold, in the order of their offsets. */
export async function tiersOf(blobs: BlobStore): Promise<Tiers> {
  const read = async <Row>(
    tier: 'ledger' | 'warm' | 'cold',
    rowsOf: (key: string) => Promise<readonly Row[]>,
  ): Promise<TierSegment<Row>[]> => {
    const all: TierSegment<Row>[] = []
    for await (const { key } of listSegments(blobs, tier)) {
      const metadata = (await readSegmentMetadata(blobs, key)) as SegmentMetadata
      all.push({ key, metadata, rows: await rowsOf(key) })
    }
    return all.sort((x, y) => x.metadata.a - y.metadata.a)
  }
  return {
    ledger: await read('ledger', key => readAllLedger(blobs, key)),
    warm: await read('warm', key => readAllSpans(blobs, key)),
    cold: await read('cold', key => readAllSpans(blobs, key)),
  }
}

/** Offsets of the decisions in the ledger, ascending. */
export const ledgerOffsets = ({ ledger }: Tiers): number[] =>
  ledger.flatMap(({ rows }) => rows.map(row => row.sampling_offset)).sort((a, b) => a - b)

/** `<trace> <span>` of every row of a tier, sorted. */
export const spanNames = (segments: readonly TierSegment<SpanRow>[]): string[] =>
  segments.flatMap(({ rows }) => rows.map(row => `${row.trace_id} ${row.span_id}`)).sort()

/**
 * What a partition of `decisions` says must be in the tiers, told without any of the writer's code but
 * `countRecord`: offsets of counting decisions, and the slices that each keep has written.
 */
export async function countingOf(
  bus: Bus,
  partition = 0,
): Promise<{ readonly offset: number; readonly decision: Decision }[]> {
  const counting: { offset: number; decision: Decision }[] = []
  let state: CountingState = countingStart
  const { first } = await bus.bounds(decisionsTopic, partition)
  const { records } = await bus.read(decisionsTopic, partition, first, Number.MAX_SAFE_INTEGER, 0)
  for (const { offset, value } of records) {
    const record: DecisionRecord = unpackSlices(JSON.parse(Buffer.from(value).toString()))
    const step = countRecord(state, offset, record)
    state = step.state
    if (step.counts && record.kind === 'decision') counting.push({ offset, decision: record })
  }
  return counting
}
