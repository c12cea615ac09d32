import { isUtf8 } from 'node:buffer'
import { alnum, base64Mark, byteClass, classAt, isEscapeLetter } from './byte-class.ts'
import { eitherOf, pairsOf } from './byte-pairs.ts'

/** Shorter parts are words; they could hold an address of eleven letters at most. */
export const base64CharsMin = 16

const part = alnum | base64Mark
const equals = 0x3d
const backslash = 0x5c

/** Pairs of bytes of which one is no letter of base64. */
const breaks = eitherOf(Uint8Array.from(byteClass, bits => ((bits & part) === 0 ? 1 : 0)))

/** Calls `take` with each run of base64's letters, its padding left out, and with what it decodes to if that is text. */
export function eachBase64Text(
  bytes: Buffer,
  start: number,
  end: number,
  take: (from: number, to: number, text: Buffer) => void,
): void {
  if (end - start < base64CharsMin) return
  const pairs = pairsOf(bytes)
  const offset = bytes.byteOffset
  // Sixteen letters in a row hold four whole pairs, wherever one begins to count by four.
  const last = ((offset + end) >> 1) - 3
  let floor = start
  for (let pair = (offset + start + 1) >> 1; pair < last; pair += 4) {
    if (
      ((breaks[pairs[pair] as number] as number) |
        (breaks[pairs[pair + 1] as number] as number) |
        (breaks[pairs[pair + 2] as number] as number) |
        (breaks[pairs[pair + 3] as number] as number)) !==
      0
    ) {
      continue
    }
    let from = (pair << 1) - offset
    let to = from + 8
    while (from > floor && (classAt(bytes, from - 1) & part) !== 0) from--
    while (to < end && (classAt(bytes, to) & part) !== 0) to++
    floor = to
    if (to - from >= base64CharsMin) {
      if (from > start && bytes[from - 1] === backslash) from = afterEscape(bytes, from)
      if (!takeRun(bytes, from, to, take)) takePieces(bytes, from, to, take)
    }
    pair = ((offset + to + 1) >> 1) - 4
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

/** Its first twelve bytes begin a text in UTF-8: a word or a hash has hardly ever that luck. */
function mayBeText(bytes: Buffer, from: number): boolean {
  let follow = 0
  for (let at = from; at < from + base64CharsMin; at += 4) {
    const word =
      ((sixBits[bytes[at] as number] as number) << 18) |
      ((sixBits[bytes[at + 1] as number] as number) << 12) |
      ((sixBits[bytes[at + 2] as number] as number) << 6) |
      (sixBits[bytes[at + 3] as number] as number)
    follow = afterByte(word >>> 16, follow)
    if (follow >= 0) follow = afterByte((word >>> 8) & 255, follow)
    if (follow >= 0) follow = afterByte(word & 255, follow)
    if (follow < 0) return false
  }
  return true
}

/** How many bytes of a character must follow `byte`, before which it were `follow`; -1: this is no text. */
function afterByte(byte: number, follow: number): number {
  if (follow > 0) return (byte & 0xc0) === 0x80 ? follow - 1 : -1
  if (byte < 0x80) return isTextByte(byte) ? 0 : -1
  if (byte < 0xc2 || byte > 0xf4) return -1
  return byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
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
