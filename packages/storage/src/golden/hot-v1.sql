CREATE TABLE IF NOT EXISTS traces (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  log_id TEXT NOT NULL,
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
CREATE TABLE IF NOT EXISTS parts (
  id INTEGER PRIMARY KEY,
  trace INTEGER NOT NULL REFERENCES traces (id),
  log_id TEXT NOT NULL,
  decision_offset INTEGER NOT NULL,
  decided_at_ms INTEGER NOT NULL,
  part TEXT NOT NULL,
  spans BLOB NOT NULL,
  refs TEXT NOT NULL,
  text_file TEXT,
  text_at INTEGER,
  text_crc INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS parts_by_trace ON parts (trace, decision_offset, part);
