import { type Attributes, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { coreRate } from '@winnow/testing'
import { compileInterest, noInterest } from './interest.ts'
import { scanTraces } from './scan.ts'
import { SpanTable } from './span-table.ts'

const services = ['refund-bot', 'policy-search', 'llm-gateway', 'judge']
export const tracesPerRequest = 64
export const spansPerRequest = tracesPerRequest * 8

/** mulberry32: the same seed gives the same requests on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** One export request: 64 traces of 8 spans over 4 services, interleaved, some 1.7 KB a span. */
export function agentRequest(seed: number): Uint8Array {
  const random = seededRandom(seed)
  const hex = (digits: number) => {
    let text = ''
    while (text.length < digits) text += Math.floor(random() * 16).toString(16)
    return text
  }
  const words = 'order refund window policy courtesy late delivery customer agent check'.split(' ')
  const prose = (length: number) => {
    let text = ''
    while (text.length < length) text += `${words[Math.floor(random() * words.length)]} `
    return text.slice(0, length)
  }
  const resources = services.map(name => {
    const attributes: Attributes = { 'service.name': name, 'deployment.env': 'prod' }
    attributes['session.id'] = `sess_${hex(4)}`
    attributes['experiment.id'] = 'exp_prompt_terser_v3'
    attributes['experiment.variant'] = random() < 0.5 ? 'A' : 'B'
    attributes['telemetry.sdk.language'] = 'nodejs'
    return resourceFromAttributes(attributes, {
      schemaUrl: 'https://opentelemetry.io/schemas/1.40.0',
    })
  })
  const scopes = services.map(name => ({ name: `${name}-tracer`, version: '1.4.0' }))
  const spans: ReadableSpan[] = []
  const traces = Array.from({ length: tracesPerRequest }, () => ({ id: hex(32), root: hex(16) }))
  for (let n = 0; n < 8; n++) {
    for (const trace of traces) {
      const service = n >> 1
      const start = 1_716_370_863 + Math.floor(random() * 60)
      const context = { traceId: trace.id, spanId: n === 0 ? trace.root : hex(16), traceFlags: 1 }
      const attributes: Attributes = {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'anthropic',
        'gen_ai.request.model': 'claude-3-5-sonnet-20241022',
        'gen_ai.request.temperature': random(),
        'gen_ai.usage.input_tokens': Math.floor(random() * 2000),
        'gen_ai.usage.output_tokens': Math.floor(random() * 300),
        'gen_ai.cost_usd': random() / 100,
        'gen_ai.response.id': `msg_${hex(12)}`,
        'gen_ai.conversation.id': `sess_${hex(8)}`,
        'server.address': 'api.example.com',
        'server.port': 443,
        'app.prompt.version': 'v17',
        'app.tenant.tier': 'paid',
        'input.preview': prose(300),
        output: prose(550),
      }
      if (n === 0) attributes['http.route'] = '/v1/chat'
      if (n === 0) attributes['outcome.policy_correct'] = random() < 0.95
      if (n === 6) attributes['citation.claims_extracted'] = 2
      if (n === 6) attributes['citation.claims_supported'] = 2
      if (n === 7) attributes['judge.score'] = random()
      if (n === 7) attributes['judge.label'] = 'policy_correct'
      const error = random() < 0.01
      const span: ReadableSpan = {
        name: n === 0 ? 'refund_chat.turn' : `llm.step_${n}`,
        kind: n === 0 ? SpanKind.SERVER : SpanKind.CLIENT,
        spanContext: () => context,
        ...(n === 0 ? {} : { parentSpanContext: { ...context, spanId: trace.root } }),
        startTime: [start, n * 5_000_000],
        endTime: [start + 1, Math.floor(random() * 1e9)],
        status: error
          ? { code: SpanStatusCode.ERROR, message: 'tool' }
          : { code: SpanStatusCode.UNSET },
        attributes,
        links: [],
        events: [
          {
            name: 'gen_ai.choice',
            time: [start, 9],
            attributes: { index: 0, message: prose(80) },
            droppedAttributesCount: 0,
          },
        ],
        duration: [1, 0],
        ended: true,
        resource: resources[service] as ReadableSpan['resource'],
        instrumentationScope: scopes[service] as ReadableSpan['instrumentationScope'],
        droppedAttributesCount: 0,
        droppedEventsCount: 0,
        droppedLinksCount: 0,
      }
      spans.push(span)
    }
  }
  return ProtobufTraceSerializer.serializeRequest(spans) as Uint8Array
}

/** Spans a second of one core, over requests of agents' traffic. */
export function spansPerSecond(turn: (request: Uint8Array) => number): number {
  const requests = Array.from({ length: 16 }, (_, seed) => agentRequest(seed + 1))
  return coreRate(() => requests.reduce((spans, request) => spans + turn(request), 0))
}

/** About what the default rules look at. */
const interest = compileInterest(
  [
    'gen_ai.usage.input_tokens',
    'gen_ai.usage.prompt_tokens',
    'llm.token_count.prompt',
    'gen_ai.usage.output_tokens',
    'gen_ai.usage.completion_tokens',
    'llm.token_count.completion',
    'gen_ai.cost_usd',
    'gen_ai.usage.cost',
    'judge.score',
    'judge.label',
    'citation.claims_extracted',
    'citation.claims_supported',
    'citation.unsupported',
    'outcome.csat_response',
    'outcome.*',
    'service.name',
    'experiment.id',
    'experiment.variant',
    'gen_ai.evaluation.name',
    'gen_ai.evaluation.score.value',
  ].map(key => ({ key, at: ['resource', 'span', 'event'] as const })),
)

export const benches = [
  {
    name: 'scan with the facts of the default rules',
    unit: 'spans/s',
    atLeast: 800_000,
    run: () => {
      const table = new SpanTable()
      return spansPerSecond(request => {
        table.clear()
        return scanTraces(request, 0, request.length, table, interest)
      })
    },
  },
  {
    name: 'scan, ids and times alone',
    unit: 'spans/s',
    run: () => {
      const table = new SpanTable()
      return spansPerSecond(request => {
        table.clear()
        return scanTraces(request, 0, request.length, table, noInterest)
      })
    },
  },
]
