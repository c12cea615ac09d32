import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { ManualClock } from '@winnow/runtime'
import { afterAll, expect, test } from 'vitest'
import type { BlobStore } from '../blob-store.ts'
import { FileBlobStore } from '../file-blob-store.ts'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import {
  sampleDecision,
  sampleSpanId,
  sampleSpanRow,
  sampleTimeMs,
  sampleTraceId,
} from '../samples.ts'
import type { SpanRow } from '../span-row.ts'
import type { LedgerRow } from './ledger-row.ts'
import { ledgerRow } from './ledger-rows.ts'
import { checkRows, parquetFile, rowGroupRows, segmentRowsMax } from './parquet-write.ts'
import { segmentSpanRows } from './segment.fixture.ts'
import {
  lastSegment,
  listSegments,
  readAllLedger,
  readAllSpans,
  readSegmentMetadata,
  readTraceLedger,
  readTraceSpans,
  writeSegment,
} from './segment.ts'
import { dateOf, segmentKey, type Tier } from './segment-key.ts'
import { coldKeysNamedMax, type SegmentMetadata } from './segment-metadata.ts'

const folder = mkdtempSync(join(tmpdir(), 'segments-'))
afterAll(() => rmSync(folder, { recursive: true }))

const digest = 'ab'.repeat(32)

function metadata(
  tier: Tier,
  rows: number,
  changes: Partial<SegmentMetadata> = {},
): SegmentMetadata {
  return {
    v: 1,
    tier,
    partition: 3,
    logId: 'log-1',
    a: 100,
    b: 199,
    after: { claim: 90, next: 7 },
    rows: { ledger: 0, warm: 0, cold: 0, [tier]: rows },
    digest,
    ...changes,
  }
}

/** Rows of `traces` traces of `spans` spans, in order of arrival. */
function spanRowsOf(traces: number, spans: number): SpanRow[] {
  return Array.from({ length: traces * spans }, (_, n) =>
    sampleSpanRow(sampleTraceId(Math.floor(n / spans)), n % spans, {
      tenant: Math.floor(n / spans) % 3 === 0 ? 'ümlaut' : 'default',
      sampling_offset: BigInt(100 + Math.floor(n / spans)),
      cost_usd: n % 2 === 0 ? null : n / 1_000,
      start_time_unix_nano: BigInt(n) * 1_000_003n,
    }),
  )
}

function ledgerRowsOf(decisions: number): LedgerRow[] {
  return Array.from({ length: decisions }, (_, n) =>
    ledgerRow(
      sampleDecision(n, {
        verdict: n % 5 === 0 ? 'keep' : 'drop',
        evaluations: [{ id: `e${n}`, name: 'csat', score: 1 + (n % 5), effect: 'applied' }],
        durationMs: n % 7 === 0 ? null : (n * 7919) % 10_007,
        ...(n % 11 === 0 && { gone: true as const }),
      }),
      3,
      100 + n,
    ),
  )
}

test('a segment says what it holds and gives back its rows, sorted by trace', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const rows = spanRowsOf(40, 8)
  const written = await writeSegment(store, sampleTimeMs, metadata('warm', 320), {
    tier: 'warm',
    rows,
  })
  const key = 'warm/date=2026-11-21/p=0003/log-1-000000000100.parquet'
  expect(written).toMatchObject({ key, created: true, metadata: metadata('warm', 320) })
  expect((await store.head(key))?.bytes).toBe(written.bytes)
  expect(await readSegmentMetadata(store, key)).toEqual(metadata('warm', 320))
  const read = await readAllSpans(store, key)
  expect(read).toEqual(segmentSpanRows(rows))
  expect(read.map(row => row.trace_id)).toEqual(read.map(row => row.trace_id).toSorted())
  expect(new Set(read.map(row => JSON.stringify([row.trace_id, row.span_id]))).size).toBe(320)
})

test('the ledger gives back its rows and the decisions in them', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const rows = ledgerRowsOf(50)
  const { key } = await writeSegment(store, sampleTimeMs, metadata('ledger', 50), {
    tier: 'ledger',
    rows,
  })
  const byId = (a: LedgerRow, b: LedgerRow): number => (a.trace_id < b.trace_id ? -1 : 1)
  expect(await readAllLedger(store, key)).toEqual(rows.toSorted(byId))
  expect(await readAllLedger(store, key, ['verdict', 'sampling_offset'])).toEqual(
    rows.toSorted(byId).map(({ verdict, sampling_offset }) => ({ verdict, sampling_offset })),
  )
  expect(await readTraceLedger(store, key, 'default', sampleTraceId(7))).toEqual([rows[7]])
})

