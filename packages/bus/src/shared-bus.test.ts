import { MessageChannel, Worker } from 'node:worker_threads'
import { ManualClock } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { busContract } from './bus.contract.ts'
import type { Bus, BusRecord, RecordHead } from './bus.ts'
import {
  hourMs,
  openBus,
  openHeldBus,
  randomFrom,
  readWhileHeld,
  records,
  temporaryFolder,
  textOf,
  textsOf,
} from './file-bus.fixture.ts'
import { FileBus } from './file-bus.ts'
import { RemoteBus } from './remote-bus.ts'
import { serveBus } from './serve-bus.ts'
import { checkedValue, type TailReport } from './shared-bus.fixture.ts'

interface Served {
  readonly bus: RemoteBus
  /** Kinds of the requests so far. */
  readonly requests: string[]
}

function served(inner: Bus): Served {
  const { port1, port2 } = new MessageChannel()
  const requests: string[] = []
  port1.on('message', ({ kind }) => requests.push(kind))
  serveBus(port1, inner)
  return { bus: new RemoteBus(port2), requests }
}

const innerOf = new WeakMap<Bus, FileBus>()

busContract('RemoteBus of a FileBus, by the memory of its tails', {
  open: async specs => {
    const folder = await temporaryFolder()
    const inner = await FileBus.open({ folder, specs, clock: new ManualClock() })
    onTestFinished(() => inner.close())
    const { bus } = served(inner)
    innerOf.set(bus, inner)
    // The tails have come: from here on the suite reads them.
    await bus.logId(specs[0]?.name ?? '')
    return bus
  },
  second: async bus => {
    const inner = innerOf.get(bus) as FileBus
    const other = served(inner).bus
    innerOf.set(other, inner)
    return other
  },
})

function headOf({ offset, appendedAtMs, header, value }: BusRecord): RecordHead {
  const head = { offset, appendedAtMs, valueBytes: value.length }
  return header === undefined ? head : { ...head, header: Uint8Array.from(header) }
}

const smallRing = { ringBytes: 64 * 1024, commitBytesMax: 16 * 1024 }

test('what lies in the tail is read, fetched, cut and waited for without a message', async () => {
  const { bus: inner } = await openBus()
  const { bus, requests } = served(inner)
  await bus.logId('t')
  await inner.append('t', 2, records('a', 'b', 'c'))
  expect(textsOf(await bus.read('t', 2, 1, 100, 0))).toEqual(['b', 'c'])
  expect(textOf(await bus.fetch('t', 2, 1))).toBe('b')
  expect(await bus.bounds('t', 2)).toEqual({ first: 0, end: 3 })
  const ranges = await bus.fetchRanges('t', 2, [{ offset: 2, start: 0, length: 1 }])
  expect(Buffer.from(ranges[0] as Uint8Array).toString()).toBe('c')
  const waiting = bus.read('t', 2, 3, 100, 600_000)
  await inner.append('t', 1, records('other'))
  await inner.append('t', 2, records('d'))
  expect(textsOf(await waiting)).toEqual(['d'])
  expect(requests).toEqual(['logId'])
})

test('a lease reads the tail without a message, from where its group stands', async () => {
  const { bus: inner } = await openBus()
  const { bus, requests } = served(inner)
  await inner.append('t', 2, records('a', 'b', 'c'))
  const fold = async (count: number): Promise<string[]> => {
    const seen = Promise.withResolvers<string[]>()
    const membership = bus.join('t', 'g', async lease => {
      if (lease.partition !== 2) return
      const texts: string[] = []
      while (texts.length < count) texts.push(...textsOf(await lease.read(1, 600_000)))
      await lease.commit({ offset: 2, note: '' })
      seen.resolve(texts)
    })
    const texts = await seen.promise
    await membership.close()
    return texts
  }
  expect(await fold(3)).toEqual(['a', 'b', 'c'])
  await inner.append('t', 2, records('d'))
  expect(await fold(2)).toEqual(['c', 'd'])
  expect(requests.filter(kind => kind.toLowerCase().includes('read'))).toEqual([])
})

