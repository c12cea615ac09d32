import { zstdDecompressSync } from 'node:zlib'
import { PipelineError } from '@winnow/runtime'
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadata,
  parquetReadObjects,
  rowIndex,
} from 'hyparquet'
import type { BlobStore } from '../blob-store.ts'
import type { Column } from '../column.ts'
import { checkFooter, FilePieces, piecesKey, trailerBytes } from './file-checks.ts'
import type { TraceKeyed } from './parquet-write.ts'

/** Read from an object's end: the footer and the page indexes of most segments whole. */
const tailBytes = 48 * 1024

/** A page that unfolds to more is refused: ours have 128 KiB and at most one row beyond. */
const pageBytesMax = 64 * 1024 * 1024

const options = {
  compressors: {
    ZSTD: (page: Uint8Array, length: number): Uint8Array =>
      zstdDecompressSync(page, { maxOutputLength: Math.min(pageBytesMax, Math.max(1, length)) }),
  },
  parsers: { timestampFromMilliseconds: (time: bigint): number => Number(time) },
  geoparquet: false,
}

/** An object that has been looked at: its size and its footer. */
export interface ParquetObject {
  readonly key: string
  readonly file: AsyncBuffer
  readonly footer: FileMetaData
}

/**
 * One ranged read, and a `head` where `knownBytes` does not say how large the object is. What lies in its
 * tail is not read again. Undefined: no such key. Throws DATA_CORRUPT for what is no segment, or not as
 * it was written: its footer and whatever is read of it later is checked before it is decoded.
 */
export async function openParquet(
  store: BlobStore,
  key: string,
  knownBytes?: number,
): Promise<ParquetObject | undefined> {
  const tail = await store.read(key, -tailBytes)
  if (tail === undefined) return undefined
  const isAll = tail.length < tailBytes
  const byteLength = isAll ? tail.length : (knownBytes ?? (await store.head(key))?.bytes)
  if (byteLength === undefined) return undefined
  const tailStart = byteLength - tail.length
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    if (start >= tailStart) return tail.subarray(start - tailStart, end - tailStart)
    const bytes = await store.read(key, start, end - start)
    if (bytes?.length === end - start) return bytes
    throw new PipelineError('STORE_UNAVAILABLE', `${key} was deleted as it was read`)
  }
  return await guard(key, async () => {
    const footerAt = footerStart(key, tail, byteLength)
    const bytes = await read(footerAt, byteLength)
    checkFooter(key, bytes.subarray(0, -magicBytes))
    const footer = parquetMetadata(exactBuffer(bytes), options)
    const said = footer.key_value_metadata?.find(pair => pair.key === piecesKey)?.value
    const pieces = new FilePieces(key, said, footerAt)
    const file: AsyncBuffer = {
      byteLength,
      slice: async (start, end = byteLength) => {
        const { from, to } = pieces.around(start, end)
        const whole = await read(from, to)
        pieces.check(whole, from)
        return exactBuffer(whole.subarray(start - from, end - from))
      },
    }
    return { key, file, footer }
  })
}

const magicBytes = 4

/** As the last eight bytes say it: the footer's length and `PAR1`. */
function footerStart(key: string, tail: Uint8Array, byteLength: number): number {
  const end = Buffer.from(tail.buffer, tail.byteOffset, tail.length).subarray(-trailerBytes)
  const start =
    end.length === trailerBytes && end.toString('latin1', magicBytes) === 'PAR1'
      ? byteLength - trailerBytes - end.readUInt32LE(0)
      : -1
  if (start >= magicBytes) return start
  throw new PipelineError('DATA_CORRUPT', `${key} is no Parquet; move it away`)
}

/** All rows, or the named columns of them. */
export async function readRows<Row>(
  object: ParquetObject,
  columns: readonly Column<Row>[],
): Promise<Row[]> {
  const { key, file, footer } = object
  const held = columns.filter(({ name }) => hasColumn(footer, name))
  const rows = await guard(key, () =>
    parquetReadObjects({
      ...options,
      file,
      metadata: footer,
      columns: held.map(({ name }) => name),
    }),
  )
  return rows.map(row => toRow(columns, row))
}

/**
 * The rows of one trace. First where they lie, by statistics, bloom filter and page index of
 * `trace_id` alone, then the other columns of just these rows: some tens of kilobytes of a segment.
 */
export async function readTrace<Row extends TraceKeyed>(
  object: ParquetObject,
  columns: readonly Column<Row>[],
  tenant: string,
  traceId: string,
): Promise<Row[]> {
  const { key, file, footer } = object
  return await guard(key, async () => {
    const found = await parquetReadObjects({
      ...options,
      file,
      metadata: footer,
      columns: ['trace_id'],
      filter: { trace_id: { $eq: traceId } },
      includeRowIndex: true,
      useBloomFilters: true,
      usePageIndex: true,
      useOffsetIndex: true,
    })
    const numbers = found.map(row => row[rowIndex] ?? 0)
    if (numbers.length === 0) return []
    const rows = await parquetReadObjects({
      ...options,
      file,
      metadata: footer,
      columns: columns.map(({ name }) => name).filter(name => hasColumn(footer, name)),
      rowStart: Math.min(...numbers),
      rowEnd: Math.max(...numbers) + 1,
      useOffsetIndex: true,
    })
    return rows
      .map(row => toRow(columns, row))
      .filter(row => row.trace_id === traceId && row.tenant === tenant)
  })
}

/** The row of this number, from 0, by its pages alone. Undefined: there is none. */
export async function readRow<Row>(
  object: ParquetObject,
  columns: readonly Column<Row>[],
  row: number,
): Promise<Row | undefined> {
  const { key, file, footer } = object
  const [stored] = await guard(key, () =>
    parquetReadObjects({
      ...options,
      file,
      metadata: footer,
      columns: columns.map(({ name }) => name).filter(name => hasColumn(footer, name)),
      rowStart: row,
      rowEnd: row + 1,
      useOffsetIndex: true,
    }),
  )
  return stored && toRow(columns, stored)
}

/** A column that a later release added is null in what an earlier one wrote. */
function hasColumn(footer: FileMetaData, name: string): boolean {
  return footer.schema.some(element => element.name === name)
}

function toRow<Row>(columns: readonly Column<Row>[], stored: Record<string, unknown>): Row {
  const row: Record<string, unknown> = {}
  for (const { name, type } of columns) {
    const value = stored[name] ?? null
    row[name] = typeof value === 'bigint' && type !== 'int64' ? Number(value) : value
  }
  return row as Row
}

/** hyparquet throws plain errors for bytes that are no Parquet. */
async function guard<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof PipelineError) throw error
    throw new PipelineError('DATA_CORRUPT', `${key} cannot be read as Parquet`, { cause: error })
  }
}

function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes
  return buffer instanceof ArrayBuffer && byteLength === buffer.byteLength
    ? buffer
    : (buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer)
}
