import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ColdHasher } from '@winnow/privacy'
import { ManualClock } from '@winnow/runtime'
import { afterAll, expect, test } from 'vitest'
import { coldRows } from '../cold-rows.ts'
import { readHold } from '../holds/hold-file.ts'
import { holdKey } from '../holds/hold-key.ts'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { DatabaseSync } from '../node-sqlite.ts'
import { partOps, traceOp } from '../opensearch/documents.ts'
import { templates } from '../opensearch/templates.ts'
import { sampleTimeMs, sampleTrace } from '../samples.ts'
import { segmentSpanRows } from '../segments/segment.fixture.ts'
import {
  readAllLedger,
  readAllSpans,
  readSegmentMetadata,
  readTraceSpans,
} from '../segments/segment.ts'
import type { Tier } from '../segments/segment-key.ts'
import { SpanPack } from '../span-pack.ts'
import { SqliteHotStore } from '../sqlite-hot-store.ts'
import { tracesSchema } from '../sqlite-traces.ts'
import { goldenHold, goldenLedger, goldenMetadata, goldenSpans } from './golden.ts'

const folder = mkdtempSync(join(tmpdir(), 'golden-'))
afterAll(() => rmSync(folder, { recursive: true }))

const firstTraceId = segmentSpanRows(goldenSpans)[0]?.trace_id
const read = (name: string): Buffer => readFileSync(new URL(name, import.meta.url))

async function golden(tier: Tier): Promise<{ store: MemoryBlobStore; key: string }> {
  const store = new MemoryBlobStore(new ManualClock())
  const key = `${tier}/golden.parquet`
  await store.create(key, read(`${tier}-v1.parquet`))
  expect(await readSegmentMetadata(store, key)).toEqual(goldenMetadata(tier))
  return { store, key }
}

test('today’s reader reads the first release’s ledger', async () => {
  const { store, key } = await golden('ledger')
  const rows = await readAllLedger(store, key)
  expect(rows.toSorted((a, b) => a.sampling_offset - b.sampling_offset)).toEqual(goldenLedger)
})

test('today’s reader reads the first release’s warm and cold', async () => {
  const warm = segmentSpanRows(goldenSpans)
  const hasher = new ColdHasher(new Uint8Array(32).fill(1))
  for (const [tier, rows] of [
    ['warm', warm],
    ['cold', coldRows(warm, hasher)],
  ] as const) {
    const { store, key } = await golden(tier)
    expect(await readAllSpans(store, key)).toEqual(rows)
    const id = rows[0]?.trace_id ?? ''
    expect((await readTraceSpans(store, key, 'default', id)).length).toBe(3)
  }
})

test('today’s reader reads the first release’s hold', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const { head, held } = goldenHold
  const key = holdKey('default', { ...head, untilMs: Date.parse(head.until) })
  await store.create(key, read('trace-v1.hold'))
  const { bodies, ...rest } = (await readHold(store, key, 'default'))?.held ?? {}
  const { bodies: goldenBodies, ...goldenRest } = held
  expect(rest).toEqual(goldenRest)
  expect(bodies?.map(({ ref, bytes }) => ({ ref, bytes: new Uint8Array(bytes) }))).toEqual(
    goldenBodies,
  )
})

test('rows of the hot store are packed as the first release packed them, and read from it', () => {
  const rows = segmentSpanRows(goldenSpans).filter(row => row.trace_id === firstTraceId)
  expect(rows.length).toBe(3)
  const packed = read('span-pack-v1.bin')
  expect(Buffer.from(SpanPack.of(rows).bytes)).toEqual(packed)
  expect(SpanPack.from(packed).rows()).toEqual(rows)
})

test('today’s writer makes the first release’s documents and templates of OpenSearch', () => {
  const trace = sampleTrace(1)
  const lines = [...partOps('winnow', trace), traceOp('winnow', trace)].map(op => op.lines)
  expect(lines.join('')).toBe(read('opensearch-v1.ndjson').toString())
  const made = templates('winnow', { shards: 1, replicas: 1 })
  expect(made).toEqual(JSON.parse(read('opensearch-templates-v1.json').toString()))
})

test('the hot files’ schema is the first release’s, and a file made by it is read and written', async () => {
  const sql = read('hot-v1.sql').toString()
  expect(sql).toBe(`${tracesSchema}\n`)
  const file = new DatabaseSync(join(folder, 'traces-2026-11-21-0123456789ab.sqlite'))
  file.exec(sql)
  file.exec('CREATE TABLE format (only INTEGER PRIMARY KEY, v INTEGER NOT NULL)')
  file.exec('INSERT INTO format VALUES (1, 1)')
  const { decision } = sampleTrace(1)
  file
    .prepare(
      `INSERT INTO traces (tenant, trace_id, log_id, decision_partition, decision_offset, revision, primary_rule,
       rules, decided_at_ms, series_at_ms, decision) VALUES (?, ?, 'log-0', 3, 7, 1, 'slow', '["slow"]', ?, ?, ?)`,
    )
    .run('default', decision.traceId, sampleTimeMs, sampleTimeMs, JSON.stringify(decision))
  file.close()
  const store = new SqliteHotStore(folder)
  expect(await store.get('default', decision.traceId)).toMatchObject({ decision, offset: 7 })
  await store.put([sampleTrace(2)])
  expect((await store.search({ tenant: 'default', limit: 9 })).decisions.length).toBe(2)
  await store.close()
})
