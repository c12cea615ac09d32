import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleDecision, sampleTimeMs, sampleTraceId } from '../samples.ts'
import { decisionOf, ledgerRow } from '../segments/ledger-rows.ts'
import { readAllLedger, readLedgerRow, writeSegment } from '../segments/segment.ts'
import { segmentKey } from '../segments/segment-key.ts'
import { cutIds } from './cut-ids.ts'
import { IdIndexBuilder, idRowBytes, lookUpInIdIndex, openIdIndex } from './id-index.ts'
import { idIndexFileOf, listIdIndexes } from './id-index-list.ts'
import { CountingBlobs, hexOf, seededWords } from './index-files.fixture.ts'
import { type IdIndexName, idIndexKey } from './index-key.ts'
import { blockRows, type SortedFile } from './sorted-file.ts'

const date = '2026-11-21'
const name = { partition: 3, logId: 'log-1' }

const newStore = () => new MemoryBlobStore(new ManualClock())

/** A ledger segment of `count` decisions from `offset` on, of the traces from `first` on. */
async function ledger(store: MemoryBlobStore, offset: number, first: number, count: number) {
  const rows = Array.from({ length: count }, (_, n) =>
    ledgerRow(sampleDecision(first + n, { revision: offset + n + 1 }), 3, offset + n),
  )
  const b = offset + count - 1
  const { key, bytes } = await writeSegment(
    store,
    sampleTimeMs,
    {
      v: 1,
      tier: 'ledger',
      partition: 3,
      logId: 'log-1',
      a: offset,
      b,
      after: { claim: 0, next: 1 },
      rows: { ledger: count, warm: 0, cold: 0 },
      digest: 'd',
    },
    { tier: 'ledger', rows },
  )
  return { key, bytes, offset, date }
}

/** An index of these segments, as the writer builds it. */
async function indexOf(
  store: MemoryBlobStore,
  segments: readonly {
    readonly key: string
    readonly bytes: number
    readonly offset: number
    readonly date: string
  }[],
) {
  const builder = new IdIndexBuilder()
  for (const segment of segments) {
    builder.beginSegment(segment)
    const rows = await readAllLedger(store, segment.key, ['tenant', 'trace_id'])
    for (const [row, { tenant, trace_id }] of rows.entries()) builder.add(tenant, trace_id, row)
  }
  return builder.write(store, name)
}

test('a trace’s last decision of the day is found by two reads of the index and two of its segment', async () => {
  const store = newStore()
  // The second segment has the traces 500 to 999 again, a later revision of each.
  const segments = [await ledger(store, 0, 0, 1_000), await ledger(store, 1_000, 500, 1_000)]
  const { key, created } = await indexOf(store, segments)
  expect(created).toBe(true)
  const counted = new CountingBlobs(store)
  for (const [trace, revision] of [
    [0, 1],
    [499, 500],
    [500, 1_001],
    [999, 1_500],
    [1_499, 2_000],
  ] as const) {
    counted.reads = 0
    const index = await openIdIndex(counted, key)
    if (index === undefined) throw new TypeError('no index')
    const place = await lookUpInIdIndex(counted, index, 'default', sampleTraceId(trace))
    if (place === undefined) throw new TypeError(`no trace ${trace}`)
    expect(counted.reads).toBeLessThanOrEqual(2)
    const row = await readLedgerRow(counted, place)
    expect(row && decisionOf(row)).toMatchObject({ traceId: sampleTraceId(trace), revision })
    expect(counted.reads).toBeLessThanOrEqual(4)
    expect(await lookUpInIdIndex(store, index, 'other', sampleTraceId(trace))).toBeUndefined()
  }
})

test('of several revisions in one segment the last one’s row is found', async () => {
  const store = newStore()
  const rows = Array.from({ length: 30 }, (_, n) =>
    ledgerRow(sampleDecision(n % 3, { revision: 1 + Math.floor(n / 3) }), 3, n),
  )
  const metadata = {
    v: 1,
    tier: 'ledger',
    partition: 3,
    logId: 'log-1',
    a: 0,
    b: 29,
    after: { claim: 0, next: 1 },
    rows: { ledger: 30, warm: 0, cold: 0 },
    digest: 'd',
  } as const
  const written = await writeSegment(store, sampleTimeMs, metadata, { tier: 'ledger', rows })
  const { key } = await indexOf(store, [{ ...written, offset: 0, date }])
  const index = await openIdIndex(store, key)
  for (let trace = 0; trace < 3; trace++) {
    const place = index && (await lookUpInIdIndex(store, index, 'default', sampleTraceId(trace)))
    const row = place && (await readLedgerRow(store, place))
    expect(row && decisionOf(row)).toMatchObject({ traceId: sampleTraceId(trace), revision: 10 })
  }
})

