import { PipelineError } from '@winnow/runtime'
import type { BlobInfo, BlobStore } from '../blob-store.ts'
import type { Column } from '../column.ts'
import { spanColumns } from '../span-columns.ts'
import type { SpanRow } from '../span-row.ts'
import { ledgerColumns } from './ledger-columns.ts'
import type { LedgerEntry, LedgerRow } from './ledger-row.ts'
import { ledgerGroups } from './ledger-table.ts'
import {
  filterTailBytes,
  type ParquetObject,
  readParquet,
  readRow,
  readRows,
  readTrace,
} from './parquet-read.ts'
import { type EncodedGroup, parquetFile } from './parquet-write.ts'
import { dateOf, parseSegmentKey, type SegmentName, segmentKey, type Tier } from './segment-key.ts'
import {
  metadataFromKeyValues,
  metadataToKeyValues,
  type SegmentMetadata,
  unknownDigest,
} from './segment-metadata.ts'
import { packsOf, SegmentSpans } from './segment-spans.ts'

/** Rows of a tier. Warm and cold hold the same columns, at different levels. */
export type SegmentRows =
  | { readonly tier: 'ledger'; readonly rows: readonly LedgerEntry[] }
  | { readonly tier: 'warm' | 'cold'; readonly rows: readonly SpanRow[] }
  /** Of a {@link LedgerTable} or of {@link SegmentSpans}, encoded only where there is no object yet. */
  | {
      readonly tier: Tier
      readonly count: number
      readonly groups: () => readonly EncodedGroup[]
    }

export interface WrittenSegment {
  readonly key: string
  /** False: it was there, or has no rows and is not written. */
  readonly created: boolean
  /** Of what was created, else of what was there. A ledger's `b` may differ from the one given. */
  readonly metadata: SegmentMetadata
  /** Bytes of what was created, else 0. */
  readonly bytes: number
}

export interface ListedSegment extends SegmentName, BlobInfo {}

/**
 * Creates the segment of one tier for [a, b], or finds it there and believes it: who has lost the
 * partition can overwrite nothing, and whoever reads a lost reply's object finds their own.
 * Throws DATA_CORRUPT where what is there is another log's (its record a has another digest) or, in
 * warm and cold, another range. `dateMs` is the append time of record a.
 *
 * A tier without rows has no object; but the ledger always has one, since it fixes b.
 */
export async function writeSegment(
  store: BlobStore,
  dateMs: number,
  metadata: SegmentMetadata,
  rows: SegmentRows,
): Promise<WrittenSegment> {
  const { tier, partition, logId, a } = metadata
  if (tier !== rows.tier) throw new TypeError(`${rows.tier} rows for a ${tier} segment`)
  const key = segmentKey(tier, dateMs, partition, logId, a)
  const there = await readSegmentMetadata(store, key)
  if (there !== undefined) return adopt(key, metadata, there)
  const content = countable(rows)
  if (metadata.rows[tier] === 0 && tier !== 'ledger') {
    return { key, created: false, metadata, bytes: 0 }
  }
  const bytes = segmentBytes(metadata, content)
  if (await store.create(key, bytes)) return { key, created: true, metadata, bytes: bytes.length }
  const winner = await readSegmentMetadata(store, key)
  if (winner === undefined) {
    throw new PipelineError('STORE_UNAVAILABLE', `${key} was deleted as it was written`)
  }
  return adopt(key, metadata, winner)
}

/** Undefined: no such segment. Some kilobytes of ranged reads. */
export async function readSegmentMetadata(
  store: BlobStore,
  key: string,
): Promise<SegmentMetadata | undefined> {
  return readParquet(store, key, async ({ footer }) =>
    metadataFromKeyValues(key, footer.key_value_metadata ?? []),
  )
}

/** Rows of one trace in a segment of warm or cold; none where the segment is gone. */
export async function readTraceSpans(
  store: BlobStore,
  key: string,
  tenant: string,
  traceId: string,
): Promise<SpanRow[]> {
  return (await findTraceSpans(store, key, tenant, traceId)) ?? []
}

/** The same, for who has to know whether there is a segment to have them: undefined, it is gone. */
export async function findTraceSpans(
  store: BlobStore,
  key: string,
  tenant: string,
  traceId: string,
): Promise<SpanRow[] | undefined> {
  return readParquet(store, key, object => readTrace(object, spanColumns, tenant, traceId))
}