test('whoever comes second believes what is there, and a ledger’s b is adopted', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const first = metadata('ledger', 1, { b: 150 })
  const rows = ledgerRowsOf(2)
  const content = (count: number) => ({ tier: 'ledger' as const, rows: rows.slice(0, count) })
  await writeSegment(store, sampleTimeMs, first, content(1))
  const second = await writeSegment(store, sampleTimeMs, metadata('ledger', 2), content(2))
  expect(second).toMatchObject({ created: false, bytes: 0, metadata: first })
  expect((await readAllLedger(store, second.key)).length).toBe(1)
})

test('cold names the keys of so many tenants, whatever they are called, and not of one more', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const of = async (tenants: readonly string[], date: number) => {
    const coldKeys = new Map(tenants.map((name, n) => [name, `h_${n}`]))
    const said = metadata('cold', 1, { coldKeys })
    const content = { tier: 'cold', rows: spanRowsOf(1, 1) } as const
    const { key } = await writeSegment(store, sampleTimeMs + date, said, content)
    return [...((await readSegmentMetadata(store, key))?.coldKeys ?? [])]
  }
  const names = ['a,b=c', 'ümlaut', '', ...Array.from({ length: 61 }, (_, n) => `tenant ${n}`)]
  expect(names.length).toBe(coldKeysNamedMax)
  expect(await of(names, 0)).toEqual(names.map((name, n) => [name, `h_${n}`]))
  expect(await of([...names, 'one more'], 86_400_000)).toHaveLength(coldKeysNamedMax)
})

test('of racing writers one creates and all have the same metadata', async () => {
  const store = await FileBlobStore.open(join(folder, 'race'))
  const rows = ledgerRowsOf(8)
  const written = await Promise.all(
    rows.map((_, n) =>
      writeSegment(store, sampleTimeMs, metadata('ledger', n + 1, { b: 100 + n }), {
        tier: 'ledger',
        rows: rows.slice(0, n + 1),
      }),
    ),
  )
  expect(written.filter(one => one.created).length).toBe(1)
  expect(new Set(written.map(one => one.metadata.b)).size).toBe(1)
})

test('another log’s object and another range are hard errors that name the remedy', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const warm = { tier: 'warm', rows: spanRowsOf(1, 1) } as const
  await writeSegment(store, sampleTimeMs, metadata('warm', 1), warm)
  const other = metadata('warm', 1, { digest: 'cd'.repeat(32) })
  await expect(writeSegment(store, sampleTimeMs, other, warm)).rejects.toThrow(
    /DATA_CORRUPT.*another log's.*its own data folder/,
  )
  const range = metadata('warm', 1, { b: 198 })
  await expect(writeSegment(store, sampleTimeMs, range, warm)).rejects.toThrow(
    /DATA_CORRUPT.*\[100, 199\].*\[100, 198\]/,
  )
})

test('a tier without rows has no object, but a ledger without decisions has one', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  for (const tier of ['warm', 'cold'] as const) {
    const written = await writeSegment(store, sampleTimeMs, metadata(tier, 0), { tier, rows: [] })
    expect(written).toMatchObject({ created: false, bytes: 0 })
    expect(await store.head(written.key)).toBeUndefined()
  }
  const content = { tier: 'ledger', rows: [] } as const
  const ledger = await writeSegment(store, sampleTimeMs, metadata('ledger', 0), content)
  expect(ledger.created).toBe(true)
  expect(await readSegmentMetadata(store, ledger.key)).toEqual(metadata('ledger', 0))
  expect(await readAllLedger(store, ledger.key)).toEqual([])
  expect(await readTraceLedger(store, ledger.key, 'default', sampleTraceId(1))).toEqual([])
})

test('rows that its metadata does not count are a broken invariant', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const content = { tier: 'warm', rows: spanRowsOf(2, 2) } as const
  await expect(writeSegment(store, sampleTimeMs, metadata('warm', 3), content)).rejects.toThrow(
    /4 rows, its metadata says 3/,
  )
})

