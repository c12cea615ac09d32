// Hot: the writer goes through here for every kept trace.
import { acceptsVersion, type DecisionHead, readVersions } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { headText } from './facts-only.ts'
import type { GatheredPart } from './hot-census.ts'
import { matchingRules, type SearchPosition } from './hot-search.ts'
import type { HotTrace, TraceFilter } from './hot-store.ts'
import { type HotVersion, isNewer } from './hot-version.ts'
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from './node-sqlite.ts'
import { SpanPack } from './span-pack.ts'
import { inTransaction } from './sqlite-file.ts'

/**
 * One file a UTC day. Ids are random, so a tree that is sorted by them rewrites a page for nearly
 * every row: only the trace's one entry is (`traces` is the order of arrival), and what was put of it
 * lies behind its number, which grows. `traces_by_time` holds every column that a search looks at, so
 * that a filter that few traces match walks the index alone. `rules` is a JSON array of names.
 *
 * A part is what one put brought: span rows as a pack (span-pack.ts), and where the bytes of which
 * slices lie in a text file, `refs` being a JSON array of [ref, length]. Whole by itself and never
 * changed: `part` names it, so that a replay finds it there.
 */
export const tracesSchema = `CREATE TABLE IF NOT EXISTS traces (
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
CREATE INDEX IF NOT EXISTS parts_by_trace ON parts (trace, decision_offset, part);`

/** Where the bytes of a part's slices lie. */
export interface TextPlace {
  readonly file: string
  readonly at: number
  readonly crc: number
}

export interface HotPart extends HotVersion {
  readonly spans: SpanPack
  /** Of the slices, in the order of their bytes. */
  readonly refs: readonly (readonly [ref: string, bytes: number])[]
  readonly text: TextPlace | undefined
}

export interface HotTraceRow extends HotVersion {
  readonly decision: DecisionHead
  readonly partition: number
}