test('what the ring has gone round is asked for: whole, once and in order', async () => {
  const { bus: inner } = await openBus({ logLimits: smallRing })
  const { bus, requests } = served(inner)
  const texts = Array.from({ length: 40 }, (_, at) => `${at}`.padEnd(8_000, 'x'))
  for (const text of texts) await inner.append('t', 0, records(text))
  await bus.logId('t')
  const seen: string[] = []
  while (seen.length < texts.length)
    seen.push(...textsOf(await bus.read('t', 0, seen.length, 20_000, 0)))
  expect(seen).toEqual(texts)
  const asked = requests.length
  expect(asked).toBeGreaterThan(1)
  const [old, young] = await bus.fetchRanges('t', 0, [
    { offset: 1, start: 0, length: 3 },
    { offset: 39, start: 0, length: 3 },
  ])
  expect([old, young].map(read => Buffer.from(read as Uint8Array).toString())).toEqual([
    '1xx',
    '39x',
  ])
  expect(requests.length).toBe(asked + 1)
})

test('a read that finds nothing has waited for what was stamped before it asked', async () => {
  const held = await openHeldBus()
  const { bus } = served(held.bus)
  await bus.logId('t')
  expect(await readWhileHeld(held, bus)).toEqual({ before: undefined, after: ['b'] })
})

test('whatever is appended and expires, a thread sees the same as the bus itself', async () => {
  const seed = 7
  const random = randomFrom(seed)
  const logLimits = { ...smallRing, segmentBytes: 40_000, lagGraceMs: 0 }
  const { bus: inner, clock } = await openBus({ logLimits })
  const { bus, requests } = served(inner)
  await bus.logId('t')
  let read = 0
  for (let step = 0; step < 300; step++) {
    const partition = random(3)
    const sizes = Array.from({ length: random(4) }, () => random(random(8) === 0 ? 9_000 : 300))
    const values = sizes.map(size => ({
      value: Buffer.alloc(size, random(256)),
      ...(random(2) === 0 && { header: Buffer.alloc(random(20), random(256)) }),
      ...(random(4) === 0 && { key: Buffer.alloc(random(20), random(256)) }),
    }))
    if (values.length > 0) await inner.append('t', partition, values)
    clock.advanceMs(random(hourMs / 20))
    if (random(10) === 0) await inner.sweep()
    const bounds = await inner.bounds('t', partition)
    expect(await bus.bounds('t', partition), `seed ${seed}`).toEqual(bounds)
    const from = random(bounds.end + 1)
    const here = await inner.read('t', partition, from, 20_000, 0)
    const there = await bus.read('t', partition, from, 20_000, 0)
    expect(there.gap, `seed ${seed}`).toEqual(here.gap)
    expect(there.records.length > 0).toBe(here.records.length > 0)
    const shorter = Math.min(here.records.length, there.records.length)
    const heads = bus.heads('t', partition, from)
    expect(heads.length === 0 || here.gap === undefined).toBe(true)
    expect(heads.slice(0, shorter), `seed ${seed}`).toEqual(
      here.records.slice(0, heads.length).map(headOf).slice(0, shorter),
    )
    expect(there.records.slice(0, shorter), `seed ${seed}`).toEqual(here.records.slice(0, shorter))
    read += shorter
    if (here.gap === undefined && shorter > 0) {
      expect(await bus.fetch('t', partition, from)).toEqual(here.records[0])
    }
  }
  // Some of it by memory, some by messages.
  expect(read).toBeGreaterThan(100)
  const asked = requests.filter(kind => kind === 'read').length
  expect(asked > 10 && asked < 200, `${asked} of 300 reads were asked for`).toBe(true)
})

test('a worker reads what another thread writes over at the same time, whole or not at all', async () => {
  const seed = 25
  const random = randomFrom(seed)
  const { bus } = await openBus({ logLimits: smallRing })
  const counts = [0, 0, 0]
  const worker = new Worker(new URL('./shared-bus.fixture.ts', import.meta.url))
  onTestFinished(async () => {
    await worker.terminate()
  })
  const report = new Promise<TailReport>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  const { port1, port2 } = new MessageChannel()
  const serving = serveBus(port1, bus)
  worker.postMessage({ port: port2, seed }, [port2])
  for (let step = 0; step < 1500; step++) {
    const partition = random(3)
    const values = Array.from({ length: 1 + random(6) }, (_, at) =>
      checkedValue(partition, (counts[partition] as number) + at, random(3) === 0 ? 3000 : 200),
    )
    counts[partition] = (counts[partition] as number) + values.length
    const appending = bus.append(
      't',
      partition,
      values.map(value => ({ value })),
    )
    if (random(3) === 0) await appending
  }
  for (let p = 0; p < 3; p++) {
    await bus.append('t', p, [{ value: checkedValue(p, counts[p] as number, 0) }])
  }
  const { problems, ends, cut } = await report
  expect(problems, `seed ${seed}`).toEqual([])
  expect(ends).toEqual(counts.map(count => count + 1))
  expect(cut).toBeGreaterThan(0)
  await serving.close()
})
