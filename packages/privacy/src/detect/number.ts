import {
  alnum,
  beginsWord,
  byteClass,
  classAt,
  contextOf,
  digit,
  separator,
  upper,
} from './byte-class.ts'
import { cardIn } from './card.ts'
import type { Match } from './finding.ts'
import { ibanCharsMax, ibanIn } from './iban.ts'
import { ipv4In } from './ip.ts'
import { letteredIdIn, numericIdIn } from './national-id.ts'
import { phoneIn } from './phone.ts'

/** What stands in front of a number and may say what it is; what a number may take. */
const frontBytesMax = 40
const numberBytesMax = 64

/** Fewer digits are no number that is sought, apart from four with three dots, which may be an address. */
const digitsMin = 7

const dash = 0x2d
const dot = 0x2e
const plus = 0x2b
const open = 0x28

export type NumberKind = 'phone' | 'card' | 'iban' | 'national_id' | 'ip'

/** Which of them are sought. */
export type NumberKinds = ReadonlySet<string>

/** What the first digit of a group at `at` begins or is part of; nothing before `floor` belongs to it. */
export function numberAt(
  bytes: Buffer,
  at: number,
  floor: number,
  end: number,
  kinds: NumberKinds,
): Match | undefined {
  const before = at > floor ? (bytes[at - 1] as number) : 0
  if (((byteClass[before] as number) & upper) !== 0) {
    return letteredAt(bytes, at, floor, end, kinds)
  }
  if (isSpaced(bytes, at, floor)) {
    const lettered = letteredAt(bytes, at, floor, end, kinds)
    if (lettered !== undefined) return lettered
  }
  if (isFraction(bytes, at, end)) return undefined
  const digits = digitsOf(bytes, at, end)
  if (digits === 0) return undefined
  let from = at
  if (from > floor && bytes[from - 1] === open) from--
  if (from > floor && bytes[from - 1] === plus) from--
  if (!beginsWord(bytes, from, floor) || isInner(bytes, from, floor)) return undefined
  const base = Math.max(floor, from - frontBytesMax)
  const text = contextOf(bytes, base, Math.min(end, from + numberBytesMax))
  const found = find(text, from - base, at - base, digits, kinds)
  if (found === undefined || !isWhole(text, found.end)) return undefined
  const { kind, canonical } = found
  return { start: base + found.start, end: base + found.end, kind, canonical }
}

function find(
  text: string,
  from: number,
  first: number,
  digits: number,
  kinds: NumberKinds,
): Match | undefined {
  let end = first
  while (isDigit(text, end)) end++
  const group = end - first
  const next = text[end] ?? ''
  // A date is by far the most frequent number of eight digits, and the start of longer ones.
  if (group <= 4 && next !== ' ' && isDate(text, first)) return undefined
  const of = (
    kind: NumberKind,
    start: number,
    found: { readonly end: number; readonly canonical: string } | undefined,
  ): Match | undefined => (found === undefined ? undefined : { start, kind, ...found })
  if (next === '.' && group <= 3 && kinds.has('ip')) {
    const ip = of('ip', first, ipv4In(text, first))
    if (ip !== undefined) return ip
  }
  if (digits < digitsMin - 1) return undefined
  if (kinds.has('card') && (group >= 14 || (group === 4 && (next === ' ' || next === '-')))) {
    const card = of('card', first, cardIn(text, first))
    if (card !== undefined) return card
  }
  const isCalled = called.test(text.slice(0, from))
  if (kinds.has('national_id') && text[from] !== '+') {
    const id = of('national_id', first, numericIdIn(text, first, group, isCalled))
    if (id !== undefined) return id
  }
  return kinds.has('phone') ? of('phone', from, phoneIn(text, from, isCalled)) : undefined
}

/** A word that may say what a number is: looked for once, before those of each kind are. */
const called =
  /phone|tel|mobil|cell|whatsapp|sms|fax|dial|handy|m[o\xf3]|num|call|reach|ssn|secur|steuer|idnr|tax|tin|bsn|burger|pesel|cpf|cpr|sin|insur|nhs/i

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 48 && code <= 57
}

