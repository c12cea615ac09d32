import { PipelineError } from '@winnow/runtime'

/**
 * Lists and objects in one another. A value of `anyValueDepthMax` takes four a level and the
 * envelope a dozen, so that one somewhat too deep is refused as a span, and only an attack as a whole.
 * V8 parses deeper text, but a reviver recurses: this keeps it from ending the stack.
 */
export const jsonDepthMax = 1000

/**
 * Lists and objects in one text. An empty one is 3 bytes of text and some 50 in memory, so that a
 * 64 MiB request could ask for gigabytes; a real one of that size has about 1 million.
 */
export const jsonContainersMax = 4_000_000

/**
 * JSON of a sender as values. Integers that a double cannot hold come back as `bigint`, exact; of a
 * key that comes twice the last one counts. A value that was parsed elsewhere passes through.
 * Throws PAYLOAD_INVALID for what is no JSON or too deep, PAYLOAD_TOO_LARGE for too many values.
 */
export function parseJsonText(value: string | Uint8Array | object): unknown {
  const text = value instanceof Uint8Array ? textOf(value) : value
  if (typeof text !== 'string') return text
  const reviver = scanText(text) ? exactNumbers : undefined
  let place: string
  try {
    return JSON.parse(text, reviver)
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
 * One pass before the parser: proves the limits above, and tells whether a number stands in the text
 * that a double may not hold, since the reviver costs several times the parsing.
 */
function scanText(text: string): boolean {
  let depth = 0
  let containers = 0
  let long = false
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
      long ||= end - at >= safeDigits && mayBeLong(text.slice(at, end))
      long ||= end - at < safeDigits && hasExponent(text, at, end)
      at = end - 1
    }
  }
  return long
}

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const minus = 0x2d
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
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end) | 0x20
    const partOf = (code >= digit0 && code <= digit9) || code === 0x65 || code === 0x2e
    if (!partOf && code !== 0x2d && code !== 0x2b && text.charCodeAt(end) !== 0x2b) break
  }
  return end
}

function hasExponent(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if ((text.charCodeAt(at) | 0x20) === 0x65) return text.charCodeAt(at + 1) !== minus
  }
  return false
}

/** A long fraction (0.8714285714285714) is an ordinary double; long before the point is not. */
function mayBeLong(number: string): boolean {
  const point = number.indexOf('.')
  return point < 0 || point >= safeDigits || /[eE]/.test(number)
}

interface Source {
  readonly source?: string
}

function exactNumbers(_key: string, value: unknown, context?: Source): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isInteger(value)) {
    return value
  }
  return exactInteger(context?.source ?? '') ?? value
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
