import { createLog, ManualClock, Metrics, PipelineError } from '@winnow/runtime'
import {
  decisionOf,
  lookUpInIdIndex,
  MemoryBlobStore,
  openIdIndex,
  parseIdIndexKey,
  readLedgerRow,
} from '@winnow/storage'
import { expect, onTestFinished, test } from 'vitest'
import { IdIndexer, type IdIndexerOptions, silentSlackMs } from './id-index.ts'
import { dayMs, dayOneMs, keysOf, ledgerLog, putLedger } from './ledger-days.fixture.ts'
import { Fixture, traceIdOf, until } from './writer.fixture.ts'

const hourMs = 3_600_000

function fixture(blobs = new MemoryBlobStore(new ManualClock())) {
  const lines: { kind: string }[] = []
  const metrics = new Metrics()
  const indexer = (changes: Partial<IdIndexerOptions> = {}): IdIndexer =>
    new IdIndexer({
      blobs,
      ended: new AbortController().signal,
      log: createLog(new ManualClock(), line => lines.push(JSON.parse(line))),
      metrics,
      ...changes,
    })
  /** As a writer does whose first segment after its start is of this time. */
  const started = async (appendedAtMs: number, changes: Partial<IdIndexerOptions> = {}) => {
    const one = indexer(changes)
    one.written(0, ledgerLog, appendedAtMs)
    await one.idle()
    return one
  }
  const ids = () => keysOf(blobs, 'ids/')
  const find = async (n: number, tenant = 'default') => {
    for (const key of (await ids()).toReversed()) {
      const index = await openIdIndex(blobs, key)
      const place = index && (await lookUpInIdIndex(blobs, index, tenant, traceIdOf(n)))
      const row = place && (await readLedgerRow(blobs, place))
      if (row !== undefined) return decisionOf(row)
    }
    return undefined
  }
  return { blobs, indexer, started, ids, find, lines, metrics }
}

const name = (date: string, first: number, last: number): string =>
  `ids/p=0000/${date}-${ledgerLog}-${String(first).padStart(12, '0')}-${String(last).padStart(12, '0')}.idx`

test('a day is indexed once a segment of a later day is there, and not before', async () => {
  const { blobs, started, ids, find } = fixture()
  await putLedger(blobs, dayOneMs, 0, [1, 2])
  await putLedger(blobs, dayOneMs + dayMs - 1, 10, [2, 3], { revision: 2 })
  const one = await started(dayOneMs + dayMs - 1)
  expect(await ids()).toEqual([])
  await putLedger(blobs, dayOneMs + dayMs, 20, [1])
  one.written(0, ledgerLog, dayOneMs + dayMs)
  await one.idle()
  expect(await ids()).toEqual([name('2026-11-21', 0, 10)])
  expect(await find(1)).toMatchObject({ revision: 1 })
  expect(await find(2)).toMatchObject({ revision: 2 })
  expect(await find(3)).toMatchObject({ traceId: traceIdOf(3) })
  expect(await find(4)).toBeUndefined()
  expect(await find(3, 'other')).toBeUndefined()
})

test('what an earlier writer left without index is indexed with the first segment after the start', async () => {
  const { blobs, started, ids, find } = fixture()
  for (const day of [0, 1, 4]) await putLedger(blobs, dayOneMs + day * dayMs, day * 10, [day])
  await started(dayOneMs + 9 * dayMs)
  expect(await ids()).toEqual([name('2026-11-21_2026-11-25', 0, 40)])
  for (const day of [0, 1, 4]) expect(await find(day)).toMatchObject({ traceId: traceIdOf(day) })
})

test('other logs, partitions and objects are left out', async () => {
  const { blobs, started, ids } = fixture()
  await putLedger(blobs, dayOneMs, 0, [1], { logId: `${ledgerLog}-2` })
  await putLedger(blobs, dayOneMs, 0, [1], { partition: 1 })
  await blobs.create('ledger/date=2026-11-21/p=0000/notes.txt', new Uint8Array(3))
  await started(dayOneMs + dayMs)
  expect(await ids()).toEqual([])
})

test('a segment that comes late, its day indexed already, gets an index of its own, which becomes part of the day’s', async () => {
  const { blobs, started, find, ids } = fixture()
  await putLedger(blobs, dayOneMs, 0, [1])
  await started(dayOneMs + dayMs)
  await putLedger(blobs, dayOneMs + 5, 30, [7])
  await started(dayOneMs + 2 * dayMs)
  expect(await ids()).toEqual([name('2026-11-21', 0, 30)])
  expect(await find(7)).toMatchObject({ traceId: traceIdOf(7) })
})

test('two writers make one index between them', async () => {
  const { blobs, started, ids, metrics } = fixture()
  await putLedger(blobs, dayOneMs, 0, [1])
  await Promise.all([started(dayOneMs + dayMs), started(dayOneMs + dayMs)])
  expect(await ids()).toEqual([name('2026-11-21', 0, 0)])
  const objects = await metrics.tierObjects.get()
  expect(objects.values).toMatchObject([{ labels: { tier: 'ids' }, value: 1 }])
})

test('a day of as many rows as an index takes has one, of one more has two', async () => {
  for (const [rowsMax, count] of [
    [6, 1],
    [5, 2],
  ] as const) {
    const { blobs, started, ids, find } = fixture()
    await putLedger(blobs, dayOneMs, 0, [1, 2, 3])
    await putLedger(blobs, dayOneMs + hourMs, 3, [4, 5, 6])
    await started(dayOneMs + dayMs, { rowsMax })
    expect(await ids()).toHaveLength(count)
    for (const n of [1, 3, 4, 6]) expect(await find(n)).toMatchObject({ traceId: traceIdOf(n) })
  }
})

