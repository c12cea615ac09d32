// Hot: the writer goes through here for every kept span and every decision.
import { zstdCompressSync } from 'node:zlib'
import { PipelineError } from '@winnow/runtime'
import { xxhash64 } from 'hyparquet/src/xxhash.js'
import { ByteWriter, type ColumnSource, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import { createBloomFilter, sbbfInsert } from 'hyparquet-writer/src/bloom.js'
import type { Column } from '../column.ts'

/** Rows in one object; far above what `segmentBytes` lets together, so more is a mistake. */
export const segmentRowsMax = 1_000_000

/** Rows that share statistics and a bloom filter. */
export const rowGroupRows = 100_000

/** Uncompressed bytes of a page: what a look-up of one trace reads of every column. */
const pageBytes = 128 * 1024

/** The whole trace id in statistics and page indexes; the library's 16 would cut it in half. */
const statisticsBytes = 32

/** Ids and JSON differ in nearly every row: a dictionary or statistics of them would be for nothing. */
const uniqueColumns: ReadonlySet<string> = new Set([
  'span_id',
  'attributes',
  'events',
  'links',
  'evaluations',
  'decision',
])

/** What a row of every tier has. */
export interface TraceKeyed {
  readonly tenant: string
  readonly trace_id: string
}

/**
 * Rows as one Parquet file: zstd, a bloom filter and a page index on `trace_id`. Rows must be sorted
 * by trace id, so that a trace lies on one page or two. The same rows give the same bytes.
 */
export function parquetBytes<Row extends TraceKeyed>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  keyValues: readonly { key: string; value: string }[],
): Uint8Array {
  if (rows.length > segmentRowsMax) {
    throw new PipelineError(
      'PAYLOAD_TOO_LARGE',
      `${rows.length} rows in one segment, at most ${segmentRowsMax} are allowed; write it in parts`,
    )
  }
  const bytes = new ByteWriter(64 * 1024)
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [{ name: 'root', num_children: columns.length }, ...columns.map(schemaElement)],
    codec: 'ZSTD',
    compressors: { ZSTD: page => zstdCompressSync(page) },
    statisticsTruncateLength: statisticsBytes,
    kvMetadata: [...keyValues],
    createdBy: 'winnow',
  })
  for (let start = 0; start < rows.length; start += rowGroupRows) {
    const group = rows.slice(start, start + rowGroupRows)
    const first = writer.pendingIndexes.length
    const columnData = columns.map(column => columnSource(column, group))
    void writer.write({ columnData, rowGroupSize: group.length, pageSize: pageBytes })
    const index =
      writer.pendingIndexes[first + columns.findIndex(({ name }) => name === 'trace_id')]
    if (index !== undefined) index.bloomFilter = bloomOf(group)
  }
  void writer.finish()
  return bytes.getBytes()
}

function schemaElement(column: Column<never>): SchemaElement {
  const { name, nullable } = column
  const base = { name, repetition_type: nullable ? 'OPTIONAL' : 'REQUIRED' } as const
  switch (column.type) {
    case 'string':
      return { ...base, type: 'BYTE_ARRAY', converted_type: 'UTF8' }
    case 'boolean':
      return { ...base, type: 'BOOLEAN' }
    case 'int32':
      return { ...base, type: 'INT32' }
    case 'uint32':
      return { ...base, type: 'INT32', converted_type: 'UINT_32' }
    case 'int64':
    case 'count':
      return { ...base, type: 'INT64' }
    case 'double':
      return { ...base, type: 'DOUBLE' }
    case 'timestamp':
      return { ...base, type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' }
  }
}

function columnSource<Row extends TraceKeyed>(
  { name, type }: Column<Row>,
  rows: readonly Row[],
): ColumnSource {
  // A page index needs small pages, which a dictionary's numbers never fill.
  if (name === 'trace_id') {
    return { name, data: traceIds(rows), encoding: 'PLAIN', columnIndex: true }
  }
  const values = rows.map(row => row[name])
  const data = type === 'count' || type === 'timestamp' ? values.map(wholeOrNull) : values
  return uniqueColumns.has(name)
    ? { name, data, encoding: 'PLAIN', statistics: false }
    : { name, data }
}

/** Spans of one trace share one encoded id. */
function traceIds(rows: readonly TraceKeyed[]): Uint8Array[] {
  let id = ''
  let encoded = new Uint8Array()
  return rows.map(row => {
    if (row.trace_id !== id) {
      id = row.trace_id
      encoded = new TextEncoder().encode(id)
    }
    return encoded
  })
}

/** Sums that a client drove beyond what a double counts exactly are cut there, never refused. */
function wholeOrNull(value: unknown): bigint | null {
  if (typeof value !== 'number' || Number.isNaN(value)) return null
  const most = Number.MAX_SAFE_INTEGER
  return BigInt(Math.round(Math.min(most, Math.max(-most, value))))
}

/** Over distinct ids: the library would hash the id of every row. */
function bloomOf(rows: readonly TraceKeyed[]): Uint32Array {
  const hashes: bigint[] = []
  let last = ''
  for (const { trace_id } of rows) {
    if (trace_id === last) continue
    last = trace_id
    hashes.push(xxhash64(new TextEncoder().encode(trace_id)))
  }
  const blocks = createBloomFilter(hashes.length)
  for (const hash of hashes) sbbfInsert(blocks, hash)
  return blocks
}
