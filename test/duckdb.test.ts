// The Parquet files, read by a program that shares nothing with the one that wrote them.

import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { FileBus } from '@winnow/bus'
import { type CountingState, countingStart, countRecord } from '@winnow/model'
import type { SamplingReport, TraceListItem, TraceSpan, Why } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { percentile, sentSpans, type TraceKey, traceKey } from '@winnow/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { playQuickly, type SeedRun } from './support/seed-run.ts'
import { mapWide, type TenantApi } from './support/tenant-api.ts'
import { winnow } from './support/winnow-process.ts'

const seed = 4
const traces = 1_500

let run: SeedRun
let database: DuckDBInstance
let duck: DuckDBConnection
/** `<tenant>/<trace id>` of every kept trace, as the API lists them. */
const kept = new Set<TraceKey>()

beforeAll(async () => {
  run = await playQuickly({ seed, traces, segmentAge: '1s' }, (specs, folder) =>
    FileBus.open({ folder, specs, clock: systemClock }),
  )
  for (const [tenant, own] of run.apis) {
    for await (const item of own.pages<TraceListItem>('/api/v1/search?state=kept')) {
      kept.add(traceKey(tenant, item.traceId))
    }
  }
  database = await DuckDBInstance.create(':memory:')
  duck = await database.connect()
  // From here on a query says `warm/**/*.parquet`, as the documentation does.
  await duck.run(`SET file_search_path = '${join(run.harness.folder, 'blobs')}'`)
  await duck.run(`
    CREATE VIEW ledger AS FROM 'ledger/**/*.parquet';
    CREATE VIEW last AS
      SELECT DISTINCT ON (tenant, trace_id) * FROM ledger
      ORDER BY tenant, trace_id, sampling_offset DESC;
    CREATE VIEW warm AS FROM 'warm/**/*.parquet';
    CREATE VIEW cold AS FROM 'cold/**/*.parquet';
    -- A span that a client sent twice may lie in two files.
    CREATE VIEW spans AS
      SELECT DISTINCT ON (tenant, trace_id, span_id) * FROM warm
      ORDER BY tenant, trace_id, span_id, sampling_offset`)
})

afterAll(async () => {
  duck?.closeSync()
  database?.closeSync()
  await run?.stop()
})

