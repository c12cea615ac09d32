// The load that the rivals were measured with: traces of eight spans over four services, 64 of them
// interleaved in a request of one service, 1,775 bytes a span, eleven in a hundred that must be kept.
import { emptySpan, encodeTraces, type KeyValue, type Span, type TracesData } from '@winnow/otlp'
import { Random } from '@winnow/testing'

export const tracesPerGroup = 64
export const spansPerTrace = 8
export const bytesPerSpan = 1775

/** In the order in which they export: the entry span comes last, with the root. */
const services = ['retriever', 'tools', 'model-proxy', 'chat'] as const
export const requestsPerGroup = services.length
const spansPerService = spansPerTrace / services.length

export const experiment = 'prompt-terser'
export const watchedVariant = 'b'

/** Every class but these is ordinary. `slow` stands in every second group: under a hundredth of all. */
const classes = ['error', 'error', 'judge', 'citation', 'csat', 'variant', 'slow'] as const
type TraceClass = (typeof classes)[number] | 'ordinary'

/** A request as it is sent again and again, and where its ids and times lie. */
export interface Template {
  readonly body: Buffer
  /**
   * Seven numbers a span: trace in the group, span in the trace, its milliseconds, and where trace id,
   * span id, parent id (-1: none) and times lie.
   */
  readonly places: Int32Array
}

export const placeColumns = 7

/** Requests of `groups` groups, one array of {@link requestsPerGroup} a group. */
export function templates(groups: number, seed: number): Template[][] {
  const random = new Random(seed)
  return Array.from({ length: groups }).map((_group, group) => {
    const kinds = Array.from({ length: tracesPerGroup }).map((_trace, trace) =>
      classOf(trace, group),
    )
    return services.map((_name, service) => template(random, service, kinds))
  })
}

function classOf(trace: number, group: number): TraceClass {
  const kind = trace % 9 === 4 ? classes[(trace - 4) / 9] : undefined
  return kind === undefined || (kind === 'slow' && group % 2 === 1) ? 'ordinary' : kind
}

function template(random: Random, service: number, kinds: readonly TraceClass[]): Template {
  const owners: { trace: number; span: number; ms: number }[] = []
  const spans: Span[] = []
  for (let round = 0; round < spansPerService; round++) {
    kinds.forEach((kind, trace) => {
      const span = service * spansPerService + round
      const ms = durationMs(random, kind, span)
      owners.push({ trace, span, ms })
      spans.push(spanOf(random, kind, span, owners.length))
    })
  }
  const data: TracesData = {
    resourceSpans: [
      {
        resource: { attributes: resourceOf(service), droppedAttributesCount: 0 },
        scopeSpans: [{ scope: { ...scope }, spans, schemaUrl: '' }],
        schemaUrl: '',
      },
    ],
  }
  const body = Buffer.from(encodeTraces(data))
  const places = new Int32Array(owners.length * placeColumns)
  owners.forEach(({ trace, span, ms }, at) => {
    const traceAt = placeOf(body, marker(at + 1, 16, traceMark))
    const parentAt = span === rootSpan ? -1 : placeOf(body, marker(at + 1, 8, parentMark))
    const spanAt = placeOf(body, marker(at + 1, 8, spanMark))
    // Fixed 64: the end follows the start, each behind one byte of tag.
    const startAt = placeOf(body, nanos(startOf(at + 1)))
    places.set([trace, span, ms, traceAt, spanAt, parentAt, startAt], at * placeColumns)
  })
  return { body, places }
}

export const rootSpan = spansPerTrace - 1
/** The parent of each span, by place in the trace. */
export const parentOf = [6, 0, 6, 2, 7, 4, 7, -1] as const

const traceMark = 0xa1
const spanMark = 0xb2
const parentMark = 0xc3

/** Bytes that occur nowhere else in a request, so that they are found again in its encoding. */
function marker(index: number, bytes: number, mark: number): Buffer {
  const id = Buffer.alloc(bytes, mark)
  id.writeUInt16BE(index, bytes - 2)
  return id
}

function placeOf(body: Buffer, wanted: Buffer): number {
  const at = body.indexOf(wanted)
  if (at < 0 || body.indexOf(wanted, at + 1) >= 0) throw new Error('a mark is not there once')
  return at
}

