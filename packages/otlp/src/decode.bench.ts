import { coreRate } from '@winnow/testing'
import { decodeTraces } from './decode.ts'
import { encodeTraces } from './encode.ts'
import { genAiView } from './genai/view.ts'
import { tracesFromJson } from './json.ts'
import { emptySpan, type KeyValue, type Span, type TracesData } from './otlp.ts'
import { tracesToJson } from './to-json.ts'

const tracesPerRequest = 64
const spansPerTrace = 8
const spansPerRequest = tracesPerRequest * spansPerTrace

const text = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })
const int = (key: string, value: number): KeyValue => ({ key, value: { intValue: BigInt(value) } })

/** Sixteen attributes and some 1.5 KB, as an agent's generation has them. */
function span(trace: number, index: number): Span {
  const number = trace * spansPerTrace + index
  return {
    ...emptySpan,
    traceId: (0x48f9c3e1n + BigInt(trace)).toString(16).padStart(32, 'a'),
    spanId: number.toString(16).padStart(16, 'b'),
    parentSpanId: index === 0 ? '' : (trace * spansPerTrace).toString(16).padStart(16, 'b'),
    flags: 0x101,
    name: index === 0 ? 'refund_chat.turn' : 'llm.generate',
    kind: 3,
    startTimeUnixNano: 1716370863449000000n + BigInt(number) * 1_000_003n,
    endTimeUnixNano: 1716370865449000000n + BigInt(number) * 1_000_003n,
    attributes: [
      text('gen_ai.system', 'anthropic'),
      text('gen_ai.request.model', 'claude-3-5-sonnet-20241022'),
      int('gen_ai.usage.input_tokens', 1870),
      int('gen_ai.usage.output_tokens', 180 + index),
      { key: 'gen_ai.cost_usd', value: { doubleValue: 0.00831 } },
      text('gen_ai.response.id', `msg_${number}`),
      int('prompt.system_tokens', 420),
      int('prompt.retrieval_tokens', 1100),
      text('prompt.composition_hash', `sha256:${number}`),
      text('http.route', '/v1/chat'),
      text('server.address', 'api.example.com'),
      int('server.port', 443),
      text('thread.name', 'worker-3'),
      { key: 'retrieval.scores', value: { arrayValue: { values: [{ doubleValue: 0.871 }] } } },
      text('input.preview', 'You are a refund bot, be kind and short. '.repeat(10)),
      text('output', 'You are eligible for a refund of ₹1,250 on order 4481. '.repeat(9)),
    ],
    status: { message: '', code: 1 },
  }
}

const data: TracesData = {
  resourceSpans: Array.from({ length: tracesPerRequest }, (_, trace) => ({
    resource: {
      attributes: [text('service.name', 'refund-bot'), text('session.id', `sess_${trace}`)],
      droppedAttributesCount: 0,
    },
    scopeSpans: [
      {
        scope: { name: 'app', version: '1.4.0', attributes: [], droppedAttributesCount: 0 },
        spans: Array.from({ length: spansPerTrace }, (_step, index) => span(trace, index)),
        schemaUrl: '',
      },
    ],
    schemaUrl: '',
  })),
}
const bytes = encodeTraces(data)
const json = tracesToJson(data)

function rate(handle: () => void): number {
  return coreRate(() => {
    handle()
    return spansPerRequest
  })
}

function viewAll(): void {
  for (const { resource, scopeSpans } of data.resourceSpans) {
    for (const group of scopeSpans) {
      for (const one of group.spans) genAiView(one, resource.attributes)
    }
  }
}

/** No goal of the is set for these; the writer decodes and views only the kept fifth. */
export const benches = [
  { name: 'otlp: decodeTraces', unit: 'spans/s', run: () => rate(() => decodeTraces(bytes)) },
  { name: 'otlp: encodeTraces', unit: 'spans/s', run: () => rate(() => encodeTraces(data)) },
  { name: 'otlp: tracesFromJson', unit: 'spans/s', run: () => rate(() => tracesFromJson(json)) },
  { name: 'otlp: tracesToJson', unit: 'spans/s', run: () => rate(() => tracesToJson(data)) },
  { name: 'otlp: genAiView', unit: 'spans/s', run: () => rate(viewAll) },
]
