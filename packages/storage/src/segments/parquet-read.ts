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
import { RangedReads } from './ranged-reads.ts'

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

/** The same where most objects lack what is looked for: footer and bloom filter of some thousand rows. */
export const filterTailBytes = 16 * 1024

/** An object that has been looked at: its size and its footer. */
export interface ParquetObject {
  readonly key: string
  readonly file: AsyncBuffer
  readonly footer: FileMetaData
}

/** How often an object is opened that erasures write anew meanwhile, before who reads it is to come again. */
const opensMax = 3

/**
 * What `work` makes of an object, of which it reads several ranges: an erasure may put other bytes in its place
 * between two of them, which then look damaged. So what fails is told apart by the object's tail, whose CRC
 * covers those of all its pages: where that is another one now, the object is opened again. Undefined: no such
 * key. Throws DATA_CORRUPT for what is damaged as it stands, and STORE_UNAVAILABLE for what goes on changing.
 */
export async function readParquet<T>(
  store: Pick<BlobStore, 'read' | 'head'>,
  key: string,
  work: (object: ParquetObject) => Promise<T>,
  knownBytes?: number,
  tailMax = tailBytes,
): Promise<T | undefined> {
  for (let opens = 1; ; opens++) {
    let tail: Uint8Array | undefined
    try {
      const object = await openParquet(
        {
          head: of => store.head(of),
          read: async (of, start, length) => {
            const bytes = await store.read(of, start, length)
            if (start === -tailMax) tail = bytes
            return bytes
          },
        },
        key,
        opens === 1 ? knownBytes : undefined,
        tailMax,
      )
      return object && (await work(object))
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'DATA_CORRUPT') throw error
      const isOther = await isAnother(store, key, tail, tailMax)
      // A size that was noted somewhere may be that of before.
      if (!isOther && (opens > 1 || knownBytes === undefined)) throw error
      if (opens < opensMax) continue
      throw new PipelineError('STORE_UNAVAILABLE', `${key} was written anew as it was read`)
    }
  }
}

/** Throws STORE_UNAVAILABLE where it is gone. */
async function isAnother(
  store: Pick<BlobStore, 'read'>,
  key: string,
  tail: Uint8Array | undefined,
  tailMax: number,
): Promise<boolean> {
  const now = await store.read(key, -tailMax)
  if (now !== undefined) return tail !== undefined && !Buffer.from(tail).equals(now)
  throw new PipelineError('STORE_UNAVAILABLE', `${key} was deleted as it was read`)
}

/**
 * One ranged read; of a footer longer than that a second, and a `head` where `knownBytes` does not say how large the object is. What lies in its
 * tail is not read again. Undefined: no such key. Throws DATA_CORRUPT for what is no segment, or not as
 * it was written: its footer and whatever is read of it later is checked before it is decoded. For bytes that
 * nobody changes meanwhile; of a store {@link readParquet} reads.
 */
export async function openParquet(
  store: Pick<BlobStore, 'read' | 'head'>,
  key: string,
  knownBytes?: number,
  tailMax = tailBytes,
): Promise<ParquetObject | undefined> {
  const tail = await store.read(key, -tailMax)
  if (tail === undefined) return undefined
  return await guard(key, async () => {
    const opened = await openTail(store, key, tail, tailMax, knownBytes)
    if (opened === undefined) return undefined
    const { footer, pieces, byteLength } = opened
    const tailStart = byteLength - tail.length
    const ranges = new RangedReads(async (start, end) => {
      const bytes = await store.read(key, start, end - start)
      if (bytes?.length === end - start) return bytes
      const text = `${key} has no bytes [${start}, ${end}); move it away`
      throw new PipelineError('DATA_CORRUPT', text)
    })
    const read = async (start: number, end: number): Promise<Uint8Array> =>
      start >= tailStart
        ? tail.subarray(start - tailStart, end - tailStart)
        : ranges.get(start, end)
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

interface OpenedTail {
  readonly footer: FileMetaData
  readonly pieces: FilePieces
  readonly byteLength: number
}

/**
 * The footer, which says how long the object is by what it holds: only where it is longer than the tail somebody
 * has to know. Undefined: the object is gone.
 */
async function openTail(
  store: Pick<BlobStore, 'read' | 'head'>,
  key: string,
  tail: Uint8Array,
  tailMax: number,
  knownBytes: number | undefined,
): Promise<OpenedTail | undefined> {
  const footerBytes = footerLength(key, tail)
  const isAll = tail.length < tailMax
  let end = tail
  let byteLength = isAll ? tail.length : undefined
  if (footerBytes > tail.length) {
    byteLength ??= knownBytes ?? (await store.head(key))?.bytes
    if (byteLength === undefined) return undefined
    const start = byteLength - footerBytes
    const more = start < magicBytes ? undefined : await store.read(key, start, footerBytes)
    if (more?.length !== footerBytes) throw noParquet(key)
    end = more
  }
  const bytes = end.subarray(end.length - footerBytes)
  checkFooter(key, bytes.subarray(0, -magicBytes))
  const footer = parquetMetadata(exactBuffer(bytes), options)
  const said = footer.key_value_metadata?.find(pair => pair.key === piecesKey)?.value
  const pieces = new FilePieces(key, said, byteLength && byteLength - footerBytes)
  return { footer, pieces, byteLength: pieces.end + footerBytes }
}

const magicBytes = 4

/** With the eight bytes behind it, as these say it: the footer's length and `PAR1`. */
function footerLength(key: string, tail: Uint8Array): number {
  const end = Buffer.from(tail.buffer, tail.byteOffset, tail.length).subarray(-trailerBytes)
  if (end.length < trailerBytes || end.toString('latin1', magicBytes) !== 'PAR1') {
    throw noParquet(key)
  }
  return end.readUInt32LE(0) + trailerBytes
}

function noParquet(key: string): PipelineError {
  return new PipelineError('DATA_CORRUPT', `${key} is no Parquet; move it away`)
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
