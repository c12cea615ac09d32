import { costPricesSchema, type MeasureOptions, measureStored, reportOf } from '@winnow/cost'
import { ManualClock } from '@winnow/runtime'
import {
  dateOf,
  holdKey,
  idIndexKey,
  MemoryBlobStore,
  segmentKey,
  snapshotKey,
} from '@winnow/storage'
import { expect, test } from 'vitest'
import { loadConfig } from '../program-config.ts'
import { costText } from './cost-text.ts'

const dayMs = 86_400_000
const config = loadConfig({ env: {}, options: {}, readFile: () => '' })
const livesMs = { hot: 7 * dayMs, warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs }

const clock = new ManualClock()
clock.advanceMs(Date.UTC(2026, 10, 21))

const options = (nowMs: number, change: Partial<MeasureOptions> = {}): MeasureOptions => ({
  hotBytes: 0,
  livesMs,
  snapshotsPerDay: 24,
  segmentAgeMs: 0,
  objectMin: { warm: 131_072, cold: 131_072, ledger: 0, index: 0 },
  nowMs,
  daysMax: 7,
  ...change,
})

/** Two segments in each tier, a snapshot, and an object of somebody's. */
async function filled(): Promise<{ blobs: MemoryBlobStore; madeAtMs: number }> {
  const blobs = new MemoryBlobStore(clock)
  const madeAtMs = clock.nowMs()
  for (const tier of ['ledger', 'warm', 'cold'] as const) {
    await blobs.create(segmentKey(tier, madeAtMs, 0, '1-log', 0), new Uint8Array(1_000_000))
    await blobs.create(segmentKey(tier, madeAtMs, 0, '1-log', 7), new Uint8Array(500_000))
  }
  await blobs.create(
    snapshotKey({ partition: 0, logId: '1-log', nextOffset: 9 }),
    new Uint8Array(2_000),
  )
  await blobs.create('warm/copied.parquet', new Uint8Array(300))
  const held = { id: '0123456789abcdef', traceId: 'a'.repeat(32), untilMs: madeAtMs + dayMs }
  await blobs.create(holdKey('default', held), new Uint8Array(4_000))
  await blobs.create('holds/copy.hold', new Uint8Array(100))
  return { blobs, madeAtMs }
}

test('what is stored is what the listing says, to the byte; what is not ours is told', async () => {
  const { blobs, madeAtMs } = await filled()
  let listed = 0
  const { folders } = await measureStored(
    blobs,
    options(madeAtMs + dayMs, { hotBytes: 77, onListed: () => listed++ }),
  )
  expect(folders).toEqual([
    { tier: 'hot', where: 'hot', bytes: 77, objects: 0, foreign: 0 },
    { tier: 'warm', where: 'warm/', bytes: 1_500_300, objects: 3, foreign: 1 },
    { tier: 'cold', where: 'cold/', bytes: 1_500_000, objects: 2, foreign: 0 },
    { tier: 'ledger', where: 'ledger/', bytes: 1_500_000, objects: 2, foreign: 0 },
    { tier: 'index', where: 'ids/', bytes: 0, objects: 0, foreign: 0 },
    { tier: 'index', where: 'index/', bytes: 2_000, objects: 1, foreign: 0 },
    { tier: 'index', where: 'holds/', bytes: 4_100, objects: 2, foreign: 1 },
  ])
  expect(listed).toBe(10)
})

test('a day is measured over what was made in the last days', async () => {
  const { blobs, madeAtMs } = await filled()
  const warmAfter = async (days: number, daysMax: number) => {
    const now = options(madeAtMs + days * dayMs, { daysMax })
    const { flows, measuredDays } = await measureStored(blobs, now)
    const { bytesPerDay = 0, objectsPerDay = 0 } = flows.find(({ tier }) => tier === 'warm') ?? {}
    return [measuredDays, bytesPerDay, objectsPerDay].map(value => Math.round(value * 100) / 100)
  }
  expect(await warmAfter(2, 7)).toEqual([2, 750_000, 1])
  expect(await warmAfter(4, 7)).toEqual([4, 375_000, 0.5])
  // All of it is older than the days that are asked for.
  expect(await warmAfter(9, 7)).toEqual([7, 0, 0])
})

test('nothing stored costs nothing but what is fixed, and says that it is not known', async () => {
  const stored = await measureStored(
    new MemoryBlobStore(clock),
    options(Date.now(), { snapshotsPerDay: 0 }),
  )
  const costs = costPricesSchema.parse({ fixed: [{ name: 'three brokers', month: 420 }] })
  const report = reportOf(stored, costs)
  expect(report.monthTotal).toBe(420)
  expect(costText(report)).toContain('No segment is there yet')
})

test('the lines add up to the month, and snapshots are paid as often as they are made', async () => {
  const { blobs, madeAtMs } = await filled()
  const stored = await measureStored(blobs, options(madeAtMs + dayMs, { hotBytes: 2e9 }))
  const report = reportOf(stored, config.costs)
  const sum = report.lines.reduce((total, { dollars }) => total + dollars, 0)
  expect(report.monthTotal).toBeCloseTo(sum, 12)
  expect(report.forecast.at(-1)?.dollars).toBeCloseTo(report.monthTotal, 12)
  expect(report.lines).toContainEqual({
    tier: 'index',
    what: 'objects made',
    quantity: (24 * 30) / 1000,
    unit: '1,000 requests',
    price: 0.005,
    dollars: ((24 * 30) / 1000) * 0.005,
  })
  const text = costText(report)
  expect(text).toContain('2 of these objects have names that no writer gives')
  expect(text).toMatch(/hot +storage +14 GB-month +× 0\.08 +\$1\.12/)
})

