// Hot: every byte of the head of every decision passes here.

/**
 * Reads bytes of JSON from left to right where it is known what comes next. It takes less than JSON is:
 * strings without escapes, counts of at most 15 digits. What it does not take makes it fail, for good,
 * and says nothing of the bytes: whoever asked has to parse them.
 */
export class JsonReader {
  failed = false
  at = 0
  #bytes: Buffer = Buffer.alloc(0)
  #hash = 0
  readonly #unwanted: Uint8Array
  /** Short texts that come again and again, by a hash of their bytes. */
  readonly #heldBytes: (Buffer | undefined)[] = new Array(namesHeld).fill(undefined)
  readonly #heldNames: string[] = new Array(namesHeld).fill('')

  /** `unwanted`: a key that no value which is skipped may have. */
  constructor(unwanted: Uint8Array) {
    this.#unwanted = unwanted
  }

  begin(bytes: Buffer): void {
    this.#bytes = bytes
    this.at = 0
    this.failed = false
  }

  /** Exactly these bytes come next, which are ASCII. */
  expect(literal: Uint8Array): void {
    if (!this.has(literal)) this.failed = true
  }

  /** Whether they come next; they are passed if so. */
  has(literal: Uint8Array): boolean {
    const bytes = this.#bytes
    const { length } = literal
    const { at } = this
    for (let i = 0; i < length; i++) if (bytes[at + i] !== literal[i]) return false
    this.at = at + length
    return true
  }

  /** Behind `after`, as in all that follow: a string, as one object for all that are equal. */
  name(after: Uint8Array): string {
    const from = this.at + after.length + 1
    this.#pass(after)
    if (this.failed) return ''
    const end = this.at - 1
    if (end - from > nameBytesMax) return this.#bytes.toString('utf8', from, end)
    const place = (this.#hash ^ (this.#hash >>> 15)) & (namesHeld - 1)
    const held = this.#heldBytes[place]
    if (held !== undefined && this.#isAt(held, from, end)) return this.#heldNames[place] as string
    const name = this.#bytes.toString('utf8', from, end)
    this.#heldBytes[place] = Buffer.from(this.#bytes.subarray(from, end))
    this.#heldNames[place] = name
    return name
  }

  nameOrNull(after: Uint8Array): string | null {
    this.expect(after)
    return this.has(nullText) ? null : this.name(nothing)
  }

  string(after: Uint8Array): string {
    const from = this.at + after.length + 1
    this.#pass(after)
    return this.failed ? '' : this.#bytes.toString('utf8', from, this.at - 1)
  }

  count(after: Uint8Array): number {
    this.expect(after)
    const bytes = this.#bytes
    const from = this.at
    let value = 0
    let at = from
    for (;;) {
      const digit = (bytes[at] as number) - 48
      if (!(digit >= 0 && digit <= 9)) break
      value = value * 10 + digit
      at++
    }
    this.at = at
    const hasZeros = at > from + 1 && bytes[from] === 48
    if (at === from || at > from + 15 || hasZeros) this.failed = true
    return value
  }

  countOrNull(after: Uint8Array): number | null {
    this.expect(after)
    return this.has(nullText) ? null : this.count(nothing)
  }

  numberOrNull(after: Uint8Array): number | null {
    this.expect(after)
    return this.has(nullText) ? null : this.number(nothing)
  }

  number(after: Uint8Array): number {
    this.expect(after)
    const from = this.at
    this.#passNumber()
    return this.failed ? 0 : this.#decimal(from, this.at)
  }

  stringOrNull(after: Uint8Array): string | null {
    this.expect(after)
    return this.has(nullText) ? null : this.string(nothing)
  }

  booleanOrNull(after: Uint8Array): boolean | null {
    this.expect(after)
    if (this.has(nullText)) return null
    const isTrue = this.has(trueText)
    if (!isTrue) this.expect(falseText)
    return isTrue
  }

  /** A member that a record may have or not, and that nobody who reads on asks for. */
  skipOptional(after: Uint8Array): void {
    if (this.has(after)) this.skip(nothing)
  }

  /** Passes any value, at most so many levels deep. */
  skip(after: Uint8Array, levels = 4): void {
    this.expect(after)
    if (this.failed) return
    const code = this.#bytes[this.at] as number
    if (code === 0x22) this.#pass(nothing)
    else if (code >= 0x30 && code <= 0x39) this.#passNumber()
    else if (code === 0x5b || code === 0x7b) this.#skipWithin(code, levels)
    else if (!(this.has(nullText) || this.has(trueText) || this.has(falseText))) this.#passNumber()
  }

  #skipWithin(open: number, levels: number): void {
    const end = open === 0x7b ? braceEnd : bracketEnd
    this.at++
    if (levels === 0) this.failed = true
    if (this.has(end)) return
    while (!this.failed) {
      if (open === 0x7b) this.#passKey()
      this.skip(open === 0x7b ? colon : nothing, levels - 1)
      if (this.has(end)) return
      this.expect(comma)
    }
  }

  #passKey(): void {
    const from = this.at + 1
    this.#pass(nothing)
    if (this.#isAt(this.#unwanted, from, this.at - 1)) this.failed = true
  }

  /** Passes a string, and hashes it. */
  #pass(after: Uint8Array): void {
    this.expect(after)
    const bytes = this.#bytes
    let { at } = this
    if (bytes[at++] !== 0x22) this.failed = true
    let hash = 0
    while (!this.failed) {
      const code = bytes[at++]
      if (code === 0x22) break
      // An escape, what a string may not hold, or the end.
      if (code === undefined || code === 0x5c || code < 0x20) this.failed = true
      else hash = Math.imul(hash ^ code, 0x01000193)
    }
    this.#hash = hash
    this.at = at
  }

