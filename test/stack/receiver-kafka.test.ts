import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bus, topicSpecs } from '@winnow/bus'
import { decodeTraces } from '@winnow/otlp'
import { createReceiver, receiverConfigSchema } from '@winnow/receiver'
import { Health, Metrics, silentLog, systemClock } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { requestProto, spanJson } from '../../services/receiver/src/receiver.fixture.ts'
import { openBus } from './kafka/clients.ts'
import { kafkaForTest } from './kafka/shared.ts'

const clients = 8
const spansPerRequest = 5

test('Kafka is killed in the middle: clients are told 503, and every span arrives once they have sent again', async ({
  skip,
}) => {
  const kafka = await kafkaForTest(skip, { fresh: true })
  const { spans, evidence } = topicSpecs({
    prefix: `winnow-${randomUUID().slice(0, 8)}`,
    generation: 1,
    partitions: 4,
  })
  const bus = await openBus(kafka.broker, [spans, evidence])
  onTestFinished(() => bus.close())
  const health = new Health()
  const listen = { host: '127.0.0.1', port: 0 }
  const receiver = createReceiver({
    bus,
    topics: { spans: spans.name, evidence: evidence.name },
    listen: { grpc: listen, http: listen },
    keys: undefined,
    config: receiverConfigSchema.parse({ appendWaitMax: '500ms' }),
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    health,
  })
  await receiver.start()
  const stop = new AbortController()
  let sending: Promise<void>[] = []
  onTestFinished(async () => {
    stop.abort()
    await Promise.allSettled(sending)
    await receiver.stop()
  })

  const url = `http://${receiver.httpAddress}/v1/traces`
  const acknowledged = new Set<string>()
  const refusals = new Map<number, number>()
  let next = 0
  const send = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const sent = Array.from({ length: spansPerRequest }, () => spanJson(next++))
      const body = new Uint8Array(requestProto(...sent))
      while (!stop.signal.aborted) {
        const headers = { 'content-type': 'application/x-protobuf' }
        const { status } = await fetch(url, { method: 'POST', headers, body })
        if (status === 200) {
          for (const { spanId } of sent) acknowledged.add(spanId)
          break
        }
        refusals.set(status, (refusals.get(status) ?? 0) + 1)
        await sleep(50)
      }
    }
  }
  sending = Array.from({ length: clients }, send)
  const until = async (is: () => boolean): Promise<void> => {
    while (!is()) await sleep(20)
  }
  await until(() => acknowledged.size > 500)
  await kafka.kill9()
  await until(() => (refusals.get(503) ?? 0) > clients)
  expect((await health.read()).parts.bus?.ready).toBe(false)
  await kafka.restart()
  const before = acknowledged.size
  await until(() => acknowledged.size > before + 500)
  stop.abort()
  await Promise.all(sending)

  expect([...refusals.keys()]).toEqual([503])
  const stored = await spanIds(bus, spans.name, spans.partitions)
  expect([...acknowledged].filter(id => !stored.has(id))).toEqual([])
  await until(() => receiver.bytesInFlight === 0)
})

async function spanIds(bus: Bus, topic: string, partitions: number): Promise<Set<string>> {
  const found = new Set<string>()
  for (let partition = 0; partition < partitions; partition++) {
    const { end } = await bus.bounds(topic, partition)
    for (let from = 0; from < end; ) {
      const { records } = await bus.read(topic, partition, from, 1 << 20, 5_000)
      for (const { offset, value } of records) {
        for (const { scopeSpans } of decodeTraces(value).resourceSpans) {
          for (const scope of scopeSpans) for (const span of scope.spans) found.add(span.spanId)
        }
        from = offset + 1
      }
    }
  }
  return found
}