test('a tier that keeps less than is asked for is measured over what it keeps', async () => {
  const { blobs, madeAtMs } = await filled()
  const lives = { ...livesMs, warm: dayMs }
  const flowOf = async (days: number) => {
    const { flows } = await measureStored(
      blobs,
      options(madeAtMs + days * dayMs, { daysMax: 7, livesMs: lives }),
    )
    return flows.find(({ tier }) => tier === 'warm')?.bytesPerDay
  }
  expect(await flowOf(1)).toBe(1_500_000)
  expect(await flowOf(3)).toBe(0)
})

test('what is written anew later counts on its own days, and so does an index of several', async () => {
  const blobs = new MemoryBlobStore(clock)
  const todayMs = clock.nowMs()
  const tenDays = Array.from({ length: 10 }, (_, at) => todayMs - (at + 1) * dayMs)
  for (const atMs of tenDays) {
    await blobs.create(segmentKey('warm', atMs, 0, '1-log', 0), new Uint8Array(1_000))
  }
  const merged = {
    partition: 0,
    logId: '1-log',
    first: 0,
    last: 9,
    date: dateOf(tenDays.at(-1) ?? 0),
    lastDate: dateOf(todayMs - dayMs),
  }
  await blobs.create(idIndexKey(merged), new Uint8Array(10_007))
  const { flows, days, measuredDays } = await measureStored(blobs, options(todayMs))
  const flowOf = (wanted: string) => flows.find(({ tier }) => tier === wanted)
  expect(measuredDays).toBe(7)
  // Ten days of each are there, made just now: seven of them are looked at.
  expect(flowOf('warm')).toMatchObject({ bytesPerDay: 1_000, objectsPerDay: 1 })
  expect(flowOf('index')?.bytesPerDay).toBeCloseTo(1_000.7, 9)
  expect(flowOf('index')?.objectsPerDay).toBeCloseTo(0.1, 9)
  expect([...days.values()].map(({ warm }) => warm)).toEqual(Array(7).fill(1_000))
  const yearly = await measureStored(blobs, options(todayMs, { daysMax: 365 }))
  const shared = [...yearly.days.values()].map(({ index = 0 }) => index)
  expect(shared).toHaveLength(10)
  expect(shared.reduce((sum, bytes) => sum + bytes, 0)).toBe(10_007)
  expect(Math.max(...shared) - Math.min(...shared)).toBeLessThanOrEqual(1)
  // Half of the oldest of the days lies before the window.
  const noon = await measureStored(blobs, options(todayMs + dayMs / 2, { daysMax: 2 }))
  expect(noon.flows.find(({ tier }) => tier === 'warm')?.bytesPerDay).toBe(750)
})

test('what is held costs what lies there, and a store of snapshots and holds alone was measured over nothing', async () => {
  const blobs = new MemoryBlobStore(clock)
  const nowMs = clock.nowMs()
  const held = { id: '0123456789abcdef', traceId: 'a'.repeat(32), untilMs: nowMs + dayMs }
  await blobs.create(holdKey('default', held), new Uint8Array(4_000))
  const snapshot = snapshotKey({ partition: 0, logId: '1-log', nextOffset: 9 })
  await blobs.create(snapshot, new Uint8Array(2_000))
  const { flows, measuredDays, brought } = await measureStored(blobs, options(nowMs + dayMs))
  expect(measuredDays).toBe(0)
  expect(brought.index).toBe(0)
  expect(flows).toContainEqual({ tier: 'index', bytesPerDay: 4_000, objectsPerDay: 0, lifeDays: 1 })
})

test('the first segment has gathered for its age before it was made', async () => {
  const { blobs, madeAtMs } = await filled()
  const { measuredDays, flows } = await measureStored(
    blobs,
    options(madeAtMs, { segmentAgeMs: dayMs / 2 }),
  )
  expect(measuredDays).toBe(0.5)
  expect(flows.find(({ tier }) => tier === 'cold')?.bytesPerDay).toBe(3_000_000)
})

test('small objects are billed one by one, whatever a large one beside them has', async () => {
  const blobs = new MemoryBlobStore(clock)
  const madeAtMs = clock.nowMs()
  await blobs.create(segmentKey('cold', madeAtMs, 0, '1-log', 0), new Uint8Array(64_000_000))
  for (let n = 1; n < 100; n++) {
    await blobs.create(segmentKey('cold', madeAtMs, 0, '1-log', n), new Uint8Array(4_096))
  }
  const { flows } = await measureStored(blobs, options(madeAtMs + dayMs))
  const cold = flows.find(({ tier }) => tier === 'cold')
  expect(cold?.shortBytesPerDay).toBe(99 * (131_072 - 4_096))
})

test('names of spans come with how much of warm was read for them', async () => {
  const report = reportOf(await measureStored(new MemoryBlobStore(clock), options(0)), config.costs)
  const dollars = { warm: 3, cold: 1, total: 4 }
  const bySpan = {
    segments: { read: 200, of: 912 },
    names: [
      { name: 'chat claude', rows: 70, bytes: 4e9, dollars },
      { name: 'tool', rows: 9, bytes: 1e9, dollars: { warm: 0.75, cold: 0.25, total: 1 } },
    ],
  }
  expect(costText({ ...report, bySpan })).toContain(
    [
      '  by span           rows  GB of text   warm, cold',
      '  chat claude         70           4        $4.00  ████████████████████',
      '  tool                 9           1        $1.00  █████',
      '  by the rows of 200 of 912 segments of warm; hot is not among it',
    ].join('\n'),
  )
})
