// Hot: every string of every span passes here. One table look-up a byte; no object, closure or regular
// expression before a byte that something sought may begin or hold.
import { eachBase64Text, encodedLike } from './base64.ts'
import { alnum, base64Mark, classAt, isEscapeLetter } from './byte-class.ts'
import { eitherOf, pairsOf } from './byte-pairs.ts'
import { beginsEscape, decodedView } from './decoded-view.ts'
import { emailAt } from './email.ts'
import { detectedKinds, type Finding, type Match } from './finding.ts'
import { ipv6At } from './ip.ts'
import { JwtFinder } from './jwt.ts'
import { numberAt } from './number.ts'
import type { Pattern } from './pattern.ts'
import { assignedAt, bearerAt, keyBlockAt, secretAt } from './secret.ts'
import { tokenEnd } from './token-shape.ts'
import { urlAt } from './url.ts'

export interface DetectorOptions {
  /** What is sought; absent: every kind. */
  readonly kinds?: readonly string[]
  readonly patterns?: readonly Pattern[]
}

/** Makes the text of a part of a string what stands in its place: needed to redact what is encoded. */
export type Rewrite = (bytes: Buffer, findings: readonly Finding[]) => Uint8Array

/** Encoded parts in encoded parts that are looked into. */
const layersMax = 3

const mark = {
  none: 0,
  digit: 1,
  at: 2,
  dash: 3,
  letter: 4,
  colon: 5,
  equals: 6,
  escape: 7,
  less: 8,
  bearer: 9,
  plain: 10,
} as const
/** Set where a pattern of the configuration may begin, whatever else the byte is. */
const patternBit = 64

/** So many bytes are looked at one by one before it is done in pairs. */
const nearBytes = 8

const slash = 0x2f
const dash = 0x2d
const dot = 0x2e
const capitalJ = 0x4a
const percent = 0x25
const backslash = 0x5c

/**
 * Finds what must not leave the application: a pass over the bytes that stops at digits and at some
 * fifteen marks alone. Escapes are resolved where there are any, and base64 that holds text is looked into.
 */
export class Detector {
  readonly #kinds: ReadonlySet<string>
  readonly #patterns: readonly Pattern[]
  readonly #marks = new Uint8Array(256)
  readonly #pairMarks: Uint8Array
  readonly #numbers: boolean
  readonly #jwts = new JwtFinder()

  constructor(options: DetectorOptions = {}) {
    const kinds = new Set<string>(options.kinds ?? detectedKinds)
    this.#kinds = kinds
    this.#patterns = options.patterns ?? []
    this.#numbers = ['phone', 'card', 'iban', 'national_id', 'ip'].some(kind => kinds.has(kind))
    const set = (bytes: string, value: number): void => {
      for (const byte of Buffer.from(bytes)) this.#marks[byte] = value
    }
    set('0123456789', mark.digit)
    set('@', mark.at)
    set('-', mark.dash)
    set('_.IJ', mark.letter)
    set(':', mark.colon)
    set('=', mark.equals)
    set('%\\', mark.escape)
    set('<', mark.less)
    set('Bb', mark.bearer)
    for (const { firsts } of this.#patterns) {
      for (const byte of firsts) this.#marks[byte] = (this.#marks[byte] as number) | patternBit
    }
    this.#pairMarks = eitherOf(this.#marks)
  }

  /** What `bytes[start, end)` holds, in order and apart from one another; undefined: nothing. */
  find(bytes: Buffer, start: number, end: number, rewrite: Rewrite): Finding[] | undefined {
    return this.#find(bytes, start, end, rewrite, 0)
  }

