import { MessageChannel } from 'node:worker_threads'
import { ManualClock } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { busContract } from './bus.contract.ts'
import type { Bus, BusRecord, Lease } from './bus.ts'
import { openBus, records, temporaryFolder, textOf, textsOf } from './file-bus.fixture.ts'
import { FileBus } from './file-bus.ts'
import { freshMemory } from './log-reader.ts'
import { type PlacedRecords, placeBatch, receiveRecords, receiveTails } from './placed-records.ts'
import { RemoteBus } from './remote-bus.ts'
import { serveBus } from './serve-bus.ts'

function remoteOf(inner: Bus): RemoteBus {
  const { port1, port2 } = new MessageChannel()
  serveBus(port1, inner)
  return new RemoteBus(port2)
}

const innerOf = new WeakMap<Bus, FileBus>()

busContract('RemoteBus of a FileBus, by places in its tails', {
  open: async specs => {
    const folder = await temporaryFolder()
    const inner = await FileBus.open({ folder, specs, clock: new ManualClock() })
    onTestFinished(() => inner.close())
    const bus = remoteOf(inner)
    innerOf.set(bus, inner)
    return bus
  },
  second: async bus => {
    const inner = innerOf.get(bus) as FileBus
    const other = remoteOf(inner)
    innerOf.set(other, inner)
    return other
  },
})

const smallRing = { ringBytes: 64 * 1024, commitBytesMax: 16 * 1024 }

test('young records stay in the tail, those of the oldest quarter of the ring are given away', async () => {
  const { bus } = await openBus({ logLimits: smallRing })
  const shared = bus.shared()
  const batchAt = (offset: number) => shared.read('t', 0, offset, 1, 0)
  const isPlaced = async (offset: number): Promise<boolean> =>
    (placeBatch(await batchAt(offset), shared.tails).records as PlacedRecords).within === 0
  const eighth = Buffer.alloc(8 * 1024 - 64, 'x')
  for (let at = 0; at < 6; at++) await bus.append('t', 0, [{ value: eighth }])
  expect(await isPlaced(0)).toBe(true)
  await bus.append('t', 0, [{ value: eighth }])
  expect(await isPlaced(0)).toBe(false)
  expect(await isPlaced(1)).toBe(true)
})

test('a place that was written over is no record: the batch has to be asked for again', async () => {
  const { bus } = await openBus({ logLimits: smallRing })
  await bus.append('t', 1, [{ value: Buffer.from('old'), header: Buffer.from('h') }])
  const shared = bus.shared()
  const sent = placeBatch(await shared.read('t', 1, 0, 100, 0), shared.tails)
  const tails = receiveTails(shared.tails)
  const receive = (partition: number) => receiveRecords(sent.records, tails, partition, freshMemory)
  expect((receive(1) as BusRecord[]).map(textOf)).toEqual(['old'])
  // The same bytes under another partition's name are another record.
  expect(receive(0)).toEqual({ from: 0, to: 1 })
  for (let at = 0; at < 9; at++) await bus.append('t', 1, [{ value: Buffer.alloc(8_000) }])
  expect(receive(1)).toEqual({ from: 0, to: 1 })
})

/** A bus whose tails are written over the moment somebody is told of a place in them. */
function forgetful(bus: FileBus): Bus {
  const shared = bus.shared()
  const lost = shared.tails.map(({ seed }) => ({ seed, memory: new SharedArrayBuffer(1 << 20) }))
  const tailOf = shared.tails.map(({ memory }) => memory)
  const placed = (record: BusRecord): BusRecord => {
    const at = tailOf.indexOf(record.value.buffer as SharedArrayBuffer)
    if (at < 0) return record
    const { memory } = lost[at] as { readonly memory: SharedArrayBuffer }
    return { ...record, value: Buffer.from(memory, record.value.byteOffset, record.value.length) }
  }
  return Object.assign(Object.create(null), {
    ...bus.shared(),
    shared: () => ({
      ...shared,
      tails: lost,
      fetch: async (...at: Parameters<Bus['fetch']>) => placed(await shared.fetch(...at)),
      read: async (...at: Parameters<Bus['read']>) => {
        const batch = await shared.read(...at)
        return { ...batch, records: batch.records.map(placed) }
      },
      join: (topic: string, group: string, fold: (lease: Lease) => Promise<void>) =>
        shared.join(topic, group, lease =>
          fold({
            ...lease,
            read: async (bytesMax, waitMs) => {
              const batch = await lease.read(bytesMax, waitMs)
              return { ...batch, records: batch.records.map(placed) }
            },
          }),
        ),
    }),
    fetch: bus.fetch.bind(bus),
    read: bus.read.bind(bus),
  }) as Bus
}

test('whoever copies too late gets every record all the same, once and in order', async () => {
  const { bus: inner } = await openBus()
  await inner.append('t', 2, records('a', 'b', 'c', 'd'))
  const bus = remoteOf(forgetful(inner))
  expect(textOf(await bus.fetch('t', 2, 1))).toBe('b')
  expect(textsOf(await bus.read('t', 2, 1, 100, 0))).toEqual(['b', 'c', 'd'])
  const seen: string[] = []
  const done = Promise.withResolvers<void>()
  const membership = bus.join('t', 'g', async lease => {
    if (lease.partition !== 2) return
    // Two bytes at a time: what is owed is read in parts too.
    while (seen.length < 5) seen.push(...textsOf(await lease.read(2, 1_000)))
    done.resolve()
  })
  await inner.append('t', 2, records('e'))
  await done.promise
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
  await membership.close()
})
