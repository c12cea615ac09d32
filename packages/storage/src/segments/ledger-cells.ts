// Hot: what the ledger says of every decision is held here until its segment is written.

import type { ColumnOptions, EncodedColumn } from './column-chunk.ts'
import { type ColumnValues, encodeColumn } from './column-pages.ts'
import {
  BooleanColumn,
  DoubleColumn,
  Int32Column,
  type TextTable,
  WholeColumn,
} from './column-set.ts'

/** Rows that the memory of a column is for at first, and while it is empty. */
export const rowsMin = 1_024

/** One column of rows that come one by one: numbers, so that the collector has nothing to follow. */
export interface Cells {
  /** Room for so many rows; those that are there and fit stay. */
  resize(rows: number): void
  /** The first `count` of `rows` rows go. */
  shift(count: number, rows: number): void
  /** Rows of these numbers, in this order. */
  encoded(order: Int32Array, options: ColumnOptions): EncodedColumn
}

export class TextCells implements Cells {
  readonly #table: { texts: TextTable }
  #numbers = new Int32Array(rowsMin)
  #last: string | null = null
  #lastNumber = -1

  /** The table may be another one after a `renumber`. */
  constructor(table: { texts: TextTable }) {
    this.#table = table
  }

  set(row: number, text: string | null): void {
    if (text !== this.#last) {
      this.#last = text
      this.#lastNumber = text === null ? -1 : this.#table.texts.number(text)
    }
    this.#numbers[row] = this.#lastNumber
  }

  textOf(row: number): string {
    return this.#table.texts.texts[this.#numbers[row] as number] as string
  }

  resize(rows: number): void {
    this.#numbers = resized(this.#numbers, new Int32Array(rows))
  }

  shift(count: number, rows: number): void {
    this.#numbers.copyWithin(0, count, rows)
  }

  /** By a table that has the texts of these rows alone; they are in `before` now. */
  renumber(rows: number, before: TextTable): void {
    const { texts } = this.#table
    this.#last = null
    this.#lastNumber = -1
    for (let row = 0; row < rows; row++) {
      const text = before.texts[this.#numbers[row] as number]
      if (text !== undefined) this.#numbers[row] = texts.number(text)
    }
  }

  encoded(order: Int32Array, options: ColumnOptions): EncodedColumn {
    const numbers = new Int32Array(order.length)
    for (let n = 0; n < order.length; n++) {
      numbers[n] = this.#numbers[order[n] as number] as number
    }
    return encodeColumn({ kind: 'texts', numbers, table: this.#table.texts.texts }, options)
  }
}

/** NaN: null. A double holds every whole number that a row may have. */
export class NumberCells implements Cells {
  readonly #kind: NumberKind
  #values = new Float64Array(rowsMin)

  constructor(kind: NumberKind) {
    this.#kind = kind
  }

  set(row: number, value: number | null): void {
    this.#values[row] = value === null ? Number.NaN : value
  }

  setBoolean(row: number, value: boolean | null): void {
    this.#values[row] = value === null ? Number.NaN : value ? 1 : 0
  }

  at(row: number): number {
    return this.#values[row] as number
  }

  resize(rows: number): void {
    this.#values = resized(this.#values, new Float64Array(rows))
  }

  shift(count: number, rows: number): void {
    this.#values.copyWithin(0, count, rows)
  }

  encoded(order: Int32Array, options: ColumnOptions): EncodedColumn {
    return encodeColumn(this.#valuesOf(order), options)
  }

  #valuesOf(order: Int32Array): ColumnValues {
    const values = this.#values
    const { length } = order
    if (this.#kind === 'boolean') {
      const column = new BooleanColumn(length)
      for (let n = 0; n < length; n++) {
        const value = values[order[n] as number] as number
        column.add(Number.isNaN(value) ? null : value === 1)
      }
      return column.values
    }
    const column = columnOf[this.#kind](length)
    for (let n = 0; n < length; n++) {
      const value = values[order[n] as number] as number
      column.add(Number.isNaN(value) ? null : value)
    }
    return column.values
  }
}

export type NumberKind = 'int' | 'whole' | 'double' | 'boolean'

interface NumberColumn {
  add(value: number | null): void
  readonly values: ColumnValues
}

const columnOf: Readonly<Record<Exclude<NumberKind, 'boolean'>, (rows: number) => NumberColumn>> = {
  // Never null: there is no such column.
  int: rows => new Int32Column(rows) as NumberColumn,
  whole: rows => new WholeColumn(rows),
  double: rows => new DoubleColumn(rows),
}

function resized<T extends Int32Array | Float64Array>(values: T, room: T): T {
  room.set(values.subarray(0, room.length) as never)
  return room
}
