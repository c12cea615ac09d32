import { eachToken } from '../detect/token-shape.ts'

/** Where a detector saw somebody. Places are code points, as Python counts them; `text.length` counts UTF-16 units. */
export interface NameSpan {
  readonly start: number
  readonly end: number
  /** The detector's word, as `PERSON`; its token has it in small letters. */
  readonly entity: string
  readonly score: number
}

/** The token of a thing, by its kind. */
export type TokenOf = (kind: string, thing: string) => string

interface Range {
  readonly from: number
  to: number
  entity: string
  score: number
}

const surrogate = /[\ud800-\udfff]/
const ofName = /[\p{L}\p{M}\p{N}]/u

/** Code points of a text; a half of a pair that stands alone is one. */
export function codePointsOf(text: string): number {
  return surrogate.test(text) ? unitsOf(text).length - 1 : text.length
}

/**
 * The text with a token in the place of every name; spans that overlap are one name, and what is a token already
 * stays. Spans lie within the text.
 */
export function withNameTokens(
  text: string,
  spans: readonly NameSpan[],
  tokenOf: TokenOf,
  onFound: (kind: string) => void,
): string {
  if (spans.length === 0) return text
  const out: string[] = []
  let at = 0
  for (const { from, to, entity } of aroundTokens(text, united(text, spans))) {
    const start = startOfName(text, from, to)
    const end = endOfName(text, start, to)
    if (start === end) continue
    const kind = entity.toLowerCase()
    out.push(text.slice(at, start), tokenOf(kind, canonicalName(text.slice(start, end))))
    at = end
    onFound(kind)
  }
  return out.join('') + text.slice(at)
}

/** Behind the blanks and marks in front. */
function startOfName(text: string, from: number, to: number): number {
  let at = from
  while (at < to) {
    const char = String.fromCodePoint(text.codePointAt(at) as number)
    if (ofName.test(char)) return at
    at += char.length
  }
  return to
}

/** Before the blanks and marks at the end; by hand, for an expression would begin at each of them anew. */
function endOfName(text: string, from: number, to: number): number {
  let at = to
  while (at > from) {
    const isPair = at - 2 >= from && (text.codePointAt(at - 2) as number) > 0xffff
    const before = isPair ? at - 2 : at - 1
    if (ofName.test(text.slice(before, at))) return at
    at = before
  }
  return from
}

/** Of every way to write a name: `Zoë  LÓPEZ` in whatever form of Unicode is `zoë lópez`. */
export function canonicalName(name: string): string {
  return name.normalize('NFKC').replaceAll(/\s+/g, ' ').toLowerCase()
}

/** In UTF-16 units, in order and apart from one another; of two kinds the surer one. */
function united(text: string, spans: readonly NameSpan[]): Range[] {
  const units = surrogate.test(text) ? unitsOf(text) : undefined
  const at = (codePoint: number): number => units?.[codePoint] ?? codePoint
  const ranges: Range[] = []
  for (const { start, end, entity, score } of spans.toSorted((a, b) => a.start - b.start)) {
    const last = ranges.at(-1)
    if (last === undefined || at(start) >= last.to) {
      ranges.push({ from: at(start), to: at(end), entity, score })
      continue
    }
    last.to = Math.max(last.to, at(end))
    if (score > last.score) {
      last.entity = entity
      last.score = score
    }
  }
  return ranges
}

/** Ranges without the tokens that lie in them. */
function aroundTokens(text: string, ranges: readonly Range[]): Range[] {
  const pieces: Range[] = []
  const tokens = [...eachToken(text)]
  let next = 0
  for (const range of ranges) {
    let from = range.from
    while (next < tokens.length && (tokens[next]?.end ?? 0) <= from) next++
    for (let i = next; i < tokens.length; i++) {
      const token = tokens[i] as { start: number; end: number }
      if (token.start >= range.to) break
      if (token.start > from) pieces.push({ ...range, from, to: token.start })
      from = token.end
    }
    if (from < range.to) pieces.push({ ...range, from })
  }
  return pieces
}

/** By code point where it begins, and one more for the end. */
function unitsOf(text: string): number[] {
  const units: number[] = []
  for (let at = 0; at < text.length; at++) {
    units.push(at)
    const isPair = (text.charCodeAt(at) & 0xfc00) === 0xd800
    if (isPair && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) at++
  }
  units.push(text.length)
  return units
}
