import { crc32 } from 'node:zlib'
import { formats, isNewerVersion } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import type { BlobStore } from '../blob-store.ts'

/**
 * An immutable table of rows of equal width, sorted by (trace id, tenant), from which one row is read
 * with two ranged reads. All numbers are big-endian, all checksums CRC-32.
 *
 *   header   magic 8 │ v 2 │ kind 2 │ row bytes 4
 *   rows     trace id 16 │ number of the tenant 4 │ what the kind has to say of them …
 *   extra    bytes that only a reader of the whole file wants
 *   footer   JSON │ a fence for each block of rows: its first 20 bytes, its checksum
 *   trailer  footer bytes 4 │ JSON bytes 4 │ v 2 │ kind 2 │ checksum of footer and these 12 │ magic 8
 */
export const sortedFileFormat = formats.sortedFile

export const sortedKinds = { snapshot: 1, ids: 2 } as const
export type SortedKind = keyof typeof sortedKinds

export const magic = Buffer.from('WINNOWIX')
export const headerBytes = 16
export const trailerBytes = 24
/** Trace id and number of the tenant: what a row is found by. */
export const rowKeyBytes = 20
export const fenceBytes = 24

/** Rows of a block: what a look-up reads, 112 or 192 KiB. */
export const blockRows = 4_096

/** First read from a file's end: the footer of ten million rows, unless tenants come by the hundred. */
const tailBytes = 64 * 1024

/** A footer that says it is larger is none. */
export const footerBytesMax = 256 * 1024 * 1024

/** What a footer's JSON says; `meta` is the kind's own. */
export interface SortedFooter {
  readonly rows: number
  readonly rowBytes: number
  readonly blockRows: number
  /** By number. */
  readonly tenants: readonly string[]
  readonly extra: { readonly bytes: number; readonly crc: number }
  readonly meta: unknown
}

/** A file that has been looked at. It never changes, so it may be remembered. */
export interface SortedFile extends SortedFooter {
  readonly key: string
  readonly fences: Buffer
  /** All of a small file, which came with its footer; undefined: its rows are read where they lie. */
  readonly whole: Buffer | undefined
  /** Memory that it takes, about. */
  readonly weight: number
}

/**
 * One ranged read; two where the footer is large. Undefined: no such key. DATA_CORRUPT for what is no
 * whole file of this kind, CONFIG_INVALID for a newer release's.
 */
export async function openSorted(
  store: BlobStore,
  key: string,
  kind: SortedKind,
): Promise<SortedFile | undefined> {
  const first = await store.read(key, -tailBytes)
  if (first === undefined) return undefined
  let tail = Buffer.from(first.buffer, first.byteOffset, first.byteLength)
  if (tail.length < trailerBytes || !tail.subarray(-magic.length).equals(magic)) {
    throw corrupt(key, 'it does not end as an index file does')
  }
  const whole = tail.length < tailBytes ? tail : undefined
  const footerBytes = tail.readUInt32BE(tail.length - trailerBytes)
  if (footerBytes > footerBytesMax)
    throw corrupt(key, `its footer cannot have ${footerBytes} bytes`)
  if (footerBytes + trailerBytes > tail.length) {
    const more = await store.read(key, -(footerBytes + trailerBytes))
    // Deleted since.
    if (more === undefined) return undefined
    if (more.length !== footerBytes + trailerBytes) throw corrupt(key, 'its footer is not whole')
    tail = Buffer.from(more.buffer, more.byteOffset, more.byteLength)
  }
  return fileOf(key, kind, tail.subarray(tail.length - footerBytes - trailerBytes), whole)
}

/** The row of a trace; undefined where it has none. At most one ranged read, none of a small file. */
export async function findRow(
  store: BlobStore,
  file: SortedFile,
  tenant: string,
  traceId: string,
): Promise<Buffer | undefined> {
  const number = file.tenants.indexOf(tenant)
  if (number < 0) return undefined
  const wanted = Buffer.alloc(rowKeyBytes)
  if (wanted.write(traceId, 'hex') !== 16 || traceId.length !== 32) return undefined
  wanted.writeUInt32BE(number, 16)
  const block = lastNotAfter(file.fences, fenceBytes, wanted)
  if (block < 0) return undefined
  const rows = await readBlocks(store, file, block, 1)
  const at = lastNotAfter(rows, file.rowBytes, wanted) * file.rowBytes
  if (at < 0 || !rows.subarray(at, at + rowKeyBytes).equals(wanted)) return undefined
  return rows.subarray(at, at + file.rowBytes)
}

