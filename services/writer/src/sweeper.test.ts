import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock, Metrics } from '@winnow/runtime'
import {
  type BlobStore,
  FileBlobStore,
  holdKey,
  MemoryBlobStore,
  segmentKey,
  snapshotKey,
  type Tier,
} from '@winnow/storage'
import { expect, onTestFinished, test } from 'vitest'
import { dayMs, dayOneMs, keysOf } from './ledger-days.fixture.ts'
import { sweepExpired, sweepObjectsMax } from './sweeper.ts'

const life = { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs }

function fixture(blobs: BlobStore = new MemoryBlobStore(new ManualClock())) {
  const metrics = new Metrics()
  const put = async (tier: Tier, day: number, offset = 0, partition = 0, logId = 'log-1') => {
    const key = segmentKey(tier, dayOneMs + day * dayMs + 1, partition, logId, offset)
    await blobs.create(key, new Uint8Array(10))
    return key
  }
  const sweep = (nowMs: number) => sweepExpired(blobs, life, nowMs, metrics)
  const expired = async () => {
    const [objects, bytes] = await Promise.all([
      metrics.tierObjectsExpired.get(),
      metrics.tierBytesExpired.get(),
    ])
    return [objects, bytes].map(({ values }) =>
      Object.fromEntries(
        values.flatMap(({ labels, value }) => (value > 0 ? [[labels.tier, value]] : [])),
      ),
    )
  }
  return { blobs, put, sweep, expired }
}

test('a segment goes once all of its day is older than its tier allows, not a millisecond before', async () => {
  for (const tier of ['warm', 'cold', 'ledger'] as const) {
    const { blobs, put, sweep, expired } = fixture()
    const [old, next] = [await put(tier, 0), await put(tier, 1, 5)]
    const endMs = dayOneMs + dayMs + life[tier]
    expect(await sweep(endMs - 1)).toBe(0)
    expect(await keysOf(blobs)).toEqual([old, next])
    expect(await sweep(endMs)).toBe(1)
    expect(await keysOf(blobs)).toEqual([next])
    expect(await sweep(endMs + dayMs - 1)).toBe(0)
    expect(await sweep(endMs + dayMs)).toBe(1)
    expect(await keysOf(blobs)).toEqual([])
    expect(await expired()).toEqual([{ [tier]: 2 }, { [tier]: 20 }])
  }
})

