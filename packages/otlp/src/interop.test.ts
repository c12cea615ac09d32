import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api'
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { expect, test } from 'vitest'
import { decodeTraces } from './decode.ts'
import { encodeTraces } from './encode.ts'
import { genAiView } from './genai/view.ts'
import { tracesFromJson } from './json.ts'
import { tracesToJson } from './to-json.ts'

/** Two scopes, a parent and a child, events, links, every attribute type the JS SDK has. */
function sdkSpans(): ReadableSpan[] {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'refund-bot', 'session.id': 'sess_91ab' }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  })
  const root = provider.getTracer('app', '1.0').startSpan('refund_chat.turn', {
    kind: SpanKind.SERVER,
    startTime: [1716370863, 120_000_001],
    attributes: {
      'http.route': '/v1/chat',
      'outcome.policy_correct': false,
      ratio: 0.1,
      big: 2 ** 53 - 1,
    },
  })
  const linked = { traceId: 'f'.repeat(32), spanId: 'e'.repeat(16), traceFlags: TraceFlags.SAMPLED }
  const child = provider
    .getTracer('llm', '2.0', { schemaUrl: 'https://s' })
    .startSpan('chat gpt-4o', {
      kind: SpanKind.CLIENT,
      startTime: [1716370863, 449_000_000],
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.usage.input_tokens': 1870,
        'gen_ai.response.finish_reasons': ['stop'],
        mixed: ['₹', 'b'],
        numbers: [1, 2.5, -3],
        negative: -7,
        empty: '',
      },
      links: [{ context: linked, attributes: { why: 'retry' } }],
    })
  child.addEvent('first.token', { 'gen_ai.token.type': 'output' }, [1716370864, 1])
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'overloaded' })
  child.end([1716370865, 249_000_000])
  root.end([1716370865, 739_000_000])
  return exporter.getFinishedSpans()
}

function encoded(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new Error('the SDK encoded nothing')
  return bytes
}

test('what the JS SDK encodes as protobuf and as JSON is the same data here', () => {
  const spans = sdkSpans()
  const fromProtobuf = decodeTraces(encoded(ProtobufTraceSerializer.serializeRequest(spans)))
  const fromJson = tracesFromJson(encoded(JsonTraceSerializer.serializeRequest(spans)))
  expect(fromJson.rejected).toStrictEqual([])
  expect(fromJson.data).toStrictEqual(fromProtobuf)
  expect(fromProtobuf.resourceSpans).toHaveLength(1)
  expect(
    fromProtobuf.resourceSpans[0]?.scopeSpans.map(it => it.scope.name).toSorted(),
  ).toStrictEqual(['app', 'llm'])
})

test('every field of an SDK’s span is decoded', () => {
  const spans = sdkSpans()
  const data = decodeTraces(encoded(ProtobufTraceSerializer.serializeRequest(spans)))
  const group = data.resourceSpans[0]?.scopeSpans.find(it => it.scope.name === 'llm')
  const context = spans[0]?.spanContext()
  expect(group).toMatchObject({
    scope: { name: 'llm', version: '2.0' },
    schemaUrl: 'https://s',
    spans: [
      {
        traceId: context?.traceId,
        spanId: context?.spanId,
        name: 'chat gpt-4o',
        kind: 3,
        startTimeUnixNano: 1716370863449000000n,
        endTimeUnixNano: 1716370865249000000n,
        status: { code: 2, message: 'overloaded' },
        events: [
          {
            timeUnixNano: 1716370864000000001n,
            name: 'first.token',
            attributes: [{ key: 'gen_ai.token.type', value: { stringValue: 'output' } }],
          },
        ],
        links: [
          {
            traceId: 'f'.repeat(32),
            spanId: 'e'.repeat(16),
            attributes: [{ key: 'why', value: { stringValue: 'retry' } }],
          },
        ],
      },
    ],
  })
  const attributes = new Map(group?.spans[0]?.attributes.map(it => [it.key, it.value]))
  expect(attributes.get('gen_ai.usage.input_tokens')).toStrictEqual({ intValue: 1870n })
  expect(attributes.get('negative')).toStrictEqual({ intValue: -7n })
  expect(attributes.get('empty')).toStrictEqual({ stringValue: '' })
  expect(attributes.get('mixed')).toStrictEqual({
    arrayValue: { values: [{ stringValue: '₹' }, { stringValue: 'b' }] },
  })
  expect(attributes.get('numbers')).toStrictEqual({
    arrayValue: { values: [{ intValue: 1n }, { doubleValue: 2.5 }, { intValue: -3n }] },
  })
})

test('what is encoded here again is the same data, in both encodings', () => {
  const data = decodeTraces(encoded(ProtobufTraceSerializer.serializeRequest(sdkSpans())))
  expect(decodeTraces(encodeTraces(data))).toStrictEqual(data)
  expect(tracesFromJson(tracesToJson(data))).toStrictEqual({ data, rejected: [] })
})

test('the view of an SDK’s span has its model, tokens and session', () => {
  const data = decodeTraces(encoded(ProtobufTraceSerializer.serializeRequest(sdkSpans())))
  const group = data.resourceSpans[0]
  const span = group?.scopeSpans.flatMap(it => it.spans).find(it => it.name === 'chat gpt-4o')
  if (group === undefined || span === undefined) throw new Error('no span')
  expect(genAiView(span, group.resource.attributes)).toMatchObject({
    kind: 'LLM',
    operation: 'chat',
    provider: 'openai',
    model: 'gpt-4o',
    inputTokens: 1870,
    outputTokens: null,
    finishReasons: ['stop'],
    sessionId: 'sess_91ab',
  })
})
