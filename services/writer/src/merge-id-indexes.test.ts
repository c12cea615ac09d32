import { createLog, ManualClock, Metrics, PipelineError, silentLog } from '@winnow/runtime'
import {
  type BlobStore,
  decisionOf,
  idIndexFileOf,
  idIndexFilesMax,
  idIndexKey,
  idIndexRowsMax,
  idRowBytes,
  type ListedIdIndex,
  listIdIndexes,
  lookUpInIdIndex,
  MemoryBlobStore,
  openIdIndex,
  readLedgerRow,
} from '@winnow/storage'
import { expect, test } from 'vitest'
import { IdIndexer } from './id-index.ts'
import { indexSegments, openSegments } from './index-segments.ts'
import { dayMs, dayOneMs, keysOf, ledgerLog, putLedger } from './ledger-days.fixture.ts'
import { goneDaysMax, mergedIndexesMax, partsToMerge, youngDays } from './merge-id-indexes.ts'
import { traceIdOf } from './writer.fixture.ts'

const dateAt = (day: number): string => new Date(dayOneMs + day * dayMs).toISOString().slice(0, 10)

/** An index as it is listed: of these days, of so many rows; its offsets are those of its days. */
function listed(from: number, to: number, rows = 1): ListedIdIndex {
  const name = { partition: 0, logId: ledgerLog, date: dateAt(from), lastDate: dateAt(to) }
  const file = { ...name, first: from * 10, last: to * 10, bytes: rows * idRowBytes }
  return { ...file, files: [file] }
}

const planned = (indexes: readonly ListedIdIndex[], rowsMax = 1_000, oldest = 0): string[] =>
  partsToMerge(indexes, dateAt(oldest), rowsMax).map(({ date, lastDate }) => `${date} ${lastDate}`)

const shown = (...days: (readonly [number, number])[]): string[] =>
  days.map(([from, to]) => `${dateAt(from)} ${dateAt(to)}`)

test('a day joins the newest index, a full one joins the one before', () => {
  expect(planned([listed(0, 0)])).toEqual([])
  expect(planned([listed(0, 0), listed(1, 1)])).toEqual(shown([0, 0], [1, 1]))
  // The newest one has not its days yet: the old one is left as it is.
  expect(planned([listed(0, 99), listed(100, 128), listed(129, 129)])).toEqual(
    shown([100, 128], [129, 129]),
  )
  // With this day it has them.
  const young = youngDays - 1
  expect(
    planned([listed(0, 99), listed(100, 99 + young), listed(100 + young, 100 + young)]),
  ).toEqual(shown([0, 99], [100, 99 + young], [100 + young, 100 + young]))
  expect(planned([listed(0, 99), listed(100, 100)])).toEqual([])
  // Days that nobody has made one, as after an upgrade.
  const days = Array.from({ length: 300 }, (_, day) => listed(day, day))
  expect(planned(days)).toHaveLength(300)
})

test('an index takes as many rows as it may, not one more: rowsMax', () => {
  expect(planned([listed(0, 9, 60), listed(10, 10, 40)], 100)).toHaveLength(2)
  expect(planned([listed(0, 9, 60), listed(10, 10, 41)], 100)).toEqual([])
  expect(planned([listed(0, 9, 60), listed(10, 10, 41), listed(11, 11, 1)], 100)).toEqual(
    shown([10, 10], [11, 11]),
  )
})

test('by itself an index takes as many rows as its files do, not one more: idIndexFilesMax', () => {
  const rows = idIndexFilesMax * idIndexRowsMax
  const partsOf = (more: number) =>
    partsToMerge([listed(0, 9, rows - 40), listed(10, 10, more)], dateAt(0))
  expect(partsOf(40)).toHaveLength(2)
  expect(partsOf(41)).toEqual([])
})

test('as many become one as may at a time, not one more: mergedIndexesMax', () => {
  const days = Array.from({ length: mergedIndexesMax + 1 }, (_, day) => listed(day, day))
  expect(planned(days.slice(1), 10_000)).toHaveLength(mergedIndexesMax)
  expect(planned(days, 10_000)).toHaveLength(mergedIndexesMax)
})

