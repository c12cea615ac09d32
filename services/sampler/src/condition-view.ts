// Hot where a policy has conditions: once a trace. What no condition asks for is not computed.
import { ownColumn, type PackedSlice, type SpanCell, type SpanRow } from '@winnow/model'
import { CitationView } from './condition-environment.ts'
import { OutcomeView, RootView, SpanView, Values } from './condition-values.ts'
import type { Outcome, TraceFacts } from './fold.ts'
import { csatOf, missingClaims } from './outcome-values.ts'
import type { RuleEnvironment } from './rules.ts'

/** Distinct rows of one trace that conditions see; the first in the order of the fold. */
export const traceRowsMax = 1_024

/** The facts of one trace under the names of conditions, each computed when it is first asked for. */
export class ConditionView {
  readonly #facts: TraceFacts
  readonly #environment: RuleEnvironment
  #rows: readonly SpanView[] | undefined
  #isCut = false
  #durationMs: number | undefined
  #root: RootView | undefined
  #judge: OutcomeView | undefined
  #citation: CitationView | undefined
  /** By column, of all spans; by attribute, of the root; by name. */
  #values: Map<string, Values> | undefined
  #rootValues: Map<string, Values> | undefined
  #outcomes: Map<string, OutcomeView> | undefined

  constructor(facts: TraceFacts, environment: RuleEnvironment) {
    this.#facts = facts
    this.#environment = environment
  }

