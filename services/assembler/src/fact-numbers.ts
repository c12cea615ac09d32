import { type AttributeHits, arrayLength, valueType } from '@winnow/otlp'

/**
 * A hit as a finite number: an int, a double, or text that is a plain decimal number, for some SDKs
 * send every number as text (conventions c.4). NaN: it is none.
 */
export function numberOf(source: Buffer, hits: AttributeHits, hit: number): number {
  const type = hits.type[hit] as number
  if (type === valueType.int || type === valueType.double) {
    const number = hits.number[hit] as number
    return Number.isFinite(number) ? number : Number.NaN
  }
  if (type !== valueType.string) return Number.NaN
  const start = hits.start[hit] as number
  const end = hits.end[hit] as number
  if (end - start > numberBytesMax) return Number.NaN
  const text = source.toString('latin1', start, end).trim()
  return decimal.test(text) ? Number(text) : Number.NaN
}

/** A count: a whole number from 0 up that a double holds; NaN: it is none. */
export function countOf(source: Buffer, hits: AttributeHits, hit: number): number {
  const number = numberOf(source, hits, hit)
  return Number.isSafeInteger(number) && number >= 0 ? number : Number.NaN
}

/** A number as text is not longer than this. */
const numberBytesMax = 72
const decimal = /^[+-]?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?$/

/**
 * How many entries a list has that arrives as an array, as text of one (JSON, or what Python prints),
 * or as one plain text; a number is the count itself. NaN: none of these.
 */
export function entriesOf(source: Buffer, hits: AttributeHits, hit: number): number {
  const type = hits.type[hit] as number
  const start = hits.start[hit] as number
  const end = hits.end[hit] as number
  if (type === valueType.empty) return 0
  if (type === valueType.array) return arrayLength(source, start, end)
  if (type === valueType.string) return countTextEntries(source, start, end)
  return countOf(source, hits, hit)
}

/** Counts by brackets, quotes and commas, without parsing: the text may be as large as a span. */
function countTextEntries(source: Buffer, from: number, to: number): number {
  let start = from
  let end = to
  while (start < end && (source[start] as number) <= 0x20) start++
  while (end > start && (source[end - 1] as number) <= 0x20) end--
  if (start === end || source.toString('latin1', start, Math.min(end, start + 5)) === 'null')
    return 0
  if (source[start] !== 0x5b || source[end - 1] !== 0x5d) return 1
  let commas = 0
  let depth = 0
  let quote = 0
  let isEmpty = true
  for (let at = start + 1; at < end - 1; at++) {
    const byte = source[at] as number
    if (byte > 0x20) isEmpty = false
    if (quote !== 0) {
      if (byte === 0x5c) at++
      else if (byte === quote) quote = 0
    } else if (byte === 0x22 || byte === 0x27) quote = byte
    else if (byte === 0x5b || byte === 0x7b) depth++
    else if (byte === 0x5d || byte === 0x7d) depth--
    else if (byte === 0x2c && depth === 0) commas++
  }
  return isEmpty ? 0 : commas + 1
}

/** Longest JSON text that is parsed for a cost; Langfuse's details have some 200 bytes. */
export const costDetailsBytesMax = 8192

/** US dollars in a JSON object given as text: `total`, else the sum of its entries, which is Langfuse's own rule. */
export function costOfDetails(source: Buffer, hits: AttributeHits, hit: number): number {
  const start = hits.start[hit] as number
  const end = hits.end[hit] as number
  if (hits.type[hit] !== valueType.string || end - start > costDetailsBytesMax) return Number.NaN
  let parsed: unknown
  try {
    parsed = JSON.parse(source.toString('utf8', start, end))
  } catch {
    return Number.NaN
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return Number.NaN
  const costs = Object.entries(parsed).filter(
    (entry): entry is [string, number] =>
      typeof entry[1] === 'number' && Number.isFinite(entry[1]) && entry[1] >= 0,
  )
  if (costs.length === 0) return Number.NaN
  const total = costs.find(([name]) => name === 'total')
  return total === undefined ? costs.reduce((sum, [, cost]) => sum + cost, 0) : total[1]
}

/** FNV-1a over the four bytes of a big-endian word. */
export function hashWord(seed: number, word: number): number {
  let hash = seed
  for (let shift = 24; shift >= 0; shift -= 8) {
    hash = Math.imul(hash ^ ((word >>> shift) & 255), 0x01000193)
  }
  return hash >>> 0
}

/** As 32 bits without a sign hold it. */
export function saturated(value: number): number {
  return value > 0xffff_ffff ? 0xffff_ffff : value
}
