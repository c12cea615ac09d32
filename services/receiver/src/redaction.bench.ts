import { encodeTraces, type TracesData } from '@winnow/otlp'
import { detectedKinds, Redactors, SharedTokenKeys } from '@winnow/privacy'
import { Metrics } from '@winnow/runtime'
import { coreRate } from '@winnow/testing'
import { agentRequest, spansPerRequest } from '../../../packages/otlp/src/scan.bench.ts'
import { cleanMessages } from '../../../packages/privacy/src/detect/clean-messages.fixture.ts'
import { Redaction, type TenantRedaction } from './redaction.ts'

/** Design section 14: redaction is a line of its own in the budget, 6 µs a span of 1.7 KB. */
const spansPerSecondMin = 1_000_000 / 6

async function tenantRedaction(): Promise<TenantRedaction> {
  const keys = new SharedTokenKeys([{ id: 0, bytes: Buffer.alloc(32, 1) }])
  const settings = { redact: true, kinds: detectedKinds, patterns: [] }
  const redactors = new Redactors(
    keys,
    () => settings,
    () => 0,
  )
  const redaction = await new Redaction(redactors, new Metrics()).of('default')
  if (redaction === undefined) throw new Error('redaction is off')
  return redaction
}

/** Spans whose prose is what agents write: JSON, code, numbers, hashes, in all 1.7 KB a span. */
function messageRequest(seed: number): Uint8Array {
  const messages = cleanMessages(4_000, seed)
  const span = (n: number) => {
    const texts: string[] = []
    for (let at = n * 7, bytes = 0; bytes < 1_400; at++) {
      const message = messages[at % messages.length] ?? ''
      texts.push(message)
      bytes += message.length
    }
    const half = texts.length >> 1
    const attributes = [
      { key: 'gen_ai.request.model', value: { stringValue: 'claude-3-5-sonnet-20241022' } },
      { key: 'gen_ai.usage.input_tokens', value: { intValue: 812n } },
      {
        key: 'gen_ai.input.messages',
        value: { stringValue: JSON.stringify(texts.slice(0, half)) },
      },
      { key: 'output', value: { stringValue: texts.slice(half).join('\n') } },
    ]
    return { ...emptySpanFields, spanId: n.toString(16).padStart(16, '1'), attributes }
  }
  const spans = Array.from({ length: spansPerRequest }, (_, n) => span(n))
  return encodeTraces(dataOf(spans))
}

function numbersRequest(): Uint8Array {
  const attributes = Array.from({ length: 15 }, (_, n) => ({
    key: `k.${n}`,
    value: { doubleValue: n / 7 },
  }))
  const spans = Array.from({ length: spansPerRequest }, (_, n) => ({
    ...emptySpanFields,
    spanId: n.toString(16).padStart(16, '1'),
    attributes,
  }))
  return encodeTraces(dataOf(spans))
}

const emptySpanFields = {
  traceId: '0a'.repeat(16),
  parentSpanId: '',
  traceState: '',
  name: 'chat',
  kind: 3,
  flags: 1,
  startTimeUnixNano: 1_716_370_863_000_000_000n,
  endTimeUnixNano: 1_716_370_864_000_000_000n,
  droppedAttributesCount: 0,
  events: [],
  droppedEventsCount: 0,
  links: [],
  droppedLinksCount: 0,
  status: { code: 0, message: '' },
}

function dataOf(spans: readonly object[]): TracesData {
  const resource = { attributes: [], droppedAttributesCount: 0 }
  const scope = { name: 's', version: '', attributes: [], droppedAttributesCount: 0 }
  return {
    resourceSpans: [{ resource, scopeSpans: [{ scope, spans, schemaUrl: '' }], schemaUrl: '' }],
  } as TracesData
}

async function rate(requests: readonly Uint8Array[]): Promise<number> {
  const redaction = await tenantRedaction()
  const buffers = requests.map(bytes => Buffer.from(bytes))
  let sent = 0
  return coreRate(() => {
    redaction.otlp(buffers[sent++ % buffers.length] as Buffer, 'traces')
    return spansPerRequest
  })
}

export const benches = [
  {
    name: 'redaction, clean spans of the load, 1.7 KB',
    unit: 'spans/s',
    atLeast: spansPerSecondMin,
    run: () => rate([1, 2, 3, 4].map(seed => agentRequest(seed))),
  },
  {
    name: 'redaction, clean messages full of numbers, 1.7 KB',
    unit: 'spans/s',
    run: () => rate([1, 2, 3, 4].map(seed => messageRequest(seed))),
  },
  {
    name: 'redaction, spans of 15 numbers and no text',
    unit: 'spans/s',
    atLeast: 1_000_000,
    run: () => rate([numbersRequest()]),
  },
]
