import { alnum, beginsWord, classAt, digit, letter } from './byte-class.ts'
import type { Match } from './finding.ts'

/** A pattern's own limits: what it may say, and how long a thing it may find. */
export const patternCharsMax = 100
export const patternRepeatMax = 64

interface Atom {
  /** A bit set of byte classes, or 0: the literal byte. */
  readonly bits: number
  readonly byte: number
  readonly least: number
  readonly most: number
}

/**
 * A configured shape, as `ORD-#{6,10}`: `#` is a digit, `@` a letter, `*` either of them, each with
 * `{n}` or `{n,m}` behind it where it repeats, and `\` in front of one of these marks is the mark itself;
 * everything else stands for itself. Taken greedily and never anew, so that time is linear; word borders
 * on both sides.
 */
export class Pattern {
  readonly kind: string
  /** The bytes it may begin with. */
  readonly firsts: readonly number[]
  readonly #atoms: readonly Atom[]

  /** Throws RangeError, with the remedy, for what is no pattern. */
  constructor(kind: string, text: string) {
    this.kind = kind
    this.#atoms = atomsOf(text)
    const first = this.#atoms[0] as Atom
    const fits = (byte: number): boolean => isOf(byte, first)
    this.firsts = Array.from({ length: 256 }, (_, byte) => byte).filter(fits)
  }

  at(bytes: Buffer, from: number, start: number, end: number): Match | undefined {
    if (!beginsWord(bytes, from, start)) return undefined
    let to = from
    for (const atom of this.#atoms) {
      let count = 0
      while (count < atom.most && to < end && isOf(bytes[to] as number, atom)) {
        count++
        to++
      }
      if (count < atom.least) return undefined
    }
    if (to < end && (classAt(bytes, to) & alnum) !== 0) return undefined
    return { start: from, end: to, kind: this.kind, canonical: bytes.toString('utf8', from, to) }
  }
}

function isOf(byte: number, { bits, byte: literal }: Atom): boolean {
  return bits === 0 ? byte === literal : (classAt(oneByte(byte), 0) & bits) !== 0
}

const single = new Uint8Array(1)
function oneByte(byte: number): Uint8Array {
  single[0] = byte
  return single
}

const classOf: Readonly<Record<string, number>> = { '#': digit, '@': letter, '*': alnum }

function atomsOf(text: string): Atom[] {
  if (text.length > patternCharsMax) throw new RangeError(`has over ${patternCharsMax} characters`)
  const atoms: Atom[] = []
  const part = /\\([#@*\\{])|([#@*])(?:\{(\d{1,3})(?:,(\d{1,3}))?\})?|([^#@*\\{])/gsy
  let marks = 0
  while (part.lastIndex < text.length) {
    const [, escaped, mark, least, most, plain] = part.exec(text) ?? fail(text)
    if (mark === undefined) {
      for (const byte of Buffer.from(escaped ?? plain ?? '')) {
        atoms.push({ bits: 0, byte, least: 1, most: 1 })
      }
      continue
    }
    marks++
    const from = Number(least ?? 1)
    const to = Number(most ?? from)
    if (to < from || to === 0 || to > patternRepeatMax) {
      throw new RangeError(
        `repeats ${from} to ${to} times; give 1 to ${patternRepeatMax}, the lesser first`,
      )
    }
    atoms.push({ bits: classOf[mark] ?? 0, byte: 0, least: from, most: to })
  }
  if (marks === 0) throw new RangeError('has no #, @ or *: it would find one text alone')
  return atoms
}

function fail(text: string): never {
  throw new RangeError(
    `"${text}" is no pattern: # is a digit, @ a letter, * either, {n} or {n,m} behind them repeats, as ORD-#{6,10}`,
  )
}