test('one row a span id: the earlier revision’s stays, whichever came first', async () => {
  const id = sampleTraceId(1)
  const early = sampleSpanRow(id, 1, { sampling_offset: 5n })
  const late = sampleSpanRow(id, 1, { sampling_offset: 9n })
  const theirs = sampleSpanRow(id, 1, { tenant: 'other', sampling_offset: 9n })
  const written = async (rows: readonly SpanRow[], count: number): Promise<SpanRow[]> => {
    const store = new MemoryBlobStore(new ManualClock())
    const content = { tier: 'warm', rows } as const
    const { key } = await writeSegment(store, sampleTimeMs, metadata('warm', count), content)
    return readAllSpans(store, key)
  }
  expect(await written([late, early], 1)).toEqual([early])
  expect(await written([early, late, theirs], 2)).toEqual([early, theirs])
})

test('two writers of one range make the same bytes, in whatever order the rows lie', () => {
  const rows = spanRowsOf(30, 4)
  const columnsOf = (input: readonly SpanRow[]): Promise<Uint8Array> => bytesOf(input)
  const shuffled = rows.map((_, n) => rows[(n * 49) % rows.length] as SpanRow)
  return Promise.all([columnsOf(rows), columnsOf(rows), columnsOf(shuffled)]).then(([a, b, c]) => {
    expect(b).toEqual(a)
    expect(c).toEqual(a)
  })
})

test('a trace is found by a few ranged reads, a missing one by fewer', async () => {
  const blobs = new MemoryBlobStore(new ManualClock())
  // Attributes that no compression makes small, as real ids are.
  const spans = spanRowsOf(3_000, 8).map((row, n) => ({
    ...row,
    attributes: JSON.stringify([sampleTraceId(n), sampleTraceId(n * 7), sampleTraceId(n * 31)]),
  }))
  const { key, bytes } = await writeSegment(blobs, sampleTimeMs, metadata('warm', spans.length), {
    tier: 'warm',
    rows: spans,
  })
  let read = 0
  const store: BlobStore = {
    create: (...args) => blobs.create(...args),
    head: k => blobs.head(k),
    list: prefix => blobs.list(prefix),
    rewrite: (...args) => blobs.rewrite(...args),
    delete: k => blobs.delete(k),
    close: () => blobs.close(),
    read: async (...args) => {
      const part = await blobs.read(...args)
      read += part?.length ?? 0
      return part
    },
  }
  const rows = await readTraceSpans(store, key, 'default', sampleTraceId(1_234))
  expect(rows.map(row => row.span_id)).toEqual(Array.from({ length: 8 }, (_, n) => sampleSpanId(n)))
  expect(read).toBeLessThan(bytes / 4)
  expect(await readTraceSpans(store, key, 'ümlaut', sampleTraceId(1_234))).toEqual([])
  read = 0
  expect(await readTraceSpans(store, key, 'default', sampleTraceId(99_999))).toEqual([])
  expect(read).toBeLessThan(64 * 1024)
})

test('every trace of a segment of several row groups is found whole', async () => {
  const traces = Math.ceil(rowGroupRows / 7) + 20
  const store = new MemoryBlobStore(new ManualClock())
  const rows = spanRowsOf(traces, 7).map(row => ({ ...row, tenant: 't' }))
  const { key } = await writeSegment(store, sampleTimeMs, metadata('cold', traces * 7), {
    tier: 'cold',
    rows,
  })
  const sorted = [...new Set(rows.map(row => row.trace_id))].toSorted()
  // The one that lies across the border of two row groups, and both ends.
  const at = [0, Math.floor(rowGroupRows / 7) - 1, Math.floor(rowGroupRows / 7), sorted.length - 1]
  for (const n of at) {
    const found = await readTraceSpans(store, key, 't', sorted[n] as string)
    expect(found.length, `trace ${n} of ${sorted.length}`).toBe(7)
  }
})

test('what is no segment is refused by name', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  expect(await readSegmentMetadata(store, 'warm/none.parquet')).toBeUndefined()
  expect(await readTraceSpans(store, 'warm/none.parquet', 't', sampleTraceId(1))).toEqual([])
  await store.create(
    'warm/junk.parquet',
    new TextEncoder().encode('no parquet at all, far from it'),
  )
  await expect(readSegmentMetadata(store, 'warm/junk.parquet')).rejects.toThrow(
    /DATA_CORRUPT.*warm\/junk.parquet/,
  )
  const pairs = [{ key: 'winnow.v', value: '2' }]
  await store.create('warm/newer.parquet', parquetFile([], [], pairs))
  await expect(readSegmentMetadata(store, 'warm/newer.parquet')).rejects.toThrow(
    /CONFIG_INVALID.*warm\/newer.parquet has format 2, this release reads up to 1/,
  )
  await store.create('warm/foreign.parquet', parquetFile([], [], []))
  await expect(readSegmentMetadata(store, 'warm/foreign.parquet')).rejects.toThrow(
    /DATA_CORRUPT.*lacks winnow.v/,
  )
})

