import { type PackedSlice, packSlice, type SliceFacts } from '@winnow/model'
import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleDecision, sampleSpanRow, sampleTimeMs, sampleTraceId } from '../samples.ts'
import { countInSegment, eraseFromSegment } from './erase-segment.ts'
import { findInLedger, findInSegment } from './find-attribute.ts'
import { decisionOf, ledgerRow } from './ledger-rows.ts'
import {
  readAllLedger,
  readAllSpans,
  readLedgerRow,
  readSegmentMetadata,
  writeSegment,
} from './segment.ts'
import { erasuresNamedMax, type SegmentMetadata } from './segment-metadata.ts'

const metadata = (tier: SegmentMetadata['tier'], rows: number): SegmentMetadata => ({
  v: 1,
  tier,
  partition: 3,
  logId: 'log-1',
  a: 100,
  b: 199,
  after: { claim: 90, next: 12 },
  rows: { ledger: rows, warm: rows, cold: rows },
  digest: 'ab'.repeat(32),
})

const isErased = (tenant: string, traceId: string): boolean =>
  tenant === 'default' && [2, 5].some(n => sampleTraceId(n) === traceId)

const spanRows = Array.from({ length: 10 }, (_, n) =>
  [0, 1, 2].map(at =>
    sampleSpanRow(sampleTraceId(n), at, {
      attributes: JSON.stringify({ 'user.id_hash': { stringValue: `u_${n % 5}` } }),
      events:
        at === 1 && n === 7
          ? '[{"timeUnixNano":"1","name":"e","attributes":[{"key":"user.id_hash","value":{"intValue":"77"}}]}]'
          : '[]',
    }),
  ),
).flat()

async function spansIn(store: MemoryBlobStore): Promise<string> {
  const content = { tier: 'warm', rows: spanRows } as const
  return (await writeSegment(store, sampleTimeMs, metadata('warm', spanRows.length), content)).key
}

test('rows leave a segment, the others stay byte for byte, and it says itself what it lacks', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const key = await spansIn(store)
  const before = await readAllSpans(store, key)
  const bytesBefore = (await store.head(key))?.bytes ?? 0
  expect(await countInSegment(store, key, { isErased })).toBe(6)
  const { taken } = await eraseFromSegment(store, key, { id: 'aa', isErased })
  const bytes = (await store.head(key))?.bytes ?? 0
  expect(taken).toEqual({ id: 'aa', rows: 6, bytes: bytesBefore - bytes })
  const rows = await readAllSpans(store, key)
  expect(rows).toEqual(before.filter(row => !isErased(row.tenant, row.trace_id)))
  const said = await readSegmentMetadata(store, key)
  expect(said).toEqual({ ...metadata('warm', 30), erased: 6, erasures: [taken] })
  // Done again it changes nothing and answers the same; a writer that comes again adopts it.
  expect(await eraseFromSegment(store, key, { id: 'aa', isErased })).toMatchObject({ taken })
  expect((await store.head(key))?.bytes).toBe(bytes)
  const again = await writeSegment(store, sampleTimeMs, metadata('warm', 30), {
    tier: 'warm',
    rows: spanRows,
  })
  expect(again).toMatchObject({ created: false, metadata: { erased: 6 } })
  // Another one finds nothing left of it.
  expect(await eraseFromSegment(store, key, { id: 'bb', isErased })).toMatchObject({
    taken: undefined,
  })
})

test('a segment of which every row is erased stays, empty, and further erasures are counted', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const key = await spansIn(store)
  for (let n = 0; n < 10; n++) {
    const one = (_: string, traceId: string): boolean => traceId === sampleTraceId(n)
    await eraseFromSegment(store, key, { id: `e${n}`, isErased: one })
  }
  expect(await readAllSpans(store, key)).toEqual([])
  const said = await readSegmentMetadata(store, key)
  expect([said?.erased, said?.rows.warm, said?.erasures?.length]).toEqual([30, 30, 10])
  expect(
    await eraseFromSegment(store, 'warm/date=2026-11-21/p=0003/none-000000000100.parquet', {
      id: 'x',
      isErased,
    }),
  ).toMatchObject({ taken: undefined })
})

test('an object names so many erasures, and forgets the oldest of one more', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const count = erasuresNamedMax + 1
  const rows = Array.from({ length: count }, (_, n) => sampleSpanRow(sampleTraceId(n), 0))
  const { key } = await writeSegment(store, sampleTimeMs, metadata('warm', count), {
    tier: 'warm',
    rows,
  })
  for (let n = 0; n < count; n++) {
    const one = (_: string, traceId: string): boolean => traceId === sampleTraceId(n)
    await eraseFromSegment(store, key, { id: `e${n}`, isErased: one })
    const said = await readSegmentMetadata(store, key)
    expect(said?.erasures?.length).toBe(Math.min(n + 1, erasuresNamedMax))
    expect(said?.erased).toBe(n + 1)
  }
  expect((await readSegmentMetadata(store, key))?.erasures?.[0]?.id).toBe('e1')
})

