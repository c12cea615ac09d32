// `spans` is read by whoever knows Kafka and OTLP: kafkajs' own consumer, OpenTelemetry's own Python classes.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { zstdDecompressSync } from 'node:zlib'
import { tracesToJson } from '@winnow/otlp'
import { OtlpClient, type SentSpan, sentSpans, trafficEvents } from '@winnow/testing'
import { CompressionTypes } from 'kafkajs'
import { expect, onTestFinished, test } from 'vitest'
import { startTarget } from '../support/winnow-process.ts'
import { kafkajs } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'
import { pythonEnvironment } from './python/environment.ts'
import { refuse } from './refuse.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')
const made = await pythonEnvironment()
const seed = 7

kafkajs.CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => buffer,
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
})

fact(
  'every record of spans is TracesData to another’s decoder, each span as it was sent',
  async ({ skip }) => {
    if ('why' in made) return refuse(skip, made.why)
    const prefix = `winnow-${randomUUID().slice(0, 8)}`
    const data = mkdtempSync(join(tmpdir(), 'winnow-decoder-'))
    const env = {
      WINNOW_BUS: `kafka://${broker}`,
      WINNOW_TOPICS_PREFIX: prefix,
      // What was sent is compared with what is read, byte by byte.
      WINNOW_PRIVACY_REDACT: 'false',
    }
    const receiver = await startTarget('receiver', { data, env })
    onTestFinished(async () => {
      await receiver.kill9()
      rmSync(data, { recursive: true, force: true })
    })
    const client = new OtlpClient({ transport: 'http-json', address: receiver.otlpHttp ?? '' })
    onTestFinished(() => client.close())
    const options = { seed, traces: 200, startMs: Date.now(), tracesPerSecond: 100 }
    const sent: SentSpan[] = []
    for (const event of trafficEvents({ ...options, tenants: ['default'], quick: true })) {
      if (event.kind !== 'request') continue
      expect(await client.sendTraces(event.data)).toMatchObject({ acknowledged: true, rejected: 0 })
      sent.push(...sentSpans(event.data))
    }
    const decoded = await decode(made.python, await consume(`${prefix}.spans.1`))
    const wanted = sent.map(wordsOf)
    expect(decoded.length, `seed ${seed}`).toBe(wanted.length)
    expect(decoded.length).toBeGreaterThan(1_000)
    const sorted = (all: readonly object[]): string[] => all.map(one => JSON.stringify(one)).sort()
    const [got, expected] = [sorted(decoded), sorted(wanted)]
    for (const [at, line] of expected.entries()) expect(got[at], `seed ${seed}`).toBe(line)
  },
)

/** Every record's value, by a consumer that knows nothing of the pipeline. */
async function consume(topic: string): Promise<Buffer[]> {
  const kafka = new kafkajs.Kafka({ brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  const ends = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  let left = ends.reduce((sum, { high }) => sum + Number(high), 0)
  const consumer = kafka.consumer({ groupId: `decoder-${randomUUID()}`, maxWaitTimeInMs: 200 })
  await consumer.connect()
  const values: Buffer[] = []
  const all = Promise.withResolvers<void>()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (message.value !== null) values.push(message.value)
      left--
      if (left === 0) all.resolve()
    },
  })
  await all.promise
  await consumer.disconnect()
  return values
}

async function decode(python: string, records: readonly Buffer[]): Promise<object[]> {
  const child = spawn(python, [join(import.meta.dirname, 'python', 'decode.py')])
  child.stdin.end(records.map(record => `${record.toString('base64')}\n`).join(''))
  const [output, errors] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    child.exitCode === null ? once(child, 'exit') : undefined,
  ])
  expect(errors).toBe('')
  return output
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as object)
}

interface Attributed {
  readonly attributes: readonly object[]
}

interface SpanWords extends Attributed {
  readonly [name: string]: unknown
  readonly events: readonly (Attributed & {
    readonly name: string
    readonly timeUnixNano: string
  })[]
  readonly links: readonly (Attributed & { readonly traceId: string; readonly spanId: string })[]
  readonly status: { readonly code: number; readonly message: string }
}

/** A span as `decode.py` words it. */
function wordsOf({ resource, scope, span }: SentSpan): object {
  const scopeSpans = [{ scope, spans: [span], schemaUrl: '' }]
  const json = tracesToJson({ resourceSpans: [{ resource, scopeSpans, schemaUrl: '' }] })
  const { resourceSpans } = JSON.parse(json) as {
    resourceSpans: {
      resource: Attributed
      scopeSpans: {
        scope: Attributed & { name: string; version: string }
        spans: SpanWords[]
      }[]
    }[]
  }
  const [of] = resourceSpans
  const [group] = of?.scopeSpans ?? []
  const [one] = group?.spans ?? []
  if (of === undefined || group === undefined || one === undefined) throw new TypeError('no span')
  return {
    resource: of.resource.attributes,
    scope: [group.scope.name, group.scope.version, group.scope.attributes],
    traceId: one.traceId,
    spanId: one.spanId,
    parentSpanId: one.parentSpanId,
    traceState: one.traceState,
    flags: one.flags,
    name: one.name,
    kind: one.kind,
    times: [one.startTimeUnixNano, one.endTimeUnixNano],
    attributes: one.attributes,
    events: one.events.map(event => [event.name, event.timeUnixNano, event.attributes]),
    links: one.links.map(link => [link.traceId, link.spanId, link.attributes]),
    status: [one.status.code, one.status.message],
  }
}