test('more rows than a segment may have are refused before any work', () => {
  checkRows(segmentRowsMax)
  expect(() => checkRows(segmentRowsMax + 1)).toThrow(/PAYLOAD_TOO_LARGE.*at most 1000000/)
})

test('lists segments by date, partition and log, and passes over what it did not name', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const day = 86_400_000
  const put = (n: number, partition: number, logId: string, a: number) =>
    writeSegment(
      store,
      sampleTimeMs + n * day,
      metadata('ledger', 0, { partition, logId, a, b: a }),
      { tier: 'ledger', rows: [] },
    )
  await put(0, 3, 'log-1', 5)
  await put(1, 3, 'log-1', 70)
  await put(1, 4, 'log-1', 60)
  await put(1, 3, 'log-2', 900)
  await put(2, 3, 'log-1', 800)
  await store.create('ledger/date=2026-11-22/p=0003/notes.txt', new Uint8Array())
  await store.create('ledger/date=2026-11-22/p=0003/x-1.parquet', new Uint8Array())
  const offsets = async (filter: Parameters<typeof listSegments>[2]): Promise<number[]> => {
    const found: number[] = []
    for await (const segment of listSegments(store, 'ledger', filter)) found.push(segment.offset)
    return found
  }
  expect(await offsets({})).toEqual([5, 70, 900, 60, 800])
  expect(await offsets({ partition: 3, logId: 'log-1' })).toEqual([5, 70, 800])
  expect(await offsets({ sinceMs: sampleTimeMs + day, untilMs: sampleTimeMs + 2 * day })).toEqual([
    70, 900, 60, 800,
  ])
  expect(await offsets({ untilMs: Date.UTC(2026, 10, 22) })).toEqual([5])
  expect(await lastSegment(store, 'ledger', 3, 'log-1')).toMatchObject({ offset: 800 })
  expect(await lastSegment(store, 'ledger', 3, 'log-3')).toBeUndefined()
  expect(await lastSegment(store, 'warm', 3, 'log-1')).toBeUndefined()
})

test('DuckDB, which shares no code with the writer, reads the same counts, sums and quantiles', async () => {
  const store = await FileBlobStore.open(join(folder, 'duck'))
  const spans = segmentSpanRows(spanRowsOf(1_000, 8))
  const ledger = ledgerRowsOf(2_000)
  for (const [n, half] of [ledger.slice(0, 700), ledger.slice(700)].entries()) {
    const own = metadata('ledger', half.length, { a: 100 + n })
    await writeSegment(store, sampleTimeMs + n * 86_400_000, own, { tier: 'ledger', rows: half })
  }
  await writeSegment(store, sampleTimeMs, metadata('warm', spans.length), {
    tier: 'warm',
    rows: spans,
  })
  const query = await duckDb()
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

  const [warm] = await query(`SELECT count(*)::INT AS n, count(DISTINCT trace_id)::INT AS traces,
    sum(input_tokens)::DOUBLE AS input, sum(cost_usd) AS cost, count(cost_usd)::INT AS costs,
    max(start_time_unix_nano)::VARCHAR AS last, any_value(typeof(flags)) AS flags,
    count(*) FILTER (tenant = 'ümlaut')::INT AS tenant, any_value(date)::VARCHAR AS date,
    count(*) FILTER (json_extract_string(attributes, '$."session.id".stringValue') = 'sess_91ab')::INT AS json
    FROM read_parquet('${folder}/duck/warm/**/*.parquet', hive_partitioning = true)`)
  expect(warm).toMatchObject({
    n: 8_000,
    traces: 1_000,
    input: sum(spans.map(row => row.input_tokens ?? 0)),
    costs: 4_000,
    last: (7_999n * 1_000_003n).toString(),
    flags: 'UINTEGER',
    tenant: spans.filter(row => row.tenant === 'ümlaut').length,
    date: dateOf(sampleTimeMs),
    json: 8_000,
  })
  expect(warm?.cost).toBeCloseTo(sum(spans.map(row => row.cost_usd ?? 0)), 6)

  const durations = ledger.flatMap(row => row.duration_ms ?? []).sort((a, b) => a - b)
  const [decided] =
    await query(`SELECT count(*)::INT AS n, count(*) FILTER (verdict = 'keep')::INT AS kept,
    count(*) FILTER (gone)::INT AS gone, sum(span_count)::INT AS spans,
    quantile_disc(duration_ms, 0.99) AS p99, count(*) FILTER (rules LIKE '%"low-csat"%')::INT AS low,
    any_value(typeof(decided_at)) AS kind, epoch_ms(max(decided_at))::DOUBLE AS last,
    epoch_ms(min(series_at))::DOUBLE AS series,
    sum((decision->>'$.inputTokens')::INT)::INT AS tokens
    FROM read_parquet('${folder}/duck/ledger/**/*.parquet')`)
  expect(decided).toMatchObject({
    n: 2_000,
    kept: 400,
    gone: Math.ceil(2_000 / 11),
    spans: 16_000,
    p99: durations[Math.ceil(0.99 * durations.length) - 1],
    low: 2_000,
    kind: 'TIMESTAMP',
    last: sampleTimeMs + 5_010 + 1_999,
    series: sampleTimeMs,
    tokens: sum(ledger.map(row => row.input_tokens)),
  })

  // And what docs/parquet.md tells people to type answers.
  const doc = readFileSync(new URL('../../../../docs/parquet.md', import.meta.url), 'utf8')
  const [, sql = ''] = /```sql\n([^`]+)```/.exec(doc) ?? []
  const answers: number[] = []
  for (const statement of sql.split(';').filter(part => part.trim() !== '')) {
    const rows = await query(statement.replace(/'(warm|ledger)\//g, `'${folder}/duck/$1/`))
    answers.push(rows.length)
  }
  const unhappy = spans.filter(
    row => row.tenant === 'default' && Number(row.sampling_offset - 100n) % 5 <= 1,
  )
  expect(answers).toEqual([1, 1, unhappy.length, 1])

  const [one] = await query(`SELECT count(*)::INT AS n FROM
    read_parquet('${folder}/duck/warm/**/*.parquet') WHERE trace_id = '${sampleTraceId(500)}'`)
  expect(one?.n).toBe(8)
})

