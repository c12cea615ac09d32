import { randomBytes } from 'node:crypto'
import type { TopicSpec } from '@winnow/bus'
import {
  type BusRecord,
  defaultKafkaLimits,
  type KafkaBus,
  type KafkaBusOptions,
} from '@winnow/bus'
import { expect, onTestFinished, test } from 'vitest'
import { kafkaClients } from '../../packages/bus/src/kafka-client.ts'
import { KafkaLink } from '../../packages/bus/src/kafka-link.ts'
import { splitBatches } from '../../packages/bus/src/kafka-records.ts'
import { fetchRequest } from '../../packages/bus/src/kafka-requests.ts'
import { adminOf, expire, kafkajs, newSpec, openBus } from './kafka/clients.ts'
import { kafkaForTest, sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')
const mib = 1024 * 1024

async function open(
  specs: readonly TopicSpec[],
  options: Partial<KafkaBusOptions> = {},
): Promise<KafkaBus> {
  const bus = await openBus(broker, specs, options)
  onTestFinished(() => bus.close())
  return bus
}

const alter = (topic: string, settings: Readonly<Record<string, string>>): Promise<unknown> =>
  adminOf(broker, admin =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topic,
          configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
        },
      ],
    }),
  )

fact('an append at its limit is stored whole although it cannot be compressed', async () => {
  const spec = newSpec(1)
  const bus = await open([spec])
  const value = randomBytes(defaultKafkaLimits.producerBatchBytesMax - 64)
  const offset = await bus.append(spec.name, 0, [{ value }])
  expect(Buffer.compare((await bus.fetch(spec.name, 0, offset)).value, value)).toBe(0)
  const over = bus.append(spec.name, 0, [{ value: Buffer.alloc(value.length + 1) }])
  await expect(over).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  const nine = bus.append(spec.name, 0, [{ value: Buffer.alloc(9 * mib) }])
  await expect(nine).rejects.toThrow(/PAYLOAD_TOO_LARGE.*`producerBatchBytesMax`/)
  expect((await bus.bounds(spec.name, 0)).end).toBe(1)
})

fact('what the broker finds too large is refused for good; its neighbours are stored', async () => {
  const spec = newSpec(2)
  const bus = await open([spec])
  await bus.append(spec.name, 0, [{ value: Buffer.from('before') }])
  await alter(spec.name, { 'max.message.bytes': `${mib}` })
  const large = bus.append(spec.name, 0, [{ value: randomBytes(2 * mib) }])
  const same = bus.append(spec.name, 0, [{ value: Buffer.from('same') }])
  const other = bus.append(spec.name, 1, [{ value: Buffer.from('other') }])
  await expect(large).rejects.toThrow(/PAYLOAD_TOO_LARGE.*MESSAGE_TOO_LARGE; split it/)
  const offsets = await Promise.all([same, other])
  expect(String((await bus.fetch(spec.name, 0, offsets[0])).value)).toBe('same')
  expect(String((await bus.fetch(spec.name, 1, offsets[1])).value)).toBe('other')
})

fact(
  'batches are stored as zstd, those of one turn together, and any record fetches back',
  async () => {
    const spec = newSpec(1)
    const bus = await open([spec])
    const text = (at: number): string => `${'the same words again '.repeat(50)}${at}`
    await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        bus.append(spec.name, 0, [{ value: Buffer.from(text(at)) }]),
      ),
    )
    const clients = kafkaClients(
      { brokers: [broker], specs: [], clientId: 'test' },
      defaultKafkaLimits,
    )
    const link = new KafkaLink(clients, spec.name)
    onTestFinished(() => link.close())
    const request = fetchRequest(spec.name, [{ partition: 0, from: 0, bytesMax: mib }], 0, mib)
    const [answer] = await link.fetch(await link.leaderOf(0), request)
    const batches = splitBatches(answer?.records ?? Buffer.alloc(0))
    expect(batches.map(batch => batch.bytes.readInt16BE(21) & 7)).toEqual(batches.map(() => 4))
    expect(batches.length).toBeLessThan(40)
    expect(answer?.records.length).toBeLessThan(40 * 200)
    const fetched = await Promise.all(
      Array.from({ length: 40 }, (_, at) => bus.fetch(spec.name, 0, 39 - at)),
    )
    expect(fetched.map(record => String(record.value))).toEqual(
      Array.from({ length: 40 }, (_, at) => text(39 - at)),
    )
  },
)

