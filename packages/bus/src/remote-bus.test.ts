import { once } from 'node:events'
import { MessageChannel, Worker } from 'node:worker_threads'
import { ManualClock } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { busContract } from './bus.contract.ts'
import type { Batch, Bus } from './bus.ts'
import { batchMemory } from './kafka-memory.ts'
import { copyOf } from './kafka-reader.ts'
import { MemoryBus } from './memory-bus.ts'
import { RemoteBus } from './remote-bus.ts'
import { serveBus } from './serve-bus.ts'
import type { TopicSpec } from './topics.ts'
import { messagesPerTurn, Turns } from './turns.ts'

const innerOf = new WeakMap<Bus, MemoryBus>()

function remoteOf(inner: MemoryBus): RemoteBus {
  const { port1, port2 } = new MessageChannel()
  serveBus(port1, inner)
  const bus = new RemoteBus(port2)
  innerOf.set(bus, inner)
  return bus
}

busContract('RemoteBus', {
  open: async specs => remoteOf(new MemoryBus(specs, new ManualClock())),
  second: async bus => remoteOf(innerOf.get(bus) as MemoryBus),
  reopen: async bus => remoteOf(innerOf.get(bus) as MemoryBus),
  expire: async (bus, topic, partition) => {
    const { end } = await bus.bounds(topic, partition)
    innerOf.get(bus)?.expire(topic, partition, end)
  },
  recreate: async (_bus, again) => remoteOf(new MemoryBus([again], new ManualClock())),
})

const spec: TopicSpec = { name: 't', partitions: 3, retentionMs: 0, keyed: false }
const bytes = (text: string): Uint8Array => Buffer.from(text)

test('a worker folds a topic of the main thread and appends to it', async () => {
  const inner = new MemoryBus([spec], new ManualClock())
  const worker = new Worker(new URL('./remote-bus.fixture.ts', import.meta.url))
  onTestFinished(async () => {
    await worker.terminate()
  })
  const { port1, port2 } = new MessageChannel()
  const served = serveBus(port1, inner)
  worker.postMessage(port2, [port2])
  await inner.append('t', 0, [{ value: bytes('a') }, { value: bytes('b') }])
  const answer = await inner.read('t', 1, 0, 1000, 600_000)
  expect(answer.records.map(record => Buffer.from(record.value).toString())).toEqual(['A'])
  expect(await inner.committed('t', 'g', 0)).toEqual({ offset: 1, note: 'a' })
  await served.close()
})

test('a served read holds memory from its records to its answer, and then others have it', async () => {
  const taken: Buffer[] = []
  class Reading extends MemoryBus {
    override async read(...asked: Parameters<Bus['read']>): Promise<Batch> {
      const [topic, partition, from, bytesMax, waitMs, take] = asked
      const batch = await super.read(topic, partition, from, bytesMax, waitMs)
      return {
        records: copyOf(
          batch.records,
          count => taken[taken.push(take?.(count) as Buffer) - 1] as Buffer,
        ),
      }
    }
  }
  const inner = new Reading([spec], new ManualClock())
  const bus = remoteOf(inner)
  const value = Buffer.alloc(3_000_000, 'a')
  await inner.append('t', 0, [{ value }])
  const { records } = await bus.read('t', 0, 0, 1e7, 0)
  expect(value.equals(records[0]?.value as Uint8Array)).toBe(true)
  expect(batchMemory.take(value.length).bytes === taken[0]).toBe(true)
})

test('a worker that dies gives its leases back', async () => {
  const inner = new MemoryBus([spec], new ManualClock())
  const worker = new Worker(new URL('./remote-bus.fixture.ts', import.meta.url))
  const { port1, port2 } = new MessageChannel()
  serveBus(port1, inner)
  worker.postMessage(port2, [port2])
  await inner.append('t', 0, [{ value: bytes('a') }])
  await inner.read('t', 1, 0, 1000, 600_000)
  await worker.terminate()
  const owned = new Set<number>()
  const membership = inner.join('t', 'g', async lease => {
    owned.add(lease.partition)
  })
  while (owned.size < 3) await new Promise(resolve => setTimeout(resolve, 5))
  await membership.close()
})

test('when the port closes, calls and memberships end with BUS_UNAVAILABLE', async () => {
  const inner = new MemoryBus([spec], new ManualClock())
  const { port1, port2 } = new MessageChannel()
  serveBus(port1, inner)
  const bus = new RemoteBus(port2)
  const reading = bus.read('t', 0, 0, 1000, 600_000)
  const membership = bus.join('t', 'g', async lease => {
    await once(lease.lost, 'abort')
  })
  const unavailable = { code: 'BUS_UNAVAILABLE' }
  const ends = [
    expect(reading).rejects.toMatchObject(unavailable),
    expect(membership.failed).rejects.toMatchObject(unavailable),
  ]
  await bus.bounds('t', 0)
  port1.close()
  await Promise.all(ends)
  await expect(bus.append('t', 0, [{ value: bytes('a') }])).rejects.toMatchObject(unavailable)
  await membership.close()
})

test('a membership of a topic that does not exist fails with the error of the bus', async () => {
  const bus = remoteOf(new MemoryBus([spec], new ManualClock()))
  const membership = bus.join('nowhere', 'g', async () => undefined)
  await expect(membership.failed).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await bus.close()
})

test('a burst of messages lets others in after every turn', async () => {
  const seen: string[] = []
  const turns = new Turns<number>(message => seen.push(`${message}`))
  for (let at = 0; at < 2 * messagesPerTurn; at++) turns.push(at)
  setImmediate(() => seen.push('other'))
  while (seen.length < 2 * messagesPerTurn + 1) await new Promise(resolve => setImmediate(resolve))
  expect(seen.indexOf('other')).toBe(messagesPerTurn)
})
