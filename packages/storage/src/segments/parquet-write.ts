// Hot: the writer goes through here for every kept span and every decision.
import { PipelineError } from '@winnow/runtime'
import type { ColumnChunk, OffsetIndex, RowGroup } from 'hyparquet'
import { ByteWriter, type SchemaElement } from 'hyparquet-writer'
import { writeBlooms } from 'hyparquet-writer/src/bloom.js'
import { writeIndexes } from 'hyparquet-writer/src/indexes.js'
import { writeMetadata } from 'hyparquet-writer/src/metadata.js'
import type { Column } from '../column.ts'
import type { ColumnOptions, EncodedColumn, Piece } from './column-chunk.ts'
import { checkValues, pieceOf, sealFooter } from './file-checks.ts'

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

/** `PAR1`. */
const magic = 0x31524150

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

type PageIndexes = Parameters<typeof writeIndexes>[1][number]

/**
 * Row groups as one Parquet file: zstd, a bloom filter and a page index on `trace_id`, and checks of all
 * of its bytes (file-checks.ts). Rows must be sorted by trace id, so that a trace lies on one page or
 * two. The same rows give the same bytes.
 */
export function parquetFile(
  columns: readonly Column<never>[],
  groups: readonly EncodedGroup[],
  keyValues: readonly { key: string; value: string }[],
): Uint8Array {
  let size = footerBytesGuess
  for (const group of groups) for (const { bytes } of group.columns) size += bytes
  const file = new ByteWriter(size)
  file.appendUint32(magic)
  const pieces: Piece[] = []
  const indexes: PageIndexes[] = []
  const row_groups = groups.map(group => appendGroup(file, columns, group, pieces, indexes))
  appendIndexes(file, indexes, pieces)
  const footerAt = file.offset
  writeMetadata(
    file,
    {
      version: 2,
      created_by: 'winnow',
      schema: [{ name: 'root', num_children: columns.length }, ...columns.map(schemaElement)],
      num_rows: groups.reduce((sum, { rows }) => sum + BigInt(rows), 0n),
      row_groups,
      metadata_length: 0,
      key_value_metadata: [...keyValues, ...checkValues(pieces)],
    },
    statisticsBytes,
  )
  sealFooter(file.getBytes().subarray(footerAt))
  file.appendUint32(magic)
  return file.getBytes()
}

function appendGroup(
  file: ByteWriter,
  columns: readonly Column<never>[],
  group: EncodedGroup,
  pieces: Piece[],
  indexes: PageIndexes[],
): RowGroup {
  const start = file.offset
  const chunks = columns.map((column, at) => {
    const encoded = group.columns[at] as EncodedColumn
    const placed = place(column, encoded, file.offset)
    for (const part of encoded.parts) file.appendBytes(part)
    pieces.push(...encoded.pieces)
    const bloomFilter = column.name === 'trace_id' ? { bloomFilter: group.bloom } : {}
    const columnIndex = encoded.index === undefined ? {} : { columnIndex: encoded.index }
    indexes.push({ ...placed, ...columnIndex, ...bloomFilter })
    return placed.chunk
  })
  return {
    columns: chunks,
    total_byte_size: chunks.reduce(
      (sum, { meta_data }) => sum + (meta_data?.total_uncompressed_size ?? 0n),
      0n,
    ),
    num_rows: BigInt(group.rows),
    total_compressed_size: BigInt(file.offset - start),
  }
}

/** Each index and each filter is a piece, for a look-up reads them one by one. */
function appendIndexes(file: ByteWriter, indexes: readonly PageIndexes[], pieces: Piece[]): void {
  const first = file.offset
  writeIndexes(file, [...indexes])
  writeBlooms(file, [...indexes])
  const starts = new Set([first])
  for (const { chunk } of indexes) {
    starts.add(Number(chunk.column_index_offset ?? first))
    starts.add(Number(chunk.offset_index_offset ?? first))
    starts.add(Number(chunk.meta_data?.bloom_filter_offset ?? first))
  }
  const sorted = [...starts].sort((a, b) => a - b)
  const bytes = file.getBytes()
  for (const [n, start] of sorted.entries()) {
    const end = sorted[n + 1] ?? bytes.length
    if (end > start) pieces.push(pieceOf(bytes.subarray(start, end)))
  }
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
      total_compressed_size: BigInt(bytes),
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
