import { PipelineError } from '@winnow/runtime'
import {
  emptyPack,
  eraseFromSegment,
  IdIndexBuilder,
  latestSnapshot,
  listSegments,
  readAllLedger,
} from '@winnow/storage'
import { expect, onTestFinished, test } from 'vitest'
import { listsKeptMs } from './ledger-search.ts'
import { dayMs, decisionOn, LookupFixture, todayMs, topic, traceIdOf } from './lookup.fixture.ts'

function newFixture(): LookupFixture {
  const fixture = new LookupFixture()
  onTestFinished(() => fixture.stop())
  return fixture
}

const daysAgo = (days: number, n: number, revision = 1) =>
  decisionOn(n, { decidedAtMs: todayMs - days * dayMs, revision })

test('what is remembered of the log needs no store', async () => {
  const fixture = newFixture()
  await fixture.decide(1)
  const lookup = await fixture.lookup()
  expect(await lookup.find('default', traceIdOf(1))).toMatchObject({
    decision: { traceId: traceIdOf(1) },
    searched: { tiers: ['log'], ledgerSince: null, complete: true, unreadable: [] },
  })
  expect(fixture.reads).toEqual([])
})

test('what is forgotten is found by the sampler’s index, two or three reads away, where the log still has it', async () => {
  const fixture = newFixture()
  const offset = await fixture.decide(1, { revision: 7 })
  await fixture.decide(2)
  await fixture.snapshot([
    [1, offset],
    [3, 900],
  ])
  const lookup = await fixture.lookup()
  const { decision, searched } = await lookup.find('default', traceIdOf(1))
  expect(decision).toMatchObject({ traceId: traceIdOf(1), revision: 7 })
  expect(searched).toMatchObject({ tiers: ['log', 'hot', 'index'], complete: true })
  expect(fixture.reads.map(read => read.split(' ')[0])).toEqual(['list', 'read'])
  fixture.reads.length = 0
  await lookup.find('default', traceIdOf(1))
  // A small one came whole with its footer, and a list is good for a while.
  expect(fixture.reads).toEqual([])
  fixture.clock.advanceMs(listsKeptMs)
  await lookup.find('default', traceIdOf(1))
  expect(fixture.reads.map(read => read.split(' ')[0])).toEqual(['list'])
})

test('a snapshot that goes once it was listed makes an answer incomplete, and the next one has a newer', async () => {
  const fixture = newFixture()
  const offset = await fixture.decide(1)
  await fixture.decide(2)
  await fixture.snapshot([[1, offset]], 1_000)
  const { blobs } = fixture
  let isGone = false
  const read: typeof blobs.read = async (key, start, length) => {
    if (!isGone) {
      isGone = true
      await blobs.delete(key)
      await fixture.snapshot([[1, offset]], 2_000)
    }
    return blobs.read(key, start, length)
  }
  const lookup = await fixture.lookup({ blobs: { ...blobs, read } })
  const missed = await lookup.find('default', traceIdOf(1))
  expect(missed).toMatchObject({ decision: undefined, searched: { complete: false } })
  const { decision, searched } = await lookup.find('default', traceIdOf(1))
  expect(decision).toMatchObject({ traceId: traceIdOf(1) })
  expect(searched).toMatchObject({ tiers: ['log', 'hot', 'index'], complete: true })
})

test('traces that nobody knows, one after the other, cost no lists', async () => {
  const fixture = newFixture()
  await fixture.snapshot([])
  for (const day of [1, 2, 3, 4]) await fixture.day(day, [daysAgo(day, day)])
  const lookup = await fixture.lookup()
  await lookup.find('default', traceIdOf(1_000))
  expect(fixture.reads.filter(read => read.startsWith('list'))).toHaveLength(3)
  fixture.reads.length = 0
  for (let n = 1_001; n < 1_010; n++) await lookup.find('default', traceIdOf(n))
  expect(fixture.reads).toEqual([])
})

