import { PipelineError } from '@winnow/runtime'

/**
 * Lists and objects in one another. A value of `anyValueDepthMax` takes four a level and the
 * envelope a dozen, so that one somewhat too deep is refused as a span, and only an attack as a whole.
 */
export const jsonDepthMax = 1000

/**
 * Lists and objects in one text. An empty one is 3 bytes of text and some 50 in memory, so that a
 * 64 MiB request could ask for gigabytes; a real one of that size has about 1 million.
 */
export const jsonContainersMax = 4_000_000

/**
 * JSON of a sender as values. A number that a double may not hold comes back as its text, exact; of
 * a key that comes twice the last one counts. A value that was parsed elsewhere passes through.
 * Throws PAYLOAD_INVALID for what is no JSON or too deep, PAYLOAD_TOO_LARGE for too many values.
 */
export function parseJsonText(value: string | Uint8Array | object): unknown {
  const text = value instanceof Uint8Array ? textOf(value) : value
  if (typeof text !== 'string') return text
  const exact = quoteLongNumbers(text, scanText(text))
  let place: string
  try {
    return JSON.parse(exact)
  } catch (error) {
    place = placeIn(error)
  }
  throw new PipelineError('PAYLOAD_INVALID', `not valid JSON${place}; send OTLP/JSON`)
}

/** The parser's message quotes the text it stumbled over, which is content: neither it nor a cause. */
function placeIn(error: unknown): string {
  const place = / at position \d+(?= \(|$)/.exec(error instanceof Error ? error.message : '')
  return place?.[0] ?? ''
}

/** Invalid UTF-8 becomes U+FFFD, as in protobuf; a byte order mark is no part of JSON. */
function textOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

/**
 * One pass before the parser: proves the limits above, and finds the numbers that a double may not
 * hold, as pairs of start and end.
 */
function scanText(text: string): readonly number[] {
  let depth = 0
  let containers = 0
  const long: number[] = []
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = stringEnd(text, at + 1)
    } else if (code === openBrace || code === openBracket) {
      if (++depth > jsonDepthMax) {
        throw new PipelineError(
          'PAYLOAD_INVALID',
          `JSON nested deeper than ${jsonDepthMax} (jsonDepthMax) at position ${at}; flatten the value`,
        )
      }
      if (++containers > jsonContainersMax) {
        throw new PipelineError(
          'PAYLOAD_TOO_LARGE',
          `more than ${jsonContainersMax} lists and objects (jsonContainersMax); send smaller batches`,
        )
      }
    } else if (code === closeBrace || code === closeBracket) {
      depth--
    } else if (code === minus || (code >= digit0 && code <= digit9)) {
      const end = numberEnd(text, at)
      if (isLong(text, at, end)) long.push(at, end)
      at = end - 1
    }
  }
  return long
}

/**
 * The text with those numbers as strings, which is where OTLP/JSON has 64-bit numbers anyway. A
 * reviver with the source of each number would do, at four times the cost of all the parsing.
 */
function quoteLongNumbers(text: string, long: readonly number[]): string {
  if (long.length === 0) return text
  const pieces: string[] = []
  let copied = 0
  for (let i = 0; i < long.length; i += 2) {
    const start = long[i] as number
    const end = long[i + 1] as number
    pieces.push(text.slice(copied, start), text.slice(start, end))
    copied = end
  }
  pieces.push(text.slice(copied))
  return pieces.join('"')
}

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const minus = 0x2d
const plus = 0x2b
const point = 0x2e
const lowerE = 0x65
const upperE = 0x45
const digit0 = 0x30
const digit9 = 0x39
/** Every integer of 15 digits is a double; of 16 not every one. */
const safeDigits = 16

/** The position of the closing quote, or of the text's end: the parser will complain of that. */
function stringEnd(text: string, start: number): number {
  for (let end = text.indexOf('"', start); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++
    if ((slashes & 1) === 0) return end
  }
  return text.length
}

function numberEnd(text: string, start: number): number {
  let end = start + 1
  while (end < text.length && isNumberPart(text.charCodeAt(end))) end++
  return end
}

function isNumberPart(code: number): boolean {
  if (code >= digit0 && code <= digit9) return true
  return code === point || code === minus || code === plus || code === lowerE || code === upperE
}

/** A long fraction (0.8714285714285714) is an ordinary double; long before the point is not. */
const longNumber =
  /^-?(?:[1-9]\d{15,}(?:\.\d+)?(?:[eE][+-]?\d+)?|(?:0|[1-9]\d*)(?:\.\d+)?[eE]\+?\d+)$/
const keyFollows = /[\t\n\r ]*:/y

/** Only a well-formed number is one: anything else, a key too, is left for the parser to refuse. */
function isLong(text: string, start: number, end: number): boolean {
  if (end - start < safeDigits && !hasExponent(text, start, end)) return false
  if (!longNumber.test(text.slice(start, end))) return false
  keyFollows.lastIndex = end
  return !keyFollows.test(text)
}

function hasExponent(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (code === lowerE || code === upperE) return true
  }
  return false
}

/** Longest text of a number looked at: 64 bits have 20 digits, the rest is fraction and exponent. */
const integerCharsMax = 64

/**
 * The integer that a decimal text means, exact: `1.5e3` is one, `1.5` is none. Undefined for
 * anything else and for what is far above 64 bits.
 */
export function exactInteger(text: string): bigint | undefined {
  if (text.length > integerCharsMax) return undefined
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text)
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const digits = whole + fraction
  const zeros = Number(exponent) - fraction.length
  if (zeros > integerCharsMax) return undefined
  const kept = zeros < 0 ? digits.slice(0, Math.max(0, digits.length + zeros)) : digits
  if (zeros < 0 && /[1-9]/.test(digits.slice(kept.length))) return undefined
  const value = BigInt(kept === '' ? '0' : kept) * 10n ** BigInt(Math.max(0, zeros))
  return sign === '-' ? -value : value
}
