// Hot: the writer goes through here for every kept span and every decision.
import { zstdCompressSync } from 'node:zlib'
import { PipelineError } from '@winnow/runtime'
import { ByteWriter, type ColumnSource, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import type { Column } from '../column.ts'
import { traceBloom } from './trace-bloom.ts'

/** Rows in one object; far above what `segmentBytes` lets together, so more is a mistake. */
export const segmentRowsMax = 1_000_000

/** Rows that share statistics and a bloom filter. */
export const rowGroupRows = 100_000

/** Uncompressed bytes of a page: what a look-up of one trace reads of every column. */
const pageBytes = 128 * 1024

/** The whole trace id in statistics and page indexes; the library's 16 would cut it in half. */
const statisticsBytes = 32

/** Ids and JSON differ in nearly every row: looking for a dictionary of them would be for nothing. */
const uniqueColumns: ReadonlySet<string> = new Set([
  'span_id',
  'attributes',
  'events',
  'links',
  'evaluations',
  'decision',
])

/** By these files and row groups are passed over; bounds of the others would never be asked for. */
const boundedColumns: ReadonlySet<string> = new Set([
  'tenant',
  'trace_id',
  'start_time_unix_nano',
  'decided_at',
  'series_at',
  'duration_ms',
  'sampling_offset',
])

/** So that the buffer seldom grows: a row of a segment takes some 100 to 600 bytes compressed. */
const rowBytesGuess = 256

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
  const bytes = new ByteWriter(64 * 1024 + rows.length * rowBytesGuess)
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
  const statistics = boundedColumns.has(name)
  if (type === 'count' || type === 'timestamp') {
    return { name, data: values.map(wholeOrNull), statistics }
  }
  if (!uniqueColumns.has(name)) return { name, data: values, statistics }
  // Encoded here: the library's TextEncoder takes three times as long for short texts.
  return {
    name,
    data: values.map(value => Buffer.from(String(value))),
    encoding: 'PLAIN',
    statistics,
  }
}

/** Spans of one trace share one encoded id. */
function traceIds(rows: readonly TraceKeyed[]): Uint8Array[] {
  let id = ''
  let encoded = Buffer.alloc(0)
  return rows.map(row => {
    if (row.trace_id !== id) {
      id = row.trace_id
      encoded = Buffer.from(id)
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
  const ids: string[] = []
  let last = ''
  for (const { trace_id } of rows) {
    if (trace_id === last) continue
    last = trace_id
    ids.push(trace_id)
  }
  return traceBloom(ids)
}