test('values at their limits survive, and DuckDB reads them alike', async () => {
  const store = await FileBlobStore.open(join(folder, 'edge'))
  const rows = [
    sampleSpanRow(sampleTraceId(1), 1, {
      start_time_unix_nano: 2n ** 63n - 1n,
      end_time_unix_nano: 0n,
      flags: 2 ** 32 - 1,
      kind: -1,
      status_code: 2 ** 31 - 1,
      input_tokens: Number.MAX_SAFE_INTEGER,
      output_tokens: 0,
      cost_usd: Number.MIN_VALUE,
      name: '😀'.repeat(100),
      service_name: '',
      trace_state: null,
    }),
  ]
  const { key } = await writeSegment(store, sampleTimeMs, metadata('warm', 1), {
    tier: 'warm',
    rows,
  })
  expect(await readAllSpans(store, key)).toEqual(rows)
  const query = await duckDb()
  const [row] =
    await query(`SELECT start_time_unix_nano::VARCHAR AS s, flags::VARCHAR AS f, kind, name,
    input_tokens::VARCHAR AS i, service_name, trace_state FROM '${folder}/edge/${key}'`)
  expect(row).toEqual({
    s: '9223372036854775807',
    f: '4294967295',
    kind: -1,
    name: '😀'.repeat(100),
    i: '9007199254740991',
    service_name: '',
    trace_state: null,
  })
})

test('the name of a segment refuses what does not fit it', () => {
  expect(() => segmentKey('warm', sampleTimeMs, 10_000, 'log', 0)).toThrow(/partition 10000/)
  expect(() => segmentKey('warm', sampleTimeMs, 9_999, 'log', 1e12)).toThrow(/offset 1000000000000/)
  expect(segmentKey('warm', sampleTimeMs, 9_999, 'log', 1e12 - 1)).toContain(
    'p=9999/log-999999999999',
  )
})

async function bytesOf(rows: readonly SpanRow[]): Promise<Uint8Array> {
  const store = new MemoryBlobStore(new ManualClock())
  const { key } = await writeSegment(store, sampleTimeMs, metadata('warm', rows.length), {
    tier: 'warm',
    rows,
  })
  return (await store.read(key)) as Uint8Array
}

async function duckDb(): Promise<(sql: string) => Promise<Record<string, unknown>[]>> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  return async sql => (await connection.runAndReadAll(sql)).getRowObjectsJS()
}