/** Decisions of one trace in a segment of the ledger, by offset. */
export async function readTraceLedger(
  store: BlobStore,
  key: string,
  tenant: string,
  traceId: string,
): Promise<LedgerRow[]> {
  const read = (object: ParquetObject): Promise<LedgerRow[]> =>
    readTrace(object, ledgerColumns, tenant, traceId)
  return (await readParquet(store, key, read)) ?? []
}

/**
 * The row of the ledger at `place`, with the decision alone: two or three ranged reads. Undefined: the
 * segment is gone. Where an erasure has made it shorter than `place` says, its size is asked for: its rows are
 * as many as they were, and in their order.
 */
export async function readLedgerRow(
  store: BlobStore,
  place: { readonly key: string; readonly bytes: number; readonly row: number },
): Promise<Pick<LedgerRow, 'decision'> | undefined> {
  const columns = ledgerColumns.filter(({ name }) => name === 'decision')
  return readParquet(
    store,
    place.key,
    async object => {
      const row = await readRow(object, columns, place.row)
      if (row !== undefined) return row
      throw new PipelineError('DATA_CORRUPT', `${place.key} has no row ${place.row}`)
    },
    place.bytes,
  )
}

/**
 * The last decision that a segment of the ledger has of a trace, where no index says in which row. Undefined: it
 * has none, as its bloom filter says in one ranged read; or it is gone. `bytes` as it was listed.
 */
export async function findLedgerRow(
  store: BlobStore,
  { key, bytes }: Pick<BlobInfo, 'key' | 'bytes'>,
  tenant: string,
  traceId: string,
): Promise<Pick<LedgerRow, 'decision'> | undefined> {
  const wanted = new Set(['tenant', 'trace_id', 'sampling_offset', 'decision'])
  const columns = ledgerColumns.filter(({ name }) => wanted.has(name))
  const read = async (object: ParquetObject): Promise<LedgerRow | undefined> => {
    const rows: LedgerRow[] = await readTrace(object, columns, tenant, traceId)
    return rows.sort((a, b) => a.sampling_offset - b.sampling_offset).at(-1)
  }
  return readParquet(store, key, read, bytes, filterTailBytes)
}

/**
 * What of an object's `bytes` is no column's: its footer, its indexes and the filter of trace ids. One ranged
 * read; undefined: it is gone.
 */
export async function segmentOverhead(
  store: BlobStore,
  { key, bytes }: Pick<BlobInfo, 'key' | 'bytes'>,
): Promise<number | undefined> {
  const overhead = async ({ file, footer }: ParquetObject): Promise<number> => {
    const columns = footer.row_groups.flatMap(group => group.columns)
    const held = columns.map(({ meta_data }) => Number(meta_data?.total_compressed_size ?? 0))
    return Math.max(0, file.byteLength - held.reduce((sum, one) => sum + one, 0))
  }
  return readParquet(store, key, overhead, bytes)
}

/** Every span row of a segment of warm or cold; with `names` those columns alone. */
export async function readAllSpans<Name extends keyof SpanRow>(
  store: BlobStore,
  key: string,
  names?: readonly Name[],
): Promise<Pick<SpanRow, Name>[]> {
  const columns = columnsOf(spanColumns, names)
  const read = (object: ParquetObject): Promise<SpanRow[]> => readRows(object, columns)
  return (await readParquet(store, key, read)) ?? []
}

/** Every decision of a segment of the ledger; with `names` those columns alone. */
export async function readAllLedger<Name extends keyof LedgerRow>(
  store: BlobStore,
  key: string,
  names?: readonly Name[],
): Promise<Pick<LedgerRow, Name>[]> {
  const columns = columnsOf(ledgerColumns, names)
  const read = (object: ParquetObject): Promise<LedgerRow[]> => readRows(object, columns)
  return (await readParquet(store, key, read)) ?? []
}

function columnsOf<T extends { readonly name: string }>(
  columns: readonly T[],
  names?: readonly string[],
): readonly T[] {
  return names === undefined ? columns : columns.filter(({ name }) => names.includes(name))
}

