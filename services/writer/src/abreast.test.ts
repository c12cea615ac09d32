import { setTimeout as sleep } from 'node:timers/promises'
import { ManualClock } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import { Abreast, type Runner } from './abreast.ts'
import { ChainReader } from './chain.ts'
import { abreastAgeMs, abreastTakenMs, flushesMax, parsedBytesMax } from './config.ts'
import { RecordParser } from './decisions-reader.ts'
import { ForcedLease, type Positions } from './forced-lease.fixture.ts'
import { Gate } from './gate.ts'
import { Gathered } from './gathered.ts'
import { runHotGroup } from './hot-group.ts'
import { HotPuts } from './hot-puts.ts'
import { IdIndexer } from './id-index.ts'
import { KeptReader } from './kept-reader.ts'
import { runSegmentGroup } from './segment-group.ts'
import { SliceReader } from './slice-reader.ts'
import { decisionsTopic, Fixture, spansTopic, until } from './writer.fixture.ts'

let fixture: Fixture | undefined
afterEach(() => fixture?.stop())

const never = new AbortController().signal

/** Two groups in partition 0, and a shelf for 100. */
function pair() {
  const clock = new ManualClock()
  const abreast = new Abreast(clock)
  const shelf = abreast.shelf<number, string>(100)
  const [ahead, behind] = [abreast.enter(0), abreast.enter(0)]
  const put = (offset: number, weight = 10, partition = 0): void =>
    shelf.put(partition, offset, offset, `of ${offset}`, weight)
  return { clock, abreast, shelf, ahead, behind, put }
}

/** Whether it still waits after a few looks. */
async function waits(runner: Runner, next: number, newestMs: number, ended = never) {
  let isOver = false
  const over = runner.pace(next, newestMs, ended).then(() => {
    isOver = true
  })
  await Promise.race([over, sleep(50)])
  return { isWaiting: !isOver, over }
}

test('what is held is what another group is still to come to, once, and by partition', async () => {
  const { abreast, shelf, ahead, put } = pair()
  put(5)
  expect([shelf.take(1, 5), shelf.take(0, 5), shelf.take(0, 5)]).toEqual([
    undefined,
    'of 5',
    undefined,
  ])
  await ahead.pace(8, 0, never)
  put(7)
  expect(shelf.take(0, 7)).toBeUndefined()
  put(8)
  expect(shelf.take(0, 8)).toBe('of 8')
  abreast.enter(1)
  put(9, 10, 1)
  expect(shelf.take(1, 9)).toBeUndefined()
  expect(shelf.weight).toBe(0)
})

test('over its limit a shelf holds nothing more, nor what turns out to weigh too much', () => {
  const { shelf, put } = pair()
  put(1, 60)
  put(2, 41)
  put(3, 40)
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
  const { shelf, ahead, behind, put } = pair()
  for (const offset of [1, 2, 3]) put(offset)
  await ahead.pace(4, 0, never)
  expect(shelf.weight).toBe(30)
  await behind.pace(3, 0, never)
  expect(shelf.weight).toBe(10)
  behind.leave()
  expect(shelf.weight).toBe(0)
  put(9)
  expect(shelf.weight).toBe(0)
})

test('who is ahead waits once half a shelf is taken up, until the other has taken enough or has come', async () => {
  const { shelf, ahead, behind, put } = pair()
  for (let offset = 0; offset < 5; offset++) put(offset)
  expect(await waits(ahead, 5, 0)).toMatchObject({ isWaiting: false })
  put(5)
  const first = await waits(ahead, 6, 0)
  expect(first.isWaiting).toBe(true)
  expect(await waits(behind, 0, 0)).toMatchObject({ isWaiting: false })
  shelf.take(0, 0)
  await first.over
  put(6)
  const second = await waits(ahead, 7, 0)
  expect(second.isWaiting).toBe(true)
  await behind.pace(7, 0, never)
  await second.over
})

test('nobody waits for one who takes nothing, nor with what is old, alone, or at the end', async () => {
  const { clock, abreast, shelf, ahead, behind, put } = pair()
  for (let offset = 0; offset < 6; offset++) put(offset)
  const isWaiting = async (newestMs: number, ended?: AbortSignal): Promise<boolean> => {
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, ...(ended === undefined ? [] : [ended])])
    const { isWaiting: is, over } = await waits(ahead, 6, newestMs, signal)
    stop.abort()
    await over
    return is
  }
  expect(await isWaiting(0)).toBe(true)
  expect(await isWaiting(0, AbortSignal.abort())).toBe(false)
  clock.advanceMs(abreastTakenMs)
  expect(await isWaiting(clock.nowMs())).toBe(false)
  shelf.take(0, 0)
  put(6)
  expect(await isWaiting(clock.nowMs())).toBe(true)
  clock.advanceMs(abreastTakenMs - 1)
  expect(await isWaiting(clock.nowMs() - abreastAgeMs + 1)).toBe(true)
  expect(await isWaiting(clock.nowMs() - abreastAgeMs)).toBe(false)
  behind.leave()
  abreast.enter(1)
  expect(await isWaiting(clock.nowMs())).toBe(false)
})

test('beside a slow hot store every slice is read once, though little of them may wait', async () => {
  fixture = new Fixture()
  const traces = 60
  for (let n = 0; n < traces; n++) await fixture.keep(n)
  const { hot } = fixture
  let slicesRead = 0
  const bus = new Proxy(fixture.bus, {
    get: (inner, name) => {
      const value = Reflect.get(inner, name)
      if (name === 'fetchRanges') {
        return (...args: Parameters<typeof inner.fetchRanges>) => {
          slicesRead += args[2].length
          return inner.fetchRanges(...args)
        }
      }
      return typeof value === 'function' ? value.bind(inner) : value
    },
  })
  const slowHot: typeof hot = new Proxy(hot, {
    get: (inner, name) => {
      const value = Reflect.get(inner, name)
      if (name === 'put') {
        return async (...args: Parameters<typeof inner.put>) => {
          await sleep(5)
          return inner.put(...args)
        }
      }
      return typeof value === 'function' ? value.bind(inner) : value
    },
  })
  const options = fixture.options({ keptCache: 24 * 1024 })
  const { config, clock, log } = options
  const abreast = new Abreast(clock)
  const shared = {
    ...options,
    bus,
    decisions: decisionsTopic,
    abreast,
    kept: new KeptReader(new SliceReader(bus, spansTopic), abreast.shelf(config.keptCache), log),
    hotPuts: new HotPuts(slowHot, clock, config.hotBatchBytes),
    chains: new ChainReader(bus, decisionsTopic, log),
    parser: new RecordParser(abreast.shelf(parsedBytesMax)),
    gathered: new Gathered(config.gatheredBytes),
    flushes: new Gate(flushesMax),
    ids: new IdIndexer({ ...options, ended: never }),
    stopping: never,
  }
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  const groups = [runHotGroup, runSegmentGroup].map(group => {
    const positions: Positions = { committed: undefined }
    const lease = new ForcedLease(fixture as Fixture, positions, () => 4)
    return { positions, lease, done: group(lease, shared) }
  })
  for (const { positions } of groups) {
    await until('all is committed', () => positions.committed?.offset === end)
  }
  for (const { lease } of groups) lease.lose()
  await Promise.all(groups.map(({ done }) => done))
  expect(slicesRead).toBe(traces)
})
