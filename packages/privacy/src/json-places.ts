const quote = 0x22
const backslash = 0x5c

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
/** Longer ones are no numbers that anything is found in. */
const numberBytesMax = 128

/** A number of a JSON text that stands in no string of it, and what a string in its place is quoted with. */
export interface BareNumber {
  readonly start: number
  readonly end: number
  readonly quote: string
}

/**
 * Goes through a text that begins as JSON does and tells, for places in their order, which are within strings.
 * Strings that hold JSON themselves count as what they hold: one level deeper, where a quote has
 * 1, 3, 7 … backslashes in front.
 */
export class JsonPlaces {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number
  /** Strings around, each of which holds JSON. */
  #level = 0
  #inString = false
  #backslashes = 0

  private constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  /** Undefined: the text is no JSON. */
  static of(bytes: Buffer, start: number, end: number): JsonPlaces | undefined {
    return isOpening(bytes[afterBlanks(bytes, start, end)])
      ? new JsonPlaces(bytes, start, end)
      : undefined
  }

  /** The number that `[start, end)` is or is part of; nothing of it lies before `floor`. */
  bareNumber(start: number, end: number, floor: number): BareNumber | undefined {
    this.#advance(start)
    if (this.#inString) return undefined
    const bytes = this.#bytes
    let from = start
    while (from > floor && start - from < numberBytesMax && isOfNumber(bytes[from - 1])) from--
    let to = end
    while (to < this.#end && to - end < numberBytesMax && isOfNumber(bytes[to])) to++
    if (to - from > numberBytesMax || !jsonNumber.test(bytes.toString('latin1', from, to))) {
      return undefined
    }
    const before = bytes[beforeBlanks(bytes, from, floor) - 1]
    const after = bytes[afterBlanks(bytes, to, this.#end)]
    const isValue = before === 0x3a || before === 0x2c || before === 0x5b
    if (!isValue || !(after === 0x2c || after === 0x5d || after === 0x7d)) return undefined
    return { start: from, end: to, quote: `${'\\'.repeat(2 ** this.#level - 1)}"` }
  }

  #advance(to: number): void {
    const bytes = this.#bytes
    for (; this.#at < to; this.#at++) {
      const byte = bytes[this.#at]
      if (byte === backslash) {
        this.#backslashes++
        continue
      }
      if (byte === quote) this.#quote(levelOf(this.#backslashes))
      this.#backslashes = 0
    }
  }

  /** Opens or closes a string of `level`; one of a deeper level is a letter of the text. */
  #quote(level: number): void {
    if (level > this.#level) return
    if (level < this.#level || this.#inString) {
      this.#level = level
      this.#inString = false
      return
    }
    const inside = afterBlanks(this.#bytes, this.#at + 1, this.#end)
    let next = inside
    if (level < levelsMax) while (this.#bytes[next] === backslash && next - inside < 64) next++
    const isJson =
      level < levelsMax &&
      (next === inside
        ? isOpening(this.#bytes[next]) && this.#bytes[next] !== quote
        : this.#bytes[next] === quote && next - inside === 2 ** (level + 1) - 1)
    if (isJson) this.#level++
    else this.#inString = true
  }
}

/** Deeper JSON is text: 63 backslashes a quote. */
const levelsMax = 6

/**
 * Of a quote with so many backslashes in front. In `n` strings around it has 2ⁿ - 1, and each backslash in front
 * of it, which is another letter, has 2ⁿ⁺¹: so many ones stand at the end of the number.
 */
function levelOf(backslashes: number): number {
  let level = 0
  for (let rest = backslashes; (rest & 1) === 1; rest >>>= 1) level++
  return level
}

function isOpening(byte: number | undefined): boolean {
  return byte === 0x7b || byte === 0x5b || byte === quote
}

function isOfNumber(byte: number | undefined): boolean {
  if (byte === undefined) return false
  if (byte >= 0x30 && byte <= 0x39) return true
  return byte === 0x2b || byte === 0x2d || byte === 0x2e || (byte | 0x20) === 0x65
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}

/** `n`, `t`, `r`: a blank of JSON in a string. */
function isBlankLetter(byte: number | undefined): boolean {
  return byte === 0x6e || byte === 0x74 || byte === 0x72
}

function afterBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end) {
    if (isBlank(bytes[at])) {
      at++
      continue
    }
    let next = at
    while (next < end && bytes[next] === backslash) next++
    if (next === at || !isBlankLetter(bytes[next])) break
    at = next + 1
  }
  return at
}

function beforeBlanks(bytes: Uint8Array, from: number, floor: number): number {
  let at = from
  while (at > floor) {
    if (isBlank(bytes[at - 1])) {
      at--
      continue
    }
    if (!isBlankLetter(bytes[at - 1]) || bytes[at - 2] !== backslash) break
    at -= 2
    while (at > floor && bytes[at - 1] === backslash) at--
  }
  return at
}