test('an old decision is found in the ledger of its day, the newest days first', async () => {
  const fixture = newFixture()
  await fixture.snapshot([])
  for (const day of [9, 5, 2]) await fixture.day(day, [daysAgo(day, day), daysAgo(day, 100 + day)])
  await fixture.day(4, [daysAgo(4, 5, 2)], 50)
  const lookup = await fixture.lookup()
  expect(await lookup.find('default', traceIdOf(9))).toMatchObject({
    decision: { traceId: traceIdOf(9), decidedAtMs: todayMs - 9 * dayMs },
    searched: { tiers: ['log', 'hot', 'index', 'ledger'], ledgerSince: '2026-11-12' },
  })
  // Decided on two days: the later one speaks.
  expect(await lookup.find('default', traceIdOf(5))).toMatchObject({
    decision: { revision: 2 },
    searched: { ledgerSince: '2026-11-17', complete: true },
  })
})

test('day n takes 2n + 7 reads at most, and one a day less once the days’ footers are held', async () => {
  const fixture = newFixture()
  await fixture.snapshot([])
  for (const day of [1, 2, 3, 4]) await fixture.day(day, [daysAgo(day, day)])
  for (const day of [1, 2, 3, 4]) {
    const lookup = await fixture.lookup()
    expect((await lookup.find('default', traceIdOf(day))).decision).toBeDefined()
    expect(fixture.reads.length).toBeLessThanOrEqual(2 * day + 7)
    const first = fixture.reads.length
    fixture.reads.length = 0
    fixture.clock.advanceMs(listsKeptMs)
    await lookup.find('default', traceIdOf(day))
    // Of an empty snapshot there is nothing to read but its footer.
    expect(fixture.reads.length).toBe(first - day - 1)
  }
})

test('a record that the index knows and the log no longer has is looked for from its day on', async () => {
  const fixture = newFixture()
  const offset = await fixture.decide(1)
  fixture.bus.expire(topic, 0, offset + 1)
  await fixture.snapshot([[1, offset, todayMs - 5 * dayMs]])
  for (const day of [1, 2, 3]) await fixture.day(day, [daysAgo(day, 50 + day)])
  await fixture.day(5, [daysAgo(5, 1)])
  const lookup = await fixture.lookup()
  const { decision, searched } = await lookup.find('default', traceIdOf(1))
  expect(decision).toMatchObject({ traceId: traceIdOf(1) })
  expect(searched).toMatchObject({ tiers: ['log', 'hot', 'index', 'ledger'] })
  expect(fixture.reads.filter(read => read.includes('ids/')).length).toBe(2)
})

test('a hit in the fold whose record retention has just taken is found where it is stored', async () => {
  const fixture = newFixture()
  const offset = await fixture.decide(1)
  const lookup = await fixture.lookup()
  fixture.bus.expire(topic, 0, offset + 1)
  await fixture.day(1, [daysAgo(1, 1)])
  expect((await lookup.find('default', traceIdOf(1))).searched.tiers.at(-1)).toBe('ledger')
})

test('another tenant’s trace is unknown by every path', async () => {
  const fixture = newFixture()
  await fixture.decide(1)
  const offset = await fixture.decide(2)
  await fixture.decide(3)
  await fixture.hot.put([
    {
      decision: decisionOn(4),
      logId: 'log',
      partition: 0,
      offset: 90,
      spans: emptyPack,
      bodies: [],
    },
  ])
  await fixture.snapshot([[2, offset]])
  await fixture.day(1, [daysAgo(1, 5), { ...daysAgo(1, 6), tenant: 'other' }])
  const lookup = await fixture.lookup()
  const tiers = { 3: 'log', 4: 'hot', 2: 'index', 5: 'ledger' }
  for (const [n, tier] of Object.entries(tiers)) {
    const own = await lookup.find('default', traceIdOf(Number(n)))
    expect([own.decision?.tenant, own.searched.tiers.at(-1)]).toEqual(['default', tier])
    const found = await lookup.find('other', traceIdOf(Number(n)))
    expect(found, `trace ${n}`).toMatchObject({ decision: undefined })
  }
  expect((await lookup.find('other', traceIdOf(6))).decision?.tenant).toBe('other')
  expect((await lookup.find('default', traceIdOf(6))).decision).toBeUndefined()
})

