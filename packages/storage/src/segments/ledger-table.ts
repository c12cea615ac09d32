// Hot: the writer goes through here for every decision, dropped ones too.
import { ByteChunks } from './byte-chunks.ts'
import { ByteColumn } from './byte-column.ts'
import type { ColumnOptions, EncodedColumn } from './column-chunk.ts'
import { encodeColumn } from './column-pages.ts'
import { TextTable } from './column-set.ts'
import { type Cells, NumberCells, type NumberKind, rowsMin, TextCells } from './ledger-cells.ts'
import { ledgerColumns } from './ledger-columns.ts'
import type { LedgerEntry, LedgerRow } from './ledger-row.ts'
import { checkRows, type EncodedGroup, optionsOf, rowGroupRows } from './parquet-write.ts'
import { traceBloom } from './trace-bloom.ts'

/** Memory of a row beside its texts and bytes: 24 doubles and 18 numbers, half as many again for growth. */
export const ledgerRowOverheadBytes = 400

/** Rows whose room is kept once they are written: most segments have fewer. */
const roomKept = 16 * rowsMin

/** Rows in the order of a file. */
export function ledgerGroups(rows: readonly LedgerEntry[]): EncodedGroup[] {
  checkRows(rows.length)
  const table = new LedgerTable()
  for (const row of rows) table.add(row)
  return table.groups()
}

/**
 * Rows of the ledger as they are gathered, column by column: a row of some kilobytes leaves no object
 * behind, and what it leaves lies in memory that is used again.
 */
export class LedgerTable {
  readonly #table = { texts: new TextTable() }
  readonly #columns = columnsFor(this.#table)
  /** Of each row the trace id, the root's id and the decision, one after another. */
  readonly #bytes = new ByteChunks()
  readonly #chunk = new NumberCells('int')
  readonly #start = new NumberCells('int')
  readonly #idEnd = new NumberCells('int')
  readonly #rootEnd = new NumberCells('int')
  readonly #end = new NumberCells('int')
  readonly #cells: readonly Cells[] = [
    ...Object.values(this.#columns),
    this.#chunk,
    this.#start,
    this.#idEnd,
    this.#rootEnd,
    this.#end,
  ]
  #rows = 0
  #room = rowsMin

  get count(): number {
    return this.#rows
  }

