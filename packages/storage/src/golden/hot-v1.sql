CREATE TABLE IF NOT EXISTS traces (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  decision_partition INTEGER NOT NULL,
  decision_offset INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  primary_rule TEXT NOT NULL,
  rules TEXT NOT NULL,
  service TEXT,
  operation TEXT,
  variant TEXT,
  duration_ms REAL,
  decided_at_ms INTEGER NOT NULL,
  series_at_ms INTEGER NOT NULL,
  decision TEXT NOT NULL,
  UNIQUE (trace_id, tenant)
) STRICT;
CREATE INDEX IF NOT EXISTS traces_by_time
  ON traces (tenant, decided_at_ms, trace_id, rules, service, variant, duration_ms);
CREATE TABLE IF NOT EXISTS spans (
  trace INTEGER NOT NULL REFERENCES traces (id),
  span_id TEXT NOT NULL,
  parent_span_id TEXT,
  service_name TEXT,
  name TEXT NOT NULL,
  kind INTEGER NOT NULL,
  start_time_unix_nano INTEGER NOT NULL,
  end_time_unix_nano INTEGER NOT NULL,
  status_code INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  trace_state TEXT,
  scope_name TEXT,
  scope_version TEXT,
  gen_ai_operation TEXT,
  gen_ai_provider TEXT,
  gen_ai_model TEXT,
  gen_ai_tool TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cost_usd REAL,
  experiment_id TEXT,
  experiment_variant TEXT,
  attributes TEXT NOT NULL,
  resource_attributes TEXT NOT NULL,
  events TEXT NOT NULL,
  links TEXT NOT NULL,
  sampling_rule TEXT NOT NULL,
  sampling_revision INTEGER NOT NULL,
  sampling_probability REAL NOT NULL,
  sampling_adjusted_count REAL NOT NULL,
  sampling_offset INTEGER NOT NULL,
  sampling_partition INTEGER NOT NULL,
  PRIMARY KEY (trace, span_id)
) STRICT, WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS span_rows AS
  SELECT traces.tenant, traces.trace_id, spans.span_id, spans.parent_span_id, spans.service_name, spans.name, spans.kind, spans.start_time_unix_nano, spans.end_time_unix_nano, spans.status_code, spans.flags, spans.trace_state, spans.scope_name, spans.scope_version, spans.gen_ai_operation, spans.gen_ai_provider, spans.gen_ai_model, spans.gen_ai_tool, spans.input_tokens, spans.output_tokens, spans.cost_usd, spans.experiment_id, spans.experiment_variant, spans.attributes, spans.resource_attributes, spans.events, spans.links, spans.sampling_rule, spans.sampling_revision, spans.sampling_probability, spans.sampling_adjusted_count, spans.sampling_offset, spans.sampling_partition
  FROM spans JOIN traces ON traces.id = spans.trace;
CREATE TABLE IF NOT EXISTS text (
  tenant TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  decision_offset INTEGER NOT NULL,
  part INTEGER NOT NULL,
  refs TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (tenant, trace_id, decision_offset, part)
) STRICT;