test('one request searches as many days as it may, says how far it came, and goes on from there', async () => {
  const fixture = newFixture()
  for (const day of [1, 2, 3]) await fixture.day(day, [daysAgo(day, day)])
  const two = await fixture.lookup({ daysMax: 2 })
  expect(await two.find('default', traceIdOf(3))).toEqual({
    decision: undefined,
    searched: {
      tiers: ['log', 'hot', 'index', 'ledger'],
      ledgerSince: '2026-11-19',
      complete: false,
      unreadable: [],
    },
  })
  expect(await two.find('default', traceIdOf(3), '2026-11-19')).toMatchObject({
    decision: { traceId: traceIdOf(3) },
    searched: { tiers: ['ledger'], ledgerSince: '2026-11-18', complete: true },
  })
  const three = await fixture.lookup({ daysMax: 3 })
  expect((await three.find('default', traceIdOf(3))).decision).toBeDefined()
  expect((await three.find('default', traceIdOf(4))).searched.complete).toBe(true)
})

test('a file that cannot be read is named, and the rest is searched', async () => {
  const fixture = newFixture()
  await fixture.snapshot([[8, 4]])
  const snapshot = (await latestSnapshot(fixture.blobs, 0, await fixture.bus.logId(topic))) ?? ''
  const bad = await fixture.day(1, [daysAgo(1, 9)])
  await fixture.day(2, [daysAgo(2, 1)])
  for (const key of [snapshot, bad.index]) {
    await fixture.blobs.delete(key)
    await fixture.blobs.create(key, new Uint8Array(100))
  }
  const lookup = await fixture.lookup()
  expect(await lookup.find('default', traceIdOf(1))).toMatchObject({
    decision: { traceId: traceIdOf(1) },
    searched: { complete: false, unreadable: [snapshot, bad.index] },
  })
  expect(await lookup.find('default', traceIdOf(9))).toMatchObject({
    decision: undefined,
    searched: { complete: false, ledgerSince: '2026-11-19' },
  })
})

test('who asks for what was before a day of this week gets it, its index being there or not', async () => {
  const fixture = newFixture()
  await fixture.snapshot([])
  await fixture.day(5, [daysAgo(5, 7)])
  const { index } = await fixture.day(1, [daysAgo(1, 1)], 500)
  await fixture.blobs.delete(index)
  const lookup = await fixture.lookup()
  for (const before of ['2026-11-21', '2026-11-22', '2099-01-01']) {
    fixture.reads.length = 0
    expect(await lookup.find('default', traceIdOf(1), before), before).toMatchObject({
      decision: { traceId: traceIdOf(1) },
      searched: { tiers: ['ledger'], complete: true },
    })
    // No day is looked for that is yet to come.
    expect(fixture.reads.length).toBeLessThan(15)
  }
  expect(await lookup.find('default', traceIdOf(1), '2026-11-20')).toMatchObject({
    decision: undefined,
    searched: { complete: true },
  })
})