  /** Returns the memory that the row takes, as an estimate. Its bytes may be used again. */
  add(entry: LedgerEntry): number {
    const row = this.#rows++
    if (this.#rows > this.#room) this.#resize(2 * this.#room)
    addRow(this.#columns, row, entry)
    const bytes = this.#addBytes(row, entry)
    return ledgerRowOverheadBytes + bytes + entry.evaluations.length
  }

  /** The first rows are written, or given up. */
  forgetFirst(count: number): void {
    const rows = this.#rows
    this.#rows -= count
    for (const cells of this.#cells) cells.shift(count, rows)
    if (this.#rows > 0) this.#bytes.forgetBefore(this.#chunk.at(0))
    else this.#bytes.clear()
    if (this.#rows === 0 && this.#room > roomKept) this.#resize(rowsMin)
    const before = this.#table.texts
    this.#table.texts = new TextTable()
    for (const cells of this.#texts()) cells.renumber(this.#rows, before)
  }

  /** The first `rows` rows in the order of the file: by trace id, tenant, offset. */
  groups(rows: number = this.#rows): EncodedGroup[] {
    checkRows(rows)
    const order = this.#order(rows)
    const groups: EncodedGroup[] = []
    for (let from = 0; from < rows; from += rowGroupRows) {
      groups.push(this.#group(order.subarray(from, from + rowGroupRows)))
    }
    return groups
  }

  #resize(rows: number): void {
    this.#room = rows
    for (const cells of this.#cells) cells.resize(rows)
  }

  #texts(): TextCells[] {
    return this.#cells.filter(cells => cells instanceof TextCells)
  }

  #addBytes(row: number, { trace_id, root_span_id, decision }: LedgerEntry): number {
    const root = root_span_id ?? ''
    const idBytes = idLength(trace_id)
    const rootBytes = idLength(root)
    const isText = typeof decision === 'string'
    const length = idBytes + rootBytes + (isText ? Buffer.byteLength(decision) : decision.length)
    const chunk = this.#bytes.take(length)
    const bytes = this.#bytes.at(chunk)
    const start = this.#bytes.end - length
    writeId(bytes, trace_id, start, idBytes)
    writeId(bytes, root, start + idBytes, rootBytes)
    const at = start + idBytes + rootBytes
    if (isText) bytes.write(decision, at, 'utf8')
    else bytes.set(decision, at)
    this.#chunk.set(row, chunk)
    this.#start.set(row, start)
    this.#idEnd.set(row, start + idBytes)
    this.#rootEnd.set(row, root_span_id === null ? null : at)
    this.#end.set(row, start + length)
    return length
  }

  /** Most ids differ in their first six characters, which fit one number. */
  #order(rows: number): Int32Array {
    const keys = new Float64Array(rows)
    const order = new Int32Array(rows)
    for (let row = 0; row < rows; row++) {
      order[row] = row
      const start = this.#start.at(row)
      const bytes = this.#bytesOf(row)
      const end = Math.min(start + 6, this.#idEnd.at(row))
      let key = 0
      for (let at = start; at < start + 6; at++) {
        key = key * 256 + (at < end ? (bytes[at] as number) : 0)
      }
      keys[row] = key
    }
    return order.sort((a, b) => (keys[a] as number) - (keys[b] as number) || this.#compare(a, b))
  }

  #compare(a: number, b: number): number {
    const ids = this.#bytesOf(a).compare(
      this.#bytesOf(b),
      this.#start.at(b),
      this.#idEnd.at(b),
      this.#start.at(a),
      this.#idEnd.at(a),
    )
    if (ids !== 0) return ids
    const { tenant, sampling_offset } = this.#columns
    const [left, right] = [tenant.textOf(a), tenant.textOf(b)]
    if (left !== right) return left < right ? -1 : 1
    return sampling_offset.at(a) - sampling_offset.at(b)
  }

  #bytesOf(row: number): Buffer {
    return this.#bytes.at(this.#chunk.at(row))
  }

  #group(order: Int32Array): EncodedGroup {
    const columns: Readonly<Partial<Record<keyof LedgerRow, Cells>>> = this.#columns
    const encoded = ledgerColumns.map(column => {
      const options = optionsOf(column)
      const cells = columns[column.name]
      return cells?.encoded(order, options) ?? this.#encodedBytes(column.name, order, options)
    })
    return { rows: order.length, columns: encoded, bloom: traceBloom(this.#ids(order)) }
  }

  #ids(order: Int32Array): string[] {
    const ids: string[] = []
    for (const row of order) {
      const id = this.#bytesOf(row).toString('utf8', this.#start.at(row), this.#idEnd.at(row))
      if (id !== ids.at(-1)) ids.push(id)
    }
    return ids
  }

  #encodedBytes(name: string, order: Int32Array, options: ColumnOptions): EncodedColumn {
    if (name === 'decision') return this.#encodedDecisions(order, options)
    const column = new ByteColumn(order.length)
    for (const row of order) {
      const [start, end] =
        name === 'trace_id'
          ? [this.#start.at(row), this.#idEnd.at(row)]
          : [this.#idEnd.at(row), this.#rootEnd.at(row)]
      if (Number.isNaN(end)) column.addNull()
      else column.addShort(this.#bytesOf(row), start, end - start)
    }
    const encoded = encodeColumn(column.values, options)
    column.release()
    return encoded
  }

  #encodedDecisions(order: Int32Array, options: ColumnOptions): EncodedColumn {
    const startOf = (row: number): number => {
      const rootEnd = this.#rootEnd.at(row)
      return Number.isNaN(rootEnd) ? this.#idEnd.at(row) : rootEnd
    }
    const values = {
      kind: 'scattered',
      rows: order.length,
      lengthOf: (n: number) => this.#end.at(order[n] as number) - startOf(order[n] as number),
      copy: (n: number, target: Buffer, at: number) => {
        const row = order[n] as number
        this.#bytesOf(row).copy(target, at, startOf(row), this.#end.at(row))
      },
    } as const
    return encodeColumn(values, options)
  }
}

/** Of UTF-8. Ids are ASCII unless a test makes them up, and too short for a call into the system. */
function idLength(id: string): number {
  for (let n = 0; n < id.length; n++) if (id.charCodeAt(n) > 0x7f) return Buffer.byteLength(id)
  return id.length
}

function writeId(bytes: Buffer, id: string, at: number, length: number): void {
  if (length !== id.length) {
    bytes.write(id, at, 'utf8')
    return
  }
  for (let n = 0; n < length; n++) bytes[at + n] = id.charCodeAt(n)
}

/** Field by field: a loop over names would look each of them up. */
function addRow(columns: ReturnType<typeof columnsFor>, at: number, row: LedgerEntry): void {
  columns.tenant.set(at, row.tenant)
  columns.revision.set(at, row.revision)
  columns.verdict.set(at, row.verdict)
  columns.primary_rule.set(at, row.primary_rule)
  columns.rules.set(at, row.rules)
  columns.probability.set(at, row.probability)
  columns.th.set(at, row.th)
  columns.adjusted_count.set(at, row.adjusted_count)
  columns.stratum.set(at, row.stratum)
  columns.policy_version.set(at, row.policy_version)
  columns.cause.set(at, row.cause)
  columns.close_reason.set(at, row.close_reason)
  columns.complete.setBoolean(at, row.complete)
  columns.missing_parents.set(at, row.missing_parents)
  columns.span_count.set(at, row.span_count)
  columns.duplicate_spans.set(at, row.duplicate_spans)
  columns.slice_count.set(at, row.slice_count)
  columns.slices_written.set(at, row.slices_written)
  columns.gone.setBoolean(at, row.gone)
  columns.service_name.set(at, row.service_name)
  columns.root_name.set(at, row.root_name)
  columns.experiment_id.set(at, row.experiment_id)
  columns.experiment_variant.set(at, row.experiment_variant)
  columns.duration_ms.set(at, row.duration_ms)
  columns.input_tokens.set(at, row.input_tokens)
  columns.output_tokens.set(at, row.output_tokens)
  columns.cost_usd.set(at, row.cost_usd)
  columns.judge_passed.setBoolean(at, row.judge_passed)
  columns.judge_score.set(at, row.judge_score)
  columns.citation_extracted.set(at, row.citation_extracted)
  columns.citation_supported.set(at, row.citation_supported)
  columns.citation_unsupported.set(at, row.citation_unsupported)
  columns.csat.set(at, row.csat)
  columns.first_span_at.set(at, row.first_span_at)
  columns.closed_at.set(at, row.closed_at)
  columns.decided_at.set(at, row.decided_at)
  columns.series_at.set(at, row.series_at)
  columns.sampling_partition.set(at, row.sampling_partition)
  columns.sampling_offset.set(at, row.sampling_offset)
  columns.evaluations.set(at, row.evaluations)
  columns.bytes_written.set(at, row.bytes_written)
}

/** All but those of bytes: `trace_id`, `root_span_id`, `decision`. */
function columnsFor(table: { texts: TextTable }) {
  const text = (): TextCells => new TextCells(table)
  const numbers = (kind: NumberKind) => (): NumberCells => new NumberCells(kind)
  const int = numbers('int')
  const whole = numbers('whole')
  const double = numbers('double')
  const boolean = numbers('boolean')
  return {
    tenant: text(),
    revision: int(),
    verdict: text(),
    primary_rule: text(),
    rules: text(),
    probability: double(),
    th: text(),
    adjusted_count: double(),
    stratum: text(),
    policy_version: text(),
    cause: text(),
    close_reason: text(),
    complete: boolean(),
    missing_parents: int(),
    span_count: whole(),
    duplicate_spans: whole(),
    slice_count: int(),
    slices_written: int(),
    gone: boolean(),
    service_name: text(),
    root_name: text(),
    experiment_id: text(),
    experiment_variant: text(),
    duration_ms: double(),
    input_tokens: whole(),
    output_tokens: whole(),
    cost_usd: double(),
    judge_passed: boolean(),
    judge_score: double(),
    citation_extracted: whole(),
    citation_supported: whole(),
    citation_unsupported: whole(),
    csat: double(),
    first_span_at: whole(),
    closed_at: whole(),
    decided_at: whole(),
    series_at: whole(),
    sampling_partition: int(),
    sampling_offset: whole(),
    evaluations: text(),
    bytes_written: whole(),
  }
}
