import { createHash } from 'node:crypto'
import type { Bus } from '@winnow/bus'
import { type CountingState, countingStart } from '@winnow/model'
import type { ColdHashers } from '@winnow/privacy'
import type { Metrics } from '@winnow/runtime'
import {
  type BlobStore,
  coldRows,
  type ListedSegment,
  ledgerRow,
  listSegments,
  readSegmentMetadata,
  type SegmentMetadata,
  type SegmentRows,
  type SpanRow,
  segmentFormat,
  segmentSpanRows,
  writeSegment,
} from '@winnow/storage'
import type { OpenSegment, SegmentRange } from './open-segment.ts'

export interface SegmentTarget {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly decisions: string
  readonly partition: number
  readonly logId: string
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  readonly metrics: Metrics
}

export interface Written {
  readonly b: number
  readonly after: CountingState
}

/**
 * The ledger first: what it says of b holds for the other tiers, whoever wrote it. Undefined: it
 * reaches beyond what has been read, so more has to be read first. Done twice, it changes nothing.
 */
export async function putSegment(
  target: SegmentTarget,
  open: OpenSegment,
): Promise<Written | undefined> {
  const range = open.range()
  const first = await target.bus.fetch(target.decisions, target.partition, range.first)
  const digest = createHash('sha256').update(first.value).digest('hex')
  const ours = metadataOf(target, range, digest)
  const ledger = range.decisions.map(({ decision, offset }) =>
    ledgerRow(decision, target.partition, offset),
  )
  const written = await put(target, range.dateMs, ours, { tier: 'ledger', rows: ledger })
  if (written.b > range.b) {
    open.readThrough = written.b
    return undefined
  }
  const exact = written.b === range.b ? range : open.range(written.b)
  const rows = segmentSpanRows(exact.decisions.flatMap(one => one.rows))
  const metadata = { ...metadataOf(target, exact, digest), rows: rowsOf(written, rows) }
  const cold = await hashed(rows, target.hashers)
  await put(target, range.dateMs, { ...metadata, tier: 'cold' }, { tier: 'cold', rows: cold })
  await put(target, range.dateMs, { ...metadata, tier: 'warm' }, { tier: 'warm', rows })
  return { b: exact.b, after: exact.after }
}

/**
 * Where a partition without a commit goes on: at the start of the last segment that anybody wrote of
 * this log, because its other tiers may be missing; what exists is found. The state there is what the
 * segment before it says.
 */
export async function afterLastSegment(
  blobs: BlobStore,
  partition: number,
  logId: string,
): Promise<{ readonly offset: number; readonly state: CountingState } | undefined> {
  const segments: ListedSegment[] = []
  for await (const segment of listSegments(blobs, 'ledger', { partition, logId })) {
    segments.push(segment)
  }
  const [last, before] = segments.sort((x, y) => y.offset - x.offset)
  if (last === undefined) return undefined
  const metadata = before && (await readSegmentMetadata(blobs, before.key))
  return {
    offset: last.offset,
    state: metadata?.b === last.offset - 1 ? metadata.after : countingStart,
  }
}

async function put(
  target: SegmentTarget,
  dateMs: number,
  metadata: SegmentMetadata,
  content: SegmentRows,
): Promise<SegmentMetadata> {
  const { tier } = content
  const written = await writeSegment(target.blobs, dateMs, metadata, content)
  if (written.created) {
    target.metrics.tierObjects.inc({ tier })
    target.metrics.tierBytes.inc({ tier }, written.bytes)
  }
  return written.metadata
}

function metadataOf(target: SegmentTarget, range: SegmentRange, digest: string): SegmentMetadata {
  const spans = segmentSpanRows(range.decisions.flatMap(one => one.rows)).length
  return {
    v: segmentFormat,
    tier: 'ledger',
    partition: target.partition,
    logId: target.logId,
    a: range.a,
    b: range.b,
    after: range.after,
    rows: { ledger: range.decisions.length, warm: spans, cold: spans },
    digest,
  }
}

/**
 * Another writer may have read bodies that are gone for this one: its count is the ledger's, ours is
 * what the objects will hold if it died before it wrote them.
 */
function rowsOf(ledger: SegmentMetadata, rows: readonly SpanRow[]): SegmentMetadata['rows'] {
  return { ledger: ledger.rows.ledger, warm: rows.length, cold: rows.length }
}

async function hashed(rows: readonly SpanRow[], hashers: ColdHashers): Promise<SpanRow[]> {
  const byTenant = Map.groupBy(rows, row => row.tenant)
  const cold: SpanRow[] = []
  for (const [tenant, own] of byTenant) cold.push(...coldRows(own, await hashers.of(tenant)))
  return cold
}
