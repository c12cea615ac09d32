// Hot: the writer goes through here for every kept span and every decision.
import { PipelineError } from '@winnow/runtime'
import type { ColumnChunk, OffsetIndex } from 'hyparquet'
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer'
import type { Column } from '../column.ts'
import type { ColumnOptions, EncodedColumn } from './column-pages.ts'

/** Rows in one object; far above what `segmentBytes` lets together, so more is a mistake. */
export const segmentRowsMax = 1_000_000

/** Rows that share statistics and a bloom filter. */
export const rowGroupRows = 100_000

/** The whole trace id in statistics and page indexes; the library's 16 would cut it in half. */
const statisticsBytes = 32

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

/** Footer and indexes of a segment of usual size. */
const footerBytesGuess = 64 * 1024

/** What a row of every tier has. */
export interface TraceKeyed {
  readonly tenant: string
  readonly trace_id: string
}

/** Up to {@link rowGroupRows} rows, column by column. */
export interface EncodedGroup {
  readonly rows: number
  /** In the order of the file's columns. */
  readonly columns: readonly EncodedColumn[]
  /** Over the distinct trace ids. */
  readonly bloom: Uint32Array
}

/** How a column is encoded wherever it comes from. */
export function optionsOf({ name, nullable }: Column<never>): ColumnOptions {
  return { nullable, bounded: boundedColumns.has(name), indexed: name === 'trace_id' }
}

/**
 * Row groups as one Parquet file: zstd, a bloom filter and a page index on `trace_id`. Rows must be
 * sorted by trace id, so that a trace lies on one page or two. The same rows give the same bytes.
 */
export function parquetFile(
  columns: readonly Column<never>[],
  groups: readonly EncodedGroup[],
  keyValues: readonly { key: string; value: string }[],
): Uint8Array {
  let size = footerBytesGuess
  for (const group of groups) for (const { bytes } of group.columns) size += bytes.length
  const file = new ByteWriter(size)
  const writer = new ParquetWriter({
    writer: file,
    schema: [{ name: 'root', num_children: columns.length }, ...columns.map(schemaElement)],
    codec: 'ZSTD',
    statisticsTruncateLength: statisticsBytes,
    kvMetadata: [...keyValues],
    createdBy: 'winnow',
  })
  for (const group of groups) {
    const start = file.offset
    const chunks = columns.map((column, at) => {
      const encoded = group.columns[at] as EncodedColumn
      const placed = place(column, encoded, file.offset)
      file.appendBytes(encoded.bytes)
      const bloomFilter = column.name === 'trace_id' ? { bloomFilter: group.bloom } : {}
      const columnIndex = encoded.index === undefined ? {} : { columnIndex: encoded.index }
      writer.pendingIndexes.push({ ...placed, ...columnIndex, ...bloomFilter })
      return placed.chunk
    })
    writer.num_rows += BigInt(group.rows)
    writer.row_groups.push({
      columns: chunks,
      total_byte_size: chunks.reduce(
        (sum, { meta_data }) => sum + (meta_data?.total_uncompressed_size ?? 0n),
        0n,
      ),
      num_rows: BigInt(group.rows),
      total_compressed_size: BigInt(file.offset - start),
    })
  }
  void writer.finish()
  return file.getBytes()
}

export function checkRows(rows: number): void {
  if (rows <= segmentRowsMax) return
  throw new PipelineError(
    'PAYLOAD_TOO_LARGE',
    `${rows} rows in one segment, at most ${segmentRowsMax} are allowed; write it in parts`,
  )
}

/** A chunk as it lies in the file from `start` on. */
function place(
  column: Column<never>,
  encoded: EncodedColumn,
  start: number,
): { readonly chunk: ColumnChunk; readonly offsetIndex?: OffsetIndex } {
  const { bytes, dictionaryBytes, encoding, rows, uncompressedBytes, pages, statistics } = encoded
  const chunk: ColumnChunk = {
    file_offset: BigInt(start),
    meta_data: {
      type: schemaElement(column).type ?? 'BYTE_ARRAY',
      encodings: dictionaryBytes > 0 ? ['PLAIN', encoding] : [encoding],
      path_in_schema: [column.name],
      codec: 'ZSTD',
      num_values: BigInt(rows),
      total_compressed_size: BigInt(bytes.length),
      total_uncompressed_size: BigInt(uncompressedBytes),
      data_page_offset: BigInt(start + dictionaryBytes),
      ...(dictionaryBytes > 0 && { dictionary_page_offset: BigInt(start) }),
      ...(statistics !== undefined && { statistics }),
    },
  }
  if (pages.length < 2) return { chunk }
  const page_locations = pages.map(page => ({
    offset: BigInt(start + page.at),
    compressed_page_size: page.bytes,
    first_row_index: BigInt(page.firstRow),
  }))
  return { chunk, offsetIndex: { page_locations } }
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
