// Hot: operators of conditions run once a rule and trace.
import { ownColumn, type SpanCell, type SpanRow } from '@winnow/model'

/**
 * The distinct values that something has under one name: an attribute over all spans of a trace, or on
 * one span. A comparison asks whether any of them passes, and never throws whatever they are.
 */
export class Values {
  readonly all: readonly SpanCell[]
  /** What passed the last comparison, for the rule's answer. */
  shown: SpanCell = null

  constructor(all: readonly SpanCell[]) {
    this.all = all
  }

  isPresent(): boolean {
    return this.all.length > 0
  }

  equals(wanted: string | number | boolean): boolean {
    const { all } = this
    for (let i = 0; i < all.length; i++) if (all[i] === wanted) return this.#show(wanted)
    return false
  }

  isIn(wanted: readonly (string | number)[]): boolean {
    const { all } = this
    for (let i = 0; i < all.length; i++) {
      const value = all[i] as SpanCell
      if (wanted.includes(value as string | number)) return this.#show(value)
    }
    return false
  }

  /** `order`: -2 less, -1 less or equal, 1 greater or equal, 2 greater. Numbers compare with numbers alone. */
  compares(order: number, bound: number): boolean {
    const { all } = this
    for (let i = 0; i < all.length; i++) {
      const value = all[i]
      if (typeof value !== 'number') continue
      const passes =
        order < 0
          ? value < bound || (order === -1 && value === bound)
          : value > bound || (order === 1 && value === bound)
      if (passes) return this.#show(value)
    }
    return false
  }

  /** A text that passes. */
  some(passes: (text: string, wanted: string) => boolean, wanted: string): boolean {
    const { all } = this
    for (let i = 0; i < all.length; i++) {
      const value = all[i]
      if (typeof value === 'string' && passes(value, wanted)) return this.#show(value)
    }
    return false
  }

  /** Those that are numbers, texts that are one, and flags as 1 and 0. */
  asNumber(): Values {
    return this.#each(value => {
      if (typeof value === 'boolean') return value ? 1 : 0
      if (typeof value !== 'string' || value.trim() === '') return value
      const number = Number(value)
      return Number.isFinite(number) ? number : null
    }, 'number')
  }

  /** All of them as text. */
  asText(): Values {
    return this.#each(value => (isScalar(value) ? String(value) : null), 'string')
  }

  /** Flags, and texts and numbers that stand for one. */
  asBool(): Values {
    return this.#each(value => {
      if (typeof value === 'number') return value !== 0
      if (value === 'true') return true
      return value === 'false' ? false : value
    }, 'boolean')
  }

  #each(to: (value: SpanCell) => SpanCell, type: 'number' | 'string' | 'boolean'): Values {
    return new Values(this.all.map(to).filter(value => typeof value === type))
  }

  #show(value: SpanCell): true {
    this.shown = value
    return true
  }
}

function isScalar(value: SpanCell): value is string | number | boolean {
  return value !== null && typeof value !== 'object'
}

/** What conditions see of the outcomes of one name. */
export class OutcomeView {
  isPresent = false
  score = Number.NaN
  scoreMax = Number.NaN
  readonly labels: string[] = []
  failed = false
  passed = false
  /** Of citation checks alone. */
  extracted = Number.NaN
  supported = Number.NaN
  missing = Number.NaN
}

/** The root, as far as it is known. */
export class RootView {
  name = ''
  service = ''
  durationMs = Number.NaN
  failed = false
}

/** One distinct row of the trace's spans. */
export class SpanView {
  readonly columns: readonly string[]
  readonly cells: SpanRow

  constructor(columns: readonly string[], cells: SpanRow) {
    this.columns = columns
    this.cells = cells
  }

  get name(): string {
    return this.#text(ownColumn.name)
  }

  get kind(): string {
    return this.#text(ownColumn.kind)
  }

  get status(): string {
    return this.#text(ownColumn.status)
  }

  get durationMs(): number {
    const cell = this.cell(ownColumn.durationMs)
    return typeof cell === 'number' ? cell : Number.NaN
  }

  get isSampled(): boolean {
    return this.cell(ownColumn.sampled) === true
  }

  /** Not one for all that have none: a comparison writes into it. */
  values(column: string): Values {
    const cell = this.cell(column)
    return new Values(cell === null ? [] : [cell])
  }

  /** Rows end with the last cell that says something. */
  cell(column: string): SpanCell {
    const at = this.columns.indexOf(column)
    return at < 0 ? null : (this.cells[at] ?? null)
  }

  #text(column: string): string {
    const cell = this.cell(column)
    return typeof cell === 'string' ? cell : ''
  }
}