  #find(
    bytes: Buffer,
    start: number,
    end: number,
    rewrite: Rewrite,
    layer: number,
  ): Finding[] | undefined {
    const plain = this.#pass(bytes, start, end, false)
    if (plain === escaped) return this.#findEscaped(bytes, start, end, rewrite, layer)
    if (layer === layersMax) return plain
    return this.#findEncoded(bytes, start, end, rewrite, layer, plain)
  }

  #findEscaped(
    bytes: Buffer,
    start: number,
    end: number,
    rewrite: Rewrite,
    layer: number,
  ): Finding[] | undefined {
    const { bytes: view, offsets } = decodedView(bytes, start, end)
    const plain = this.#pass(view, 0, view.length, true)
    const found =
      layer === layersMax ? plain : this.#findEncoded(view, 0, view.length, rewrite, layer, plain)
    return found?.map(one => {
      const from = offsets[one.start] as number
      const to = offsets[one.end] as number
      const { replacement } = one
      const isUrl = replacement !== undefined && bytes.subarray(from, to).includes(percent)
      return {
        ...one,
        start: from,
        end: to,
        ...(isUrl && {
          replacement: Buffer.from(encodeURIComponent(Buffer.from(replacement).toString())),
        }),
      }
    })
  }

  #findEncoded(
    bytes: Buffer,
    start: number,
    end: number,
    rewrite: Rewrite,
    layer: number,
    before: Finding[] | undefined,
  ): Finding[] | undefined {
    let found: Finding[] | undefined
    // Both come in the order of their places.
    let next = 0
    eachBase64Text(bytes, start, end, (from, to, text) => {
      while (before !== undefined && next < before.length && endOf(before, next) <= from) next++
      if ((before?.[next]?.start ?? end) < to) return
      const inner = this.#find(text, 0, text.length, rewrite, layer + 1)
      if (inner === undefined) return
      const { end: stop, replacement } = encodedLike(bytes, from, to, end, rewrite(text, inner))
      found ??= [...(before ?? [])]
      found.push({ start: from, end: stop, kind: '', canonical: '', replacement, inner })
    })
    return found === undefined ? before : found.sort((a, b) => a.start - b.start)
  }

  /** `escaped`: there are escapes, so that the bytes are not yet what they say. */
  #pass(bytes: Buffer, start: number, end: number, isResolved: boolean): Finding[] | undefined {
    const marks = this.#marks
    const pairMarks = this.#pairMarks
    this.#jwts.reset()
    let found: Finding[] | undefined
    let floor = start
    for (
      let at = nextMark(marks, pairMarks, bytes, start, end);
      at < end;
      at = nextMark(marks, pairMarks, bytes, at + 1, end)
    ) {
      const what = marks[bytes[at] as number] as number
      let match: Match | undefined
      if (what >= patternBit) match = this.#patternAt(bytes, at, floor, end)
      if (match === undefined) {
        const kind = what & (patternBit - 1)
        if (kind === mark.digit) {
          match = this.#numbers ? numberAt(bytes, at, floor, end, this.#kinds) : undefined
          if (match === undefined) {
            at = afterNumber(bytes, at, end, this.#patterns.length > 0)
            continue
          }
        } else if (kind === mark.escape) {
          if (!isResolved && beginsEscape(bytes, at, end)) return escaped
          continue
        } else if (kind === mark.less) {
          const after = tokenEnd(bytes, at, end)
          if (after > at) {
            at = after - 1
            floor = after
          }
          continue
        } else if (kind !== mark.none) {
          match = this.#markedAt(bytes, at, floor, end, kind)
        }
      }
      if (match === undefined) continue
      match = wholeCharacters(bytes, match, floor, end)
      found ??= []
      found.push(match)
      floor = match.end
      at = match.end - 1
    }
    return found
  }

  #markedAt(
    bytes: Buffer,
    at: number,
    floor: number,
    end: number,
    kind: number,
  ): Match | undefined {
    const kinds = this.#kinds
    switch (kind) {
      case mark.at:
        return kinds.has('email') ? emailAt(bytes, at, floor, end) : undefined
      case mark.dash:
      case mark.letter:
        if (!kinds.has('secret')) return undefined
        return bytes[at] === capitalJ
          ? this.#jwts.at(bytes, at, floor, end)
          : markedSecret(bytes, at, floor, end)
      case mark.equals:
        return kinds.has('secret') ? assignedAt(bytes, at, floor, end) : undefined
      case mark.bearer:
        return kinds.has('secret') ? bearerIn(bytes, at, floor, end) : undefined
      case mark.colon:
        return this.#colonAt(bytes, at, floor, end)
      default:
        return undefined
    }
  }

  #colonAt(bytes: Buffer, at: number, floor: number, end: number): Match | undefined {
    const kinds = this.#kinds
    const next = bytes[at + 1]
    if (next === slash && at + 2 < end && bytes[at + 2] === slash) {
      const match = urlAt(bytes, at, floor, end)
      return match !== undefined && kinds.has(match.kind) ? match : undefined
    }
    if (kinds.has('secret')) {
      const match =
        assignedAt(bytes, at, floor, end) ??
        (next === 0x41 && at > floor && (classAt(bytes, at - 1) & 1) !== 0
          ? secretAt(bytes, at, floor, end)
          : undefined)
      if (match !== undefined) return match
    }
    // A space, a quote or a line end behind it: prose, or JSON.
    const isTight = at + 1 < end && ((classAt(bytes, at + 1) & alnum) !== 0 || next === 0x3a)
    return isTight && kinds.has('ip') ? ipv6At(bytes, at, floor, end) : undefined
  }

  #patternAt(bytes: Buffer, at: number, floor: number, end: number): Match | undefined {
    for (const pattern of this.#patterns) {
      const match = pattern.at(bytes, at, floor, end)
      if (match !== undefined) return match
    }
    return undefined
  }
}

