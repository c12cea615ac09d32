import { alnum, classAt, high, isEscapeLetter, letter, localMark } from './byte-class.ts'
import type { Match } from './finding.ts'

/** RFC 5321 has 64 and 255 bytes; what is longer is no address that a server would take. */
const localBytesMax = 256
const domainBytesMax = 255

const dot = 0x2e
const dash = 0x2d
const backslash = 0x5c

/** No top level of the Internet, but files: `chunk@ab12.js`. */
const fileEndings = /\.(?:png|jpe?g|gif|svg|webp|avif|ico|css|m?js|cjs|tsx?|jsx|json|ya?ml)$/i
/** `icon@2x.md`: whatever it ends in. */
const scaled = /@\dx\./

/** The address around the `@` at `at`. */
export function emailAt(bytes: Buffer, at: number, start: number, end: number): Match | undefined {
  const from = localStart(bytes, at, start)
  if (from === at) return undefined
  const to = domainEnd(bytes, at + 1, end)
  if (to < 0) return undefined
  const text = bytes.toString('utf8', from, to)
  // Where code is hosted, not somebody's mail.
  if (text.startsWith('git@') || fileEndings.test(text) || scaled.test(text)) return undefined
  return { start: from, end: to, kind: 'email', canonical: text.toLowerCase() }
}

/**
 * Letters of other scripts belong to an address only where one stands right beside the `@`: people write
 * `请联系maria@example.com` without a blank.
 */
function localStart(bytes: Buffer, at: number, start: number): number {
  const least = Math.max(start, at - localBytesMax)
  const isForeign = at > least && wideAt(bytes, startOfChar(bytes, at - 1, least)) === wide.foreign
  let from = at
  while (from > least) {
    const bits = classAt(bytes, from - 1)
    if ((bits & (alnum | localMark)) !== 0) {
      from--
      continue
    }
    if ((bits & high) === 0) break
    const char = startOfChar(bytes, from - 1, least)
    const kind = wideAt(bytes, char)
    if (kind !== wide.latin && (kind !== wide.foreign || !isForeign)) break
    from = char
  }
  if (from > start && bytes[from - 1] === backslash && isEscapeLetter(bytes[from] as number)) from++
  while (from < at && (classAt(bytes, from) & localMark) !== 0 && bytes[from] !== 0x5f) from++
  return from
}

/** Where the last label ends that can be a top level, of those that stand behind the `@`; -1: there is none. */
function domainEnd(bytes: Buffer, from: number, end: number): number {
  const most = Math.min(end, from + domainBytesMax)
  let found = -1
  let label = from
  while (label < most) {
    const to = labelEnd(bytes, label, most)
    if (to === label) break
    const top = label === from ? -1 : topLevelEnd(bytes, label, to)
    if (top >= 0) found = top
    if (to >= most || bytes[to] !== dot) break
    label = to + 1
  }
  return found
}

/** A label is of ASCII and Latin letters, or of one other script: a blank before the next word may be missing. */
function labelEnd(bytes: Buffer, from: number, end: number): number {
  const isForeign = wideAt(bytes, from) === wide.foreign
  let to = from
  while (to < end) {
    const bits = classAt(bytes, to)
    if ((bits & high) !== 0) {
      if (wideAt(bytes, to) !== (isForeign ? wide.foreign : wide.latin)) break
      const next = to + charBytes(bytes[to] as number)
      if (next > end) break
      to = next
    } else if ((bits & alnum) !== 0 ? !isForeign : bytes[to] === dash) to++
    else break
  }
  return to
}

/** Letters, the whole label or what stands before its first dash: `example.com-1732250000`. */
function topLevelEnd(bytes: Buffer, from: number, to: number): number {
  if (bytes.toString('latin1', from, Math.min(to, from + 4)).toLowerCase() === 'xn--') {
    return endsInDash(bytes, to) ? -1 : to
  }
  let at = from
  const wanted = (classAt(bytes, from) & high) !== 0 ? high : letter
  while (at < to && (classAt(bytes, at) & wanted) !== 0) at++
  if (at - from < 2) return -1
  const next = at < to ? classAt(bytes, at) : 0
  // `com1` is another word; behind `com` may follow what needs no blank.
  return (next & alnum) === 0 ? at : -1
}

function endsInDash(bytes: Uint8Array, to: number): boolean {
  return bytes[to - 1] === dash
}

/** What a character beyond ASCII is to an address. */
const wide = { none: 0, latin: 1, foreign: 2 } as const

/** By its first byte: Latin letters and the accents that follow one, letters of other scripts, or marks and pictures. */
function wideAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number
  const second = bytes[at + 1] as number
  // U+00C0 to U+024F without × and ÷; U+0300 to U+036F.
  if (lead === 0xc3) return second === 0x97 || second === 0xb7 ? wide.none : wide.latin
  if (lead >= 0xc4 && lead <= 0xc9) return wide.latin
  if (lead === 0xcc || lead === 0xcd) return wide.latin
  if (lead >= 0xce && lead <= 0xe0) return wide.foreign
  // U+1E00 to U+1EFF.
  if (lead === 0xe1) return second >= 0xb8 && second <= 0xbb ? wide.latin : wide.foreign
  // U+3000 to U+303F are marks, as are U+2000 to U+2FFF and all from U+F000 on.
  if (lead === 0xe3) return second === 0x80 ? wide.none : wide.foreign
  return lead >= 0xe4 && lead <= 0xed ? wide.foreign : wide.none
}

function startOfChar(bytes: Uint8Array, at: number, least: number): number {
  let from = at
  while (from > least && ((bytes[from] as number) & 0xc0) === 0x80) from--
  return from
}

function charBytes(lead: number): number {
  return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
}
