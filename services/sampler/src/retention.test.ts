import type { Bus } from '@winnow/bus'
import { silentLog } from '@winnow/runtime'
import { MemoryBlobStore, readIndexSnapshot } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { evaluation, root, summary, traceIdOf } from './fixtures.ts'
import { topics, until, World } from './world.fixture.ts'

let world: World
function newWorld(): World {
  world = new World()
  return world
}
afterEach(async () => {
  await Promise.all(world.samplers.map(sampler => sampler.stop()))
})

const dropped = traceIdOf(1)
const kept = traceIdOf(2, 'ffffffffffffff')

test('a keep whose record has left the bus within its life stays one', async () => {
  const { bus } = newWorld()
  await world.start()
  await world.write(summary(kept, [world.slice(1, [1, 2], root(100))]))
  await world.settled()
  expect(await world.of(kept)).toMatchObject([{ verdict: 'keep' }])
  const { end } = await bus.bounds(topics.decisions, 0)
  world.bus.expire(topics.decisions, 0, end)
  await world.write(evaluation(kept, { name: 'csat', score: 5 }))
  await world.settled()
  expect(await world.of(kept)).toMatchObject([
    { revision: 1, series: true, verdict: 'keep', inherited: true, sliceCount: 0 },
  ])
})

test('a keep whose slices cannot be read any more stays one, and stops nothing', async () => {
  newWorld()
  const bus: Bus = new Proxy<Bus>(world.bus, {
    get: (target, name: keyof Bus) => {
      if (name !== 'fetch') return (target[name] as () => unknown).bind(target)
      const fetch: Bus['fetch'] = async (topic, partition, offset) => {
        const record = await target.fetch(topic, partition, offset)
        const text = Buffer.from(record.value).toString().replace('"slices":["', '"slices":["!')
        return { ...record, value: Buffer.from(text) }
      }
      return fetch
    },
  })
  const events: string[] = []
  await world.start({ bus, log: { ...silentLog, error: event => events.push(event) } })
  await world.write(summary(kept, [world.slice(1, [1, 2], root(100))]))
  await world.settled()
  await world.write(evaluation(kept, { name: 'csat', score: 5 }))
  await world.settled()
  expect(events).toEqual(['sampler.slices_unreadable'])
  expect((await world.of(kept)).at(-1)).toMatchObject({
    revision: 1,
    series: true,
    verdict: 'keep',
    inherited: true,
    sliceCount: 0,
  })
  expect(world.failures).toEqual([])
})

test('decisions that retention passes before they are read back are taken again under another claim', async () => {
  newWorld()
  let isCut = false
  const bus: Bus = new Proxy<Bus>(world.bus, {
    get: (target, name: keyof Bus) => {
      if (name !== 'append') return (target[name] as () => unknown).bind(target)
      const append: Bus['append'] = async (topic, partition, records) => {
        const first = await target.append(topic, partition, records)
        const isDecision = topic === topics.decisions && first > 0
        if (isDecision && !isCut) world.bus.expire(topic, partition, first + records.length)
        isCut ||= isDecision
        return first
      }
      return append
    },
  })
  await world.start({ bus })
  await world.write(summary(kept, [world.slice(1, [1, 2], root(100))]))
  await world.settled()
  expect(isCut).toBe(true)
  expect(world.failures).toEqual([])
  expect(await world.of(kept)).toMatchObject([{ revision: 1, verdict: 'keep' }])
})

test('a snapshot that retention overtakes before its tail is read is not gone on from', async () => {
  newWorld()
  const blobs = new MemoryBlobStore(world.clock)
  const first = await world.start({ blobs, config: { snapshotEvery: 1 } })
  await world.write(summary(dropped, [world.slice(1, [1, 2], root(100))]))
  await world.settled()
  await until(() => hasSnapshot(blobs, 2))
  await first.stop()
  const second = await world.start()
  await world.write(evaluation(dropped, { name: 'csat', score: 1 }))
  await world.settled()
  await second.stop()
  // It has loaded the snapshot when retention passes the second revision, which lies behind it.
  let isCut = false
  const bus: Bus = new Proxy<Bus>(world.bus, {
    get: (target, name: keyof Bus) => {
      if (name !== 'read') return (target[name] as () => unknown).bind(target)
      const read: Bus['read'] = (topic, partition, ...rest) => {
        if (topic === topics.decisions && !isCut) world.bus.expire(topic, partition, 4)
        isCut ||= topic === topics.decisions
        return target.read(topic, partition, ...rest)
      }
      return read
    },
  })
  const events: string[] = []
  const told = (event: string) => events.push(event)
  const log = { ...silentLog, info: told, warn: told }
  await world.start({ blobs, bus, log, config: { snapshotEvery: 1 } })
  await world.write(summary(kept, [world.slice(2, [1, 2], root(100))]))
  await world.settled()
  expect(events).toEqual(
    expect.arrayContaining(['sampler.snapshot_loaded', 'sampler.fold_dropped', 'sampler.fenced']),
  )
  expect(await world.decisions()).toMatchObject([
    { kind: 'claim', offset: 4 },
    { kind: 'claim', offset: 5 },
    { kind: 'decision', offset: 6, traceId: kept },
  ])
  await until(() => hasSnapshot(blobs, 7))
  const offsets: number[] = []
  await readIndexSnapshot(blobs, await snapshotKey(blobs, 7), ({ offset }) => offsets.push(offset))
  // Not the first revision of the other trace, at 1: its last one is another.
  expect(offsets).toEqual([6])
  expect(world.failures).toEqual([])
})

async function hasSnapshot(blobs: MemoryBlobStore, nextOffset: number): Promise<boolean> {
  world.clock.advanceMs(2)
  return (await snapshotKey(blobs, nextOffset)) !== ''
}

/** Empty while there is none. */
async function snapshotKey(blobs: MemoryBlobStore, nextOffset: number): Promise<string> {
  for await (const { key } of blobs.list('index/'))
    if (key.endsWith(`0${nextOffset}.idx`)) return key
  return ''
}