test('a store that is away costs nothing but time: the next segment asks again', async () => {
  const inner = new MemoryBlobStore(new ManualClock())
  let isAway = true
  const blobs = new Proxy(inner, {
    get: (store, key) => {
      const value = Reflect.get(store, key)
      if (typeof value !== 'function') return value
      if (key !== 'create' || !isAway) return value.bind(store)
      return () => Promise.reject(new PipelineError('STORE_UNAVAILABLE', 'away'))
    },
  })
  const { indexer, ids, lines } = fixture(blobs)
  await putLedger(inner, dayOneMs, 0, [1])
  const one = indexer()
  one.written(0, ledgerLog, dayOneMs + dayMs)
  await one.idle()
  expect(lines.map(({ kind }) => kind)).toEqual(['writer.id_index_failed'])
  isAway = false
  one.written(0, ledgerLog, dayOneMs + dayMs + 1)
  await one.idle()
  expect(await ids()).toEqual([name('2026-11-21', 0, 0)])
})

test('a segment that cannot be read is said and left out, the rest of its day is indexed', async () => {
  const { blobs, started, find, lines } = fixture()
  await putLedger(blobs, dayOneMs, 0, [1])
  const key = await putLedger(blobs, dayOneMs, 10, [2])
  await blobs.delete(key)
  await blobs.create(key, new Uint8Array(500))
  await putLedger(blobs, dayOneMs, 20, [3])
  await started(dayOneMs + dayMs)
  expect(lines).toMatchObject([
    { kind: 'writer.segment_not_indexed', key },
    { kind: 'writer.day_indexed' },
  ])
  expect(await find(1)).toMatchObject({ traceId: traceIdOf(1) })
  expect(await find(3)).toMatchObject({ traceId: traceIdOf(3) })
})

test('a writer that is to stop leaves the day to the next one', async () => {
  const { blobs, started, ids } = fixture()
  await putLedger(blobs, dayOneMs, 0, [1])
  await started(dayOneMs + dayMs, { ended: AbortSignal.abort() })
  expect(await ids()).toEqual([])
  await started(dayOneMs + dayMs)
  expect(await ids()).toHaveLength(1)
})

test('a writer that runs past midnight has the day behind it indexed', async () => {
  const run = new Fixture()
  onTestFinished(() => run.stop())
  for (let n = 0; n < 4; n++) await run.drop(n)
  await run.writer({ segmentDecisions: 2, segmentAge: 3_600_000 })
  await until('two segments', async () => (await keysOf(run.blobs, 'ledger/')).length === 2)
  expect(await keysOf(run.blobs, 'ids/')).toEqual([])
  run.clock.advanceMs(dayMs)
  for (let n = 4; n < 9; n++) await run.drop(n)
  await until('an index', async () => (await keysOf(run.blobs, 'ids/')).length === 1)
  const [key = ''] = await keysOf(run.blobs, 'ids/')
  expect(parseIdIndexKey(key)).toMatchObject({ partition: 0, date: '2026-11-21', first: 0 })
})

test('a partition that falls silent has its last day indexed an hour after it, once', async () => {
  const inner = new MemoryBlobStore(new ManualClock())
  let lists = 0
  const blobs = new Proxy(inner, {
    get: (store, key) => {
      if (key === 'list') lists++
      const value = Reflect.get(store, key)
      return typeof value === 'function' ? value.bind(store) : value
    },
  })
  const { indexer, ids, find } = fixture(blobs)
  await putLedger(inner, dayOneMs, 0, [1])
  const one = indexer()
  const silentAt = async (ms: number): Promise<readonly string[]> => {
    one.silent(0, ledgerLog, ms)
    await one.idle()
    return ids()
  }
  const midnightMs = dayOneMs + dayMs
  expect(await silentAt(midnightMs + silentSlackMs - 1)).toEqual([])
  expect(await silentAt(midnightMs + silentSlackMs)).toEqual([name('2026-11-21', 0, 0)])
  lists = 0
  expect(await silentAt(midnightMs + 9 * dayMs)).toHaveLength(1)
  expect(lists, 'one of the test').toBe(1)
  // What comes of that day all the same is found once it is silent again.
  await putLedger(inner, dayOneMs + 5, 30, [7])
  one.written(0, ledgerLog, dayOneMs + 5)
  await one.idle()
  expect(await silentAt(midnightMs + 9 * dayMs)).toEqual([name('2026-11-21', 0, 30)])
  expect(await find(7)).toMatchObject({ traceId: traceIdOf(7) })
  // What another writer did meanwhile too.
  await putLedger(inner, dayOneMs + dayMs, 50, [8])
  one.taken(0, ledgerLog)
  expect(await silentAt(midnightMs + 10 * dayMs)).toEqual([name('2026-11-21_2026-11-22', 0, 50)])
})

test('a writer that has nothing more to write has the day behind it indexed, claims or not', async () => {
  const run = new Fixture()
  onTestFinished(() => run.stop())
  await run.drop(1)
  await run.writer({ segmentDecisions: 1 })
  await until('a segment', async () => (await keysOf(run.blobs, 'ledger/')).length > 0)
  await run.claim()
  expect(await keysOf(run.blobs, 'ids/')).toEqual([])
  run.clock.advanceMs(dayMs + silentSlackMs)
  await until('an index', async () => (await keysOf(run.blobs, 'ids/')).length === 1)
})