test('an index is written again once it has more days than it may of what is gone: goneDaysMax', () => {
  expect(planned([listed(0, 200)], 1_000, goneDaysMax)).toEqual([])
  expect(planned([listed(0, 200)], 1_000, goneDaysMax + 1)).toEqual(shown([0, 200]))
  // All of it is gone: that is the sweeper's.
  expect(planned([listed(0, 20)], 1_000, goneDaysMax + 1)).toEqual([])
})

/**
 * A writer that runs day by day; of `perDay` traces the first day has the first ones, and so on, and trace 0 comes again
 * on every tenth day.
 */
function fixture({ perDay = 2, rowsMax = 1_000_000 } = {}) {
  const inner = new MemoryBlobStore(new ManualClock())
  const lines: { kind: string }[] = []
  const log = createLog(new ManualClock(), line => lines.push(JSON.parse(line)))
  const indexer = (blobs: BlobStore = inner): IdIndexer =>
    new IdIndexer({
      blobs,
      ended: new AbortController().signal,
      log,
      metrics: new Metrics(),
      rowsMax,
    })
  const put = (day: number) => {
    const traces = Array.from({ length: perDay }, (_, n) => perDay * day + n)
    if (day % 10 === 0 && day > 0) traces.push(0)
    const revision = 1 + Math.floor(day / 10)
    return putLedger(inner, dayOneMs + day * dayMs, day * 10, traces, { revision })
  }
  const run = async (one: IdIndexer, day: number): Promise<void> => {
    one.written(0, ledgerLog, dayOneMs + day * dayMs)
    await one.idle()
  }
  /** As query finds it: of the newest index that has it. */
  const find = async (n: number) => {
    const indexes = await listIdIndexes(inner, 0)
    for (const index of indexes.sort((a, b) => b.last - a.last)) {
      const key = idIndexKey(idIndexFileOf(index, traceIdOf(n)))
      const file = await openIdIndex(inner, key)
      const place = file && (await lookUpInIdIndex(inner, file, 'default', traceIdOf(n)))
      const row = place && (await readLedgerRow(inner, place))
      if (row !== undefined) return decisionOf(row)
    }
    return undefined
  }
  /** The index of these days alone, as one that was made of theirs. */
  const index = async (from: number, to: number): Promise<string> => {
    const ended = new AbortController().signal
    const metrics = new Metrics()
    const ledger = { blobs: inner, ended, log, metrics, partition: 0, logId: ledgerLog }
    const segments = []
    for (let day = from; day <= to; day++) {
      segments.push(...(await openSegments(dateAt(day), [], ledger)))
    }
    await indexSegments(segments, ledger)
    const name = { partition: 0, logId: ledgerLog, first: from * 10, last: to * 10 }
    return idIndexKey({ ...name, date: dateAt(from), lastDate: dateAt(to) })
  }
  const findAll = async (days: number): Promise<void> => {
    for (let day = 0; day < days; day++) {
      expect(await find(2 * day + 1), `day ${day}`).toMatchObject({
        traceId: traceIdOf(2 * day + 1),
      })
    }
  }
  return { inner, lines, indexer, put, run, find, index, findAll }
}

test('over two hundred days there are two indexes at most behind every day, and every trace is found', async () => {
  const { inner, indexer, put, run, find } = fixture()
  const one = indexer()
  let most = 0
  for (let day = 0; day < 200; day++) {
    await put(day)
    await run(one, day)
    most = Math.max(most, (await keysOf(inner, 'ids/')).length)
  }
  expect(most).toBe(2)
  for (const day of [0, 1, 30, 31, 100, 198]) {
    expect(await find(2 * day + 1)).toMatchObject({ traceId: traceIdOf(2 * day + 1) })
  }
  // Decided on many days: the last one speaks.
  expect(await find(0)).toMatchObject({ revision: 20 })
  expect(await find(9_999)).toBeUndefined()
})

