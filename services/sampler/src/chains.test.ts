import type { Bus } from '@winnow/bus'
import { type Decision, type PackedSlice, refsMax } from '@winnow/model'
import { afterEach, expect, test } from 'vitest'
import { ChainCache } from './chain-cache.ts'
import { evaluation, summary, traceIdOf } from './fixtures.ts'
import { hour, topics, World } from './world.fixture.ts'

const id = traceIdOf(1)
let world: World
afterEach(async () => {
  await Promise.all(world.samplers.map(sampler => sampler.stop()))
})

const slicesOf = (from: number, count: number): PackedSlice[] =>
  Array.from({ length: count }, (_, at) => world.slice(from + at, [from + at + 1]))

/** All slices of a decision, followed through the log itself. */
async function chainOf(decision: Decision | undefined): Promise<readonly PackedSlice[]> {
  if (decision === undefined) return []
  const all = await world.decisions()
  const link = decision.prev === null ? undefined : all[decision.prev]
  return [...(link?.kind === 'decision' ? await chainOf(link) : []), ...decision.slices]
}

/** Counts what is fetched. */
function counted(bus: Bus): { readonly bus: Bus; fetches: number } {
  const counter = {
    fetches: 0,
    bus: new Proxy(bus, {
      get: (of, name) => {
        if (name === 'fetch') counter.fetches++
        const value: unknown = Reflect.get(of, name, of)
        return typeof value === 'function' ? value.bind(of) : value
      },
    }),
  }
  return counter
}

test('a chain grows through the log, and who comes next reads it there', async () => {
  world = new World()
  const first = await world.start()
  const all = slicesOf(0, 3 * refsMax)
  await world.write(summary(id, all.slice(0, refsMax + 10)), summary(id, all.slice(100, 400)))
  await world.settled()
  expect((await world.of(id)).at(-1)).toMatchObject({ sliceCount: 400, spanCount: 400 })
  await first.stop()
  const next = counted(world.bus)
  await world.start({ bus: next.bus })
  await world.write(summary(id, all.slice(300)))
  await world.settled()
  await world.write(evaluation(id, { name: 'csat', score: 1 }))
  await world.settled()
  const decisions = await world.of(id)
  const last = decisions.at(-1)
  expect(last).toMatchObject({
    verdict: 'keep',
    writePrev: true,
    sliceCount: all.length,
    spanCount: all.length,
    inputTokens: 10 * all.length,
  })
  expect(await chainOf(last)).toEqual(all)
  expect(decisions.map(({ revision }) => revision)).toEqual(decisions.map((_, at) => at + 1))
  // The last decision and its chain once, then each time the last one alone.
  expect(next.fetches).toBe(3)
})

test('a chain that retention has cut is another series', async () => {
  world = new World()
  await world.start()
  await world.write(summary(id, slicesOf(0, refsMax + 3)))
  await world.settled()
  world.bus.expire(topics.decisions, 0, 2)
  world.clock.advanceMs(hour)
  await world.samplers[0]?.stop()
  await world.start()
  await world.write(evaluation(id, { name: 'csat', score: 1 }))
  await world.settled()
  expect((await world.of(id)).at(-1)).toMatchObject({
    revision: 1,
    series: true,
    seriesFrom: { offset: refsMax, start: -1 },
    verdict: 'keep',
    sliceCount: 3,
    write: [0, 1, 2],
  })
})

test('chains take memory up to a limit, and one past it the oldest used goes', () => {
  world = new World()
  const slices = slicesOf(0, 1)
  const cache = new ChainCache(100)
  cache.set(1, { slices, bytes: 60 })
  cache.set(2, { slices, bytes: 40 })
  expect([1, 2].map(at => cache.get(at)?.bytes)).toEqual([60, 40])
  cache.get(1)
  cache.set(3, { slices, bytes: 1 })
  expect([1, 2, 3].map(at => cache.get(at)?.bytes)).toEqual([60, undefined, 1])
  cache.set(4, { slices, bytes: 101 })
  expect([1, 3, 4].map(at => cache.get(at)?.bytes)).toEqual([undefined, undefined, 101])
  cache.forget(4)
  cache.set(5, { slices, bytes: 100 })
  expect(cache.get(5)?.bytes).toBe(100)
})
