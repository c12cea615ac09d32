import type { Decision } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
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

const spanNames = spanColumns.map(column => column.name)
const spanKey = ['tenant', 'trace_id', 'span_id']

/**
 * One file a UTC day. `traces_by_time` holds every column that a search looks at, so that a filter
 * that few traces match walks the index alone. `rules` is a JSON array of names.
 */
export const tracesSchema = `CREATE TABLE IF NOT EXISTS traces (
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
  PRIMARY KEY (tenant, trace_id)
) STRICT;
CREATE INDEX IF NOT EXISTS traces_by_time
  ON traces (tenant, decided_at_ms, trace_id, rules, service, variant, duration_ms);
CREATE TABLE IF NOT EXISTS spans (
${spanColumns.map(({ name, type, nullable }) => `  ${name} ${sqliteTypes[type]}${nullable ? '' : ' NOT NULL'},`).join('\n')}
  PRIMARY KEY (${spanKey.join(', ')})
) STRICT, WITHOUT ROWID;`

/** The trace and span rows of one UTC day. */
export class SqliteTraces {
  readonly #database: DatabaseSync
  readonly #putTrace: StatementSync
  readonly #putSpan: StatementSync
  readonly #trace: StatementSync
  readonly #spans: StatementSync
  readonly #offset: StatementSync
  readonly #search: StatementSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#putTrace = database.prepare(putTraceSql)
    this.#putSpan = database.prepare(putSpanSql)
    this.#trace = database.prepare(
      'SELECT decision, decision_partition, decision_offset FROM traces WHERE tenant = ? AND trace_id = ?',
    )
    this.#spans = database.prepare(
      `SELECT ${spanNames.join(', ')} FROM spans WHERE tenant = ? AND trace_id = ?`,
    )
    this.#spans.setReadBigInts(true)
    this.#offset = database.prepare(
      'SELECT decision_offset FROM traces WHERE tenant = ? AND trace_id = ?',
    )
    this.#search = database.prepare(searchSql)
  }

  put(traces: readonly HotTrace[]): void {
    inTransaction(this.#database, () => {
      for (const trace of traces) {
        this.#putTrace.run(...traceValues(trace))
        for (const row of trace.spans) this.#putSpan.run(...spanValues(row))
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
    const row = this.#offset.get(tenant, traceId)
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

const putTraceSql = `${insertSql('traces', traceNames, ['tenant', 'trace_id'])}
  WHERE excluded.decision_offset >= decision_offset`

const putSpanSql = `${insertSql('spans', spanNames, spanKey)}
  WHERE excluded.sampling_offset >= sampling_offset`

const searchSql = `SELECT trace_id, decision, decision_offset FROM traces
  WHERE tenant = :tenant AND decided_at_ms >= :since AND decided_at_ms < :until
    AND decided_at_ms <= :after_at AND (decided_at_ms < :after_at OR trace_id < :after_id)
    AND (:rule IS NULL OR instr(rules, :rule) > 0)
    AND (:service IS NULL OR service = :service)
    AND (:variant IS NULL OR variant = :variant)
    AND (:duration IS NULL OR duration_ms >= :duration)
  ORDER BY decided_at_ms DESC, trace_id DESC LIMIT :limit`

function insertSql(table: string, names: readonly string[], key: readonly string[]): string {
  const updates = names
    .filter(name => !key.includes(name))
    .map(name => `${name} = excluded.${name}`)
  return `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})
  ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${updates.join(', ')}`
}

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
    JSON.stringify(decision),
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
