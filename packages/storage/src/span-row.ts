/**
 * One span as a row, at the content level of its tier: what hot SQLite, warm and cold Parquet share.
 * Columns are OpenTelemetry's terms in snake_case; docs/parquet.md has the table. The trace's own
 * columns are the ledger's; a span carries of them what a query over spans groups and weighs by.
 */
export interface SpanRow {
  readonly tenant: string
  readonly trace_id: string
  readonly span_id: string
  /** Null: a root. */
  readonly parent_span_id: string | null
  readonly service_name: string | null
  readonly name: string
  /** OTLP's number: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number
  /** At most 2^63 - 1, in the year 2262: a later time is stored as that, so that it fits an INT64. */
  readonly start_time_unix_nano: bigint
  readonly end_time_unix_nano: bigint
  /** 0 unset, 1 ok, 2 error. */
  readonly status_code: number
  readonly flags: number
  /** Cold: a keyed hash of the whole. */
  readonly trace_state: string | null
  readonly scope_name: string | null
  readonly scope_version: string | null
  readonly gen_ai_operation: string | null
  readonly gen_ai_provider: string | null
  readonly gen_ai_model: string | null
  readonly gen_ai_tool: string | null
  readonly input_tokens: number | null
  readonly output_tokens: number | null
  readonly cost_usd: number | null
  readonly experiment_id: string | null
  readonly experiment_variant: string | null
  /** JSON object of the attributes that this level may hold, OTLP/JSON value shapes by key. */
  readonly attributes: string
  readonly resource_attributes: string
  /** JSON arrays in OTLP/JSON shape, without what this level may not hold. */
  readonly events: string
  readonly links: string
  readonly sampling_rule: string
  readonly sampling_revision: number
  readonly sampling_probability: number
  readonly sampling_adjusted_count: number
  /** Offset of the decision that wrote the row, within its partition. */
  readonly sampling_offset: bigint
  readonly sampling_partition: number
}

/** By start time, then by span id. */
export function compareSpans(a: SpanRow, b: SpanRow): number {
  if (a.start_time_unix_nano !== b.start_time_unix_nano) {
    return a.start_time_unix_nano < b.start_time_unix_nano ? -1 : 1
  }
  return a.span_id < b.span_id ? -1 : 1
}
