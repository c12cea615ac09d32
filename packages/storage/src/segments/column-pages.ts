// Hot: every value of every segment goes through here, as columns of typed arrays and bytes.
import { constants, zstdCompressSync } from 'node:zlib'
import type { ColumnIndex, Encoding } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { hybridBytes } from './hybrid-runs.ts'

/** Uncompressed bytes of a page: what a look-up of one trace reads of every column. */
export const pageBytesTarget = 128 * 1024

/** A dictionary beyond this, or of as many values as half the rows, would be no gain. */
const dictionaryBytesMax = 1024 * 1024

/** Below this a frame of zstd costs more than it saves. */
const compressBytesMin = 256

/** Level 1 takes a third of the time of the default and a tenth more room. */
const zstd = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** A page as it lies in a chunk, relative to the chunk's begin. */
export interface PagePlace {
  readonly at: number
  readonly bytes: number
  readonly firstRow: number
}

/** A column chunk that does not know yet where it will lie: one may be part of two files. */
export interface EncodedColumn {
  /** Dictionary page first, where there is one. */
  readonly bytes: Uint8Array
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

/** Texts as numbers of a table; below 0: null. */
export interface TextValues {
  readonly kind: 'texts'
  readonly numbers: Int32Array
  readonly table: readonly string[]
}

/** Byte strings one after another, each behind its u32 length, as Parquet's PLAIN has them. */
export interface ByteValues {
  readonly kind: 'bytes'
  readonly bytes: Uint8Array
  /** Where the value of each row begins; one more for the end. Equal to the next: null. */
  readonly starts: Uint32Array
}

/** Numbers of one width; `present` has a 0 for each null and is absent where there is none. */
export interface FixedValues {
  readonly kind: 'fixed'
  readonly values: Int32Array | BigInt64Array | Float64Array
  readonly present?: Uint8Array
}

export interface BooleanValues {
  readonly kind: 'booleans'
  readonly values: Uint8Array
  readonly present?: Uint8Array
}

export type ColumnValues = TextValues | ByteValues | FixedValues | BooleanValues

export interface ColumnOptions {
  readonly nullable: boolean
  /** Bounds of the whole, by which files and row groups are passed over. */
  readonly bounded: boolean
  /** Bounds of every page, for a column of sorted bytes. */
  readonly indexed: boolean
}

export function encodeColumn(values: ColumnValues, options: ColumnOptions): EncodedColumn {
  const chunk = new Chunk(options)
  switch (values.kind) {
    case 'texts':
      return textColumn(chunk, values, options)
    case 'bytes':
      return byteColumn(chunk, values, options)
    case 'fixed':
      return fixedColumn(chunk, values, options)
    case 'booleans':
      return booleanColumn(chunk, values)
  }
}

class Chunk {
  readonly #options: ColumnOptions
  readonly #writer = new ByteWriter(16 * 1024)
  readonly #pages: PagePlace[] = []
  #dictionaryBytes = 0
  #uncompressed = 0
  #rows = 0

  constructor(options: ColumnOptions) {
    this.#options = options
  }

  dictionary(bytes: Uint8Array, count: number): void {
    const body = compressed(bytes) ?? zstdCompressSync(bytes, zstd)
    writePageHeader(this.#writer, {
      type: 'DICTIONARY_PAGE',
      uncompressed_page_size: bytes.length,
      compressed_page_size: body.length,
      dictionary_page_header: { num_values: count, encoding: 'PLAIN' },
    })
    this.#uncompressed += this.#writer.offset + bytes.length
    this.#writer.appendBytes(body)
    this.#dictionaryBytes = this.#writer.offset
  }

  /** `body` has the values that are not null, of `rows` rows. */
  page(encoding: Encoding, body: Uint8Array, rows: number, present?: Uint8Array): void {
    const writer = this.#writer
    const at = writer.offset
    const levels = this.#options.nullable ? levelBytes(present, rows) : noBytes
    const nulls = present === undefined ? 0 : rows - ones(present)
    const packed = compressed(body)
    const length = levels.length + (packed ?? body).length
    writePageHeader(writer, {
      type: 'DATA_PAGE_V2',
      uncompressed_page_size: levels.length + body.length,
      compressed_page_size: length,
      data_page_header_v2: {
        num_values: rows,
        num_nulls: nulls,
        num_rows: rows,
        encoding,
        definition_levels_byte_length: levels.length,
        repetition_levels_byte_length: 0,
        is_compressed: packed !== undefined,
      },
    })
    this.#uncompressed += writer.offset - at + levels.length + body.length
    writer.appendBytes(levels)
    writer.appendBytes(packed ?? body)
    this.#pages.push({ at, bytes: writer.offset - at, firstRow: this.#rows })
    this.#rows += rows
  }