/** The blocks that may have rows from the key `from` on, without `before`: the first, and the first that has none. */
export function blocksBetween(
  { fences }: SortedFile,
  from: Buffer,
  before: Buffer | undefined,
): { readonly first: number; readonly end: number } {
  const first = Math.max(0, lastNotAfter(fences, fenceBytes, from))
  const end =
    before === undefined ? fences.length / fenceBytes : rowsBefore(fences, fenceBytes, before)
  return { first, end }
}

/** Blocks from `first` on, in one ranged read, each checked. */
export async function readBlocks(
  store: BlobStore,
  file: SortedFile,
  first: number,
  count: number,
): Promise<Buffer> {
  const { key, rowBytes, fences } = file
  const fromRow = first * file.blockRows
  const rows = Math.min(file.rows - fromRow, count * file.blockRows)
  const start = headerBytes + fromRow * rowBytes
  const bytes =
    file.whole?.subarray(start, start + rows * rowBytes) ??
    (await readExactly(store, key, start, rows * rowBytes))
  if (bytes.length !== rows * rowBytes) throw corrupt(key, 'it ends too early')
  for (let at = 0, block = first; at < bytes.length; block++) {
    const end = Math.min(bytes.length, at + file.blockRows * rowBytes)
    if (crc32(bytes.subarray(at, end)) !== fences.readUInt32BE(block * fenceBytes + rowKeyBytes)) {
      throw corrupt(key, `block ${block} of its rows has another checksum`)
    }
    at = end
  }
  return bytes
}

/** What lies behind the rows. */
export async function readExtra(store: BlobStore, file: SortedFile): Promise<Buffer> {
  const { bytes, crc } = file.extra
  const start = headerBytes + file.rows * file.rowBytes
  const extra = await readExactly(store, file.key, start, bytes)
  if (crc32(extra) !== crc)
    throw corrupt(file.key, 'what lies behind its rows has another checksum')
  return extra
}

async function readExactly(
  store: BlobStore,
  key: string,
  start: number,
  length: number,
): Promise<Buffer> {
  const bytes = await store.read(key, start, length)
  if (bytes === undefined) {
    throw new PipelineError('STORE_UNAVAILABLE', `${key} was deleted as it was read`)
  }
  if (bytes.length !== length) throw corrupt(key, 'it ends too early')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** `end` is a footer and its trailer. */
function fileOf(key: string, kind: SortedKind, end: Buffer, whole: Buffer | undefined): SortedFile {
  const trailer = end.subarray(end.length - trailerBytes)
  const jsonBytes = trailer.readUInt32BE(4)
  const v = trailer.readUInt16BE(8)
  if (crc32(end.subarray(0, end.length - trailerBytes + 12)) !== trailer.readUInt32BE(12)) {
    throw corrupt(key, 'its footer has another checksum')
  }
  if (isNewerVersion('sortedFile', v)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `${key} has format ${v}, this release reads up to ${sortedFileFormat}; run the newer release`,
    )
  }
  if (trailer.readUInt16BE(10) !== sortedKinds[kind])
    throw corrupt(key, 'it is another kind of file')
  // A copy: a part of what was read would keep all of it in memory.
  const fences = Buffer.from(end.subarray(jsonBytes, end.length - trailerBytes))
  const footer = JSON.parse(end.toString('utf8', 0, jsonBytes)) as SortedFooter
  if (fences.length !== Math.ceil(footer.rows / footer.blockRows) * fenceBytes) {
    throw corrupt(key, `it has ${footer.rows} rows and ${fences.length} bytes of fences`)
  }
  const weight = fences.length + 8 * jsonBytes + (whole?.length ?? 0) + 1_024
  return { ...footer, key, fences, whole, weight }
}

/** The number of the last row that is not after `wanted`; -1 where all are. */
function lastNotAfter(rows: Buffer, rowBytes: number, wanted: Buffer): number {
  return rowsUpTo(rows, rowBytes, wanted, 0) - 1
}

/** How many rows come before `wanted`. */
export function rowsBefore(rows: Buffer, rowBytes: number, wanted: Buffer): number {
  return rowsUpTo(rows, rowBytes, wanted, -1)
}

/** How many rows compare with `wanted` as `most` or less. */
function rowsUpTo(rows: Buffer, rowBytes: number, wanted: Buffer, most: -1 | 0): number {
  let low = 0
  let high = rows.length / rowBytes
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = middle * rowBytes
    if (rows.compare(wanted, 0, rowKeyBytes, at, at + rowKeyBytes) <= most) low = middle + 1
    else high = middle
  }
  return low
}

export function corrupt(key: string, what: string): PipelineError {
  return new PipelineError('DATA_CORRUPT', `${key}: ${what}; delete it, it is made again`)
}