const date = /(?:19|20)\d{2}([-./])\d{2}\1\d{2}(?!\d)|\d{1,2}([-./])\d{1,2}\2(?:19|20)\d{2}(?!\d)/y

function isDate(text: string, at: number): boolean {
  date.lastIndex = at
  return date.test(text)
}

/** Digits up to the first byte that stands in no number, no more than are of interest; 0: nothing that is sought. */
function digitsOf(bytes: Buffer, at: number, end: number): number {
  let digits = 0
  let dots = 0
  let i = at
  for (; i < end; i++) {
    const bits = classAt(bytes, i)
    if ((bits & digit) !== 0) {
      if (++digits >= digitsMin) return digits
    } else if (bytes[i] === dot) dots++
    else if ((bits & separator) === 0 && bytes[i] !== 0xc2 && bytes[i] !== 0xa0) break
  }
  if (dots >= 3 && digits >= 4) return digits
  return digits === digitsMin - 1 && i < end && (classAt(bytes, i) & upper) !== 0 ? digits : 0
}

/** `0.0123456789,` of an embedding: thousands in one text, so that this is seen before anything is made of it. */
function isFraction(bytes: Buffer, at: number, end: number): boolean {
  if (bytes[at + 1] !== dot) return false
  let to = at + 2
  while (to < end && (classAt(bytes, to) & digit) !== 0) to++
  if (to === at + 2 || to > at + fractionBytesMax) return false
  const next = to < end ? bytes[to] : 0x2c
  return next === 0x2c || next === 0x5d || next === 0x7d || next === 0x0a || next === 0x22
}

const fractionBytesMax = 32

/** `ORD-4111…`, `0.4111…`: the end of something else. */
function isInner(bytes: Buffer, from: number, floor: number): boolean {
  if (from - 2 < floor) return false
  const bits = classAt(bytes, from - 2)
  const mark = bytes[from - 1]
  if (mark === dash) return (bits & alnum) !== 0
  return mark === dot && (bits & digit) !== 0
}

/** Nothing goes on behind it: no letter, and no dot or dash with more behind. */
function isWhole(text: string, end: number): boolean {
  return !/^(?:[A-Za-z0-9_]|[.-][0-9]|-[A-Za-z])/.test(text.slice(end, end + 2))
}

/** `QQ 12 34 56 C`: two capitals and a space. */
function isSpaced(bytes: Buffer, at: number, floor: number): boolean {
  return (
    at - 3 >= floor &&
    bytes[at - 1] === 0x20 &&
    (classAt(bytes, at - 2) & upper) !== 0 &&
    (classAt(bytes, at - 3) & upper) !== 0 &&
    (at - 3 === floor || beginsWord(bytes, at - 3, floor)) &&
    (classAt(bytes, at + 1) & digit) !== 0 &&
    (classAt(bytes, at + 2) & digit) === 0
  )
}

const letteredFrontMax = 6

/** Numbers with capitals in front: an IBAN, ids of Spain, Italy and the United Kingdom. */
function letteredAt(
  bytes: Buffer,
  at: number,
  floor: number,
  end: number,
  kinds: NumberKinds,
): Match | undefined {
  let from = at
  if (bytes[from - 1] === 0x20) from--
  const least = Math.max(floor, from - letteredFrontMax)
  while (from > least && (classAt(bytes, from - 1) & upper) !== 0) from--
  const letters = at - from
  if (letters > 3 && letters !== 6) return undefined
  if (!beginsWord(bytes, from, floor)) return undefined
  const base = Math.max(floor, from - frontBytesMax)
  const text = contextOf(bytes, base, Math.min(end, from + ibanCharsMax + 1))
  const first = from - base
  const iban = kinds.has('iban') && letters === 2 ? ibanIn(text, first) : undefined
  const found = iban ?? (kinds.has('national_id') ? letteredIdIn(text, first) : undefined)
  if (found === undefined || !isWhole(text, found.end)) return undefined
  const kind = iban === undefined ? 'national_id' : 'iban'
  return { start: from, end: base + found.end, kind, canonical: found.canonical }
}