  done(encoding: Encoding, statistics?: ColumnStatistics, index?: ColumnIndex): EncodedColumn {
    return {
      bytes: this.#writer.getBytes(),
      dictionaryBytes: this.#dictionaryBytes,
      encoding,
      rows: this.#rows,
      uncompressedBytes: this.#uncompressed,
      pages: this.#pages,
      statistics,
      index,
    }
  }
}

const noBytes = new Uint8Array()

function compressed(body: Uint8Array): Uint8Array | undefined {
  if (body.length < compressBytesMin) return undefined
  const packed = zstdCompressSync(body, zstd)
  return packed.length < body.length ? packed : undefined
}

function levelBytes(present: Uint8Array | undefined, rows: number): Uint8Array {
  return hybridBytes(present ?? new Uint8Array(rows).fill(1), 1)
}

function ones(present: Uint8Array): number {
  let count = 0
  for (let n = 0; n < present.length; n++) count += present[n] as number
  return count
}

/** By a dictionary of the texts that occur, unless nearly every row has its own. */
function textColumn(
  chunk: Chunk,
  { numbers, table }: TextValues,
  { bounded }: ColumnOptions,
): EncodedColumn {
  const places = new Int32Array(table.length).fill(-1)
  const found: string[] = []
  const indexes = new Int32Array(numbers.length)
  let held = 0
  let bytes = 0
  for (let row = 0; row < numbers.length; row++) {
    const number = numbers[row] as number
    if (number < 0) continue
    let place = places[number] as number
    if (place < 0) {
      const text = table[number] as string
      place = found.push(text) - 1
      places[number] = place
      bytes += 4 + Buffer.byteLength(text)
    }
    indexes[held++] = place
  }
  const statistics = bounded ? textBounds(found, numbers.length - held) : undefined
  const isWorthIt = bytes <= dictionaryBytesMax && (found.length <= 8 || found.length <= held / 2)
  if (!isWorthIt) return plainTexts(chunk, numbers, table, statistics)
  if (found.length > 0) chunk.dictionary(plainBytes(found), found.length)
  const bits = found.length < 2 ? 0 : 32 - Math.clz32(found.length - 1)
  const present = held === numbers.length ? undefined : presence(numbers)
  const runs = hybridBytes(indexes.subarray(0, held), bits)
  const body = new Uint8Array(runs.length + 1)
  body[0] = bits
  body.set(runs, 1)
  // A chunk of nulls alone has no dictionary, and so no page that names one.
  const encoding = found.length > 0 ? 'RLE_DICTIONARY' : 'PLAIN'
  chunk.page(encoding, found.length > 0 ? body : noBytes, numbers.length, present)
  return chunk.done(encoding, statistics)
}

function plainTexts(
  chunk: Chunk,
  numbers: Int32Array,
  table: readonly string[],
  statistics: ColumnStatistics | undefined,
): EncodedColumn {
  for (let from = 0; from < numbers.length; ) {
    const values: string[] = []
    let to = from
    for (let bytes = 0; to < numbers.length && bytes < pageBytesTarget; to++) {
      const text = table[numbers[to] as number]
      if (text === undefined) continue
      values.push(text)
      bytes += 4 + text.length
    }
    const own = numbers.subarray(from, to)
    const present = values.length === own.length ? undefined : presence(own)
    chunk.page('PLAIN', plainBytes(values), own.length, present)
    from = to
  }
  return chunk.done('PLAIN', statistics)
}

function presence(numbers: Int32Array): Uint8Array {
  const present = new Uint8Array(numbers.length)
  for (let n = 0; n < numbers.length; n++) present[n] = (numbers[n] as number) < 0 ? 0 : 1
  return present
}

function plainBytes(texts: readonly string[]): Uint8Array {
  let most = 0
  for (const text of texts) most += 4 + 3 * text.length
  const bytes = Buffer.allocUnsafe(most)
  let at = 0
  for (const text of texts) {
    const length = bytes.write(text, at + 4, 'utf8')
    bytes.writeUInt32LE(length, at)
    at += 4 + length
  }
  return bytes.subarray(0, at)
}

