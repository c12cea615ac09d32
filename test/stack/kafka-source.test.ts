// OTLP that somebody else writes to topics of theirs, as the Collector's Kafka exporter does.

import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { zstdCompressSync } from 'node:zlib'
import { type Bus, KafkaSource, topicSpecs } from '@winnow/bus'
import { decodeTraces, encodeTraces, tracesToJson } from '@winnow/otlp'
import { trafficEvents } from '@winnow/testing'
import { CompressionTypes } from 'kafkajs'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  requestJson,
  requestProto,
  spanJson,
} from '../../services/receiver/src/receiver.fixture.ts'
import { accountOf } from '../crash/account.ts'
import { metricSum } from '../crash/metrics.ts'
import { targetsSystem } from '../crash/systems.ts'
import { tenants } from '../support/pipeline-harness.ts'
import { type RunningTarget, type StartOptions, startTarget } from '../support/winnow-process.ts'
import { adminOf, kafkajs, openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')
const waits = { timeout: 60_000, interval: 100 }
const sourcePartitions = 6

// kafkajs knows zstd by name alone.
kafkajs.CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => zstdCompressSync(buffer),
  decompress: async (buffer: Buffer) => buffer,
})

interface Message {
  readonly value: Buffer | string | null
  readonly partition?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** Who writes the topic: no part of the pipeline. */
async function producerOf(topic: string) {
  const kafka = new kafkajs.Kafka({ brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
  const producer = kafka.producer()
  await producer.connect()
  return {
    send: (messages: readonly Message[], compression?: CompressionTypes) =>
      producer.send({
        topic,
        messages: messages.map(one => ({ ...one })),
        ...(compression !== undefined && { compression }),
      }),
    close: () => producer.disconnect(),
  }
}

/** A topic of somebody else's, and a pipeline's bus beside it. */
class World {
  readonly topic = `otlp_spans_${randomUUID().slice(0, 8)}`
  readonly prefix = `winnow-${randomUUID().slice(0, 8)}`
  readonly data = mkdtempSync(join(tmpdir(), 'winnow-source-'))
  readonly receivers: RunningTarget[] = []
  #bus: Bus | undefined

  static async make(configEntries: { name: string; value: string }[] = []): Promise<World> {
    const world = new World()
    const { topic } = world
    await adminOf(broker, admin =>
      admin.createTopics({
        topics: [{ topic, numPartitions: sourcePartitions, configEntries }],
      }),
    )
    onTestFinished(async () => {
      for (const receiver of world.receivers) await receiver.kill9()
      await world.#bus?.close()
      rmSync(world.data, { recursive: true, force: true })
    })
    return world
  }

  async receiver(env: Readonly<Record<string, string>> = {}): Promise<RunningTarget> {
    const options: StartOptions & { data: string } = {
      data: this.data,
      env: {
        WINNOW_BUS: `kafka://${broker}`,
        WINNOW_TOPICS_PREFIX: this.prefix,
        WINNOW_TOPICS_PARTITIONS: '4',
        WINNOW_KAFKA_SOURCE_TOPICS: `[${this.topic}]`,
        ...env,
      },
    }
    const receiver = await startTarget('receiver', options)
    this.receivers.push(receiver)
    return receiver
  }

  async send(messages: readonly Message[], compression?: CompressionTypes): Promise<void> {
    const producer = await producerOf(this.topic)
    await producer.send(messages, compression).finally(() => producer.close())
  }

  /** Messages that the group has not committed. */
  async lag(): Promise<number> {
    return adminOf(broker, async admin => {
      const groupId = `${this.topic}.winnow`
      const ends = await admin.fetchTopicOffsets(this.topic)
      const [group] = await admin.fetchOffsets({ groupId, topics: [this.topic] })
      let lag = 0
      for (const { partition, high } of ends) {
        const committed = group?.partitions.find(one => one.partition === partition)?.offset ?? '-1'
        lag += Number(high) - Math.max(0, Number(committed))
      }
      return lag
    })
  }

  async untilTaken(): Promise<void> {
    await vi.waitFor(async () => expect(await this.lag()).toBe(0), waits)
  }

  /** Every span on the bus, as often as it is there. */
  async spanIds(): Promise<string[]> {
    const { spans } = topicSpecs({ prefix: this.prefix, generation: 1, partitions: 4 })
    this.#bus ??= await openBus(broker, [spans])
    const found: string[] = []
    for (let partition = 0; partition < spans.partitions; partition++) {
      const { end } = await this.#bus.bounds(spans.name, partition)
      for (let from = 0; from < end; ) {
        const { records } = await this.#bus.read(spans.name, partition, from, 1 << 20, 5_000)
        for (const { offset, value } of records) {
          for (const { scopeSpans } of decodeTraces(value).resourceSpans) {
            for (const scope of scopeSpans) found.push(...scope.spans.map(span => span.spanId))
          }
          from = offset + 1
        }
      }
    }
    return found
  }
}

const spansFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, n) => spanJson(first + n))
const idsOf = (first: number, count: number): string[] =>
  spansFrom(first, count).map(({ spanId }) => spanId)

fact(
  'protobuf and JSON, plain, gzip and zstd: every span arrives once, and the position follows',
  async () => {
    const world = await World.make()
    await world.send([{ value: requestProto(...spansFrom(0, 10)) }])
    await world.send([{ value: requestProto(...spansFrom(10, 10)) }], CompressionTypes.GZIP)
    await world.send([{ value: requestProto(...spansFrom(20, 10)) }], CompressionTypes.ZSTD)
    await world.send([{ value: requestJson(...spansFrom(30, 10)) }], CompressionTypes.GZIP)
    const receiver = await world.receiver()
    await world.send([{ value: requestJson(...spansFrom(40, 10)), headers: { any: 'thing' } }])
    await world.untilTaken()
    expect((await world.spanIds()).sort()).toEqual(idsOf(0, 50).sort())
    const { metrics } = receiver
    expect(await metricSum(metrics, 'winnow_source_messages_total')).toBe(5)
    expect(await metricSum(metrics, 'winnow_spans_received_total')).toBe(50)
    await vi.waitFor(
      async () => expect(await metricSum(metrics, 'winnow_source_lag_messages')).toBe(0),
      waits,
    )
    expect(await receiver.stop()).toBe(0)
  },
)

fact(
  'the whole pipeline behind a topic, its receiver killed: the oracle agrees and verify balances',
  {
    timeout: 300_000,
  },
  async () => {
    const seed = 48
    const topic = `otlp_spans_${randomUUID().slice(0, 8)}`
    await adminOf(broker, admin => admin.createTopics({ topics: [{ topic, numPartitions: 6 }] }))
    const system = await targetsSystem(`kafka://${broker}`, `source-${randomUUID().slice(0, 8)}`, {
      env: {
        WINNOW_KAFKA_SOURCE_TOPICS: `[${topic}]`,
        WINNOW_KAFKA_SOURCE_TENANT_HEADER: 'x-tenant',
      },
    })
    onTestFinished(() => system.remove())
    const options = { seed, tracesPerSecond: 100, startMs: Date.now(), tenants, quick: true }
    const requests = [...trafficEvents({ ...options, traces: 2_000 })].filter(
      event => event.kind === 'request',
    )
    const producer = await producerOf(topic)
    onTestFinished(() => producer.close())
    const killed = requests.length / 2
    for (let at = 0; at < requests.length; at += 40) {
      await producer.send(
        requests.slice(at, at + 40).map(({ tenant, data }, n) => ({
          value: n % 2 === 0 ? Buffer.from(encodeTraces(data)) : tracesToJson(data),
          headers: { 'x-tenant': tenant },
        })),
      )
      if (at < killed && at + 40 >= killed) {
        await system.running('receiver').kill9()
        await system.start('receiver')
      }
    }
    const { violations, figures, kept } = await accountOf(system, seed, {
      requests,
      evaluations: [],
    })
    console.log(`seed ${seed}: ${JSON.stringify(figures)}`)
    expect(violations.join('\n'), `seed ${seed}`).toBe('')
    expect(kept, `seed ${seed}`).toBeGreaterThan(100)
  },
)

fact.for(['snappy', 'lz4', 'gzip', 'zstd'])(
  'a topic that the broker compresses with %s is read',
  async codec => {
    const world = await World.make([{ name: 'compression.type', value: codec }])
    const text = 'what was asked and what was answered, again and again. '.repeat(40)
    const messages = Array.from({ length: 200 }, (_, n) => ({
      value: requestProto(spanJson(n, { name: `${n} ${text}` })),
      partition: n % 2,
    }))
    await world.send(messages)
    await world.receiver()
    await world.untilTaken()
    expect((await world.spanIds()).sort()).toEqual(idsOf(0, 200).sort())
  },
)

fact(
  'poison is set aside with topic, partition, offset and reason, and what comes after it is taken',
  async () => {
    const world = await World.make()
    const at = { partition: 3 }
    await world.send([
      { ...at, value: requestProto(...spansFrom(0, 2)) },
      { ...at, value: 'not OTLP at all' },
      { ...at, value: '{"resourceSpans":' },
      { ...at, value: null },
      { ...at, value: requestJson(...spansFrom(2, 2)) },
    ])
    const receiver = await world.receiver()
    await world.untilTaken()
    expect((await world.spanIds()).sort()).toEqual(idsOf(0, 4).sort())
    const aside = receiver
      .stderr()
      .split('\n')
      .filter(line => line.includes('receiver.source_set_aside'))
      .map(line => JSON.parse(line) as { offset: number })
      // One message does not wait for another to be looked at.
      .sort((a, b) => a.offset - b.offset)
    const place = { topic: world.topic, partition: 3, reason: 'invalid' }
    expect(aside).toMatchObject([
      { ...place, offset: 1 },
      { ...place, offset: 2 },
    ])
    expect(await metricSum(receiver.metrics, 'winnow_source_set_aside_total')).toBe(2)
  },
)

fact('a tenant’s header decides; without one the message waits for nobody', async () => {
  const world = await World.make()
  await world.send([
    { value: requestProto(spanJson(1)), headers: { 'x-tenant': 'acme' } },
    { value: requestProto(spanJson(2)) },
  ])
  const receiver = await world.receiver({ WINNOW_KAFKA_SOURCE_TENANT_HEADER: 'x-tenant' })
  await world.untilTaken()
  expect(await world.spanIds()).toEqual(idsOf(1, 1))
  expect(
    await metricSum(
      receiver.metrics,
      'winnow_spans_received_total{tenant="acme",transport="kafka/protobuf"}',
    ),
  ).toBe(1)
})

fact('startFrom latest begins with what comes next, and a restart goes on from there', async () => {
  const world = await World.make()
  const every = (from: number) =>
    Array.from({ length: sourcePartitions }, (_, partition) => ({
      partition,
      value: requestProto(spanJson(from + partition)),
    }))
  await world.send(every(0))
  const latest = { WINNOW_KAFKA_SOURCE_START_FROM: 'latest' }
  const first = await world.receiver(latest)
  // The start itself is a position, else what comes while nobody reads would be passed over.
  await world.untilTaken()
  await first.kill9()
  await world.send(every(100))
  await world.receiver(latest)
  await world.untilTaken()
  expect((await world.spanIds()).sort()).toEqual(idsOf(100, sourcePartitions).sort())
})

fact('a topic that is not there ends the start with its name and the remedy', async () => {
  const world = await World.make()
  const started = world.receiver({ WINNOW_KAFKA_SOURCE_TOPICS: '[otlp_spnas]' })
  await expect(started).rejects.toThrow(
    /kafkaSource\.topics: the broker has no topic otlp_spnas; correct/,
  )
})

fact(
  'kill -9 in the middle, again and again: nothing is lost, and the position never runs ahead',
  async () => {
    const world = await World.make()
    const batches = 60
    const perBatch = 20
    let receiver = await world.receiver()
    let sent = 0
    const sending = (async () => {
      for (let n = 0; n < batches; n++) {
        const messages = Array.from({ length: perBatch }, () => {
          const first = sent
          sent += 5
          return {
            value: requestProto(...spansFrom(first, 5)),
            partition: first % sourcePartitions,
          }
        })
        await world.send(messages)
      }
    })()
    for (let kills = 0; kills < 3; kills++) {
      await vi.waitFor(
        async () =>
          expect(await metricSum(receiver.metrics, 'winnow_source_messages_total')).toBeGreaterThan(
            50,
          ),
        waits,
      )
      await receiver.kill9()
      receiver = await world.receiver()
    }
    await sending
    await world.untilTaken()
    const found = await world.spanIds()
    expect(new Set(found)).toEqual(new Set(idsOf(0, batches * perBatch * 5)))
    console.log(`${found.length - new Set(found).size} of ${found.length} spans came twice`)
  },
)

fact(
  'two receivers share the partitions, and one that leaves hands them over: nothing is lost',
  async () => {
    const world = await World.make()
    const staying = await world.receiver()
    let sent = 0
    const stop = new AbortController()
    const sending = (async () => {
      while (!stop.signal.aborted) {
        const messages = Array.from({ length: sourcePartitions }, (_, partition) => ({
          partition,
          value: requestProto(...spansFrom(sent + 2 * partition, 2)),
        }))
        await world.send(messages)
        sent += 2 * sourcePartitions
        await sleep(5)
      }
    })()
    const second = await world.receiver()
    for (const one of [staying, second]) {
      await vi.waitFor(
        async () =>
          expect(await metricSum(one.metrics, 'winnow_source_messages_total')).toBeGreaterThan(0),
        waits,
      )
    }
    expect(await second.stop()).toBe(0)
    const before = await metricSum(staying.metrics, 'winnow_source_messages_total')
    await vi.waitFor(
      async () =>
        expect(await metricSum(staying.metrics, 'winnow_source_messages_total')).toBeGreaterThan(
          before + 2 * sourcePartitions,
        ),
      waits,
    )
    stop.abort()
    await sending
    await world.untilTaken()
    const found = await world.spanIds()
    expect(new Set(found)).toEqual(new Set(idsOf(0, sent)))
  },
)

fact('a topic that gets more partitions while it is read: the new ones are read too', async () => {
  const world = await World.make()
  const source = await KafkaSource.open({
    brokers: [broker],
    clientId: 'grown',
    topics: [world.topic],
    group: 'winnow',
    startFrom: 'earliest',
    bytesMax: 1 << 20,
    metadataMs: 300,
  })
  const read = new Set<number>()
  const membership = source.join(async lease => {
    while (!lease.lost.aborted) {
      const { records } = await lease.read(1 << 20, 100)
      const last = records.at(-1)
      if (last === undefined) continue
      await lease.commit({ offset: last.offset + 1, note: '' })
      read.add(lease.partition)
    }
  })
  onTestFinished(async () => {
    await membership.close()
    await source.close()
  })
  await world.send([{ value: requestProto(spanJson(1)), partition: 0 }])
  await vi.waitFor(() => expect([...read]).toEqual([0]), waits)
  const count = sourcePartitions + 2
  await adminOf(broker, admin =>
    admin.createPartitions({ topicPartitions: [{ topic: world.topic, count }] }),
  )
  await world.send([{ value: requestProto(spanJson(2)), partition: count - 1 }])
  await vi.waitFor(() => expect([...read].sort()).toEqual([0, count - 1]), waits)
})