test('the ledger keeps every row in its place, and of erased ones the accounting', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const rows = Array.from({ length: 10 }, (_, n) =>
    ledgerRow(
      sampleDecision(n, {
        rules: [
          {
            name: 'team',
            matched: true,
            probability: 1,
            value: 'u_secret',
            threshold: 'u_secret',
            detail: { key: 'u_secret' },
          },
          {
            name: 'user',
            matched: false,
            probability: 0,
            value: 48_213_377,
            threshold: 48_213_377,
          },
        ],
        evaluations: [
          {
            id: `${sampleTraceId(n)}.u_secret`,
            name: 'csat',
            label: 'u_secret',
            source: 'u_secret',
            effect: 'applied',
          },
        ],
        requests: [{ id: 'u_secret', reason: 'u_secret' }],
        retractions: [{ id: 'u_secret', source: 'u_secret' }],
        operation: 'GET /users/u_secret',
      }),
      3,
      100 + n,
    ),
  )
  const { key, bytes } = await writeSegment(store, sampleTimeMs, metadata('ledger', 10), {
    tier: 'ledger',
    rows,
  })
  const before = await readAllLedger(store, key)
  const { taken, lastDecidedAtMs } = await eraseFromSegment(store, key, { id: 'aa', isErased })
  expect(taken?.rows).toBe(2)
  expect(lastDecidedAtMs).toBe(before.find(row => row.trace_id === sampleTraceId(5))?.decided_at)
  const after = await readAllLedger(store, key)
  expect(after.map(row => row.trace_id)).toEqual(before.map(row => row.trace_id))
  for (const [n, row] of after.entries()) {
    const was = before[n]
    if (!isErased(row.tenant, row.trace_id)) {
      expect(row).toEqual(was)
      continue
    }
    expect(JSON.stringify(row)).not.toMatch(/u_secret|48213377/)
    expect(row).toEqual({
      ...was,
      evaluations: '[]',
      root_name: null,
      root_span_id: null,
      decision: row.decision,
    })
    expect(decisionOf(row)).toMatchObject({
      erased: true,
      revision: was?.revision,
      spanCount: 8,
      sliceCount: 1,
    })
    // An index of the day knows the object as long as it was.
    expect(decisionOf((await readLedgerRow(store, { key, bytes, row: n })) ?? row)).toEqual(
      decisionOf(row),
    )
  }
  expect(await eraseFromSegment(store, key, { id: 'aa', isErased })).toMatchObject({ taken })
})

test('traces are found by an attribute of a span, a resource or an event, within their tenant', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const key = await spansIn(store)
  const find = (tenant: string, field: string, text: string) =>
    findInSegment(store, key, tenant, field, one => one === text)
  expect(await find('default', 'user.id_hash', 'u_2')).toEqual(new Set([2, 7].map(sampleTraceId)))
  expect(await find('default', 'user.id_hash', '77')).toEqual(new Set([sampleTraceId(7)]))
  expect((await find('default', 'deployment.env', 'prod')).size).toBe(10)
  expect((await find('other', 'user.id_hash', 'u_2')).size).toBe(0)
  expect((await find('default', 'user.id_hash', 'u_9')).size).toBe(0)
  expect((await find('default', 'user.id', 'u_2')).size).toBe(0)
})

test('a number, a truth and a member of a list are found by their text, as a text is', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const held = [
    { stringValue: 'u_1' },
    { doubleValue: 48_213.5 },
    { boolValue: true },
    { arrayValue: { values: [{ intValue: '9' }, { stringValue: 'u_3' }] } },
    { kvlistValue: { values: [{ key: 'id', value: { stringValue: 'u_4' } }] } },
  ]
  const rows = held.map((value, n) =>
    sampleSpanRow(sampleTraceId(n), 0, { attributes: JSON.stringify({ 'user.id_hash': value }) }),
  )
  const content = { tier: 'warm', rows } as const
  const { key } = await writeSegment(store, sampleTimeMs, metadata('warm', rows.length), content)
  for (const [n, text] of ['u_1', '48213.5', 'true', 'u_3', 'u_4'].entries()) {
    const found = await findInSegment(store, key, 'default', 'user.id_hash', one => one === text)
    expect(found, text).toEqual(new Set([sampleTraceId(n)]))
  }
})

test('a dropped trace is found in the ledger where a rule had asked for the attribute', async () => {
  const store = new MemoryBlobStore(new ManualClock())
  const facts = (n: number, column: string): SliceFacts => ({
    startNs: '1795244400000000000',
    endNs: '1795244402608000000',
    spans: Buffer.alloc(36, 7).toString('base64'),
    columns: ['app.tier', column],
    rows: [['gold'], ['gold', n % 2 === 0 ? 'u_2' : n]],
  })
  const slice = (n: number, column: string): PackedSlice =>
    packSlice({
      ref: { partition: 3, offset: n, start: 0, length: 100, spanCount: 1 },
      appendedAtMs: sampleTimeMs,
      facts: facts(n, column),
    })
  const columns = ['user.id_hash', 'user.id_hash', 'user.name', 'user.id_hash']
  const rows = columns.map((column, n) =>
    ledgerRow(sampleDecision(n, { verdict: 'drop', slices: [slice(n, column)], write: [] }), 3, n),
  )
  const content = { tier: 'ledger', rows } as const
  const { key } = await writeSegment(store, sampleTimeMs, metadata('ledger', 4), content)
  const find = (tenant: string, text: string) =>
    findInLedger(store, key, tenant, 'user.id_hash', one => one === text)
  expect(await find('default', 'u_2')).toEqual(new Set([sampleTraceId(0)]))
  expect(await find('default', '3')).toEqual(new Set([sampleTraceId(3)]))
  expect(await find('default', 'gold')).toEqual(new Set())
  expect(await find('other', 'u_2')).toEqual(new Set())
})
