// Hot where a policy has conditions: once a trace. What no condition asks for is not computed.
import { ownColumn, type PackedSlice, type SpanCell, type SpanRow } from '@winnow/model'
import { CitationView } from './condition-environment.ts'
import { OutcomeView, RootView, SpanView, Values } from './condition-values.ts'
import type { Outcome, TraceFacts } from './fold.ts'
import { csatOf, missingClaims } from './outcome-values.ts'
import type { RuleEnvironment } from './rules.ts'

/** Distinct rows of one trace that conditions see; the first in the order of the fold. */
export const traceRowsMax = 1_024

/** A row with what its cells are called. */
interface NamedRow {
  readonly columns: readonly string[]
  readonly cells: SpanRow
}

/** The facts of one trace under the names of conditions: the context that they are evaluated in. */
export class ConditionView {
  readonly attribute = new Map<string, Values>()
  readonly traceState = new Map<string, Values>()
  readonly outcome = new Map<string, OutcomeView>()
  readonly #facts: TraceFacts
  readonly #environment: RuleEnvironment
  #rows: readonly NamedRow[] | undefined
  #isCut = false
  #root: RootView | undefined
  #rootRow: NamedRow | undefined
  #spans: SpanView[] | undefined
  #judge: OutcomeView | undefined
  #citation: CitationView | undefined
  /** Columns that the spans' maps have. */
  readonly #spanColumns = new Set<string>()

  constructor(facts: TraceFacts, environment: RuleEnvironment) {
    this.#facts = facts
    this.#environment = environment
  }

  /** Has the maps hold what a condition names: it looks up nothing else. */
  need({ attributes, rootAttributes, states, outcomes, spanColumns }: Named): void {
    for (const key of attributes) put(this.attribute, key, () => this.#values(key))
    for (const key of states) {
      put(this.traceState, key, () => this.#values(ownColumn.statePrefix + key))
    }
    for (const name of outcomes) {
      if (!this.outcome.has(name)) this.outcome.set(name, this.#outcomeOf(name, new OutcomeView()))
    }
    for (const key of rootAttributes) {
      put(this.root.attribute, key, () => valuesOf(cellOf(this.#rootRow, key)))
    }
    for (const column of spanColumns) this.#needSpans(column)
  }

  get spanCount(): number {
    return this.#facts.spanCount
  }

  get duplicateSpans(): number {
    return this.#facts.duplicateSpans
  }

  get durationMs(): number {
    const { slices } = this.#facts
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
    const { root, slices } = this.#facts
    if (root !== null) {
      view.name = root.name
      view.service = root.service
      view.durationMs = root.durationMs
      view.failed = root.error === true
      this.#rootRow = rowOfRoot(slices, root.spanId)
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
    this.#spans ??= this.#allRows().map(spanOf)
    return this.#spans
  }

  get truncated(): boolean {
    if (this.#facts.slices.some(({ lists }) => lists.truncated === true)) return true
    this.#allRows()
    return this.#isCut
  }

  #values(column: string): Values {
    return new Values(this.#distinct(column))
  }

  #distinct(column: string): readonly SpanCell[] {
    const all = new Set<SpanCell>()
    let hidden: SpanCell = null
    for (const row of this.#allRows()) {
      const cell = cellOf(row, column)
      if (cell === null) continue
      // One cell that shows nothing is as good as many.
      if (typeof cell === 'object') hidden ??= cell
      all.add(typeof cell === 'object' ? hidden : cell)
    }
    return [...all]
  }

  #needSpans(column: string): void {
    if (this.#spanColumns.has(column)) return
    this.#spanColumns.add(column)
    const { statePrefix } = ownColumn
    const isState = column.startsWith(statePrefix)
    if (column.startsWith(':') && !isState) return
    const rows = this.#allRows()
    this.spans.forEach((span, at) => {
      const values = valuesOf(cellOf(rows[at], column))
      if (isState) span.traceState.set(column.slice(statePrefix.length), values)
      else span.attribute.set(column, values)
    })
  }

  #allRows(): readonly NamedRow[] {
    if (this.#rows !== undefined) return this.#rows
    const rows: NamedRow[] = []
    const { slices } = this.#facts
    for (let i = 0; i < slices.length; i++) {
      const { columns, rows: own } = (slices[i] as PackedSlice).lists
      if (columns === undefined || own === undefined) continue
      for (let at = 0; at < own.length; at++) {
        const cells = own[at] as SpanRow
        if (isKnown(rows, columns, cells)) continue
        if (rows.length < traceRowsMax) rows.push({ columns, cells })
        else this.#isCut = true
      }
    }
    this.#rows = rows
    return this.#rows
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

/** What a condition names: the keys of its maps. */
export interface Named {
  readonly attributes: readonly string[]
  readonly rootAttributes: readonly string[]
  readonly states: readonly string[]
  readonly outcomes: readonly string[]
  readonly spanColumns: readonly string[]
}

/** What a rule before this one was shown is not this one's answer. */
function put(map: Map<string, Values>, key: string, values: () => Values): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, values())
  else known.shown = null
}

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
function isKnown(rows: readonly NamedRow[], columns: readonly string[], cells: SpanRow): boolean {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as NamedRow
    if (row.columns !== columns && row.columns.join('\n') !== columns.join('\n')) continue
    if (areSame(row.cells, cells)) return true
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

function rowOfRoot(slices: readonly PackedSlice[], spanId: string): NamedRow | undefined {
  for (const { lists } of slices) {
    const { columns, rows, rootRows } = lists
    const entry = rootRows?.find(([id]) => id === spanId)
    const cells = entry === undefined ? undefined : rows?.[entry[1]]
    if (columns !== undefined && cells !== undefined) return { columns, cells }
  }
  return undefined
}

function cellOf(row: NamedRow | undefined, column: string): SpanCell {
  if (row === undefined) return null
  const at = row.columns.indexOf(column)
  return at < 0 ? null : (row.cells[at] ?? null)
}

function spanOf(row: NamedRow): SpanView {
  const view = new SpanView()
  const { name, kind, status, durationMs, sampled } = ownColumn
  view.name = textOf(cellOf(row, name))
  view.kind = textOf(cellOf(row, kind))
  view.status = textOf(cellOf(row, status))
  const duration = cellOf(row, durationMs)
  if (typeof duration === 'number') view.durationMs = duration
  view.isSampled = cellOf(row, sampled) === true
  return view
}

const textOf = (cell: SpanCell): string => (typeof cell === 'string' ? cell : '')
/** Not one for all that have none: a comparison writes into it. */
const valuesOf = (cell: SpanCell): Values => new Values(cell === null ? [] : [cell])

function textsOf(cells: readonly SpanCell[]): string[] {
  return [...new Set(cells.filter(cell => typeof cell === 'string'))]
}
