// Hot: every value of every segment is added here, one by one.
import type { BooleanValues, TextValues } from './column-pages.ts'
import type { FixedValues } from './number-column.ts'

/** The texts of a row group, each once, by number. */
export class TextTable {
  readonly texts: string[] = []
  readonly #numbers = new Map<string, number>()

  number(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    this.#numbers.set(text, this.texts.length)
    return this.texts.push(text) - 1
  }
}

export class TextColumn {
  readonly numbers: Int32Array
  readonly #table: TextTable
  #rows = 0
  #last: string | null = null
  #lastNumber = -1

  constructor(rows: number, table: TextTable) {
    this.numbers = new Int32Array(rows)
    this.#table = table
  }

  add(text: string | null): void {
    if (text !== this.#last) {
      this.#last = text
      this.#lastNumber = text === null ? -1 : this.#table.number(text)
    }
    this.numbers[this.#rows++] = this.#lastNumber
  }

  /** By its number in the table; below 0: null. */
  addNumber(number: number): void {
    this.numbers[this.#rows++] = number
  }

  get values(): TextValues {
    return { kind: 'texts', numbers: this.numbers, table: this.#table.texts }
  }
}

/** Which of a column's values are there; nothing is held until one is not. */
class Presence {
  readonly #rows: number
  #present: Uint8Array | undefined

  constructor(rows: number) {
    this.#rows = rows
  }

  miss(row: number): void {
    this.#present ??= new Uint8Array(this.#rows).fill(1)
    this.#present[row] = 0
  }

  get of(): { readonly present?: Uint8Array } {
    return this.#present === undefined ? {} : { present: this.#present }
  }
}

export class Int32Column {
  readonly #values: Int32Array
  #rows = 0

  constructor(rows: number) {
    this.#values = new Int32Array(rows)
  }

  add(value: number): void {
    this.#values[this.#rows++] = value
  }

  get values(): FixedValues {
    return { kind: 'fixed', values: this.#values }
  }
}

export class DoubleColumn {
  readonly #values: Float64Array
  readonly #presence: Presence
  #rows = 0

  constructor(rows: number) {
    this.#values = new Float64Array(rows)
    this.#presence = new Presence(rows)
  }

  add(value: number | null): void {
    const row = this.#rows++
    if (value === null) this.#presence.miss(row)
    else this.#values[row] = value
  }

  get values(): FixedValues {
    return { kind: 'fixed', values: this.#values, ...this.#presence.of }
  }
}

const wholeMax = Number.MAX_SAFE_INTEGER

/** Whole numbers as INT64, without a BigInt for each. */
export class WholeColumn {
  readonly #values: BigInt64Array
  readonly #halves: Int32Array
  readonly #presence: Presence
  #rows = 0

  constructor(rows: number) {
    this.#values = new BigInt64Array(rows)
    this.#halves = new Int32Array(this.#values.buffer)
    this.#presence = new Presence(rows)
  }

  /** Sums that a client drove beyond what a double counts exactly are cut there, never refused. */
  add(value: number | null): void {
    const row = this.#rows++
    if (value === null || Number.isNaN(value)) {
      this.#presence.miss(row)
      return
    }
    const whole = Math.round(Math.min(wholeMax, Math.max(-wholeMax, value)))
    this.#halves[2 * row] = whole | 0
    this.#halves[2 * row + 1] = Math.floor(whole / 0x1_0000_0000)
  }

  /** As its two halves. */
  addHalves(low: number, high: number): void {
    const row = this.#rows++
    this.#halves[2 * row] = low
    this.#halves[2 * row + 1] = high
  }

  get values(): FixedValues {
    return { kind: 'fixed', values: this.#values, ...this.#presence.of }
  }
}

export class BooleanColumn {
  readonly #values: Uint8Array
  readonly #presence: Presence
  #rows = 0

  constructor(rows: number) {
    this.#values = new Uint8Array(rows)
    this.#presence = new Presence(rows)
  }

  add(value: boolean | null): void {
    const row = this.#rows++
    if (value === null) this.#presence.miss(row)
    else this.#values[row] = value ? 1 : 0
  }

  get values(): BooleanValues {
    return { kind: 'booleans', values: this.#values, ...this.#presence.of }
  }
}