test('an index that was made again with other bytes is opened again, one that is damaged is named', async () => {
  const fixture = newFixture()
  await fixture.snapshot([])
  // Too large to be held whole.
  const many = Array.from({ length: 3_000 }, (_, n) => daysAgo(20, 100 + n))
  const { index, segment } = await fixture.day(20, many, 5_000)
  const lookup = await fixture.lookup()
  const find = (n: number) => lookup.find('default', traceIdOf(n))
  expect((await find(150)).decision).toMatchObject({ traceId: traceIdOf(150) })
  const isErased = (_: string, traceId: string) => traceId === traceIdOf(101)
  await eraseFromSegment(fixture.blobs, segment, { id: 'e1', isErased })
  await fixture.blobs.delete(index)
  const builder = new IdIndexBuilder()
  for await (const one of listSegments(fixture.blobs, 'ledger')) builder.beginSegment(one)
  const rows = await readAllLedger(fixture.blobs, segment, ['tenant', 'trace_id'])
  for (const [row, { tenant, trace_id }] of rows.entries()) builder.add(tenant, trace_id, row)
  const made = await builder.write(fixture.blobs, { partition: 0, logId: 'log-1' })
  expect(made).toMatchObject({ key: index, created: true })
  fixture.clock.advanceMs(listsKeptMs)
  expect(await find(150)).toMatchObject({
    decision: { traceId: traceIdOf(150) },
    searched: { complete: true, unreadable: [] },
  })
  expect((await find(99_999)).searched).toMatchObject({ complete: true, unreadable: [] })
  await fixture.blobs.rewrite(index, async bytes =>
    bytes.map((byte, at) => byte ^ Number(at < 4_000)),
  )
  expect((await find(99_999)).searched).toMatchObject({ complete: false, unreadable: [index] })
})

test('an index that points at another’s decision is wrong, and is never believed', async () => {
  const fixture = newFixture()
  const offset = await fixture.decide(1)
  await fixture.decide(2)
  await fixture.snapshot([[7, offset]])
  const { segment } = await fixture.day(1, [daysAgo(1, 3)])
  await fixture.day(1, [daysAgo(1, 8)], 0, 'log-2')
  const other = segment.replace('log-1', 'log-2')
  const wrong = await fixture.blobs.read(segment)
  await fixture.blobs.delete(other)
  await fixture.blobs.create(other, wrong ?? new Uint8Array())
  const lookup = await fixture.lookup()
  expect(await lookup.find('default', traceIdOf(7))).toMatchObject({
    decision: undefined,
    searched: { complete: false },
  })
  expect(await lookup.find('default', traceIdOf(8))).toMatchObject({
    decision: undefined,
    searched: { complete: false, unreadable: [other] },
  })
})

test('of two logs that decided on one day the later decision speaks', async () => {
  const fixture = newFixture()
  await fixture.day(1, [{ ...daysAgo(1, 1, 5), decidedAtMs: todayMs - dayMs + 9 }], 0, 'log-1')
  await fixture.day(1, [daysAgo(1, 1, 1)], 0, 'log-2')
  const lookup = await fixture.lookup()
  expect((await lookup.find('default', traceIdOf(1))).decision?.revision).toBe(5)
})

test('a segment that has expired before its index is no decision', async () => {
  const fixture = newFixture()
  const { segment } = await fixture.day(1, [daysAgo(1, 1)])
  await fixture.blobs.delete(segment)
  const lookup = await fixture.lookup()
  expect(await lookup.find('default', traceIdOf(1))).toMatchObject({
    decision: undefined,
    searched: { complete: true },
  })
})

test('a store that is away is an error, never “unknown”', async () => {
  const fixture = newFixture()
  const away = (): never => {
    throw new PipelineError('STORE_UNAVAILABLE', 'away')
  }
  const lookup = await fixture.lookup({ blobs: { ...fixture.blobs, list: away } })
  await expect(lookup.find('default', traceIdOf(1))).rejects.toThrow(/STORE_UNAVAILABLE/)
})

test('without an index what the fold has forgotten may be missed, and the answer says so', async () => {
  const fixture = newFixture()
  await fixture.decide(1)
  await fixture.decide(2)
  const forgetful = await fixture.lookup()
  expect((await forgetful.find('default', traceIdOf(9))).searched.complete).toBe(false)
  const whole = await fixture.lookup({}, 1 << 20)
  expect((await whole.find('default', traceIdOf(9))).searched.complete).toBe(true)
  const storeless = await fixture.lookup({ blobs: undefined })
  expect((await storeless.find('default', traceIdOf(9))).searched).toMatchObject({
    tiers: ['log', 'hot'],
    complete: false,
  })
})