fact('reads larger than a poll go through a backlog in order, without loss', async () => {
  const spec = newSpec(1)
  const bus = await open([spec], { limits: { pollBytesMax: 64 * 1024 } })
  const sizes = Array.from({ length: 300 }, (_, at) => 1 + ((at * 7919) % 20_000))
  for (let at = 0; at < sizes.length; at += 10) {
    const records = sizes.slice(at, at + 10).map(size => ({ value: randomBytes(size) }))
    await bus.append(spec.name, 0, records)
  }
  for (const bytesMax of [1, 30_000, 8 * mib]) {
    const seen: BusRecord[] = []
    while (seen.length < sizes.length) {
      seen.push(...(await bus.read(spec.name, 0, seen.length, bytesMax, 5_000)).records)
    }
    expect(seen.map(record => record.offset)).toEqual(sizes.map((_, at) => at))
    expect(seen.map(record => record.value.length)).toEqual(sizes)
  }
})

fact(
  'a read that others crowd out of an answer waits on: it never takes this for the end',
  async () => {
    const spec = newSpec(4)
    const bus = await open([spec], { limits: { pollBytesMax: 20_000 } })
    const partitions = [0, 1, 2, 3]
    for (const partition of partitions) {
      for (let at = 0; at < 5; at++)
        await bus.append(spec.name, partition, [{ value: randomBytes(15_000) }])
    }
    const read = async (partition: number): Promise<number[]> => {
      const offsets: number[] = []
      while (offsets.length < 5) {
        const { records } = await bus.read(spec.name, partition, offsets.length, 15_000, 0)
        expect(records.length).toBe(1)
        offsets.push(...records.map(record => record.offset))
      }
      return offsets
    }
    expect(await Promise.all(partitions.map(read))).toEqual(partitions.map(() => [0, 1, 2, 3, 4]))
  },
)

fact('readers of one poll are answered each for itself: gap, records, end, ahead', async () => {
  const spec = newSpec(4)
  const bus = await open([spec])
  for (const partition of [0, 1]) {
    for (const text of ['a', 'b'])
      await bus.append(spec.name, partition, [{ value: Buffer.from(text) }])
  }
  await expire(broker, spec.name, 0, 1)
  const [gap, records, end, ahead] = await Promise.allSettled([
    bus.read(spec.name, 0, 0, mib, 100),
    bus.read(spec.name, 1, 0, mib, 100),
    bus.read(spec.name, 2, 0, mib, 100),
    bus.read(spec.name, 3, 9, mib, 100),
  ])
  expect(gap).toMatchObject({ value: { gap: { from: 0, to: 1 }, records: [{ offset: 1 }] } })
  expect(records).toMatchObject({ value: { records: [{ offset: 0 }, { offset: 1 }] } })
  expect(end).toMatchObject({ value: { records: [] } })
  expect(ahead).toMatchObject({ reason: { code: 'OFFSET_AHEAD' } })
})

fact(
  'many readers of one partition, together and apart, each read all that was appended',
  async () => {
    const spec = newSpec(1)
    const bus = await open([spec])
    const elsewhere = await open([spec])
    const total = 60
    const text = (at: number): string => `${at} ${'the same words again '.repeat(at * 20)}`
    const readAll = async (reader: KafkaBus, bytesMax: number): Promise<string[]> => {
      const seen: string[] = []
      while (seen.length < total) {
        const { records } = await reader.read(spec.name, 0, seen.length, bytesMax, 1_000)
        for (const { offset, value } of records) {
          expect(offset).toBe(seen.length)
          seen.push(Buffer.from(value).toString())
        }
      }
      return seen
    }
    // The last ones are of another process, as it were: they find nothing of the writer's in memory.
    const reading = [
      ...[mib, mib, mib, 1, 20_000].map(bytesMax => readAll(bus, bytesMax)),
      ...[mib, 1].map(bytesMax => readAll(elsewhere, bytesMax)),
    ]
    for (let at = 0; at < total; at += 3) {
      const records = [at, at + 1, at + 2].map(one => ({ value: Buffer.from(text(one)) }))
      expect(await bus.append(spec.name, 0, records)).toBe(at)
    }
    const wanted = Array.from({ length: total }, (_, at) => text(at))
    for (const seen of await Promise.all(reading)) expect(seen).toEqual(wanted)
  },
)