describe(`seed ${seed}`, () => {
  test('every decision that counts lies in exactly one ledger segment', async () => {
    const lying = await query<{ place: string }>(
      `SELECT sampling_partition || '/' || sampling_offset AS place FROM ledger`,
    )
    const places = lying.map(({ place }) => place).sort()
    expect(places).toEqual((await countingDecisions()).sort())
    expect(new Set(places).size).toBe(places.length)
    const ranges = await query<{ partition: number; a: number; b: number }>(`
    SELECT
      any_value(value::INT) FILTER (key = 'winnow.partition') AS partition,
      any_value(value::INT) FILTER (key = 'winnow.a') AS a,
      any_value(value::INT) FILTER (key = 'winnow.b') AS b
    FROM (
      SELECT file_name, decode(key) AS key, decode(value) AS value
      FROM parquet_kv_metadata('ledger/**/*.parquet')
      WHERE decode(key) IN ('winnow.partition', 'winnow.a', 'winnow.b'))
    GROUP BY file_name ORDER BY partition, a`)
    const partitions = await run.harness.bus.partitionCount(run.harness.topics.decisions)
    expect(ranges.length).toBeGreaterThan(partitions)
    // The ranges of a partition lie end to end, from its first record on.
    const ends = new Array<number>(partitions).fill(-1)
    for (const { partition, a, b } of ranges) {
      expect({ partition, a }).toEqual({ partition, a: (ends[partition] ?? -1) + 1 })
      ends[partition] = b
    }
  })

  test('the folders say where a row lies: the UTC day, and the partition of its decision', async () => {
    for (const tier of ['ledger', 'warm', 'cold']) {
      const [found] = await query<{ rows: number; astray: number; days: number }>(`
      SELECT count(*)::INT AS rows, count(DISTINCT date)::INT AS days,
        count(*) FILTER (p::INT <> sampling_partition)::INT AS astray
      FROM read_parquet('${tier}/**/*.parquet', hive_partitioning = true)`)
      expect(found, tier).toMatchObject({ astray: 0 })
      expect(found?.rows, tier).toBeGreaterThan(traces)
      expect([1, 2], tier).toContain(found?.days)
    }
  })

  test('the last rows of the ledger are the API’s counts, by verdict, rule and service', async () => {
    for (const [tenant, api] of run.apis) {
      const report = await api.read<SamplingReport>('/api/v1/sampling')
      const [totals] = await query(`
      SELECT
        count(*) FILTER (slice_count > 0 AND NOT gone AND verdict = 'keep')::INT AS kept,
        count(*) FILTER (slice_count > 0 AND NOT gone AND verdict = 'drop')::INT AS dropped,
        count(*) FILTER (slice_count = 0)::INT AS awaiting,
        count(*) FILTER (gone)::INT AS gone
      FROM last WHERE tenant = '${tenant}'`)
      const { dropped, awaiting, gone } = report
      expect(totals).toEqual({ kept: report.kept, dropped, awaiting, gone })
      expect(report.kept).toBeGreaterThan(0)
      const rules = await query<{ name: string; primary: number; any: number }>(`
      SELECT name, count(*) FILTER (name = primary_rule)::INT AS "primary", count(*)::INT AS "any"
      FROM (
        SELECT unnest(from_json(rules, '["VARCHAR"]')) AS name, primary_rule FROM last
        WHERE tenant = '${tenant}' AND slice_count > 0 AND NOT gone AND verdict = 'keep')
      GROUP BY name ORDER BY name`)
      const shares = rules.map(rule => ({
        ...rule,
        keptRatio: Number(rule.primary) / (report.kept + report.dropped),
      }))
      expect(shares).toEqual(report.rules.toSorted((a, b) => (a.name < b.name ? -1 : 1)))
      const services = await query(`
      SELECT coalesce(service_name, '') AS service,
        count(*) FILTER (verdict = 'keep')::INT AS kept,
        count(*) FILTER (verdict = 'drop')::INT AS dropped
      FROM last WHERE tenant = '${tenant}' AND slice_count > 0 AND NOT gone
      GROUP BY service ORDER BY service`)
      const told = report.services.map(({ service, ...one }) => ({
        service,
        kept: one.kept,
        dropped: one.dropped,
      }))
      expect(services).toEqual(told.toSorted((a, b) => (a.service < b.service ? -1 : 1)))
    }
  })

  test('spans, tokens and cost of every kept trace are what the API gives', async () => {
    const rows = await query<Sums & { tenant: string; trace_id: string }>(`
    SELECT tenant, trace_id, count(*)::INT AS spans,
      coalesce(sum(input_tokens), 0)::INT AS input, coalesce(sum(output_tokens), 0)::INT AS output,
      coalesce(sum(cost_usd), 0)::DOUBLE AS cost
    FROM spans GROUP BY tenant, trace_id ORDER BY tenant, trace_id`)
    const decided = await query<Sums & { tenant: string; trace_id: string }>(`
    SELECT tenant, trace_id, span_count::INT AS spans,
      input_tokens::INT AS input, output_tokens::INT AS output, cost_usd AS cost
    FROM last WHERE verdict = 'keep' AND slice_count > 0 ORDER BY tenant, trace_id`)
    const told = await mapWide(decided, async ({ tenant, trace_id }) => {
      const { spans } = await apiOf(tenant).read<{ spans: TraceSpan[] }>(
        `/api/v1/traces/${trace_id}`,
      )
      const sum = (of: (span: TraceSpan) => number | null | undefined): number =>
        spans.reduce((total, span) => total + (of(span) ?? 0), 0)
      return {
        tenant,
        trace_id,
        spans: spans.length,
        input: sum(span => span.genAi?.inputTokens),
        output: sum(span => span.genAi?.outputTokens),
        cost: sum(span => span.genAi?.costUsd),
      }
    })
    expect(rows.map(rounded)).toEqual(told.map(rounded))
    expect(decided.map(rounded)).toEqual(told.map(rounded))
    expect(told.map(row => traceKey(row.tenant, row.trace_id))).toEqual([...kept].sort())
    for (const of of ['spans', 'input', 'output', 'cost'] as const) {
      expect(
        told.reduce((total, row) => total + row[of], 0),
        of,
      ).toBeGreaterThan(0)
    }
  })

  test('p99 of the durations in the ledger is p99 of the durations that why states', async () => {
    const whys = await mapWide(run.traces, async ({ tenant, traceId }) => ({
      tenant,
      why: await apiOf(tenant).read<Why>(`/api/v1/traces/${traceId}/why`),
    }))
    for (const tenant of run.apis.keys()) {
      const durations = whys.flatMap(one =>
        one.tenant === tenant ? (one.why.durationMs ?? []) : [],
      )
      const [found] = await query(`
      SELECT count(duration_ms)::INT AS known, quantile_disc(duration_ms, 0.99) AS p99
      FROM last WHERE tenant = '${tenant}'`)
      expect(found).toEqual({ known: durations.length, p99: percentile(durations, 99) })
      expect(durations.length).toBeGreaterThan(traces / 3)
    }
    // Each trace's own row, and not only the sum of them.
    const rows = await query(`
    SELECT tenant, trace_id, revision, verdict, primary_rule, th, duration_ms, span_count::INT AS spans
    FROM last WHERE slice_count > 0 ORDER BY tenant, trace_id`)
    const told = whys.map(({ tenant, why }) => ({
      tenant,
      trace_id: why.traceId,
      revision: why.revision,
      verdict: why.verdict,
      primary_rule: why.primary,
      th: why.th,
      duration_ms: why.durationMs,
      spans: why.spanCount,
    }))
    expect(rows).toEqual(
      told.toSorted((a, b) => (a.tenant + a.trace_id < b.tenant + b.trace_id ? -1 : 1)),
    )
  })

  test('cold has every row of warm, and no string of a user in the clear', async () => {
    const apart = await query(`
    SELECT tenant, trace_id, span_id FROM warm EXCEPT ALL
    SELECT tenant, trace_id, span_id FROM cold`)
    expect(apart).toEqual([])
    const [warm, cold] = [await textOf('warm'), await textOf('cold')]
    const [sessions, rationales] = [sentTexts('session.id'), sentTexts('judge.rationale')]
    expect(sessions.length).toBeGreaterThan(100)
    expect(rationales.length).toBeGreaterThan(100)
    const inClear = (text: string, values: readonly string[]) =>
      values.filter(value => text.includes(value)).length
    // Structured keeps the session, for people to search by; content is in neither.
    expect(inClear(warm, sessions)).toBe(sessions.length)
    expect(inClear(cold, sessions)).toBe(0)
    expect(inClear(warm, rationales)).toBe(0)
    expect(inClear(cold, rationales)).toBe(0)
    const ids = [...kept].map(key => key.slice(key.indexOf('/') + 1))
    expect(inClear(cold, ids)).toBe(ids.length)
    // Nor beside the columns: in footers, statistics, or what a page holds uncompressed.
    const folder = join(run.harness.folder, 'blobs', 'cold')
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.parquet')) continue
      const bytes = readFileSync(join(folder, name)).toString('latin1')
      expect(inClear(bytes, [...sessions, ...rationales]), name).toBe(0)
    }
  })

  test('winnow cost sums up by tenant, by rule and by span name what DuckDB does', async () => {
    const { stdout, stderr } = await winnow([
      ...['cost', '--data', run.harness.folder, '--json', '--by', 'tenant,rule,span', '--compare'],
    ])
    expect(stderr).toBe('')
    const cost = JSON.parse(stdout) as Cost
    for (const [dimension, column] of [
      ['tenant', 'tenant'],
      ['rule', 'primary_rule'],
    ] as const) {
      const sums = await query<{ name: string; decisions: number; kept: number; bytes: number }>(`
        SELECT name, any_value(decisions)::INT AS decisions, any_value(kept)::INT AS kept, any_value(bytes)::INT AS bytes
        FROM (SELECT ${column} AS name, count(*) AS decisions, sum(bytes_written) AS bytes FROM ledger GROUP BY ALL)
        LEFT JOIN (SELECT ${column} AS name, count(*) FILTER (verdict = 'keep' AND NOT gone) AS kept
          FROM last WHERE slice_count > 0 GROUP BY ALL) USING (name)
        GROUP BY name ORDER BY name`)
      const rows = cost.by[dimension].toSorted((a, b) => (a.name < b.name ? -1 : 1))
      expect(sums.length).toBeGreaterThan(1)
      expect(rows.map(({ name, decisions, bytes }) => ({ name, decisions, bytes }))).toEqual(
        sums.map(({ name, decisions, bytes }) => ({ name, decisions, bytes })),
      )
      expect(rows.map(row => row.kept)).toEqual(sums.map(row => row.kept ?? 0))
      const shared = rows.reduce((sum, row) => sum + row.dollars.total, 0)
      expect(shared).toBeCloseTo(cost.monthTotal, 9)
    }
    const bySpan = await query<{ name: string; rows: number; bytes: number }>(`
      SELECT name, count(*)::INT AS rows,
        sum(strlen(name) + strlen(attributes) + strlen(resource_attributes) + strlen(events) + strlen(links))::INT AS bytes
      FROM warm GROUP BY name ORDER BY bytes DESC, name`)
    expect(bySpan.length).toBeGreaterThan(5)
    expect(cost.bySpan.names).toMatchObject(bySpan)
    const tiers = cost.lines.filter(({ tier }) => tier === 'warm' || tier === 'cold')
    const ofSpans = cost.bySpan.names.reduce((sum, { dollars }) => sum + dollars.total, 0)
    expect(ofSpans).toBeCloseTo(
      tiers.reduce((sum, { dollars }) => sum + dollars, 0),
      9,
    )
    for (const { where, bytes, objects } of cost.stored) {
      if (where !== 'warm/' && where !== 'cold/' && where !== 'ledger/') continue
      const [files] = await query<{ n: number; bytes: number }>(
        `SELECT count(*)::INT AS n, sum(size)::INT AS bytes FROM read_blob('${where}**/*.parquet')`,
      )
      expect({ where, n: objects, bytes }).toEqual({ where, ...files })
    }
    const [all, own, errors] = cost.compared
    // The slices of all traces, as clients sent them, are what the estimate is of.
    const sent = await sentBytes()
    expect(Math.abs((all?.bytes ?? 0) / sent - 1)).toBeLessThan(0.15)
    expect(own?.dollars).toBeCloseTo(cost.monthTotal, 9)
    expect(errors?.bytes).toBeLessThan(own?.bytes ?? 0)
  })

  test('the queries of the documentation run as they are written', async () => {
    const page = readFileSync(resolve(import.meta.dirname, '../docs/parquet.md'), 'utf8')
    const statements = /```sql\n(.*?)```/s
      .exec(page)?.[1]
      ?.split(';')
      .map(text => text.trim())
    const [byRule, p99, withCsat, bytesByRule, ...rest] = (statements ?? []).filter(
      text => text !== '',
    )
    expect(rest).toEqual([])
    const rules = await query<{ primary_rule: string; kept: bigint; decided: bigint }>(byRule ?? '')
    expect(rules.reduce((sum, row) => sum + Number(row.kept), 0)).toBe(kept.size)
    expect(rules.reduce((sum, row) => sum + Number(row.decided), 0)).toBe(traces)
    const models = await query<{ p99_ms: number }>(p99 ?? '')
    expect(models.length).toBeGreaterThan(0)
    for (const { p99_ms } of models) expect(p99_ms).toBeGreaterThan(0)
    const unhappy = await query<{ csat: number }>(withCsat ?? '')
    expect(unhappy.length).toBeGreaterThan(0)
    for (const { csat } of unhappy) expect(csat).toBeLessThanOrEqual(2)
    const written = await query<{ primary_rule: string; bytes: bigint }>(bytesByRule ?? '')
    const withBytes = written.filter(({ bytes }) => bytes > 0n).map(row => row.primary_rule)
    const keeping = rules.filter(row => row.kept > 0n).map(row => row.primary_rule)
    expect(withBytes.sort()).toEqual(expect.arrayContaining(keeping))
  })
})

