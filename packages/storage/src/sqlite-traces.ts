import type { Decision } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { factsText } from './facts-only.ts'
import { matchingRules, type SearchPosition } from './hot-search.ts'
import type { HotTrace, TraceFilter } from './hot-store.ts'
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from './node-sqlite.ts'
import { spanColumns } from './span-columns.ts'
import type { SpanRow } from './span-row.ts'
import { inTransaction } from './sqlite-file.ts'

const sqliteTypes = {
  string: 'TEXT',
  boolean: 'INTEGER',
  int32: 'INTEGER',
  uint32: 'INTEGER',
  int64: 'INTEGER',
  count: 'INTEGER',
  double: 'REAL',
  timestamp: 'INTEGER',
} as const

/** A span's row names its trace by number; the trace's row has tenant and trace id. */
const spanNames = spanColumns.map(column => column.name).slice(2)

/**
 * One file a UTC day. Ids are random, so a tree that is sorted by them rewrites a page for nearly
 * every row: only the trace's one entry is (`traces` is the order of arrival), and spans lie behind
 * their trace's number, which grows. That is half the cost of a span keyed by its ids.
 *
 * `traces_by_time` holds every column that a search looks at, so that a filter that few traces match
 * walks the index alone. `rules` is a JSON array of names. `span_rows` has spans under their ids.
 */
export const tracesSchema = `CREATE TABLE IF NOT EXISTS traces (
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
${spanColumns
  .slice(2)
  .map(
    ({ name, type, nullable }) => `  ${name} ${sqliteTypes[type]}${nullable ? '' : ' NOT NULL'},`,
  )
  .join('\n')}
  PRIMARY KEY (trace, span_id)
) STRICT, WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS span_rows AS
  SELECT traces.tenant, traces.trace_id, ${spanNames.map(name => `spans.${name}`).join(', ')}
  FROM spans JOIN traces ON traces.id = spans.trace;`

/** The trace and span rows of one UTC day. */
export class SqliteTraces {
  readonly #database: DatabaseSync
  readonly #find: StatementSync
  readonly #insertTrace: StatementSync
  readonly #updateTrace: StatementSync
  readonly #putSpan: StatementSync
  readonly #trace: StatementSync
  readonly #spans: StatementSync
  readonly #search: StatementSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#find = database.prepare(
      'SELECT id, decision_offset FROM traces WHERE tenant = ? AND trace_id = ?',
    )
    this.#insertTrace = database.prepare(insertTraceSql)
    this.#updateTrace = database.prepare(updateTraceSql)
    this.#putSpan = database.prepare(putSpanSql)
    this.#trace = database.prepare(
      'SELECT decision, decision_partition, decision_offset FROM traces WHERE tenant = ? AND trace_id = ?',
    )
    this.#spans = database.prepare('SELECT * FROM span_rows WHERE tenant = ? AND trace_id = ?')
    this.#spans.setReadBigInts(true)
    this.#search = database.prepare(searchSql)
  }

  put(traces: readonly HotTrace[]): void {
    inTransaction(this.#database, () => {
      for (const trace of traces) {
        const id = this.#putTrace(trace)
        for (const row of trace.spans.rows()) this.#putSpan.run(id, ...spanValues(row))
      }
    })
  }

  trace(
    tenant: string,
    traceId: string,
  ):
    | { readonly decision: Decision; readonly partition: number; readonly offset: number }
    | undefined {
    const row = this.#trace.get(tenant, traceId)
    if (row === undefined) return undefined
    return {
      decision: parseDecision(row.decision, traceId),
      partition: Number(row.decision_partition),
      offset: Number(row.decision_offset),
    }
  }

  spans(tenant: string, traceId: string): SpanRow[] {
    return this.#spans.all(tenant, traceId).map(spanOf)
  }

  /** Offset of the trace's last decision in this file; undefined: it is not in it. */
  offset(tenant: string, traceId: string): number | undefined {
    const row = this.#find.get(tenant, traceId)
    return row === undefined ? undefined : Number(row.decision_offset)
  }

  /** At most `limit` decisions after a position, newest first, with their offsets. */
  search(
    filter: TraceFilter,
    after: SearchPosition | undefined,
    limit: number,
  ): { readonly decision: Decision; readonly offset: number }[] {
    const rows = this.#search.all({
      tenant: filter.tenant,
      since: filter.sinceMs ?? Number.MIN_SAFE_INTEGER,
      until: filter.untilMs ?? Number.MAX_SAFE_INTEGER,
      after_at: after?.decidedAtMs ?? Number.MAX_SAFE_INTEGER,
      after_id: after?.traceId ?? '',
      rule: filter.rule === undefined ? null : JSON.stringify(filter.rule),
      service: filter.service ?? null,
      variant: filter.variant ?? null,
      duration: filter.minDurationMs ?? null,
      limit,
    })
    return rows.map(row => ({
      decision: parseDecision(row.decision, String(row.trace_id)),
      offset: Number(row.decision_offset),
    }))
  }

  close(): void {
    this.#database.close()
  }

  /** The number of the trace's row. A decision of a lower offset leaves it as it is. */
  #putTrace(trace: HotTrace): number {
    const held = this.#find.get(trace.decision.tenant, trace.decision.traceId)
    if (held === undefined) {
      return Number(this.#insertTrace.run(...traceValues(trace)).lastInsertRowid)
    }
    const id = Number(held.id)
    if (Number(held.decision_offset) <= trace.offset) {
      this.#updateTrace.run(...traceValues(trace), id)
    }
    return id
  }
}

