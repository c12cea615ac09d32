import type { Column } from './column.ts'
import type { SpanRow } from './span-row.ts'

type Options = Partial<Pick<Column<SpanRow>, 'nullable' | 'unit' | 'cold'>>

function column(
  name: keyof SpanRow,
  type: Column<SpanRow>['type'],
  meaning: string,
  options: Options = {},
): Column<SpanRow> {
  return { name, type, nullable: false, unit: '', cold: 'clear', meaning, ...options }
}

const or = { nullable: true } as const

/** Every column of {@link SpanRow}, in the order of the files. A new one goes to the end. */
export const spanColumns: readonly Column<SpanRow>[] = [
  column('tenant', 'string', 'whose trace it is'),
  column('trace_id', 'string', 'the trace', { unit: '32 hex digits' }),
  column('span_id', 'string', 'the span', { unit: '16 hex digits' }),
  column('parent_span_id', 'string', 'null: no parent', { ...or, unit: '16 hex digits' }),
  column('service_name', 'string', '`service.name` of the resource', or),
  column('name', 'string', 'span name; `(content)` where it reads like prose'),
  column('kind', 'int32', '0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer'),
  column('start_time_unix_nano', 'int64', 'start', { unit: 'ns since 1970' }),
  column('end_time_unix_nano', 'int64', 'end, as sent: it may lie before the start', {
    unit: 'ns since 1970',
  }),
  column('status_code', 'int32', '0 unset, 1 ok, 2 error'),
  column('flags', 'uint32', 'W3C trace flags; bit 8: bit 9 is meant, bit 9: the parent is remote'),
  column('trace_state', 'string', 'W3C trace state', { ...or, cold: 'hashed' }),
  column('scope_name', 'string', 'instrumentation scope', or),
  column('scope_version', 'string', 'its version', or),
  column(
    'gen_ai_operation',
    'string',
    '`chat`, `execute_tool`, …, whatever convention sent it',
    or,
  ),
  column('gen_ai_provider', 'string', 'provider, renamed values unified', or),
  column('gen_ai_model', 'string', 'the model that answered, else the one asked', or),
  column('gen_ai_tool', 'string', 'tool name', or),
  column('input_tokens', 'count', 'cached ones included', { ...or, unit: 'tokens' }),
  column('output_tokens', 'count', 'reasoning included', { ...or, unit: 'tokens' }),
  column('cost_usd', 'double', 'as the sender states it', { ...or, unit: 'US dollars' }),
  column('experiment_id', 'string', 'experiment, or feature flag', or),
  column('experiment_variant', 'string', 'its variant', or),
  column('attributes', 'string', 'the attributes this level may hold', {
    unit: 'JSON object, OTLP/JSON values by key',
    cold: 'strings hashed',
  }),
  column('resource_attributes', 'string', 'likewise of the resource', {
    unit: 'JSON object, OTLP/JSON values by key',
    cold: 'strings hashed',
  }),
  column('events', 'string', 'events, without content', {
    unit: 'JSON array in OTLP/JSON',
    cold: 'strings hashed',
  }),
  column('links', 'string', 'links, without content', {
    unit: 'JSON array in OTLP/JSON',
    cold: 'strings hashed',
  }),
  column('sampling_rule', 'string', 'primary rule of the decision that wrote the row'),
  column('sampling_revision', 'int32', 'its revision'),
  column('sampling_probability', 'double', 'its keep probability', { unit: '0 to 1' }),
  column('sampling_adjusted_count', 'double', 'how many traces of its stratum it stands for', {
    unit: 'traces',
  }),
  column('sampling_offset', 'int64', 'its offset in the `decisions` partition'),
  column('sampling_partition', 'int32', 'that partition'),
]