/** What `winnow cost --json --by tenant,rule,span --compare` says, as far as it is looked at. */
interface Cost {
  readonly stored: readonly { where: string; bytes: number; objects: number }[]
  readonly monthTotal: number
  readonly by: Readonly<Record<'tenant' | 'rule', readonly CostRow[]>>
  readonly lines: readonly { tier: string; dollars: number }[]
  readonly bySpan: { readonly names: readonly Omit<CostRow, 'decisions' | 'kept'>[] }
  readonly compared: readonly { bytes: number; dollars: number }[]
}

interface CostRow {
  readonly name: string
  readonly decisions: number
  readonly kept: number
  readonly bytes: number
  readonly dollars: { readonly total: number }
}

/** Bytes of the records of `spans`, all of which are slices but for a few words. */
async function sentBytes(): Promise<number> {
  const { bus, topics } = run.harness
  let sum = 0
  for (let partition = 0; partition < (await bus.partitionCount(topics.spans)); partition++) {
    const { end } = await bus.bounds(topics.spans, partition)
    for (let next = 0; next < end; ) {
      const { records } = await bus.read(topics.spans, partition, next, 2 ** 20, 1_000)
      sum += records.reduce((bytes, { value }) => bytes + value.length, 0)
      next = (records.at(-1)?.offset ?? end) + 1
    }
  }
  return sum
}