const traceNames = [
  'tenant',
  'trace_id',
  'decision_partition',
  'decision_offset',
  'revision',
  'primary_rule',
  'rules',
  'service',
  'operation',
  'variant',
  'duration_ms',
  'decided_at_ms',
  'series_at_ms',
  'decision',
]

const insertTraceSql = `INSERT INTO traces (${traceNames.join(', ')})
  VALUES (${traceNames.map(() => '?').join(', ')})`

const updateTraceSql = `UPDATE traces
  SET ${traceNames.map(name => `${name} = ?`).join(', ')} WHERE id = ?`

const putSpanSql = `INSERT INTO spans (trace, ${spanNames.join(', ')})
  VALUES (?, ${spanNames.map(() => '?').join(', ')})
  ON CONFLICT (trace, span_id) DO UPDATE
  SET ${spanNames.map(name => `${name} = excluded.${name}`).join(', ')}
  WHERE excluded.sampling_offset >= sampling_offset`

const searchSql = `SELECT trace_id, decision, decision_offset FROM traces
  WHERE tenant = :tenant AND decided_at_ms >= :since AND decided_at_ms < :until
    AND decided_at_ms <= :after_at AND (decided_at_ms < :after_at OR trace_id < :after_id)
    AND (:rule IS NULL OR instr(rules, :rule) > 0)
    AND (:service IS NULL OR service = :service)
    AND (:variant IS NULL OR variant = :variant)
    AND (:duration IS NULL OR duration_ms >= :duration)
  ORDER BY decided_at_ms DESC, trace_id DESC LIMIT :limit`

function traceValues({ decision, partition, offset }: HotTrace): SQLInputValue[] {
  return [
    decision.tenant,
    decision.traceId,
    partition,
    offset,
    decision.revision,
    decision.primary,
    JSON.stringify(matchingRules(decision)),
    decision.service,
    decision.operation,
    decision.variant,
    decision.durationMs,
    decision.decidedAtMs,
    decision.seriesAtMs,
    factsText(decision),
  ]
}

function spanValues(row: SpanRow): SQLInputValue[] {
  return spanNames.map(name => row[name])
}

/** Read with bigints, since times do not fit a number; the other whole numbers become numbers. */
function spanOf(stored: Record<string, SQLOutputValue>): SpanRow {
  const row: Record<string, SQLOutputValue> = {}
  for (const { name, type } of spanColumns) {
    const value = stored[name] ?? null
    row[name] = typeof value === 'bigint' && type !== 'int64' ? Number(value) : value
  }
  return row as unknown as SpanRow
}

function parseDecision(text: SQLOutputValue | undefined, traceId: string): Decision {
  const decision = JSON.parse(String(text)) as Decision
  if (decision.v !== 1) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `the decision of ${traceId} has format ${decision.v}, this release reads 1; run the newer release`,
    )
  }
  return decision
}
