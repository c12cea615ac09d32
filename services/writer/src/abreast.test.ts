import { setTimeout as sleep } from 'node:timers/promises'
import { ManualClock } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { Abreast, type Runner } from './abreast.ts'
import type { PaceLimits } from './config.ts'
import { ForcedLease, type Positions, sharedBy } from './forced-lease.fixture.ts'
import { runHotGroup } from './hot-group.ts'
import { runSegmentGroup } from './segment-group.ts'
import { decisionsTopic, Fixture, until } from './writer.fixture.ts'

const never = new AbortController().signal

const limits: PaceLimits = { takenMs: 1_000, ageMs: 60_000 }

/** Two groups in partition 0, and a shelf for 100. */
function pair() {
  const clock = new ManualClock()
  const abreast = new Abreast(clock)
  const shelf = abreast.shelf<number, string>(100)
  const [ahead, behind] = [abreast.enter(0, 'ahead'), abreast.enter(0, 'behind')]
  const put = (offset: number, weight = 10, partition = 0): void =>
    shelf.put(partition, offset, offset, `of ${offset}`, weight)
  const waits = (runner: Runner, next: number, newestMs = clock.nowMs(), ended = never) =>
    runner.pace(next, newestMs, limits, ended)
  return { clock, abreast, shelf, ahead, behind, put, waits }
}

test('what is held is what another group is still to come to, once, and by partition', async () => {
  const { abreast, shelf, ahead, put, waits } = pair()
  put(5)
  expect([shelf.take(1, 5), shelf.take(0, 5), shelf.take(0, 5)]).toEqual([
    undefined,
    'of 5',
    undefined,
  ])
  await waits(ahead, 8)
  put(7)
  expect(shelf.take(0, 7)).toBeUndefined()
  put(8)
  expect(shelf.take(0, 8)).toBe('of 8')
  abreast.enter(1, 'ahead')
  put(9, 10, 1)
  expect(shelf.take(1, 9)).toBeUndefined()
  abreast.enter(1, 'behind', 10)
  put(9, 10, 1)
  expect(shelf.take(1, 9)).toBeUndefined()
  put(10, 10, 1)
  expect(shelf.take(1, 10)).toBe('of 10')
  expect(shelf.weight).toBe(0)
})

test('over its limit a shelf holds nothing more, nor what turns out to weigh too much', () => {
  const { shelf, put } = pair()
  put(1, 60)
  put(2, 41)
  put(3, 39)
  put(3, 1)
  expect(shelf.weight).toBe(99)
  shelf.reweigh(0, 3, 'of 3', 40)
  expect(shelf.weight).toBe(100)
  shelf.reweigh(0, 3, 'of 3', 41)
  expect([shelf.weight, shelf.take(0, 3)]).toEqual([60, undefined])
  shelf.reweigh(0, 1, 'another', 1)
  shelf.reweigh(0, 1, 'of 1', 70)
  expect(shelf.weight).toBe(70)
  shelf.reweigh(0, 1, 'of 1', undefined)
  expect([shelf.weight, shelf.take(0, 1)]).toEqual([0, undefined])
})

test('what both have passed is forgotten, and all of a partition that one of them leaves', async () => {
  const { shelf, ahead, behind, put, waits } = pair()
  for (const offset of [1, 2, 3]) put(offset)
  await waits(ahead, 4)
  expect(shelf.weight).toBe(30)
  await waits(behind, 3)
  expect(shelf.weight).toBe(10)
  behind.leave()
  expect(shelf.weight).toBe(0)
  put(9)
  expect(shelf.weight).toBe(0)
})

test('who is ahead waits while more than half a shelf is taken up, and the other is behind', async () => {
  const { abreast, shelf, ahead, behind, put, waits } = pair()
  for (let offset = 10; offset < 15; offset++) put(offset)
  expect(await waits(ahead, 15)).toBe(false)
  put(15)
  expect(await waits(ahead, 16)).toBe(true)
  expect(await waits(behind, 9)).toBe(false)
  shelf.take(0, 10)
  expect(await waits(ahead, 16)).toBe(false)
  put(16)
  expect(await waits(ahead, 17)).toBe(true)
  // What fills the shelf is another partition's: the two are level all the same.
  for (const group of ['ahead', 'behind']) abreast.enter(1, group)
  for (let offset = 0; offset < 4; offset++) put(offset, 10, 1)
  await waits(behind, 11)
  for (const offset of [12, 13, 14]) shelf.take(0, offset)
  put(4, 20, 1)
  expect(await waits(ahead, 17)).toBe(true)
  await waits(behind, 17)
  expect(shelf.weight).toBe(60)
  expect(await waits(ahead, 17)).toBe(false)
})

