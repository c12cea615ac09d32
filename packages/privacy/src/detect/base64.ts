import { isUtf8 } from 'node:buffer'
import { alnum, base64Mark, classAt, isEscapeLetter } from './byte-class.ts'

/** Shorter parts are words; they could hold an address of eleven letters at most. */
export const base64CharsMin = 16

const part = alnum | base64Mark
const equals = 0x3d
const backslash = 0x5c

/** Calls `take` with each run of base64's letters, its padding left out, and with what it decodes to if that is text. */
export function eachBase64Text(
  bytes: Buffer,
  start: number,
  end: number,
  take: (from: number, to: number, text: Buffer) => void,
): void {
  let at = start + base64CharsMin - 1
  while (at < end) {
    // From behind: one byte that is none rules out all sixteen that hold it.
    let from = at
    const least = at - base64CharsMin + 1
    while (from >= least && (classAt(bytes, from) & part) !== 0) from--
    if (from >= least) {
      at = from + base64CharsMin
      continue
    }
    from = least
    if (from > start && bytes[from - 1] === backslash) from = afterEscape(bytes, from)
    let to = at + 1
    while (to < end && (classAt(bytes, to) & part) !== 0) to++
    if (!takeRun(bytes, from, to, take)) takePieces(bytes, from, to, take)
    at = to + base64CharsMin
  }
}

/** `\\nTWFy…`: its letter is none of base64, as are the digits of `\\u…`. */
function afterEscape(bytes: Uint8Array, at: number): number {
  if (bytes[at] === 0x75) return at + 5
  return isEscapeLetter(bytes[at] as number) || bytes[at] === 0x2f ? at + 1 : at
}

function takeRun(
  bytes: Buffer,
  from: number,
  to: number,
  take: (from: number, to: number, text: Buffer) => void,
): boolean {
  if (to - from < base64CharsMin || (to - from) % 4 === 1 || !mayBeText(bytes, from)) return false
  const text = Buffer.from(bytes.toString('latin1', from, to), 'base64')
  if (!isText(text)) return false
  take(from, to, text)
  return true
}

/** `/path/BASE64`, `name-BASE64`: marks of base64 that part it from its surroundings. */
function takePieces(
  bytes: Buffer,
  from: number,
  to: number,
  take: (from: number, to: number, text: Buffer) => void,
): void {
  let piece = from
  for (let at = from; at <= to; at++) {
    if (at < to && (classAt(bytes, at) & base64Mark) === 0) continue
    if (at - piece >= base64CharsMin && at - piece < to - from) takeRun(bytes, piece, at, take)
    piece = at + 1
  }
}

/** Its first twelve bytes are text: a word or a hash has hardly ever that luck. */
function mayBeText(bytes: Buffer, from: number): boolean {
  for (let at = from; at < from + base64CharsMin; at += 4) {
    const word =
      ((sixBits[bytes[at] as number] as number) << 18) |
      ((sixBits[bytes[at + 1] as number] as number) << 12) |
      ((sixBits[bytes[at + 2] as number] as number) << 6) |
      (sixBits[bytes[at + 3] as number] as number)
    if (!isTextByte(word >>> 16) || !isTextByte((word >>> 8) & 255) || !isTextByte(word & 255)) {
      return false
    }
  }
  return true
}

const sixBits = new Uint8Array(256)
for (const [value, char] of [
  ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
].entries()) {
  sixBits[char.charCodeAt(0)] = value
}
sixBits[0x2d] = 62
sixBits[0x5f] = 63

function isTextByte(byte: number): boolean {
  return (byte >= 0x20 && byte !== 0x7f) || byte === 9 || byte === 10 || byte === 13
}

function isText(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (!isTextByte(byte)) return false
  return isUtf8(bytes)
}

/** `text` in the alphabet of what it takes the place of, with its padding where there was one. */
export function encodedLike(
  bytes: Buffer,
  from: number,
  to: number,
  end: number,
  text: Uint8Array,
): { readonly end: number; readonly replacement: Buffer } {
  let after = to
  while (after < end && after < to + 2 && bytes[after] === equals) after++
  const isUrlSafe = /[-_]/.test(bytes.toString('latin1', from, to))
  const encoded = Buffer.from(text)
    .toString(isUrlSafe ? 'base64url' : 'base64')
    .replace(/=+$/, '')
  const padding = after > to ? '='.repeat((4 - (encoded.length % 4)) % 4) : ''
  return { end: after, replacement: Buffer.from(encoded + padding) }
}