for (const [what, size] of [
  ['one file', { perDay: 2 }],
  ['several files', { perDay: 5_000, rowsMax: 7_000 }],
] as const) {
  test(`whatever a writer of an index of ${what} dies before or after, every trace is found, and the next one ends its work`, async () => {
    const days = 4
    for (let deaths = 0, isOver = false; !isOver; deaths++) {
      const { inner, indexer, put, run, find } = fixture(size)
      const last = size.perDay - 1
      let left = deaths
      const dying = new Proxy(inner, {
        get: (store, key) => {
          const value = Reflect.get(store, key)
          if (typeof value !== 'function') return value
          if (key !== 'create' && key !== 'delete') return value.bind(store)
          return (...call: unknown[]) => {
            if (left-- <= 0) return Promise.reject(new PipelineError('STORE_UNAVAILABLE', 'dead'))
            return value.apply(store, call)
          }
        },
      })
      const killed = indexer(dying)
      for (let day = 0; day < days; day++) {
        await put(day)
        await run(killed, day)
        // Of the days that have an index.
        const until = (await listIdIndexes(inner, 0)).at(-1)?.lastDate
        for (let before = 0; until !== undefined && dateAt(before) <= until; before++) {
          const n = size.perDay * before + last
          expect(await find(n), `${deaths} calls, day ${before}`).toBeDefined()
        }
      }
      isOver = left > 0
      await put(days)
      await run(indexer(), days)
      const [index, ...more] = await listIdIndexes(inner, 0)
      expect(more, `${deaths} calls`).toEqual([])
      const keys = await keysOf(inner, 'ids/')
      expect(keys, `${deaths} calls`).toEqual(index?.files.map(idIndexKey))
      expect(keys.length > 3, `${deaths} calls`).toBe(what === 'several files')
      for (let day = 0; day < days; day++) {
        for (const n of [0, last]) expect(await find(size.perDay * day + n)).toBeDefined()
      }
    }
  })
}

test('two writers at once, by force, lose nothing, and the next one leaves one index', async () => {
  const { inner, indexer, put, run, find } = fixture()
  const [a, b] = [indexer(), indexer()]
  for (let day = 0; day < 12; day++) {
    await put(day)
    await Promise.all([run(a, day), run(b, day)])
    for (let before = 0; before < day; before++) expect(await find(2 * before + 1)).toBeDefined()
  }
  await put(12)
  await run(indexer(), 12)
  expect(await keysOf(inner, 'ids/')).toHaveLength(1)
})

test('days that are gone leave an index, and what it names is only what may be there', async () => {
  const { inner, indexer, put, run } = fixture()
  const one = indexer()
  for (let day = 0; day < 100; day++) {
    await put(day)
    // As the sweeper does it, of what is sixty days old.
    if (day >= 60) await inner.delete((await keysOf(inner, 'ledger/'))[0] as string)
    await run(one, day)
    const oldest = dateAt(Math.max(0, day - 59))
    for (const { date } of await listIdIndexes(inner, 0)) {
      const gone = (Date.parse(oldest) - Date.parse(date)) / dayMs
      expect(gone).toBeLessThanOrEqual(goneDaysMax + 1)
    }
  }
})

test('an index that somebody deleted is made again by the next process', async () => {
  const { inner, indexer, put, run, find } = fixture()
  for (let day = 0; day < 40; day++) await put(day)
  await run(indexer(), 35)
  expect(await keysOf(inner, 'ids/')).toHaveLength(1)
  for (const key of await keysOf(inner, 'ids/')) await inner.delete(key)
  await run(indexer(), 39)
  expect(await keysOf(inner, 'ids/')).toHaveLength(1)
  expect(await find(1)).toMatchObject({ traceId: traceIdOf(1) })
})

test('the middle one of three is deleted as the writer runs: what it had is indexed before the others become one', async () => {
  for (const isRestarted of [false, true]) {
    const { inner, indexer, put, run, index, findAll } = fixture()
    await put(0)
    const one = indexer()
    await run(one, 0)
    for (let day = 1; day <= 20; day++) await put(day)
    await index(0, 9)
    const middle = await index(10, 19)
    await index(20, 20)
    await inner.delete(middle)
    await put(21)
    await run(isRestarted ? indexer() : one, 21)
    await findAll(21)
    await put(22)
    await run(one, 22)
    await findAll(22)
    await put(23)
    await run(indexer(), 23)
    await findAll(23)
    expect(await keysOf(inner, 'ids/')).toHaveLength(1)
  }
})

test('an old index and a young one: the young one is deleted, and the old one does not hide its days', async () => {
  const { inner, indexer, put, run, index, findAll } = fixture()
  await put(0)
  const one = indexer()
  await run(one, 0)
  for (let day = 1; day <= 45; day++) await put(day)
  await index(0, 39)
  const young = await index(40, 44)
  await index(45, 45)
  await inner.delete(young)
  for (let day = 46; day <= 90; day++) {
    await put(day)
    await run(one, day)
  }
  await findAll(90)
})

