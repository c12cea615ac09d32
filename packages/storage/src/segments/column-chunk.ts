// Hot: every page of every segment is put together here.
import { constants, crc32, zstdCompressSync } from 'node:zlib'
import type { ColumnIndex, Encoding } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { hybridBytes } from './hybrid-runs.ts'

/** Below this a frame of zstd costs more than it saves: to begin one takes 27 µs. */
const compressBytesMin = 256

/** Level 1 takes a third of the time of the default and a tenth more room. */
const params = { [constants.ZSTD_c_compressionLevel]: 1 }

/** The frame's own memory is a quarter of the page's at first: the default is 16 KiB for 300 bytes too. */
const outputBytesMin = 1024

function zstd(bytes: Uint8Array): Uint8Array {
  return zstdCompressSync(bytes, { params, chunkSize: Math.max(outputBytesMin, bytes.length >> 2) })
}

/** A page as it lies in a chunk, relative to the chunk's begin. */
export interface PagePlace {
  readonly at: number
  readonly bytes: number
  readonly firstRow: number
}

/** A stretch of a file, and the CRC32 of its bytes. */
export interface Piece {
  readonly bytes: number
  readonly crc: number
}

/** A column chunk that does not know yet where it will lie: one may be part of two files. */
export interface EncodedColumn {
  /** One after another. Dictionary page first, where there is one. */
  readonly parts: readonly Uint8Array[]
  /** Of all parts. */
  readonly bytes: number
  /** Its pages with their headers, the dictionary's too. */
  readonly pieces: readonly Piece[]
  readonly dictionaryBytes: number
  readonly encoding: Encoding
  readonly rows: number
  readonly uncompressedBytes: number
  readonly pages: readonly PagePlace[]
  readonly statistics: ColumnStatistics | undefined
  /** Bounds of each page, of a column that look-ups go by. */
  readonly index: ColumnIndex | undefined
}

export interface ColumnStatistics {
  readonly min_value?: bigint | number | string | Uint8Array
  readonly max_value?: bigint | number | string | Uint8Array
  readonly null_count: bigint
}

export interface ColumnOptions {
  readonly nullable: boolean
  /** Bounds of the whole, by which files and row groups are passed over. */
  readonly bounded: boolean
  /** Bounds of every page, for a column of sorted bytes. */
  readonly indexed: boolean
}

/** Puts the pages of one column together. What it is handed may be used again afterwards. */
export class Chunk {
  readonly #options: ColumnOptions
  readonly #parts: Uint8Array[] = []
  readonly #pieces: Piece[] = []
  readonly #pages: PagePlace[] = []
  #bytes = 0
  #dictionaryBytes = 0
  #uncompressed = 0
  #rows = 0

  constructor(options: ColumnOptions) {
    this.#options = options
  }

  dictionary(bytes: Uint8Array, count: number): void {
    // A dictionary has no flag that says it is not compressed.
    const body = bytes.length < compressBytesMin ? storedFrame(bytes) : zstd(bytes)
    const header = headerOf({
      type: 'DICTIONARY_PAGE',
      uncompressed_page_size: bytes.length,
      compressed_page_size: body.length,
      dictionary_page_header: { num_values: count, encoding: 'PLAIN' },
    })
    this.#uncompressed += header.length + bytes.length
    this.#add([header, body])
    this.#dictionaryBytes = this.#bytes
  }

  /** `body` has the values that are not null, of `rows` rows. */
  page(encoding: Encoding, body: Uint8Array, rows: number, present?: Uint8Array): void {
    const at = this.#bytes
    const levels = this.#options.nullable ? levelBytes(present, rows) : noBytes
    const packed = compressed(body)
    const length = levels.length + (packed ?? body).length
    const header = headerOf({
      type: 'DATA_PAGE_V2',
      uncompressed_page_size: levels.length + body.length,
      compressed_page_size: length,
      data_page_header_v2: {
        num_values: rows,
        num_nulls: present === undefined ? 0 : rows - ones(present),
        num_rows: rows,
        encoding,
        definition_levels_byte_length: levels.length,
        repetition_levels_byte_length: 0,
        is_compressed: packed !== undefined,
      },
    })
    this.#uncompressed += header.length + levels.length + body.length
    this.#add([header, levels, packed ?? Uint8Array.from(body)])
    this.#pages.push({ at, bytes: this.#bytes - at, firstRow: this.#rows })
    this.#rows += rows
  }

  done(encoding: Encoding, statistics?: ColumnStatistics, index?: ColumnIndex): EncodedColumn {
    return {
      parts: this.#parts,
      bytes: this.#bytes,
      pieces: this.#pieces,
      dictionaryBytes: this.#dictionaryBytes,
      encoding,
      rows: this.#rows,
      uncompressedBytes: this.#uncompressed,
      pages: this.#pages,
      statistics,
      index,
    }
  }

  #add(parts: readonly Uint8Array[]): void {
    let crc = 0
    let bytes = 0
    for (const part of parts) {
      if (part.length === 0) continue
      this.#parts.push(part)
      crc = crc32(part, crc)
      bytes += part.length
    }
    this.#pieces.push({ bytes, crc })
    this.#bytes += bytes
  }
}

/** Ones among zeros. */
export function ones(present: Uint8Array): number {
  let count = 0
  for (let n = 0; n < present.length; n++) count += present[n] as number
  return count
}

const noBytes = new Uint8Array()

const headers = new ByteWriter(256)

function headerOf(header: Parameters<typeof writePageHeader>[1]): Uint8Array {
  headers.offset = 0
  headers.index = 0
  writePageHeader(headers, header)
  return headers.getBytes().slice()
}

function compressed(body: Uint8Array): Uint8Array | undefined {
  if (body.length < compressBytesMin) return undefined
  const packed = zstd(body)
  return packed.length < body.length ? packed : undefined
}

/**
 * A frame of zstd with one raw block (RFC 8878, 3.1.1): magic, a descriptor that says one segment and one
 * byte of length, and the block's header of three bytes: last, raw, its length.
 */
function storedFrame(bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(9 + bytes.length)
  frame.set([0x28, 0xb5, 0x2f, 0xfd, 0x20, bytes.length])
  const header = 1 | (bytes.length << 3)
  frame.set([header & 0xff, header >> 8, 0], 6)
  frame.set(bytes, 9)
  return frame
}

function levelBytes(present: Uint8Array | undefined, rows: number): Uint8Array {
  if (present !== undefined) return hybridBytes(present, 1)
  if (rows === 0) return noBytes
  // One run of ones: twice the count as LEB128, then the value.
  const run: number[] = []
  let rest = 2 * rows
  while (rest > 0x7f) {
    run.push((rest & 0x7f) | 0x80)
    rest = Math.floor(rest / 128)
  }
  run.push(rest, 1)
  return Uint8Array.from(run)
}