function textBounds(texts: readonly string[], nulls: number): ColumnStatistics {
  const sorted = texts.map(text => Buffer.from(text)).sort(Buffer.compare)
  const [min, max] = [sorted[0], sorted.at(-1)]
  const null_count = BigInt(nulls)
  return min && max ? { min_value: min, max_value: max, null_count } : { null_count }
}

function byteColumn(
  chunk: Chunk,
  { bytes, starts }: ByteValues,
  { bounded, indexed }: ColumnOptions,
): EncodedColumn {
  const rows = starts.length - 1
  const valueAt = (row: number): Uint8Array =>
    bytes.subarray((starts[row] as number) + 4, starts[row + 1])
  const pages: { readonly from: number; readonly to: number }[] = []
  for (let from = 0; from < rows; ) {
    let to = from + 1
    const begin = starts[from] as number
    while (to < rows && (starts[to + 1] as number) - begin <= pageBytesTarget) to++
    const present = presentBytes(starts, from, to)
    chunk.page('PLAIN', bytes.subarray(begin, starts[to]), to - from, present)
    pages.push({ from, to })
    from = to
  }
  // Sorted: the first and the last are the bounds.
  const statistics =
    bounded && rows > 0
      ? { min_value: valueAt(0), max_value: valueAt(rows - 1), null_count: 0n }
      : undefined
  if (!indexed || pages.length < 2) return chunk.done('PLAIN', statistics)
  return chunk.done('PLAIN', statistics, {
    null_pages: pages.map(() => false),
    min_values: pages.map(({ from }) => valueAt(from)),
    max_values: pages.map(({ to }) => valueAt(to - 1)),
    boundary_order: 'ASCENDING',
    null_counts: pages.map(() => 0n),
  })
}

function presentBytes(starts: Uint32Array, from: number, to: number): Uint8Array | undefined {
  let present: Uint8Array | undefined
  for (let row = from; row < to; row++) {
    if (starts[row] !== starts[row + 1]) continue
    present ??= new Uint8Array(to - from).fill(1)
    present[row - from] = 0
  }
  return present
}

function fixedColumn(
  chunk: Chunk,
  { values, present }: FixedValues,
  { bounded }: ColumnOptions,
): EncodedColumn {
  const perPage = pageBytesTarget / values.BYTES_PER_ELEMENT
  for (let from = 0; from < values.length; from += perPage) {
    const to = Math.min(values.length, from + perPage)
    const own = present?.subarray(from, to)
    const held = own === undefined ? values.subarray(from, to) : heldOf(values, own, from)
    const body = new Uint8Array(held.buffer, held.byteOffset, held.byteLength)
    chunk.page('PLAIN', body, to - from, own)
  }
  return chunk.done('PLAIN', bounded ? numberBounds(values, present) : undefined)
}

function heldOf(
  values: FixedValues['values'],
  present: Uint8Array,
  from: number,
): FixedValues['values'] {
  const held = values.slice(from, from + present.length)
  let count = 0
  for (let n = 0; n < present.length; n++) {
    if (present[n] === 1) held[count++] = values[from + n] as never
  }
  return held.subarray(0, count)
}

function numberBounds(values: FixedValues['values'], present?: Uint8Array): ColumnStatistics {
  let min: number | bigint | undefined
  let max: number | bigint | undefined
  for (let n = 0; n < values.length; n++) {
    if (present?.[n] === 0) continue
    const value = values[n] as number | bigint
    if (Number.isNaN(value)) continue
    if (min === undefined || value < min) min = value
    if (max === undefined || value > max) max = value
  }
  const null_count = BigInt(present === undefined ? 0 : present.length - ones(present))
  if (min === undefined || max === undefined) return { null_count }
  // Parquet's own rule for the two zeros.
  return { min_value: min === 0 ? -0 : min, max_value: max === 0 ? 0 : max, null_count }
}

function booleanColumn(chunk: Chunk, { values, present }: BooleanValues): EncodedColumn {
  const bits = new Uint8Array(Math.ceil(values.length / 8))
  let count = 0
  for (let n = 0; n < values.length; n++) {
    if (present?.[n] === 0) continue
    if (values[n] === 1) bits[count >> 3] = (bits[count >> 3] as number) | (1 << (count & 7))
    count++
  }
  chunk.page('PLAIN', bits.subarray(0, Math.ceil(count / 8)), values.length, present)
  return chunk.done('PLAIN')
}