test('of one day the middle index of three is deleted: its segments are indexed again', async () => {
  const { inner, indexer, run, find } = fixture()
  for (const part of [0, 1, 2]) await putLedger(inner, dayOneMs + part, part * 10, [part])
  const one = indexer()
  await run(one, 0)
  await putLedger(inner, dayOneMs + dayMs, 30, [3])
  const ledger = { ended: new AbortController().signal, partition: 0, logId: ledgerLog }
  const options = { ...ledger, blobs: inner, log: silentLog, metrics: new Metrics() }
  const [first, , third] = await openSegments(dateAt(0), [], options)
  const [nextDay] = await openSegments(dateAt(1), [], options)
  for (const segment of [first, third, nextDay]) {
    await indexSegments(segment ? [segment] : [], options)
  }
  await putLedger(inner, dayOneMs + 2 * dayMs, 40, [4])
  await run(one, 2)
  for (const n of [0, 1, 2, 3]) expect(await find(n), `trace ${n}`).toBeDefined()
  await run(one, 3)
  for (const n of [0, 1, 2, 3, 4]) expect(await find(n), `trace ${n}`).toBeDefined()
  expect(await keysOf(inner, 'ids/')).toHaveLength(1)
})

test('behind an index that cannot be read, in its footer or its rows, the newer ones become one', async () => {
  for (const part of ['footer', 'rows']) {
    const { inner, indexer, put, run, index, findAll, lines } = fixture()
    for (let day = 0; day <= 20; day++) await put(day)
    await index(0, 4)
    const bad = await index(5, 9)
    const bytes = Buffer.from((await inner.read(bad)) ?? [])
    await inner.delete(bad)
    await inner.create(bad, part === 'rows' ? bytes.fill(0xee, 16, 60) : new Uint8Array(500))
    for (const day of [18, 19]) await run(indexer(), day)
    expect(lines.map(({ kind }) => kind)).toContain('writer.id_index_unreadable')
    const days = (await listIdIndexes(inner, 0)).map(({ date, lastDate }) => `${date} ${lastDate}`)
    expect(days, part).toEqual(shown([0, 4], [5, 9], [10, 18]))
    await inner.delete(bad)
    await run(indexer(), 20)
    await findAll(20)
  }
})

test('of an index of several files, one of which is damaged, no half of another is left day by day', async () => {
  const { inner, indexer, put, run, lines } = fixture({ perDay: 300, rowsMax: 400 })
  for (let day = 0; day < 5; day++) await put(day)
  for (const day of [1, 2, 3, 4, 5]) await run(indexer(), day)
  const wholeFiles = async () => (await listIdIndexes(inner, 0)).flatMap(index => index.files)
  const files = await wholeFiles()
  expect(files.length).toBeGreaterThan(2)
  const bad = idIndexKey(files.at(-1) as (typeof files)[number])
  await inner.rewrite(bad, async bytes => Buffer.from(bytes).fill(0xee, 16, 60))
  for (let day = 5; day < 9; day++) {
    await put(day)
    await run(indexer(), day + 1)
    const keys = (await wholeFiles()).map(idIndexKey)
    expect(keys).toContain(bad)
    expect(await keysOf(inner, 'ids/'), `day ${day}`).toEqual(keys.toSorted())
  }
  expect(lines.map(({ kind }) => kind)).toContain('writer.id_index_unreadable')
})

test('an index that cannot be read stays, is said, and keeps no day without index', async () => {
  const { inner, indexer, put, run, find, lines } = fixture()
  for (let day = 0; day < 3; day++) await put(day)
  await run(indexer(), 2)
  const [bad = ''] = await keysOf(inner, 'ids/')
  await inner.delete(bad)
  await inner.create(bad, new Uint8Array(500))
  await put(3)
  await run(indexer(), 3)
  expect(lines.map(({ kind }) => kind)).toContain('writer.id_index_unreadable')
  expect(await keysOf(inner, 'ids/')).toHaveLength(2)
  await inner.delete(bad)
  expect(await find(5)).toBeDefined()
})
