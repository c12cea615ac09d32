import { type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import type { Span } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import { post, type Started, startReceiver } from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

type CompressionOption = { compression?: never }
const gzip = { compression: 'gzip' } as unknown as CompressionOption

const exporters: readonly [string, (to: Started) => SpanExporter][] = [
  ['gRPC', to => new GrpcExporter({ url: `http://${to.grpc}` })],
  ['gRPC with gzip', to => new GrpcExporter({ url: `http://${to.grpc}`, ...gzip })],
  ['http/protobuf', to => new ProtoExporter({ url: `${to.url}/v1/traces` })],
  ['http/protobuf with gzip', to => new ProtoExporter({ url: `${to.url}/v1/traces`, ...gzip })],
  ['http/json', to => new JsonExporter({ url: `${to.url}/v1/traces` })],
  ['http/json with gzip', to => new JsonExporter({ url: `${to.url}/v1/traces`, ...gzip })],
]

/** A trace of `count` spans under one root, with everything that the SDK can put on a span. */
function emit(provider: BasicTracerProvider, count: number): void {
  const tracer = provider.getTracer('refund-bot-tracer', '1.4.0')
  const root = tracer.startSpan('refund_chat.turn', { kind: SpanKind.SERVER })
  const within: Context = trace.setSpan(ROOT_CONTEXT, root)
  for (let n = 1; n < count; n++) {
    const span = tracer.startSpan(
      `step ${n}`,
      {
        kind: SpanKind.CLIENT,
        attributes: { text: 'ünïcode 🙂', int: 2 ** 40, double: 0.1, bool: true, list: ['a', 'b'] },
        links: [{ context: root.spanContext(), attributes: { why: 'retry' } }],
      },
      within,
    )
    span.addEvent('gen_ai.choice', { index: n })
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'tool failed' })
    span.end()
  }
  root.end()
}

function providerFor(processor: SpanProcessor): BasicTracerProvider {
  const resource = resourceFromAttributes({ 'service.name': 'refund-bot' })
  return new BasicTracerProvider({ resource, spanProcessors: [processor] })
}

/** What must be equal whatever the transport. */
function essence(spans: readonly Span[]): unknown[] {
  return spans.map(({ name, kind, attributes, events, links, status }) => ({
    name,
    kind,
    attributes,
    events: events.map(event => [event.name, event.attributes]),
    links: links.map(link => link.attributes),
    status,
  }))
}

test.each(exporters)(
  'the OpenTelemetry JS exporter over %s delivers every span as it was',
  async (_, exporterOf) => {
    started = await startReceiver()
    const exporter = exporterOf(started)
    const provider = providerFor(new BatchSpanProcessor(exporter))
    emit(provider, 50)
    await provider.forceFlush()
    await provider.shutdown()
    const spans = (await started.bus.spans()).map(({ span }) => span)
    expect(spans).toHaveLength(50)
    expect(new Set(spans.map(span => span.traceId)).size).toBe(1)
    const root = spans.find(span => span.name === 'refund_chat.turn')
    const step = spans.find(span => span.name === 'step 7')
    expect(step?.parentSpanId).toBe(root?.spanId)
    expect(essence([step as Span])).toEqual([
      {
        name: 'step 7',
        kind: 3,
        attributes: [
          { key: 'text', value: { stringValue: 'ünïcode 🙂' } },
          { key: 'int', value: { intValue: 2n ** 40n } },
          { key: 'double', value: { doubleValue: 0.1 } },
          { key: 'bool', value: { boolValue: true } },
          {
            key: 'list',
            value: { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'b' }] } },
          },
        ],
        events: [['gen_ai.choice', [{ key: 'index', value: { intValue: 7n } }]]],
        links: [[{ key: 'why', value: { stringValue: 'retry' } }]],
        status: { code: 2, message: 'tool failed' },
      },
    ])
  },
)

test.each(exporters.filter(([name]) => /^http\/\w+$/.test(name)))(
  'the exporter over %s sends again what an outage refused: every span arrives',
  async (_, exporterOf) => {
    started = await startReceiver({ retryDelay: '10ms' })
    const { bus } = started
    let refusals = 0
    bus.before = () => {
      if (refusals++ === 0) throw new PipelineError('BUS_UNAVAILABLE', 'no broker answers')
    }
    const provider = providerFor(new BatchSpanProcessor(exporterOf(started)))
    emit(provider, 20)
    await provider.forceFlush()
    await provider.shutdown()
    expect(refusals).toBeGreaterThan(1)
    const ids = (await bus.spans()).map(({ span }) => span.spanId)
    expect(new Set(ids).size).toBe(20)
  },
)

test('what otlp-transformer encodes, as protobuf and as JSON, is the same on the bus', async () => {
  started = await startReceiver()
  const memory = new InMemorySpanExporter()
  const provider = providerFor(new SimpleSpanProcessor(memory))
  emit(provider, 9)
  const spans: ReadableSpan[] = memory.getFinishedSpans()
  const proto = ProtobufTraceSerializer.serializeRequest(spans) as Uint8Array
  const json = JsonTraceSerializer.serializeRequest(spans) as Uint8Array
  expect((await post(started, '/v1/traces', proto)).status).toBe(200)
  const asProto = (await started.bus.spans()).map(({ span }) => span)
  const asJson = await post(started, '/v1/traces', Buffer.from(json).toString())
  expect(asJson.status).toBe(200)
  const both = (await started.bus.spans()).map(({ span }) => span)
  expect(asProto).toHaveLength(9)
  expect(both.slice(9)).toEqual(asProto)
})
