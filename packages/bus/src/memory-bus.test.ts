import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { busContract } from './bus.contract.ts'
import { MemoryBus } from './memory-bus.ts'

busContract('MemoryBus', {
  open: async specs => new MemoryBus(specs, new ManualClock()),
  expire: async (bus, topic, partition) => {
    const { end } = await bus.bounds(topic, partition)
    if (bus instanceof MemoryBus) bus.expire(topic, partition, end)
  },
  recreate: async (_bus, spec) => new MemoryBus([spec], new ManualClock()),
})

test('a record is readable for its retention and not a millisecond longer', async () => {
  const clock = new ManualClock()
  const bus = new MemoryBus([{ name: 't', partitions: 1, retentionMs: 1000, keyed: false }], clock)
  await bus.append('t', 0, [{ value: Buffer.from('a') }])
  clock.advanceMs(1000)
  await bus.append('t', 0, [{ value: Buffer.from('b') }])
  expect(await bus.bounds('t', 0)).toEqual({ first: 0, end: 2 })
  clock.advanceMs(1)
  expect(await bus.bounds('t', 0)).toEqual({ first: 1, end: 2 })
  await expect(bus.fetch('t', 0, 0)).rejects.toMatchObject({ code: 'OFFSET_GONE' })
})

test('append time is the clock of the bus, and stands still when the clock goes back', async () => {
  let nowMs = 500
  const spec = { name: 't', partitions: 1, retentionMs: 0, keyed: false }
  const bus = new MemoryBus([spec], { nowMs: () => nowMs })
  for (const at of [500, 900, 100, 901]) {
    nowMs = at
    await bus.append('t', 0, [{ value: Buffer.from('a') }])
  }
  const { records } = await bus.read('t', 0, 0, 1000, 0)
  expect(records.map(record => record.appendedAtMs)).toEqual([500, 900, 900, 901])
})

test('a closed bus wakes its readers and refuses to append', async () => {
  const spec = { name: 't', partitions: 1, retentionMs: 0, keyed: false }
  const bus = new MemoryBus([spec], new ManualClock())
  const waiting = bus.read('t', 0, 0, 1000, 600_000)
  await bus.close()
  expect((await waiting).records).toEqual([])
  const late = bus.append('t', 0, [{ value: Buffer.from('a') }])
  await expect(late).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
})

test('a record given as Buffers is a copy, whatever becomes of them', async () => {
  const spec = { name: 't', partitions: 1, retentionMs: 0, keyed: false }
  const bus = new MemoryBus([spec], new ManualClock())
  const value = Buffer.from('value')
  const header = Buffer.from('header')
  await bus.append(spec.name, 0, [{ value, header }])
  value.fill(0)
  header.fill(0)
  const record = await bus.fetch(spec.name, 0, 0)
  expect(Buffer.from(record.value).toString()).toBe('value')
  expect(Buffer.from(record.header ?? []).toString()).toBe('header')
})