/**
 * The same where it begins and ends between characters, so that what is left is text: a limit may fall within
 * one. The letter of an escape is no first one of anything: `\\npm_…` is a line end and `pm_…`.
 */
function wholeCharacters(bytes: Uint8Array, match: Match, floor: number, end: number): Match {
  let { start, end: to } = match
  while (start > floor && isWithin(bytes[start] as number)) start--
  while (to < end && isWithin(bytes[to] as number)) to++
  if (start > floor && bytes[start - 1] === backslash && isEscapeLetter(bytes[start] as number)) {
    if (start + 1 < to) start++
  }
  return start === match.start && to === match.end ? match : { ...match, start, end: to }
}

/** Of UTF-8, not the first byte of a character. */
function isWithin(byte: number): boolean {
  return (byte & 0xc0) === 0x80
}

function endOf(found: readonly Finding[], index: number): number {
  return (found[index] as Finding).end
}

/** By itself, so that it is compiled for what it is: nearly all the time goes here. */
function nextMark(
  marks: Uint8Array,
  pairMarks: Uint8Array,
  bytes: Uint8Array,
  from: number,
  end: number,
): number {
  let at = from
  // Marks stand close together where they stand at all.
  for (const near = Math.min(end, at + nearBytes); at < near; at++) {
    if (marks[bytes[at] as number] !== 0) return at
  }
  if (at < end) {
    const pairs = pairsOf(bytes)
    const offset = bytes.byteOffset
    let pair = (offset + at + 1) >> 1
    const last = ((offset + end) >> 1) - 1
    if (((offset + at) & 1) !== 0 && marks[bytes[at] as number] !== 0) return at
    while (
      pair < last &&
      ((pairMarks[pairs[pair] as number] as number) |
        (pairMarks[pairs[pair + 1] as number] as number)) ===
        0
    ) {
      pair += 2
    }
    at = Math.max(at, (pair << 1) - offset)
  }
  while (at < end && marks[bytes[at] as number] === 0) at++
  return at
}

/** Never changed, only compared with. */
const escaped: Finding[] = []

/** The rest of the word that a digit is part of. */
function afterNumber(bytes: Buffer, from: number, end: number, isCareful: boolean): number {
  let at = from
  // A pattern may begin with any digit or letter; and so may an IBAN's country, behind letters alone.
  if (isCareful) return at
  while (at + 1 < end && (classAt(bytes, at + 1) & 1) !== 0) at++
  // Nor does anything begin within a fraction; `ya29.` is no number.
  if (bytes[at + 1] === dot && from > 0 && (classAt(bytes, from - 1) & alnum) === 0) {
    const fraction = at + 1
    at = fraction
    while (at + 1 < end && (classAt(bytes, at + 1) & 1) !== 0) at++
    return at === fraction ? fraction - 1 : at
  }
  return at
}

function markedSecret(bytes: Buffer, at: number, floor: number, end: number): Match | undefined {
  const byte = bytes[at] as number
  const before = at > floor ? (bytes[at - 1] as number) : 0
  if (byte === dash && bytes[at + 1] === dash && bytes[at + 2] === dash && bytes[at + 3] === dash) {
    return before === dash ? undefined : keyBlockAt(bytes, at, end)
  }
  if ((classAt(bytes, at + 1) & alnum) === 0 || (alnum & classAt(bytes, at - 1)) === 0) {
    return undefined
  }
  if (at === floor || !isLastOfPrefix(byte, before)) return undefined
  // Whatever its prefix, a secret goes on for a while: that rules out nearly every word and key.
  if (at + secretRunMin >= end) return undefined
  for (let i = at + 1; i <= at + secretRunMin; i++) {
    if ((classAt(bytes, i) & secretByte) === 0) return undefined
  }
  return secretAt(bytes, at, floor, end)
}

/** Every format has so many bytes behind its mark. */
const secretRunMin = 10
const secretByte = alnum | base64Mark

/** Whether `before` ends one of the prefixes that have `byte` behind them; see the formats of secrets. */
function isLastOfPrefix(byte: number, before: number): boolean {
  return lastOfPrefix[byte]?.includes(before) ?? false
}

const lastOfPrefix: Readonly<Record<number, readonly number[]>> = {
  [dash]: [...Buffer.from('kabeoprstxyiXKY')],
  95: [...Buffer.from('pousrtecmf18iknwha')],
  46: [...Buffer.from('G9sbr')],
  73: [...Buffer.from('KSBA')],
}

function bearerIn(bytes: Buffer, at: number, floor: number, end: number): Match | undefined {
  const next = (bytes[at + 1] as number) | 0x20
  const third = (bytes[at + 2] as number) | 0x20
  const isWord = (next === 0x65 && third === 0x61) || (next === 0x61 && third === 0x73)
  return isWord ? bearerAt(bytes, at, floor, end) : undefined
}