fact('a compacted topic reads past its holes, and a record compacted away is gone', async () => {
  const spec = newSpec(1, { keyed: true, retentionMs: 0 })
  const bus = await open([spec])
  await alter(spec.name, {
    'cleanup.policy': 'compact',
    'segment.ms': '100',
    'min.cleanable.dirty.ratio': '0.01',
    'max.compaction.lag.ms': '100',
  })
  const put = (key: string, value: string): Promise<number> =>
    bus.append(spec.name, 0, [{ key: Buffer.from(key), value: Buffer.from(value) }])
  for (let round = 0; round < 10; round++) await put('a', `a${round}`)
  await put('b', 'b')
  const survivors = async (): Promise<string[]> => {
    // A record of a new segment lets the cleaner at the one before.
    await put('c', 'c')
    const { end } = await bus.bounds(spec.name, 0)
    const seen: BusRecord[] = []
    for (let from = 0; from < end; from = (seen.at(-1)?.offset ?? 0) + 1) {
      seen.push(...(await bus.read(spec.name, 0, from, mib, 1_000)).records)
    }
    return seen.map(record => String(record.value)).filter(text => text !== 'c')
  }
  let left = await survivors()
  while (left.length > 2) {
    await new Promise(resolve => setTimeout(resolve, 150))
    left = await survivors()
  }
  expect(left).toEqual(['a9', 'b'])
  await expect(bus.fetch(spec.name, 0, 3)).rejects.toMatchObject({ code: 'OFFSET_GONE' })
  expect(String((await bus.fetch(spec.name, 0, 9)).value)).toBe('a9')
})

fact(
  'a topic that somebody deletes harms only itself, and serves again once it is made anew',
  async () => {
    const [doomed, other] = [newSpec(1), newSpec(1)]
    const limits = { appendWaitMs: 1_500, answerWaitMs: 1_000 }
    const bus = await open([doomed, other], { limits })
    const oldId = await bus.logId(doomed.name)
    for (const { name } of [doomed, other]) {
      await bus.append(name, 0, [{ value: Buffer.from('a') }])
      await bus.fetch(name, 0, 0)
    }
    await adminOf(broker, admin => admin.deleteTopics({ topics: [doomed.name] }))
    const lost = bus.append(doomed.name, 0, [{ value: Buffer.from('b') }])
    await expect(lost).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
    await expect(bus.bounds(doomed.name, 0)).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
    const { name } = other
    expect(await bus.append(name, 0, [{ value: Buffer.from('b') }])).toBe(1)
    expect((await bus.read(name, 0, 0, mib, 1_000)).records.length).toBe(2)
    expect(String((await bus.fetch(name, 0, 1)).value)).toBe('b')
    const again = await open([doomed])
    expect(await again.logId(doomed.name)).not.toBe(oldId)
    expect(await again.append(doomed.name, 0, [{ value: Buffer.from('c') }])).toBe(0)
  },
)

test('connections that a broker closed for idleness come back by themselves, all at once', async ({
  skip,
}) => {
  const config = { 'connections.max.idle.ms': 1_000 }
  const kafka = await kafkaForTest(skip, { fresh: true, config })
  const spec = newSpec(4)
  const bus = await openBus(kafka.broker, [spec])
  onTestFinished(() => bus.close())
  const partitions = [0, 1, 2, 3]
  for (let round = 0; round < 3; round++) {
    const value = Buffer.from(`${round}`)
    const offsets = await Promise.all(partitions.map(p => bus.append(spec.name, p, [{ value }])))
    expect(offsets).toEqual([round, round, round, round])
    const all = await Promise.all(
      partitions.flatMap(p => [bus.fetch(spec.name, p, 0), bus.fetch(spec.name, p, round)]),
    )
    expect(all.map(record => String(record.value))).toEqual(
      partitions.flatMap(() => ['0', `${round}`]),
    )
    expect((await bus.bounds(spec.name, 0)).end).toBe(round + 1)
    await new Promise(resolve => setTimeout(resolve, 2_500))
  }
})