function startOf(index: number): bigint {
  return 0xd4d4_d4d4_0000_0000n + BigInt(index)
}

function nanos(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

const scope = { name: 'load', version: '1.0.0', attributes: [], droppedAttributesCount: 0 }

function resourceOf(service: number): KeyValue[] {
  const name = services[service] as string
  return [
    text('service.name', name),
    text('service.version', '4.1.2'),
    text('deployment.environment.name', 'prod'),
    text('host.name', `${name}-5f7c9`),
    text('telemetry.sdk.language', 'python'),
  ]
}

const operations = ['embed', 'search', 'plan', 'call', 'route', 'generate', 'rank', 'turn'] as const

function spanOf(random: Random, kind: TraceClass, span: number, index: number): Span {
  const start = startOf(index)
  const isFailed = kind === 'error' && span === 3
  return {
    ...emptySpan,
    traceId: marker(index, 16, traceMark).toString('hex'),
    spanId: marker(index, 8, spanMark).toString('hex'),
    parentSpanId: span === rootSpan ? '' : marker(index, 8, parentMark).toString('hex'),
    flags: 0x101,
    name: `agent.${operations[span]}`,
    kind: span === rootSpan ? 2 : 1,
    startTimeUnixNano: start,
    endTimeUnixNano: start + 0x1_0000_0000n,
    attributes: attributesOf(random, kind, span),
    status: isFailed ? { message: 'upstream timed out', code: 2 } : { message: '', code: 0 },
  }
}

function durationMs(random: Random, kind: TraceClass, span: number): number {
  if (span !== rootSpan) return random.int(5, 400)
  return kind === 'slow' ? random.int(30_000, 60_000) : random.int(800, 4000)
}

function attributesOf(random: Random, kind: TraceClass, span: number): KeyValue[] {
  const attributes = [
    text('gen_ai.operation.name', operations[span] as string),
    text('gen_ai.provider.name', 'openai'),
    text('gen_ai.request.model', 'gpt-4o-mini'),
    int('gen_ai.usage.input_tokens', random.int(200, 3000)),
    int('gen_ai.usage.output_tokens', random.int(20, 800)),
    text('gen_ai.conversation.id', `conv-${random.int(0, 1_000_000)}`),
    text('user.id_hash', `h_${random.int(0, 1_000_000)}`),
    int('http.response.status_code', 200),
    text('network.peer.address', '10.4.7.21'),
  ]
  if (span === rootSpan) {
    attributes.push(text('experiment.id', experiment))
    attributes.push(text('experiment.variant', kind === 'variant' ? watchedVariant : 'a'))
    attributes.push(int('outcome.csat_response', kind === 'csat' ? 2 : 5))
  }
  if (span === 5) attributes.push(double('judge.score', kind === 'judge' ? 0.2 : 0.9))
  if (span === 1) {
    attributes.push(int('citation.claims_extracted', 4))
    attributes.push(int('citation.claims_supported', kind === 'citation' ? 2 : 4))
  }
  const fixed = attributes.reduce((sum, { key, value }) => sum + key.length + lengthOf(value), 0)
  const rest = bytesPerSpan - 80 - fixed
  const input = Math.floor(rest * 0.6)
  attributes.push(text('gen_ai.input.messages', words(random, input)))
  attributes.push(text('gen_ai.output.messages', words(random, rest - input - 55)))
  return attributes
}

/** As it is encoded, heads of its messages included. */
function lengthOf(value: KeyValue['value']): number {
  return 8 + ('stringValue' in value && value.stringValue ? value.stringValue.length : 4)
}

const vocabulary =
  'the order was late by two weeks and our refund window of fourteen days from delivery has passed please check customer account invoice number shipping address policy agent answer'.split(
    ' ',
  )

function words(random: Random, bytes: number): string {
  let line = ''
  while (line.length < bytes) line += `${vocabulary[random.int(0, vocabulary.length - 1)]} `
  return line.slice(0, bytes)
}

function text(key: string, stringValue: string): KeyValue {
  return { key, value: { stringValue } }
}

function int(key: string, value: number): KeyValue {
  return { key, value: { intValue: BigInt(value) } }
}

function double(key: string, doubleValue: number): KeyValue {
  return { key, value: { doubleValue } }
}