  #passNumber(): void {
    const bytes = this.#bytes
    if (bytes[this.at] === 0x2d) this.at++
    const from = this.at
    this.#passDigits()
    if (this.at > from + 1 && bytes[from] === 48) this.failed = true
    if (bytes[this.at] === 0x2e) {
      this.at++
      this.#passDigits()
    }
    if (bytes[this.at] !== 0x65 && bytes[this.at] !== 0x45) return
    this.at++
    if (bytes[this.at] === 0x2b || bytes[this.at] === 0x2d) this.at++
    this.#passDigits()
  }

  #passDigits(): void {
    const bytes = this.#bytes
    const from = this.at
    let at = from
    while ((bytes[at] as number) >= 48 && (bytes[at] as number) <= 57) at++
    if (at === from) this.failed = true
    this.at = at
  }

  /** Digits that fit a double, over a power of ten that does, are the nearest double to what they say. */
  #decimal(from: number, end: number): number {
    const bytes = this.#bytes
    let digits = 0
    let scale = 0
    if (end - from <= exactDigitsMax) {
      for (let at = from; at < end; at++) {
        const digit = (bytes[at] as number) - 48
        if (digit >= 0 && digit <= 9) digits = digits * 10 + digit
        else if (digit === -2) scale = end - at - 1
        else return Number(bytes.toString('latin1', from, end))
      }
      return digits / (powersOfTen[scale] as number)
    }
    return Number(bytes.toString('latin1', from, end))
  }

  #isAt(held: Uint8Array, from: number, end: number): boolean {
    if (held.length !== end - from) return false
    const bytes = this.#bytes
    for (let i = 0; i < held.length; i++) if (bytes[from + i] !== held[i]) return false
    return true
  }
}

export const nothing = Buffer.alloc(0)
const nullText = Buffer.from('null')
const trueText = Buffer.from('true')
const falseText = Buffer.from('false')
const braceEnd = Buffer.from('}')
const bracketEnd = Buffer.from(']')
const colon = Buffer.from(':')
const comma = Buffer.from(',')

/** A number of so many characters has at most as many digits: below 2^53, as every power of ten here is. */
const exactDigitsMax = 15
const powersOfTen = Array.from({ length: exactDigitsMax + 1 }, (_, power) => 10 ** power)

/** Names that are held, a power of two, and the longest of them: a fact has at most `factTextBytesMax`. */
const namesHeld = 4096
const nameBytesMax = 256