interface Sums {
  readonly spans: number
  readonly input: number
  readonly output: number
  /** US dollars. */
  readonly cost: number
}

/** Sums of doubles depend on their order in the last digits. */
function rounded<T extends Sums>(row: T): T {
  return { ...row, cost: Number(row.cost.toFixed(9)) }
}

/** Rows with plain numbers and strings; 64-bit columns come as bigint unless the query casts them. */
async function query<T extends object>(sql: string): Promise<T[]> {
  const reader = await duck.runAndReadAll(sql)
  return reader.getRowObjectsJS() as unknown as T[]
}

function apiOf(tenant: string): TenantApi {
  const found = run.apis.get(tenant)
  if (found === undefined) throw new Error(`there is no key of ${tenant}`)
  return found
}

/** Every value of a tier, as text. */
async function textOf(tier: 'warm' | 'cold'): Promise<string> {
  const reader = await duck.runAndReadAll(`SELECT COLUMNS(*)::VARCHAR FROM ${tier}`)
  return reader
    .getRowsJS()
    .map(row => row.join('\n'))
    .join('\n')
}

/** The distinct texts that kept traces were sent with under a key, as JSON has them. */
function sentTexts(key: string): string[] {
  const texts = new Set<string>()
  for (const { tenant, data } of run.requests) {
    for (const { span } of sentSpans(data)) {
      if (!kept.has(traceKey(tenant, span.traceId))) continue
      const value = span.attributes.find(attribute => attribute.key === key)?.value
      if (value !== undefined && 'stringValue' in value) {
        texts.add(JSON.stringify(value.stringValue).slice(1, -1))
      }
    }
  }
  return [...texts]
}

/** `<partition>/<offset>` of the decisions that count, from the log itself. */
async function countingDecisions(): Promise<string[]> {
  const { bus, topics } = run.harness
  const places: string[] = []
  for (let partition = 0; partition < (await bus.partitionCount(topics.decisions)); partition++) {
    const { first, end } = await bus.bounds(topics.decisions, partition)
    let state: CountingState = countingStart
    for (let next = first; next < end; ) {
      const { records } = await bus.read(topics.decisions, partition, next, 1 << 20, 0)
      for (const { offset, value } of records) {
        const step = countRecord(state, offset, JSON.parse(Buffer.from(value).toString()))
        state = step.state
        if (step.counts) places.push(`${partition}/${offset}`)
        next = offset + 1
      }
    }
  }
  return places
}
