// Hot: every number of every segment goes through here.
import {
  type Chunk,
  type ColumnOptions,
  type ColumnStatistics,
  type EncodedColumn,
  ones,
} from './column-chunk.ts'
import { indexBytes } from './hybrid-runs.ts'
import { pageBytesTarget } from './page-size.ts'

/** Numbers of one width; `present` has a 0 for each null and is absent where there is none. */
export interface FixedValues {
  readonly kind: 'fixed'
  readonly values: Int32Array | BigInt64Array | Float64Array
  readonly present?: Uint8Array
}

/** Up to so many different numbers are told apart by looking at each of them. */
const fewMax = 8

/** With fewer bytes a column is not compressed in any case. */
const fewBytesMin = 256

/** By a dictionary where there are few different ones, as most columns have: such a page needs no zstd. */
export function numberColumn(
  chunk: Chunk,
  column: FixedValues,
  { bounded }: ColumnOptions,
): EncodedColumn {
  const { values, present } = column
  const statistics = bounded ? numberBounds(column) : undefined
  const few = values.byteLength < fewBytesMin ? undefined : fewNumbers(column)
  if (few !== undefined) {
    chunk.dictionary(bytesOf(few.found), few.found.length)
    chunk.page('RLE_DICTIONARY', indexBytes(few.places, few.found.length), values.length, present)
    return chunk.done('RLE_DICTIONARY', statistics)
  }
  const perPage = pageBytesTarget / values.BYTES_PER_ELEMENT
  for (let from = 0; from < values.length; from += perPage) {
    const to = Math.min(values.length, from + perPage)
    const own = present?.subarray(from, to)
    const held = own === undefined ? values.subarray(from, to) : heldOf(values, own, from)
    chunk.page('PLAIN', bytesOf(held), to - from, own)
  }
  return chunk.done('PLAIN', statistics)
}

function bytesOf({ buffer, byteOffset, byteLength }: FixedValues['values']): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

interface Few {
  readonly found: FixedValues['values']
  /** One a value that is there. */
  readonly places: Int32Array
}

/** Compared by their bits, as halves: no BigInt is made, and the two zeros stay two. */
function fewNumbers({ values, present }: FixedValues): Few | undefined {
  const halves = new Int32Array(values.buffer, values.byteOffset, values.byteLength / 4)
  const wide = values.BYTES_PER_ELEMENT === 8
  const firsts: number[] = []
  const lows: number[] = []
  const highs: number[] = []
  const places = new Int32Array(values.length)
  let held = 0
  let last = 0
  for (let n = 0; n < values.length; n++) {
    if (present?.[n] === 0) continue
    const low = (wide ? halves[2 * n] : halves[n]) as number
    const high = wide ? (halves[2 * n + 1] as number) : 0
    if (lows[last] !== low || highs[last] !== high) {
      last = 0
      while (last < lows.length && (lows[last] !== low || highs[last] !== high)) last++
      if (last === fewMax) return undefined
      if (last === lows.length) {
        firsts.push(n)
        lows.push(low)
        highs.push(high)
      }
    }
    places[held++] = last
  }
  if (held === 0) return undefined
  const found = values.slice(0, firsts.length)
  for (let n = 0; n < firsts.length; n++) found[n] = values[firsts[n] as number] as never
  return { found, places: places.subarray(0, held) }
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

function numberBounds({ values, present }: FixedValues): ColumnStatistics {
  const null_count = BigInt(present === undefined ? 0 : present.length - ones(present))
  const [min, max] =
    values instanceof BigInt64Array ? wholeBounds(values, present) : plainBounds(values, present)
  if (min === undefined || max === undefined) return { null_count }
  // Parquet's own rule for the two zeros.
  return { min_value: min === 0 ? -0 : min, max_value: max === 0 ? 0 : max, null_count }
}

type Bounds<T> = readonly [min: T | undefined, max: T | undefined]

function plainBounds(values: Int32Array | Float64Array, present?: Uint8Array): Bounds<number> {
  let min: number | undefined
  let max: number | undefined
  for (let n = 0; n < values.length; n++) {
    if (present?.[n] === 0) continue
    const value = values[n] as number
    if (Number.isNaN(value)) continue
    if (min === undefined || value < min) min = value
    if (max === undefined || value > max) max = value
  }
  return [min, max]
}

/** By their halves: each element that is read is a BigInt of its own. */
function wholeBounds(values: BigInt64Array, present?: Uint8Array): Bounds<bigint> {
  const highs = new Int32Array(values.buffer, values.byteOffset, 2 * values.length)
  const lows = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length)
  let min = -1
  let max = -1
  for (let n = 0; n < values.length; n++) {
    if (present?.[n] === 0) continue
    if (min < 0 || isLess(highs, lows, n, min)) min = n
    if (max < 0 || isLess(highs, lows, max, n)) max = n
  }
  return [values[min], values[max]]
}

function isLess(highs: Int32Array, lows: Uint32Array, a: number, b: number): boolean {
  const aHigh = highs[2 * a + 1] as number
  const bHigh = highs[2 * b + 1] as number
  return aHigh < bHigh || (aHigh === bHigh && (lows[2 * a] as number) < (lows[2 * b] as number))
}