test('a hold goes at its own end, however old it is, and not a millisecond before', async () => {
  const { blobs, sweep, expired } = fixture()
  const name = { id: '5c1e09b2f3a47d68', traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f' }
  const endMs = dayOneMs + 700 * dayMs
  const first = holdKey('acme', { ...name, untilMs: endMs })
  const second = holdKey('beta', { ...name, untilMs: endMs + dayMs })
  for (const key of [first, second]) await blobs.create(key, new Uint8Array(10))
  await blobs.create('holds/notes.txt', new Uint8Array(10))
  expect(await sweep(endMs - 1)).toBe(0)
  expect(await sweep(endMs)).toBe(1)
  expect((await keysOf(blobs)).sort()).toEqual([second, 'holds/notes.txt'].sort())
  expect(await expired()).toEqual([{ hold: 1 }, { hold: 10 }])
})

test('warm goes after a month, cold and ledger of the same range stay for a year', async () => {
  const { blobs, put, sweep } = fixture()
  const keys = [await put('cold', 0), await put('ledger', 0)]
  await put('warm', 0)
  await sweep(dayOneMs + 40 * dayMs)
  expect(await keysOf(blobs)).toEqual(keys)
})

test('what is no segment of ours is never touched', async () => {
  const { blobs, put, sweep } = fixture()
  await put('warm', 0)
  const others = [
    'index/p=0000/log-1.idx',
    'ledger/date=2026-11-21/p=0000/notes.txt',
    'ledger/report.parquet',
    'policies/2026-11-21.yaml',
    'warm/date=2026-11-21/p=0/log-1-000000000000.parquet',
    'warm/date=2026-11-21/p=0000/log-1-000000000000.parquet.bak',
    'warm/date=2026-11-21/p=0000/sub/log-1-000000000000.parquet',
    'warm2/date=2026-11-21/p=0000/log-1-000000000000.parquet',
  ]
  for (const key of others) await blobs.create(key, new Uint8Array(1))
  expect(await sweep(dayOneMs + 4_000 * dayMs)).toBe(1)
  expect(await keysOf(blobs)).toEqual(others)
})

test('the id indexes of a day go with its ledger, of that partition and log alone', async () => {
  const { blobs, put, sweep, expired } = fixture()
  await put('ledger', 0)
  await put('ledger', 0, 7)
  await put('ledger', 1, 9)
  const gone = [
    'ids/p=0000/2026-11-21-log-1-000000000000-000000000005.idx',
    'ids/p=0000/2026-11-21-log-1-000000000006-000000000007.idx',
  ]
  const stay = [
    'ids/p=0000/2026-11-21-log-1-2-000000000000-000000000007.idx',
    'ids/p=0000/2026-11-22-log-1-000000000009-000000000009.idx',
    'ids/p=0001/2026-11-21-log-1-000000000000-000000000007.idx',
  ]
  for (const key of [...gone, ...stay]) await blobs.create(key, new Uint8Array(3))
  await sweep(dayOneMs + 366 * dayMs)
  expect(await keysOf(blobs, 'ids/')).toEqual(stay)
  expect(await expired()).toEqual([
    { ledger: 2, ids: 2 },
    { ledger: 20, ids: 6 },
  ])
})

test('a snapshot goes a ledger’s life after the day in which it was made, not a millisecond before', async () => {
  const clock = new ManualClock()
  clock.advanceMs(dayOneMs + 1)
  const { blobs, sweep, expired } = fixture(new MemoryBlobStore(clock))
  const key = snapshotKey({ partition: 0, logId: 'log-1', nextOffset: 7 })
  await blobs.create(key, new Uint8Array(4))
  const endMs = dayOneMs + dayMs + life.ledger
  expect(await sweep(endMs - 1)).toBe(0)
  expect(await keysOf(blobs)).toEqual([key])
  expect(await sweep(endMs)).toBe(1)
  expect(await keysOf(blobs)).toEqual([])
  expect(await expired()).toEqual([{ index: 1 }, { index: 4 }])
})

test('one run deletes as many objects as it may, the next one the rest', async () => {
  const { blobs, put, sweep } = fixture()
  for (let offset = 0; offset <= sweepObjectsMax; offset++) await put('warm', 0, offset)
  expect(await sweep(dayOneMs + 31 * dayMs)).toBe(sweepObjectsMax)
  expect(await keysOf(blobs)).toHaveLength(1)
  expect(await sweep(dayOneMs + 31 * dayMs)).toBe(1)
  expect(await keysOf(blobs)).toEqual([])
})

test('in files, folders that become empty go too and the rest is listed on', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sweep-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const { put, sweep, blobs } = fixture(await FileBlobStore.open(folder))
  for (const day of [0, 1, 2, 3]) {
    for (const partition of [0, 1]) await put('warm', day, day, partition)
  }
  expect(await sweep(dayOneMs + 33 * dayMs)).toBe(6)
  expect(await keysOf(blobs)).toHaveLength(2)
  expect(await readdir(join(folder, 'warm'))).toEqual(['date=2026-11-24'])
})

test('two writers that sweep at once delete everything and disturb nobody', async () => {
  const { blobs, put, sweep } = fixture()
  for (let offset = 0; offset < 50; offset++) await put('cold', 0, offset)
  await Promise.all([sweep(dayOneMs + 366 * dayMs), sweep(dayOneMs + 366 * dayMs)])
  expect(await keysOf(blobs)).toEqual([])
})
