import { type BusRecord, MemoryBus, topicSpecs } from '@winnow/bus'
import { ManualClock, silentLog } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { type BaselineKey, Baselines } from './baselines.ts'
import { lastBaselines, writeBaselines } from './baselines-record.ts'
import { BaselinesFollower } from './follow-baselines.ts'

const key: BaselineKey = { tenant: 't', service: 's', operation: 'o' }
const specs = topicSpecs({ prefix: 'test', generation: 1, partitions: 3 })
const topic = specs.baselines.name

function newBus(): MemoryBus {
  return new MemoryBus(Object.values(specs), new ManualClock())
}

/** A sampler's share of following, without the sampler. */
function member(bus: MemoryBus, held: readonly number[]) {
  const baselines = new Baselines({ windowMs: 3_600_000, countMin: 1, keysMax: 10 })
  for (const partition of held) baselines.hold(partition, undefined)
  const follower = new BaselinesFollower({ bus, topic, baselines, log: silentLog })
  const count = () => baselines.bar(key, 0.99).count
  const add = (partition: number, n: number) => {
    for (let i = 0; i < n; i++) baselines.add(partition, key, 100, 0)
    return writeBaselines(bus, topic, partition, baselines)
  }
  return { baselines, follower, count, add }
}

test('each sampler judges by the traffic of all partitions, counted once', async () => {
  const bus = newBus()
  const a = member(bus, [0, 1])
  const b = member(bus, [2])
  await a.add(0, 10)
  await a.add(1, 20)
  await b.add(2, 5)
  for (const { follower } of [a, b, a, b]) await follower.follow()
  expect([a.count(), b.count()]).toEqual([35, 35])
  await b.add(2, 2)
  await a.follower.follow()
  expect(a.count(), 'the newer record replaces the older').toBe(37)
})

test('a partition that moves is counted once before, between and after', async () => {
  const bus = newBus()
  const a = member(bus, [0, 1])
  const b = member(bus, [2])
  await a.add(0, 10)
  await a.add(1, 20)
  await b.follower.follow()
  expect(b.count()).toBe(30)
  a.baselines.release(1)
  b.baselines.hold(1, (await lastBaselines(bus, topic, 1)).entries)
  expect([a.count(), b.count()]).toEqual([30, 30])
  await b.add(1, 3)
  await a.add(1, 50)
  await b.follower.follow()
  expect(b.count(), 'a former owner’s record is left alone').toBe(33)
})

test('behind a record that nobody can read the last one that can be is in force, and no older one', async () => {
  const [bus, elsewhere] = [newBus(), newBus()]
  await member(bus, [0]).add(0, 10)
  await member(elsewhere, [0]).add(0, 12)
  const [{ value }] = (await elsewhere.read(topic, 0, 0, 1e6, 0)).records as [BusRecord]
  const torn = { key: Buffer.from('y'), value: Buffer.from('{') }
  await bus.append(topic, 0, [{ key: Buffer.from('x'), value }, torn])
  const b = member(bus, [])
  await b.follower.follow()
  expect(b.count()).toBe(12)
})

test('a record that nobody can read leaves the one before it in force', async () => {
  const bus = newBus()
  const a = member(bus, [0])
  const b = member(bus, [])
  await a.add(0, 10)
  await bus.append(topic, 0, [{ key: Buffer.from('x'), value: Buffer.from('{') }])
  await b.follower.follow()
  expect(b.count()).toBe(10)
  await b.follower.follow()
  expect(b.count()).toBe(10)
})

test('what a refused append did not write is written with the next, though nothing grew', async () => {
  const bus = newBus()
  const owner = member(bus, [0])
  const append = bus.append.bind(bus)
  bus.append = () => Promise.reject(new Error('refused'))
  await expect(owner.add(0, 5)).rejects.toThrow('refused')
  bus.append = append
  await owner.add(0, 0)
  const { entries } = await lastBaselines(bus, topic, 0)
  expect(entries).toHaveLength(1)
})