test('two writers make the same bytes under the same name, and the second finds it there', async () => {
  const store = newStore()
  const segments = [await ledger(store, 0, 0, 50), await ledger(store, 50, 20, 60)]
  const first = await indexOf(store, segments)
  const before = await store.read(first.key)
  expect(await indexOf(store, segments)).toMatchObject({ key: first.key, created: false })
  expect(await store.read(first.key)).toEqual(before)
  const other = newStore()
  await ledger(other, 0, 0, 50)
  await ledger(other, 50, 20, 60)
  await indexOf(other, segments)
  expect(await other.read(first.key)).toEqual(before)
})

test('made from others by ranges of ids, an index has each row in one file, and reads each block but at a cut once', async () => {
  const store = newStore()
  const word = seededWords(51)
  const traces = Array.from({ length: 60_000 }, () => hexOf([word(), word(), word(), word()]))
  const opened = []
  for (const [day, of] of ['2026-11-20', '2026-11-21'].entries()) {
    const builder = new IdIndexBuilder()
    builder.beginSegment({ date: of, offset: day, bytes: 1 })
    // The second day has ten thousand traces of the first one again.
    for (let n = 0; n < 35_000; n++) builder.add('default', traces[day * 25_000 + n] ?? '', n)
    const { key } = await builder.write(store, name)
    opened.push((await openIdIndex(store, key)) as SortedFile)
  }
  const counted = new CountingBlobs(store)
  const ranges = cutIds(opened, 20_000, 32)
  for (const ids of ranges) {
    const builder = new IdIndexBuilder(1, ids)
    for (const file of opened) {
      await builder.addIndex(counted, file.meta as IdIndexName, [file], '2026-11-20')
    }
    await builder.write(store, name)
  }
  expect(counted.bytesRead).toBeLessThan((70_000 + 2 * ranges.length * blockRows) * idRowBytes)
  const merged = (await listIdIndexes(store, 3)).find(index => index.files.length > 1)
  expect(merged?.files.length).toBe(ranges.length)
  const files = await Promise.all(
    (merged?.files ?? []).map(file => openIdIndex(store, idIndexKey(file))),
  )
  expect(files.reduce((sum, file) => sum + (file?.rows ?? 0), 0)).toBe(60_000)
  for (const n of [0, 24_999, 25_000, 34_999, 35_000, 59_999]) {
    const file = merged && idIndexFileOf(merged, traces[n] ?? '')
    const index = file && (await openIdIndex(store, idIndexKey(file)))
    const place = index && (await lookUpInIdIndex(store, index, 'default', traces[n] ?? ''))
    expect(place).toMatchObject({ row: n < 25_000 ? n : n - 25_000 })
  }
})

test('indexes are listed by day, of one partition', async () => {
  const store = newStore()
  const segment = await ledger(store, 0, 0, 5)
  for (const [partition, day] of [
    [3, '2026-11-22'],
    [3, '2026-11-09'],
    [4, '2026-11-21'],
  ] as const) {
    const builder = new IdIndexBuilder()
    builder.beginSegment({ ...segment, date: day })
    await builder.write(store, { partition, logId: 'log-1' })
  }
  await store.create('ids/p=0003/note.txt', new Uint8Array(1))
  expect((await listIdIndexes(store, 3)).map(one => one.date)).toEqual(['2026-11-09', '2026-11-22'])
})

test('an index under another’s name is corrupt; a segment that expired is no row', async () => {
  const store = newStore()
  const segment = await ledger(store, 0, 0, 50)
  const { key } = await indexOf(store, [segment])
  const wrong = idIndexKey({
    ...name,
    date: '2026-11-20',
    lastDate: '2026-11-20',
    first: 0,
    last: 0,
  })
  await store.create(wrong, (await store.read(key)) ?? new Uint8Array())
  await expect(openIdIndex(store, wrong)).rejects.toThrow(/DATA_CORRUPT.*2026-11-20.*another/)
  await store.delete(segment.key)
  expect(await readLedgerRow(store, { ...segment, row: 0 })).toBeUndefined()
  expect(
    await openIdIndex(store, idIndexKey({ ...name, date, lastDate: date, first: 1, last: 1 })),
  ).toBeUndefined()
})

test('a row that a segment does not have is corrupt', async () => {
  const store = newStore()
  const { key, bytes } = await ledger(store, 0, 0, 50)
  expect(key).toBe(segmentKey('ledger', sampleTimeMs, 3, 'log-1', 0))
  await expect(readLedgerRow(store, { key, bytes, row: 50 })).rejects.toThrow(/has no row 50/)
})