test('an index of many days is two reads, whatever the day, and has the last decision of each trace', async () => {
  const fixture = newFixture()
  for (const day of [90, 60, 30, 9]) await fixture.day(day, [daysAgo(day, day)], 100 - day)
  await fixture.day(5, [daysAgo(5, 60, 2)], 96)
  await fixture.merge()
  const lookup = await fixture.lookup()
  for (const day of [90, 30, 9]) {
    const { decision, searched } = await lookup.find('default', traceIdOf(day))
    expect(decision).toMatchObject({ traceId: traceIdOf(day) })
    expect(searched).toMatchObject({ ledgerSince: '2026-08-23', complete: true })
  }
  expect((await lookup.find('default', traceIdOf(60))).decision?.revision).toBe(2)
  const ids = fixture.reads.filter(read => read.startsWith('read ids/'))
  expect(ids).toHaveLength(1)
})

test('of a trace that an index knows of a later day an earlier decision may be missed, and that is said', async () => {
  const fixture = newFixture()
  await fixture.day(60, [daysAgo(60, 1), daysAgo(60, 2)], 40)
  await fixture.day(5, [daysAgo(5, 1, 2)], 95)
  await fixture.merge()
  const lookup = await fixture.lookup()
  expect(await lookup.find('default', traceIdOf(1), '2026-11-01')).toMatchObject({
    decision: undefined,
    searched: { complete: false },
  })
  expect((await lookup.find('default', traceIdOf(2), '2026-11-01')).decision).toBeDefined()
})

test('an index that becomes part of another as it is read is looked for there', async () => {
  const fixture = newFixture()
  for (const day of [9, 8]) await fixture.day(day, [daysAgo(day, day)], 100 - day)
  const { blobs } = fixture
  let isMerged = false
  const list = (prefix: string) =>
    (async function* () {
      yield* await Array.fromAsync(blobs.list(prefix))
      if (prefix.startsWith('ids/') && !isMerged) {
        isMerged = true
        await fixture.merge()
      }
    })()
  const lookup = await fixture.lookup({ blobs: { ...blobs, list } })
  expect(await lookup.find('default', traceIdOf(9))).toMatchObject({
    decision: { traceId: traceIdOf(9) },
    searched: { complete: true, unreadable: [] },
  })
  expect(isMerged).toBe(true)
})

test('an index too large for one read that becomes part of another between footer and rows is looked for there', async () => {
  const fixture = newFixture()
  const many = Array.from({ length: 2_000 }, (_, n) => daysAgo(9, 1_000 + n))
  const { index } = await fixture.day(9, [...many, daysAgo(9, 9)], 100)
  await fixture.day(8, [daysAgo(8, 8)], 5_000)
  const { blobs } = fixture
  expect((await blobs.head(index))?.bytes).toBeGreaterThanOrEqual(65_536)
  let isMerged = false
  const read: typeof blobs.read = async (key, start, length) => {
    if (key === index && start !== undefined && start >= 0) {
      isMerged = true
      await fixture.merge()
    }
    return blobs.read(key, start, length)
  }
  const lookup = await fixture.lookup({ blobs: { ...blobs, read } })
  expect(await lookup.find('default', traceIdOf(9))).toMatchObject({
    decision: { traceId: traceIdOf(9) },
    searched: { complete: true, unreadable: [] },
  })
  expect(isMerged).toBe(true)
})

test('an index whose rows the store does not give is an error, as long as it is there', async () => {
  const fixture = newFixture()
  const many = Array.from({ length: 2_000 }, (_, n) => daysAgo(9, 1_000 + n))
  const { index } = await fixture.day(9, many)
  const read: typeof fixture.blobs.read = async (key, start, length) => {
    if (key === index && (start ?? 0) >= 0) throw new PipelineError('STORE_UNAVAILABLE', 'away')
    return fixture.blobs.read(key, start, length)
  }
  const lookup = await fixture.lookup({ blobs: { ...fixture.blobs, read } })
  await expect(lookup.find('default', traceIdOf(1_000))).rejects.toThrow(/STORE_UNAVAILABLE.*away/)
})