/**
 * The segments of a tier by date, partition, log and offset, of the UTC dates that [sinceMs, untilMs)
 * touches. The date is that of record a, so a range that began the day before lies there. Objects
 * of other names are passed over.
 */
export async function* listSegments(
  store: BlobStore,
  tier: Tier,
  filter: {
    readonly sinceMs?: number
    readonly untilMs?: number
    readonly partition?: number
    readonly logId?: string
  } = {},
): AsyncIterable<ListedSegment> {
  const since = filter.sinceMs === undefined ? '' : dateOf(Math.max(0, filter.sinceMs))
  const until = filter.untilMs === undefined ? '~' : dateOf(Math.max(0, filter.untilMs - 1))
  // Of one day only its own partition and log are listed, where they are given.
  const of = filter.partition === undefined ? '' : segmentFolder(filter.partition, filter.logId)
  for await (const info of store.list(
    commonPrefix(`${tier}/date=${since}${of}`, `${tier}/date=${until}${of}`),
  )) {
    const name = parseSegmentKey(info.key)
    if (name === undefined || name.date < since || name.date > until) continue
    if (filter.partition !== undefined && name.partition !== filter.partition) continue
    if (filter.logId !== undefined && name.logId !== filter.logId) continue
    yield { ...name, ...info }
  }
}

/** The segments of the ledger of one partition and month, `2026-11`, by date. All partitions are listed. */
export async function* listLedgerMonth(
  store: BlobStore,
  month: string,
  partition: number,
): AsyncIterable<ListedSegment> {
  for await (const info of store.list(`ledger/date=${month}-`)) {
    const name = parseSegmentKey(info.key)
    if (name?.partition === partition) yield { ...name, ...info }
  }
}

/** The segment of the greatest offset of one log's partition: where a writer without a note goes on. */
export async function lastSegment(
  store: BlobStore,
  tier: Tier,
  partition: number,
  logId: string,
): Promise<ListedSegment | undefined> {
  let last: ListedSegment | undefined
  for await (const segment of listSegments(store, tier, { partition, logId })) {
    if (last === undefined || segment.offset > last.offset) last = segment
  }
  return last
}

interface Countable {
  readonly count: number
  readonly groups: () => readonly EncodedGroup[]
}

function countable(content: SegmentRows): Countable {
  if ('groups' in content) return content
  if (content.tier === 'ledger') {
    return { count: content.rows.length, groups: () => ledgerGroups(content.rows) }
  }
  const spans = new SegmentSpans(packsOf(content.rows))
  return { count: spans.count, groups: () => spans.warm() }
}

function segmentBytes(metadata: SegmentMetadata, { count, groups }: Countable): Uint8Array {
  const { tier, a } = metadata
  const said = metadata.rows[tier] - (metadata.erased ?? 0)
  if (count !== said) {
    throw new TypeError(`${tier} of ${a} has ${count} rows, its metadata says ${said}`)
  }
  const columns: readonly Column<never>[] = tier === 'ledger' ? ledgerColumns : spanColumns
  return parquetFile(columns, groups(), metadataToKeyValues(metadata))
}

function adopt(key: string, ours: SegmentMetadata, there: SegmentMetadata): WrittenSegment {
  const { tier, digest, a, b } = ours
  const isUnknown = digest === unknownDigest || there.digest === unknownDigest
  const isOther = !isUnknown && there.digest !== digest
  if (isOther || there.a !== a || there.tier !== tier) {
    throw new PipelineError(
      'DATA_CORRUPT',
      `${key} is another log's: its record ${there.a} has digest ${there.digest}, ours ${digest}; give this log its own data folder or bucket, or move the object away`,
    )
  }
  if (tier !== 'ledger' && there.b !== b) {
    throw new PipelineError(
      'DATA_CORRUPT',
      `${key} holds [${a}, ${there.b}], the ledger says [${a}, ${b}]; move the object away`,
    )
  }
  return { key, created: false, metadata: there, bytes: 0 }
}

function segmentFolder(partition: number, logId = ''): string {
  return `/p=${String(partition).padStart(4, '0')}/${logId}`
}

function commonPrefix(a: string, b: string): string {
  let length = 0
  while (length < a.length && a[length] === b[length]) length++
  return a.slice(0, length)
}