  /** What an answer before has shown is not the next one's. */
  begin(): this {
    if (this.#values !== undefined) for (const values of this.#values.values()) values.shown = null
    return this
  }

  /** What all spans have under a column. */
  values(column: string): Values {
    this.#values ??= new Map()
    let values = this.#values.get(column)
    if (values === undefined) {
      values = new Values(this.#distinct(column))
      this.#values.set(column, values)
    }
    return values
  }

  /** What the root has under a column. */
  rootValues(column: string): Values {
    this.#rootValues ??= new Map()
    let values = this.#rootValues.get(column)
    if (values === undefined) {
      const { root, slices } = this.#facts
      const row = root === null ? undefined : rowOfRoot(slices, root.spanId)
      values = row === undefined ? new Values([]) : row.values(column)
      this.#rootValues.set(column, values)
    }
    return values
  }

  /** The first of `columns` that was read from no slice of the trace; undefined where each was from one. */
  notRecorded(columns: readonly string[]): string | undefined {
    const { slices } = this.#facts
    if (slices.length === 0) return undefined
    for (let at = 0; at < columns.length; at++) {
      const column = columns[at] as string
      if (!isRecorded(slices, column)) return column
    }
    return undefined
  }

  outcome(name: string): OutcomeView {
    this.#outcomes ??= new Map()
    let outcome = this.#outcomes.get(name)
    if (outcome === undefined) {
      outcome = this.#outcomeOf(name, new OutcomeView())
      this.#outcomes.set(name, outcome)
    }
    return outcome
  }

  get spanCount(): number {
    return this.#facts.spanCount
  }

  get duplicateSpans(): number {
    return this.#facts.duplicateSpans
  }

  get durationMs(): number {
    this.#durationMs ??= durationOf(this.#facts.slices)
    return this.#durationMs
  }

  get errorCount(): number {
    return this.#facts.fatalErrors + this.#facts.recoveredErrors
  }

  get fatalErrors(): number {
    return this.#facts.fatalErrors
  }

  get recoveredErrors(): number {
    return this.#facts.recoveredErrors
  }

  get hasRoot(): boolean {
    return this.#facts.root !== null
  }

  get root(): RootView {
    if (this.#root !== undefined) return this.#root
    const view = new RootView()
    const { root } = this.#facts
    if (root !== null) {
      view.name = root.name
      view.service = root.service
      view.durationMs = root.durationMs
      view.failed = root.error === true
    }
    this.#root = view
    return view
  }

  get service(): string {
    return this.#facts.root?.service ?? this.#facts.services[0] ?? ''
  }

  get services(): readonly string[] {
    return this.#facts.services
  }

  get inputTokens(): number {
    return this.#facts.inputTokens
  }

  get outputTokens(): number {
    return this.#facts.outputTokens
  }

  get totalTokens(): number {
    return this.#facts.inputTokens + this.#facts.outputTokens
  }

  get costUsd(): number {
    return this.#facts.costUsd
  }

  get models(): string[] {
    const asked = this.#distinct(ownColumn.requestModel)
    return textsOf([...asked, ...this.#distinct(ownColumn.responseModel)])
  }

  get statuses(): string[] {
    return textsOf(this.#distinct(ownColumn.status))
  }

  get isSampled(): boolean {
    return this.#distinct(ownColumn.sampled).includes(true)
  }

  get experiment(): string {
    return this.#facts.experiment ?? ''
  }

  get variant(): string {
    return this.#facts.variant ?? ''
  }

  get judge(): OutcomeView {
    this.#judge ??= this.#outcomeOf('judge', new OutcomeView())
    return this.#judge
  }

  get citation(): CitationView {
    this.#citation ??= this.#outcomeOf('citation', new CitationView())
    return this.#citation
  }

  get csat(): number {
    let lowest = Number.NaN
    for (const outcome of this.#facts.outcomes) {
      const csat = outcome.name === 'csat' ? csatOf(outcome) : undefined
      if (csat !== undefined && !(csat >= lowest)) lowest = csat
    }
    return lowest
  }

  get hasFailedOutcome(): boolean {
    return this.#facts.outcomes.some(({ passed }) => passed === false)
  }

  get closeReason(): string {
    return this.#environment.close?.closeReason ?? ''
  }

  get complete(): boolean {
    return this.#environment.close?.complete === true
  }

  get missingParents(): number {
    return this.#environment.close?.missingParents ?? 0
  }

  get spans(): readonly SpanView[] {
    if (this.#rows !== undefined) return this.#rows
    const rows: SpanView[] = []
    const { slices } = this.#facts
    const known: (readonly string[])[] = []
    for (let i = 0; i < slices.length; i++) {
      const { columns, rows: own } = (slices[i] as PackedSlice).lists
      if (columns === undefined || own === undefined) continue
      const names = sameColumns(known, columns)
      for (let at = 0; at < own.length; at++) {
        const cells = own[at] as SpanRow
        if (isKnown(rows, names, cells)) continue
        if (rows.length < traceRowsMax) rows.push(new SpanView(names, cells))
        else this.#isCut = true
      }
    }
    this.#rows = rows
    return rows
  }

  get truncated(): boolean {
    if (this.#facts.slices.some(({ lists }) => lists.truncated === true)) return true
    return this.spans.length === traceRowsMax && this.#isCut
  }

  #distinct(column: string): readonly SpanCell[] {
    const { spans } = this
    const all: SpanCell[] = []
    let known: Set<SpanCell> | undefined
    for (let i = 0; i < spans.length; i++) {
      const cell = (spans[i] as SpanView).cell(column)
      if (cell === null) continue
      if (known === undefined && all.length >= searchedMax) known = new Set(all)
      // One cell that shows nothing is as good as many.
      const value = typeof cell === 'object' ? hidden : cell
      if (known === undefined ? all.indexOf(value) >= 0 : known.has(value)) continue
      all.push(value)
      known?.add(value)
    }
    return all
  }

  /** Both `name` and `outcome.<name>`: spans and events write the prefix, evaluations need not. */
  #outcomeOf<T extends OutcomeView>(name: string, view: T): T {
    const prefixed = `outcome.${name}`
    for (const outcome of this.#facts.outcomes) {
      if (outcome.name === name || outcome.name === prefixed) take(view, outcome)
    }
    view.passed = view.passed && !view.failed
    return view
  }
}

/** The first slice has it, mostly. */
function isRecorded(slices: readonly PackedSlice[], column: string): boolean {
  for (let i = 0; i < slices.length; i++) {
    const { columns } = (slices[i] as PackedSlice).lists
    if (columns !== undefined && columns.indexOf(column) >= 0) return true
  }
  return false
}

function durationOf(slices: readonly PackedSlice[]): number {
  let start = Number.POSITIVE_INFINITY
  let end = Number.NEGATIVE_INFINITY
  for (let i = 0; i < slices.length; i++) {
    const { startMs, endMs } = slices[i] as PackedSlice
    if (startMs < start) start = startMs
    if (endMs > end) end = endMs
  }
  // Of Unix milliseconds a double has no more than microseconds.
  return end > start ? Math.round((end - start) * 1_000) / 1_000 : 0
}

/** So many values are searched through one by one; a set of them costs more than that. */
export const searchedMax = 16
/** A cell that shows nothing. */
const hidden: SpanCell = {}

function take(view: OutcomeView, outcome: Outcome): void {
  const { score, label, passed, extracted, supported } = outcome
  view.isPresent = true
  if (score !== undefined) {
    if (!(score >= view.score)) view.score = score
    if (!(score <= view.scoreMax)) view.scoreMax = score
  }
  if (label !== undefined && !view.labels.includes(label)) view.labels.push(label)
  if (passed === false) view.failed = true
  if (passed === true) view.passed = true
  if (extracted !== undefined && !(extracted <= view.extracted)) view.extracted = extracted
  if (supported !== undefined && !(supported <= view.supported)) view.supported = supported
  const missing = missingClaims(outcome)
  if (missing !== undefined && !(missing <= view.missing)) view.missing = missing
}

/** Slices that were read under the same rules share the array of their columns, mostly. */
function sameColumns(known: (readonly string[])[], columns: readonly string[]): readonly string[] {
  for (let i = 0; i < known.length; i++) {
    const one = known[i] as readonly string[]
    if (one === columns || one.join('\n') === columns.join('\n')) return one
  }
  known.push(columns)
  return columns
}

function isKnown(rows: readonly SpanView[], columns: readonly string[], cells: SpanRow): boolean {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as SpanView
    if (row.columns === columns && areSame(row.cells, cells)) return true
  }
  return false
}

function areSame(a: SpanRow, b: SpanRow): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    const [one, other] = [a[i], b[i]]
    const areHidden = isHidden(one) && isHidden(other)
    if (one !== other && !areHidden) return false
  }
  return true
}

const isHidden = (cell: SpanCell | undefined): boolean => typeof cell === 'object' && cell !== null

function rowOfRoot(slices: readonly PackedSlice[], spanId: string): SpanView | undefined {
  for (const { lists } of slices) {
    const { columns, rows, rootRows } = lists
    const entry = rootRows?.find(([id]) => id === spanId)
    const cells = entry === undefined ? undefined : rows?.[entry[1]]
    if (columns !== undefined && cells !== undefined) return new SpanView(columns, cells)
  }
  return undefined
}

function textsOf(cells: readonly SpanCell[]): string[] {
  return [...new Set(cells.filter(cell => typeof cell === 'string'))]
}