/** The traces and their parts of one UTC day. */
export class SqliteTraces {
  readonly #database: DatabaseSync
  readonly #find: StatementSync
  readonly #insertTrace: StatementSync
  readonly #updateTrace: StatementSync
  readonly #findPart: StatementSync
  readonly #insertPart: StatementSync
  readonly #trace: StatementSync
  readonly #parts: StatementSync
  readonly #search: StatementSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.#find = database.prepare(
      'SELECT id, log_id, decision_offset, decided_at_ms FROM traces WHERE tenant = ? AND trace_id = ?',
    )
    this.#insertTrace = database.prepare(insertTraceSql)
    this.#updateTrace = database.prepare(updateTraceSql)
    this.#findPart = database.prepare(
      'SELECT 1 FROM parts WHERE trace = ? AND decision_offset = ? AND part = ? AND log_id = ?',
    )
    this.#insertPart = database.prepare(
      `INSERT INTO parts (trace, log_id, decision_offset, decided_at_ms, part, spans, refs, text_file,
       text_at, text_crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#trace = database.prepare(
      `SELECT decision, log_id, decision_partition, decision_offset, decided_at_ms
       FROM traces WHERE tenant = ? AND trace_id = ?`,
    )
    this.#parts = database.prepare(
      `SELECT parts.* FROM parts JOIN traces ON traces.id = parts.trace
       WHERE traces.tenant = ? AND traces.trace_id = ? ORDER BY parts.id`,
    )
    this.#search = database.prepare(searchSql)
  }

  /**
   * One transaction. `place` takes the bytes of a part that is not there yet, `synced` makes all of
   * them durable before anything names them.
   */
  put(
    traces: readonly HotTrace[],
    place: (trace: HotTrace) => TextPlace | undefined,
    synced: () => void,
  ): void {
    inTransaction(this.#database, () => {
      for (const trace of traces) this.#putTrace(trace, place)
      synced()
    })
  }

  trace(tenant: string, traceId: string): HotTraceRow | undefined {
    const row = this.#trace.get(tenant, traceId)
    if (row === undefined) return undefined
    const decision = parseDecision(row.decision, traceId)
    return { ...versionOf(row), decision, partition: Number(row.decision_partition) }
  }

  /** `seriesAtMs` of the oldest trace; undefined: there is none. Looks at every row, for an audit. */
  oldestMs(): number | undefined {
    const row = this.#database.prepare('SELECT min(series_at_ms) AS oldest FROM traces').get()
    return typeof row?.oldest === 'number' ? row.oldest : undefined
  }

  /** What an audit looks at of the traces whose ids begin so. */
  group(digits: string): GroupedTrace[] {
    const rows = this.#database.prepare(groupSql).all(digits, `${digits}g`)
    const traces = new Map<number, GroupedTrace & { parts: GroupedPart[] }>()
    for (const row of rows) {
      const id = Number(row.id)
      const trace = traces.get(id) ?? {
        tenant: String(row.tenant),
        traceId: String(row.trace_id),
        last: {
          ...versionOf(row),
          partition: Number(row.decision_partition),
          revision: Number(row.revision),
        },
        parts: [],
      }
      traces.set(id, trace)
      if (row.part !== null) trace.parts.push(groupedPart(row))
    }
    return [...traces.values()]
  }

  /** In the order in which they were put. */
  parts(tenant: string, traceId: string): HotPart[] {
    return this.#parts.all(tenant, traceId).map(row => ({
      ...versionOf(row),
      spans: SpanPack.from(row.spans as Uint8Array),
      refs: JSON.parse(String(row.refs)) as HotPart['refs'],
      text:
        row.text_file === null
          ? undefined
          : { file: String(row.text_file), at: Number(row.text_at), crc: Number(row.text_crc) },
    }))
  }

  /** Of the trace's last decision in this file; undefined: it is not in it. */
  version(tenant: string, traceId: string): HotVersion | undefined {
    const row = this.#find.get(tenant, traceId)
    return row === undefined ? undefined : versionOf(row)
  }

  /** At most `limit` decisions after a position, newest first. */
  search(
    filter: TraceFilter,
    after: SearchPosition | undefined,
    limit: number,
  ): (HotVersion & { readonly decision: DecisionHead })[] {
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
      ...versionOf(row),
      decision: parseDecision(row.decision, String(row.trace_id)),
    }))
  }

  close(): void {
    this.#database.close()
  }

  #putTrace(trace: HotTrace, place: (trace: HotTrace) => TextPlace | undefined): void {
    const { decision, logId, offset, spans, bodies } = trace
    const held = this.#find.get(decision.tenant, decision.traceId)
    const id = held === undefined ? this.#insert(trace) : Number(held.id)
    const version = { logId, offset, decidedAtMs: decision.decidedAtMs }
    if (held !== undefined && isNewer(version, versionOf(held))) {
      this.#updateTrace.run(...traceValues(trace), id)
    }
    if (spans.count === 0 && bodies.length === 0) return
    const part = `${bodies[0]?.ref ?? ''} ${bodies.length} ${spans.count}`
    if (held !== undefined && this.#findPart.get(id, offset, part, logId) !== undefined) return
    const text = place(trace)
    const refs = JSON.stringify(bodies.map(({ ref, bytes }) => [ref, bytes.length]))
    this.#insertPart.run(
      id,
      logId,
      offset,
      decision.decidedAtMs,
      part,
      spans.bytes,
      refs,
      text?.file ?? null,
      text?.at ?? null,
      text?.crc ?? null,
    )
  }

  #insert(trace: HotTrace): number {
    return Number(this.#insertTrace.run(...traceValues(trace)).lastInsertRowid)
  }
}

/** A part, and what tells it from others of its trace. */
export interface GroupedPart extends GatheredPart {
  readonly name: string
}

export interface GroupedTrace {
  readonly tenant: string
  readonly traceId: string
  readonly last: HotVersion & { readonly partition: number; readonly revision: number }
  readonly parts: readonly GroupedPart[]
}

const groupSql = `SELECT traces.id, tenant, trace_id, traces.log_id, decision_partition,
    traces.decision_offset, traces.decided_at_ms, revision, parts.log_id AS part_log,
    parts.decision_offset AS part_offset, parts.decided_at_ms AS part_at, part, spans, refs
  FROM traces LEFT JOIN parts ON parts.trace = traces.id
  WHERE trace_id >= ? AND trace_id < ?`

/** Where its trace's partition is another than that of an earlier log, no reader can tell; all of that log is over. */
function groupedPart(row: Record<string, SQLOutputValue>): GroupedPart {
  const refs = JSON.parse(String(row.refs)) as HotPart['refs']
  const [logId, offset] = [String(row.part_log), Number(row.part_offset)]
  return {
    name: `${logId} ${offset} ${row.part}`,
    logId,
    offset,
    decidedAtMs: Number(row.part_at),
    partition: Number(row.decision_partition),
    bytes: refs.reduce((sum, [, bytes]) => sum + bytes, 0),
    spanIds: () =>
      SpanPack.from(row.spans as Uint8Array)
        .rows()
        .map(span => span.span_id),
  }
}

const traceNames = [
  'tenant',
  'trace_id',
  'log_id',
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

const searchSql = `SELECT trace_id, decision, log_id, decision_offset, decided_at_ms FROM traces
  WHERE tenant = :tenant AND decided_at_ms >= :since AND decided_at_ms < :until
    AND decided_at_ms <= :after_at AND (decided_at_ms < :after_at OR trace_id < :after_id)
    AND (:rule IS NULL OR instr(rules, :rule) > 0)
    AND (:service IS NULL OR service = :service)
    AND (:variant IS NULL OR variant = :variant)
    AND (:duration IS NULL OR duration_ms >= :duration)
  ORDER BY decided_at_ms DESC, trace_id DESC LIMIT :limit`

function traceValues({ decision, json, logId, partition, offset }: HotTrace): SQLInputValue[] {
  return [
    decision.tenant,
    decision.traceId,
    logId,
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
    headText(decision, json),
  ]
}

function versionOf(row: Record<string, SQLOutputValue>): HotVersion {
  return {
    logId: String(row.log_id),
    offset: Number(row.decision_offset),
    decidedAtMs: Number(row.decided_at_ms),
  }
}

function parseDecision(text: SQLOutputValue | undefined, traceId: string): DecisionHead {
  const decision = JSON.parse(String(text)) as DecisionHead
  if (!acceptsVersion('decision', decision.v)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `the decision of ${traceId} has format ${decision.v}, this release reads ${readVersions('decision')}; run the newer release`,
    )
  }
  return decision
}