test('nobody waits for one who takes nothing, nor with what is old, alone, or at the end', async () => {
  const { clock, abreast, shelf, ahead, behind, put, waits } = pair()
  for (let offset = 0; offset < 6; offset++) put(offset)
  expect(await waits(ahead, 6)).toBe(true)
  expect(await waits(ahead, 6, 0, AbortSignal.abort())).toBe(false)
  clock.advanceMs(limits.takenMs - 1)
  expect(await waits(ahead, 6)).toBe(true)
  clock.advanceMs(1)
  expect(await waits(ahead, 6)).toBe(false)
  shelf.take(0, 0)
  put(6)
  expect(await waits(ahead, 6)).toBe(true)
  expect(await waits(ahead, 6, clock.nowMs() - limits.ageMs + 1)).toBe(true)
  expect(await waits(ahead, 6, clock.nowMs() - limits.ageMs)).toBe(false)
  behind.leave()
  abreast.enter(1, 'behind')
  expect(await waits(ahead, 6)).toBe(false)
})

test('a group that takes a partition up again counts in the place of what it left running', async () => {
  const { abreast, shelf, ahead, behind, put, waits } = pair()
  await waits(behind, 3)
  const again = abreast.enter(0, 'behind', 6)
  for (let offset = 6; offset < 12; offset++) put(offset)
  expect(await waits(ahead, 6)).toBe(false)
  behind.leave()
  expect(shelf.weight).toBe(60)
  expect(await waits(ahead, 12)).toBe(true)
  again.leave()
  expect(shelf.weight).toBe(0)
})

/** Kept traces, of whose slices few may wait, and how many were read. */
async function tight(kept: number) {
  const fixture = new Fixture()
  onTestFinished(() => fixture.stop())
  for (let n = 0; n < kept; n++) await fixture.keep(n)
  const { bus } = fixture
  const fetchRanges = bus.fetchRanges.bind(bus)
  const slices = { read: 0 }
  bus.fetchRanges = (topic, partition, ranges) => {
    slices.read += ranges.length
    return fetchRanges(topic, partition, ranges)
  }
  const shared = sharedBy(fixture.options({ keptCache: 24 * 1024 }))
  const { end } = await bus.bounds(decisionsTopic, 0)
  const run = (group: typeof runHotGroup | typeof runSegmentGroup) => {
    const positions: Positions = { committed: undefined }
    const lease = new ForcedLease(fixture, positions, () => 4)
    return { positions, lease, done: group(lease, shared) }
  }
  return { fixture, slices, shared, end, run }
}

test('beside a slow hot store every slice is read once, though little of them may wait', async () => {
  const kept = 60
  const { fixture, slices, end, run } = await tight(kept)
  const { hot } = fixture
  const put = hot.put.bind(hot)
  hot.put = async traces => {
    await sleep(5)
    return put(traces)
  }
  const groups = [run(runHotGroup), run(runSegmentGroup)]
  for (const { positions } of groups) {
    await until('all is committed', () => positions.committed?.offset === end)
  }
  for (const { lease } of groups) lease.lose()
  await Promise.all(groups.map(({ done }) => done))
  expect(slices.read).toBe(kept)
})

test.each([
  ['hot commits what it has put', 'segments', runHotGroup],
  ['segments that are due are written', 'hot', runSegmentGroup],
] as const)('while one waits for the other, %s', async (_, behind, group) => {
  const kept = 60
  const { fixture, slices, shared, end, run } = await tight(kept)
  const { abreast } = shared
  const pace = abreast.pace.bind(abreast)
  let hasWaited = false
  abreast.pace = async (...runner) => {
    const waits = await pace(...runner)
    hasWaited ||= waits
    return waits
  }
  abreast.enter(0, behind)
  const { positions, lease, done } = run(group)
  await until('it waits', () => hasWaited)
  expect(slices.read).toBeLessThan(kept)
  expect(positions.committed).toBeUndefined()
  await until('it is committed', () => {
    fixture.clock.advanceMs(100)
    abreast.taken(0)
    return positions.committed !== undefined
  })
  expect(positions.committed?.offset).toBeLessThan(end)
  lease.lose()
  await done
})
