import type { Column } from '../column.ts'
import type { LedgerRow } from './ledger-row.ts'

type Options = Partial<Pick<Column<LedgerRow>, 'nullable' | 'unit'>>

function column(
  name: keyof LedgerRow,
  type: Column<LedgerRow>['type'],
  meaning: string,
  options: Options = {},
): Column<LedgerRow> {
  return { name, type, nullable: false, unit: '', cold: 'fact', meaning, ...options }
}

const or = { nullable: true } as const
const time = { unit: 'ms, UTC, log time' } as const

/** Every column of {@link LedgerRow}, in the order of the files. A new one goes to the end. */
export const ledgerColumns: readonly Column<LedgerRow>[] = [
  column('tenant', 'string', 'whose trace it is'),
  column('trace_id', 'string', 'the trace', { unit: '32 hex digits' }),
  column('revision', 'int32', '1, 2, 3 … within a series'),
  column('verdict', 'string', '`keep` or `drop`'),
  column('primary_rule', 'string', 'first match in policy order; `ordinary` for a drop'),
  column('rules', 'string', 'all rules that matched, the primary first', {
    unit: 'JSON array of names',
  }),
  column('probability', 'double', 'highest among the matching rules', { unit: '0 to 1' }),
  column('th', 'string', 'its OpenTelemetry threshold', { unit: '1 to 14 hex digits' }),
  column('adjusted_count', 'double', 'how many traces of its stratum it stands for; 0 for a drop', {
    unit: 'traces',
  }),
  column('stratum', 'string', 'primary rule, or `rescued`'),
  column('policy_version', 'string', 'the policy that decided'),
  column('cause', 'string', '`completed`, `fragment`, `evaluation` or `request`'),
  column('close_reason', 'string', 'why the assembler closed it; null: not seen yet', or),
  column('complete', 'boolean', 'no parent was missing', or),
  column('missing_parents', 'int32', 'parents that were named and had not come', { unit: 'spans' }),
  column('span_count', 'count', 'distinct spans', { unit: 'spans' }),
  column('duplicate_spans', 'count', 'repeats that clients sent', { unit: 'spans' }),
  column('slice_count', 'int32', 'slices of its series so far; 0: evaluations await their trace', {
    unit: 'slices',
  }),
  column('slices_written', 'int32', 'slices this revision had written', { unit: 'slices' }),
  column('gone', 'boolean', 'a keep whose bytes had left the bus: in no kept ratio'),
  column('root_span_id', 'string', 'the root', { ...or, unit: '16 hex digits' }),
  column('service_name', 'string', "the root's service", or),
  column('root_name', 'string', "the root's name", or),
  column('experiment_id', 'string', 'experiment', or),
  column('experiment_variant', 'string', 'its variant', or),
  column('duration_ms', 'double', "the root's duration; null: rootless", { ...or, unit: 'ms' }),
  column('input_tokens', 'count', 'sum over distinct spans', { unit: 'tokens' }),
  column('output_tokens', 'count', 'sum over distinct spans', { unit: 'tokens' }),
  column('cost_usd', 'double', 'sum over distinct spans, as senders state it', {
    unit: 'US dollars',
  }),
  column('judge_passed', 'boolean', 'false where any judge failed it', or),
  column('judge_score', 'double', 'the lowest of any judge', or),
  column('citation_extracted', 'count', 'claims, of the check with most unsupported', {
    ...or,
    unit: 'claims',
  }),
  column('citation_supported', 'count', 'of these supported', { ...or, unit: 'claims' }),
  column('citation_unsupported', 'count', 'of these unsupported', { ...or, unit: 'claims' }),
  column('csat', 'double', "the lowest, on its sender's scale", or),
  column('first_span_at', 'timestamp', 'append time of the first slice', { ...or, ...time }),
  column('closed_at', 'timestamp', 'when the assembler closed it', { ...or, ...time }),
  column('decided_at', 'timestamp', 'when this revision was decided', time),
  column('series_at', 'timestamp', 'append time of the first evidence of the series', time),
  column('sampling_partition', 'int32', 'partition of `decisions`'),
  column('sampling_offset', 'count', 'offset of the decision in it'),
  column('evaluations', 'string', 'outcomes that came beside the spans, without comments', {
    unit: 'JSON array',
  }),
  column('decision', 'string', 'the decision, without free text; `prev` leads to further slices', {
    unit: 'JSON object',
  }),
  column('bytes_written', 'count', 'of the slices this revision had written, as they were sent', {
    unit: 'bytes',
  }),
]