test('what goes on vanishing as it is read is no “unknown”', async () => {
  const fixture = newFixture()
  const { index } = await fixture.day(9, [daysAgo(9, 9)])
  const read: typeof fixture.blobs.read = async (key, ...range) =>
    key === index ? undefined : fixture.blobs.read(key, ...range)
  const lookup = await fixture.lookup({ blobs: { ...fixture.blobs, read } })
  await expect(lookup.find('default', traceIdOf(9))).rejects.toThrow(/STORE_UNAVAILABLE/)
})

test('a day whose index was deleted is looked through by its segments, within the tenant', async () => {
  const fixture = newFixture()
  for (const day of [40, 39, 8, 7]) {
    const decisions = [daysAgo(day, day), { ...daysAgo(day, 100 + day), tenant: 'other' }]
    await fixture.day(day, decisions, 100 - day)
  }
  const { index } = await fixture.day(6, [daysAgo(6, 6), daysAgo(6, 40, 2)], 94)
  const lookup = await fixture.lookup()
  await fixture.blobs.delete(index)
  expect(await lookup.find('default', traceIdOf(6))).toMatchObject({
    decision: { traceId: traceIdOf(6) },
    searched: { complete: true },
    segment: index.replace(/^ids.*/, 'ledger/date=2026-11-15/p=0000/log-1-000000000094.parquet'),
  })
  // An index of an earlier day knows an earlier decision of it.
  expect((await lookup.find('default', traceIdOf(40))).decision?.revision).toBe(2)
  for await (const { key } of fixture.blobs.list('ids/')) await fixture.blobs.delete(key)
  for (const day of [39, 8]) {
    expect((await lookup.find('default', traceIdOf(day))).decision, `${day}`).toBeDefined()
    expect((await lookup.find('other', traceIdOf(day))).decision, `${day}`).toBeUndefined()
    expect((await lookup.find('other', traceIdOf(100 + day))).decision?.tenant).toBe('other')
  }
})

test('on the day that a log ended and another began the first one has no index, and is looked through', async () => {
  const fixture = newFixture()
  await fixture.day(9, [daysAgo(9, 9)])
  const { index, segment } = await fixture.day(8, [daysAgo(8, 8)], 50)
  const other = await fixture.day(8, [daysAgo(8, 80)], 0, 'log-2')
  await fixture.day(7, [daysAgo(7, 7)], 50, 'log-2')
  await fixture.blobs.delete(index)
  const lookup = await fixture.lookup()
  expect(await lookup.find('default', traceIdOf(8))).toMatchObject({
    decision: { traceId: traceIdOf(8) },
    searched: { complete: true },
    segment,
  })
  for (const n of [9, 80, 7]) {
    expect((await lookup.find('default', traceIdOf(n))).decision, `${n}`).toBeDefined()
  }
  fixture.reads.length = 0
  expect(await lookup.find('default', traceIdOf(99))).toMatchObject({
    decision: undefined,
    searched: { complete: true },
  })
  // What an index has is not looked at again.
  expect(fixture.reads).not.toContain(`read ${other.segment}`)
  expect(fixture.reads).toContain(`read ${segment}`)
})

test('days without an index count as days that one request looks into: as many, and one more', async () => {
  const fixture = newFixture()
  for (const day of [10, 9, 8]) {
    const { index } = await fixture.day(day, [daysAgo(day, day)], 100 - day)
    await fixture.blobs.delete(index)
  }
  const three = await fixture.lookup({ daysMax: 3 })
  expect((await three.find('default', traceIdOf(10))).decision).toBeDefined()
  expect((await three.find('default', traceIdOf(99))).searched.complete).toBe(true)
  const two = await fixture.lookup({ daysMax: 2 })
  const first = await two.find('default', traceIdOf(10))
  expect(first).toMatchObject({
    decision: undefined,
    searched: { complete: false, ledgerSince: '2026-11-12' },
  })
  const next = await two.find('default', traceIdOf(10), first.searched.ledgerSince ?? '')
  expect(next.decision).toMatchObject({ traceId: traceIdOf(10) })
})
