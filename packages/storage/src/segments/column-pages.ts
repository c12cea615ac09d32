// Hot: every value of every segment goes through here, as columns of typed arrays and bytes.
import {
  Chunk,
  type ColumnOptions,
  type ColumnStatistics,
  type EncodedColumn,
} from './column-chunk.ts'
import { indexBytes } from './hybrid-runs.ts'
import { type FixedValues, numberColumn } from './number-column.ts'
import { pageBytesTarget } from './page-size.ts'

/** A dictionary beyond this, or of as many values as half the rows, would be no gain. */
const dictionaryBytesMax = 1024 * 1024

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

export interface BooleanValues {
  readonly kind: 'booleans'
  readonly values: Uint8Array
  readonly present?: Uint8Array
}

/** Byte strings that lie here and there: gathered page by page, so that they are never all in one place. */
export interface ScatteredValues {
  readonly kind: 'scattered'
  readonly rows: number
  readonly lengthOf: (row: number) => number
  readonly copy: (row: number, target: Buffer, at: number) => void
}

export type ColumnValues = TextValues | ByteValues | ScatteredValues | FixedValues | BooleanValues

export function encodeColumn(values: ColumnValues, options: ColumnOptions): EncodedColumn {
  const chunk = new Chunk(options)
  switch (values.kind) {
    case 'texts':
      return textColumn(chunk, values, options)
    case 'bytes':
      return byteColumn(chunk, values, options)
    case 'scattered':
      return scatteredColumn(chunk, values)
    case 'fixed':
      return numberColumn(chunk, values, options)
    case 'booleans':
      return booleanColumn(chunk, values)
  }
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
  const present = held === numbers.length ? undefined : presence(numbers)
  const body = indexBytes(indexes.subarray(0, held), found.length)
  // A chunk of nulls alone has no dictionary, and so no page that names one.
  const encoding = found.length > 0 ? 'RLE_DICTIONARY' : 'PLAIN'
  chunk.page(encoding, found.length > 0 ? body : new Uint8Array(), numbers.length, present)
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
  // Copied: the column's memory is used again once it is encoded.
  const valueAt = (row: number): Uint8Array =>
    Uint8Array.from(bytes.subarray((starts[row] as number) + 4, starts[row + 1]))
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

/** Grows and is kept: of one page at a time. */
let scratch = Buffer.allocUnsafeSlow(2 * pageBytesTarget)

function scatteredColumn(chunk: Chunk, { rows, lengthOf, copy }: ScatteredValues): EncodedColumn {
  for (let from = 0; from < rows; ) {
    let to = from
    let bytes = 0
    do bytes += 4 + lengthOf(to++)
    while (to < rows && bytes + 4 + lengthOf(to) <= pageBytesTarget)
    if (bytes > scratch.length) scratch = Buffer.allocUnsafeSlow(bytes)
    for (let row = from, at = 0; row < to; row++) {
      const length = lengthOf(row)
      at = scratch.writeUInt32LE(length, at)
      copy(row, scratch, at)
      at += length
    }
    chunk.page('PLAIN', scratch.subarray(0, bytes), to - from)
    from = to
  }
  return chunk.done('PLAIN')
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
