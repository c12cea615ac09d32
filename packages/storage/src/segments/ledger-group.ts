// Hot: the writer goes through here for every decision, dropped ones too.
import { ByteColumn } from './byte-column.ts'
import { type ColumnValues, encodeColumn } from './column-pages.ts'
import {
  BooleanColumn,
  DoubleColumn,
  Int32Column,
  TextColumn,
  TextTable,
  WholeColumn,
} from './column-set.ts'
import { ledgerColumns } from './ledger-columns.ts'
import type { LedgerEntry, LedgerRow } from './ledger-row.ts'
import { checkRows, type EncodedGroup, optionsOf, rowGroupRows } from './parquet-write.ts'
import { traceBloom } from './trace-bloom.ts'

/** Rows of the ledger in the order of the file: by trace id, tenant, offset. */
export function ledgerGroups(rows: readonly LedgerEntry[]): EncodedGroup[] {
  checkRows(rows.length)
  const sorted = rows.toSorted((a, b) => {
    if (a.trace_id !== b.trace_id) return a.trace_id < b.trace_id ? -1 : 1
    if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
    return a.sampling_offset - b.sampling_offset
  })
  const groups: EncodedGroup[] = []
  for (let start = 0; start < sorted.length; start += rowGroupRows) {
    groups.push(groupOf(sorted.slice(start, start + rowGroupRows)))
  }
  return groups
}

function groupOf(rows: readonly LedgerEntry[]): EncodedGroup {
  const columns = columnsFor(rows.length)
  const ids: string[] = []
  for (const row of rows) {
    addRow(columns, row)
    if (row.trace_id !== ids.at(-1)) ids.push(row.trace_id)
  }
  const values: { readonly [K in keyof LedgerRow]: { readonly values: ColumnValues } } = columns
  return {
    rows: rows.length,
    columns: ledgerColumns.map(column =>
      encodeColumn(values[column.name].values, optionsOf(column)),
    ),
    bloom: traceBloom(ids),
  }
}

/** Field by field: a loop over names would look each of them up. */
function addRow(columns: ReturnType<typeof columnsFor>, row: LedgerEntry): void {
  columns.tenant.add(row.tenant)
  columns.trace_id.addText(row.trace_id)
  columns.revision.add(row.revision)
  columns.verdict.add(row.verdict)
  columns.primary_rule.add(row.primary_rule)
  columns.rules.add(row.rules)
  columns.probability.add(row.probability)
  columns.th.add(row.th)
  columns.adjusted_count.add(row.adjusted_count)
  columns.stratum.add(row.stratum)
  columns.policy_version.add(row.policy_version)
  columns.cause.add(row.cause)
  columns.close_reason.add(row.close_reason)
  columns.complete.add(row.complete)
  columns.missing_parents.add(row.missing_parents)
  columns.span_count.add(row.span_count)
  columns.duplicate_spans.add(row.duplicate_spans)
  columns.slice_count.add(row.slice_count)
  columns.slices_written.add(row.slices_written)
  columns.gone.add(row.gone)
  if (row.root_span_id === null) columns.root_span_id.addNull()
  else columns.root_span_id.addText(row.root_span_id)
  columns.service_name.add(row.service_name)
  columns.root_name.add(row.root_name)
  columns.experiment_id.add(row.experiment_id)
  columns.experiment_variant.add(row.experiment_variant)
  columns.duration_ms.add(row.duration_ms)
  columns.input_tokens.add(row.input_tokens)
  columns.output_tokens.add(row.output_tokens)
  columns.cost_usd.add(row.cost_usd)
  columns.judge_passed.add(row.judge_passed)
  columns.judge_score.add(row.judge_score)
  columns.citation_extracted.add(row.citation_extracted)
  columns.citation_supported.add(row.citation_supported)
  columns.citation_unsupported.add(row.citation_unsupported)
  columns.csat.add(row.csat)
  columns.first_span_at.add(row.first_span_at)
  columns.closed_at.add(row.closed_at)
  columns.decided_at.add(row.decided_at)
  columns.series_at.add(row.series_at)
  columns.sampling_partition.add(row.sampling_partition)
  columns.sampling_offset.add(row.sampling_offset)
  columns.evaluations.add(row.evaluations)
  const { decision } = row
  if (typeof decision === 'string') columns.decision.addText(decision)
  else columns.decision.add(decision, 0, decision.length)
}

function columnsFor(rows: number) {
  const table = new TextTable()
  const text = (): TextColumn => new TextColumn(rows, table)
  const int = (): Int32Column => new Int32Column(rows)
  const whole = (): WholeColumn => new WholeColumn(rows)
  const double = (): DoubleColumn => new DoubleColumn(rows)
  const boolean = (): BooleanColumn => new BooleanColumn(rows)
  const bytes = (): ByteColumn => new ByteColumn(rows)
  return {
    tenant: text(),
    trace_id: bytes(),
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
    root_span_id: bytes(),
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
    decision: bytes(),
  }
}
