import type { Bus } from '@winnow/bus'
import { type Log, silentLog } from '@winnow/runtime'
import { MemoryBlobStore } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { evaluation, root, summary, traceIdOf } from './fixtures.ts'
import { topics, until, World } from './world.fixture.ts'

let world: World
afterEach(async () => {
  await Promise.all(world.samplers.map(sampler => sampler.stop()))
  expect(world.failures).toEqual([])
})

const id = traceIdOf(1)

/** Events of level info and error, by name. */
function listening(): { readonly log: Log; readonly events: string[] } {
  const events: string[] = []
  const log: Log = {
    ...silentLog,
    info: event => events.push(event),
    warn: event => events.push(event),
    error: event => events.push(event),
  }
  return { log, events }
}

async function decidedAndStored(blobs: MemoryBlobStore): Promise<void> {
  world = new World()
  const first = await world.start({ blobs, config: { snapshotEvery: 1 } })
  await world.write(summary(id, [world.slice(1, [1, 2], root(100))]))
  await world.write(evaluation(traceIdOf(2), { name: 'csat', score: 5 }))
  await world.settled()
  const isStored = async (): Promise<boolean> => {
    world.clock.advanceMs(2)
    const { end } = await world.bus.bounds(topics.decisions, 0)
    for await (const { key } of blobs.list('')) if (key.includes(`${end}.`)) return true
    return false
  }
  await until(isStored)
  await first.stop()
}

test('who takes a partition up goes on from the snapshot, as if it had folded all before', async () => {
  const blobs = new MemoryBlobStore(new World().clock)
  await decidedAndStored(blobs)
  const { log, events } = listening()
  await world.start({ blobs, log })
  await world.write(
    summary(id, [world.slice(1, [1, 2], root(100))]),
    summary(traceIdOf(2), [world.slice(3, [1], root(100))]),
    evaluation(id, { name: 'csat', score: 1 }),
  )
  await world.settled()
  expect(events).toContain('sampler.snapshot_loaded')
  // The replay said nothing new; the revision goes on where the first sampler ended.
  expect(await world.of(id)).toMatchObject([
    { revision: 1, verdict: 'drop' },
    { revision: 2, verdict: 'keep', cause: 'evaluation' },
  ])
  expect((await world.of(traceIdOf(2))).at(-1)).toMatchObject({ revision: 2, sliceCount: 1 })
})

test('a snapshot that lacks decisions which retention has removed is not used', async () => {
  const blobs = new MemoryBlobStore(new World().clock)
  await decidedAndStored(blobs)
  const { end } = await world.bus.bounds(topics.decisions, 0)
  await world.bus.append(topics.decisions, 0, [{ value: Buffer.from('no record') }])
  world.bus.expire(topics.decisions, 0, end + 1)
  const { log, events } = listening()
  await world.start({ blobs, log })
  await world.write(summary(traceIdOf(3), [world.slice(9, [1], root(100))]))
  await world.settled()
  expect(events).not.toContain('sampler.snapshot_loaded')
  expect((await world.decisions()).at(-1)).toMatchObject({ revision: 1 })
})

test('a snapshot that cannot be read is told and the log folded instead', async () => {
  const blobs = new MemoryBlobStore(new World().clock)
  await decidedAndStored(blobs)
  const broken = new MemoryBlobStore(world.clock)
  for await (const { key } of blobs.list('')) await broken.create(key, Buffer.from('torn'))
  const { log, events } = listening()
  await world.start({ blobs: broken, log })
  await world.write(evaluation(id, { name: 'csat', score: 1 }))
  await world.settled()
  expect(events).toContain('sampler.snapshot_unreadable')
  expect((await world.of(id)).at(-1)).toMatchObject({ revision: 2, verdict: 'keep' })
})

test('a partition that comes back goes on with the memory of it that was kept', async () => {
  world = new World()
  const reads: number[] = []
  const bus = new Proxy(world.bus, {
    get: (target, name) => {
      if (name !== 'read')
        return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)
      return (topic: string, partition: number, from: number, ...rest: [number, number]) => {
        if (topic === topics.decisions) reads.push(from)
        return target.read(topic, partition, from, ...rest)
      }
    },
  })
  await world.start({ bus })
  await world.write(summary(id, [world.slice(1, [1, 2], root(100))]))
  await world.settled()
  const other = await world.start()
  await other.stop()
  reads.length = 0
  await world.write(evaluation(id, { name: 'csat', score: 1 }))
  await until(async () => (await world.of(id)).length === 2)
  expect(reads.length).toBeGreaterThan(0)
  expect(Math.min(...reads)).toBeGreaterThan(1)
})

test('a position is unknown while the partition is folded, and where it is not held', async () => {
  world = new World()
  const { bus } = world
  const { promise, resolve } = Promise.withResolvers<void>()
  const folding: Bus = new Proxy<Bus>(bus, {
    get: (target, name: keyof Bus) => {
      if (name !== 'read') return (target[name] as () => unknown).bind(target)
      const read: Bus['read'] = async (topic, ...rest) => {
        if (topic === topics.decisions) await promise
        return target.read(topic, ...rest)
      }
      return read
    },
  })
  const sampler = await world.start({ bus: folding })
  await world.write(summary(id, [world.slice(1, [1, 2], root(100))]))
  await until(async () => (await bus.bounds(topics.decisions, 0)).end > 0)
  expect(sampler.position(0)).toBeUndefined()
  resolve()
  await world.settled()
  expect(sampler.position(0)).toBe(1)
  expect(sampler.position(1)).toBeUndefined()
})
