import { readFileSync } from 'node:fs'
import {
  decodeExportResponse,
  decodeTraces,
  exportResponseFromJson,
  type Span,
  tracesFromJson,
} from '@winnow/otlp'
import { afterEach, expect, test } from 'vitest'
import {
  partitions,
  post,
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const example = (name: string): Buffer =>
  readFileSync(new URL(`../examples/${name}`, import.meta.url))

async function sent(body: string | Uint8Array) {
  const response = await post(started, '/v1/traces', body)
  expect(response.status).toBe(200)
  return typeof body === 'string'
    ? exportResponseFromJson('traces', await response.bytes())
    : decodeExportResponse(await response.bytes())
}

const nothingRefused = { rejected: 0, errorMessage: '' }

/** The one span that arrived. */
async function arrived(): Promise<Span> {
  const spans = await started.bus.spans()
  expect(spans).toHaveLength(1)
  return spans[0]?.span as Span
}

/** Every record of the bus as the envelopes that it holds. */
async function envelopes() {
  const records = await started.bus.records('spans')
  return records.flatMap(({ value }) => decodeTraces(value).resourceSpans)
}

test('the example trace, upper-case ids, arrives the same as JSON and as protobuf of another encoder', async () => {
  started = await startReceiver()
  expect(await sent(example('trace.json').toString())).toEqual(nothingRefused)
  const asJson = await envelopes()
  expect(await sent(example('trace.pb'))).toEqual(nothingRefused)
  const both = await envelopes()
  expect(both).toEqual([...asJson, ...asJson])
  expect(asJson).toEqual(tracesFromJson(example('trace.json')).data.resourceSpans)
  const [span, root] = asJson[0]?.scopeSpans[0]?.spans ?? []
  expect(span?.traceId).toBe('5b8efff798038103d269b633813fc60c')
  expect(span?.parentSpanId).toBe('eee19b7ec3c1b173')
  expect(span?.links[0]?.spanId).toBe('eee19b7ec3c1b175')
  expect(root?.kind).toBe(0)
})

test('the example logs and metrics get the same answer as JSON and as protobuf of another encoder', async () => {
  started = await startReceiver()
  for (const [signal, path, rejected] of [
    ['logs', '/v1/logs', 1],
    ['metrics', '/v1/metrics', 3],
  ] as const) {
    const json = await post(started, path, example(`${signal}.json`).toString())
    const proto = await post(started, path, example(`${signal}.pb`))
    const answer = decodeExportResponse(await proto.bytes())
    expect(answer.rejected).toBe(rejected)
    expect(exportResponseFromJson(signal, await json.bytes())).toEqual(answer)
  }
  const [first, second] = await started.bus.evidence()
  expect(first).toMatchObject({ name: 'judge', score: 0.25, label: 'fail' })
  expect(second).toEqual(first)
})

test('a protobuf request keeps all that is around its spans: scope, schema URLs, dropped counts, trace state, flags', async () => {
  started = await startReceiver()
  const body = example('trace.pb')
  await sent(body)
  const [record] = await started.bus.records('spans')
  expect(record?.value.length).toBe(body.length)
  expect(await envelopes()).toEqual(decodeTraces(body).resourceSpans)
  const [resourceSpans] = await envelopes()
  expect(resourceSpans).toMatchObject({
    schemaUrl: 'https://opentelemetry.io/schemas/1.40.0',
    resource: { droppedAttributesCount: 1 },
    scopeSpans: [
      {
        schemaUrl: 'https://opentelemetry.io/schemas/gen-ai/1.42.0',
        scope: { name: 'refund-bot-tracer', version: '1.4.0', droppedAttributesCount: 2 },
        spans: [
          {
            flags: 769,
            traceState: 'ot=th:8;rv:0123456789abcd,vendor=1',
            droppedAttributesCount: 3,
            droppedEventsCount: 5,
            droppedLinksCount: 7,
            links: [{ flags: 257, droppedAttributesCount: 6 }],
          },
          { name: 'refund_chat.turn' },
        ],
      },
    ],
  })
})

test('every value that OTLP knows arrives as it was, nested, mixed and empty', async () => {
  started = await startReceiver()
  await sent(example('trace.pb'))
  const [found] = await started.bus.spans()
  const values = found?.span.attributes.map(({ value }) => value)
  expect(values).toEqual([
    { stringValue: 'chat' },
    { intValue: 9007199254740993n },
    { doubleValue: 0.7 },
    { boolValue: false },
    { bytesValue: new Uint8Array([0, 1, 2, 255]) },
    {},
    {
      arrayValue: {
        values: [
          { stringValue: '' },
          { intValue: -1n },
          { arrayValue: { values: [{ boolValue: true }] } },
          { kvlistValue: { values: [{ key: 'inner', value: { doubleValue: -0.5 } }] } },
        ],
      },
    },
  ])
})

test('ids are hex of either case, and never base64; bytes are base64', async () => {
  started = await startReceiver()
  const base64 = { traceId: 'W47/95gDgQPSabYzgT/GDA==', spanId: '7uGbfsPBsXQ=' }
  const bytes = [{ key: 'b', value: { bytesValue: 'AAEC/w==' } }]
  const result = await sent(requestJson(spanJson(1, { attributes: bytes }), spanJson(2, base64)))
  expect(result.rejected).toBe(1)
  expect(result.errorMessage).toContain('32 hex digits')
  expect((await arrived()).attributes).toEqual([
    { key: 'b', value: { bytesValue: new Uint8Array([0, 1, 2, 255]) } },
  ])
})

test('unknown fields are ignored; snake_case is not OTLP/JSON and says so', async () => {
  started = await startReceiver()
  const extra = { newField: { deep: [1, 2] }, trace_id: 'x', droppedAttributesCount: 3 }
  expect(await sent(requestJson(spanJson(1, extra)))).toEqual(nothingRefused)
  expect((await arrived()).droppedAttributesCount).toBe(3)
  const snake = await post(started, '/v1/traces', '{"resource_spans":[]}')
  expect(snake.status).toBe(400)
  expect(await snake.text()).toContain('lowerCamelCase')
  const { traceId, ...rest } = spanJson(2)
  const result = await sent(requestJson({ ...rest, trace_id: traceId }))
  expect(result.rejected).toBe(1)
  expect(result.errorMessage).toContain('traceId of the span is missing')
})

test('enum names refuse their span and no other; attributes as an object too', async () => {
  started = await startReceiver()
  const result = await sent(
    requestJson(
      spanJson(1, { kind: 'SPAN_KIND_SERVER' }),
      spanJson(2, { status: { code: 'STATUS_CODE_ERROR' } }),
      spanJson(3, { attributes: { 'service.name': 'x' } }),
      spanJson(4),
    ),
  )
  expect(result.rejected).toBe(3)
  expect(result.errorMessage).toContain('send the number of the enum, not its name')
  expect(result.errorMessage).toContain('send a list of {"key": …, "value": {…}}')
  expect((await arrived()).name).toBe('span 4')
})

test('64-bit numbers come as text or number and stay exact to the nanosecond', async () => {
  started = await startReceiver()
  const span = JSON.stringify(spanJson(1)).replace(
    /"startTimeUnixNano":"\d+"/,
    '"startTimeUnixNano":1544712660000000123',
  )
  const attributes = `"attributes":[{"key":"a","value":{"intValue":9007199254740993}},{"key":"b","value":{"intValue":"-9223372036854775808"}}]`
  const body = requestJson().replace(
    '"spans":[]',
    `"spans":[${span.replace(/}$/, `,${attributes}}`)}]`,
  )
  expect(await sent(body)).toEqual(nothingRefused)
  const found = await arrived()
  expect(found.startTimeUnixNano).toBe(1544712660000000123n)
  expect(found.attributes.map(({ value }) => value)).toEqual([
    { intValue: 9007199254740993n },
    { intValue: -9223372036854775808n },
  ])
})

test('fields left out are defaults: no kind, no status, no times, no attributes', async () => {
  started = await startReceiver()
  const { traceId, spanId } = spanJson(1)
  expect(await sent(requestJson({ traceId, spanId }))).toEqual(nothingRefused)
  expect(await arrived()).toMatchObject({
    name: '',
    kind: 0,
    startTimeUnixNano: 0n,
    status: { code: 0, message: '' },
    attributes: [],
  })
})

test('NaN and Infinity come as text, a key that comes twice counts last, a deep value is refused alone', async () => {
  started = await startReceiver()
  const doubles = ['NaN', 'Infinity', '-Infinity'].map(value => ({
    key: value,
    value: { doubleValue: value },
  }))
  let deep: object = { stringValue: 'x' }
  for (let depth = 0; depth < 100; depth++) deep = { arrayValue: { values: [deep] } }
  const body = requestJson(
    spanJson(1, { attributes: doubles }),
    spanJson(2, { attributes: [{ key: 'deep', value: deep }] }),
  ).replace('"name":"span 1"', '"name":"first","name":"last"')
  const result = await sent(body)
  expect(result.rejected).toBe(1)
  expect(result.errorMessage).toContain('flatten it')
  const found = await arrived()
  expect(found.name).toBe('last')
  const values = found.attributes.map(({ value }) =>
    'doubleValue' in value ? value.doubleValue : 0,
  )
  expect(values).toEqual([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
})

test('a body nested 50,000 deep is refused in bounded time, as JSON and as protobuf', async () => {
  started = await startReceiver()
  const depth = 50_000
  const json = `{"resourceSpans":${'['.repeat(depth)}${']'.repeat(depth)}}`
  expect((await post(started, '/v1/traces', json)).status).toBe(400)
  let value: Buffer = Buffer.from([10, 1, 120])
  for (let n = 0; n < 10_000; n++) {
    const inner = field(10, value)
    value = field(42, inner)
  }
  const pair = Buffer.concat([Buffer.from([10, 1, 107]), field(18, value)])
  const nested = field(10, field(18, field(18, field(74, pair))))
  expect((await post(started, '/v1/traces', nested)).status).toBe(400)
  expect(await started.bus.spans()).toEqual([])
})

/** A length-delimited field with a tag of one byte. */
function field(tag: number, message: Uint8Array): Buffer {
  const head = [tag]
  let rest = message.length
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128)
  head.push(rest)
  return Buffer.concat([Buffer.from(head), message])
}

test('spans come in any order: the child first, the root last, two roots, a parent that is nowhere', async () => {
  started = await startReceiver()
  const { traceId } = spanJson(1)
  const spans = [
    spanJson(3, { traceId, parentSpanId: spanJson(2).spanId }),
    spanJson(4, { traceId, parentSpanId: 'feedfacefeedface' }),
    spanJson(2, { traceId, parentSpanId: spanJson(1).spanId }),
    spanJson(5, { traceId }),
    spanJson(1, { traceId }),
  ]
  expect(await sent(requestJson(...spans))).toEqual(nothingRefused)
  const found = await started.bus.spans()
  expect(found.map(({ span }) => span.spanId)).toEqual(spans.map(({ spanId }) => spanId))
  expect(new Set(found.map(({ partition }) => partition)).size).toBe(1)
})

test('all spans of a trace meet in one partition, whatever request and service they come from', async () => {
  started = await startReceiver()
  const traces = 40
  for (let service = 0; service < 3; service++) {
    const spans = Array.from({ length: traces }, (_, n) =>
      spanJson(n, { spanId: `000000000${service}00001${n % 10}` }),
    )
    await sent(service === 1 ? requestProto(...spans) : requestJson(...spans))
  }
  const partitionOf = new Map<string, number>()
  for (const { span, partition } of await started.bus.spans()) {
    expect(partitionOf.get(span.traceId) ?? partition).toBe(partition)
    partitionOf.set(span.traceId, partition)
  }
  expect(partitionOf.size).toBe(traces)
  expect(new Set(partitionOf.values()).size).toBe(partitions)
})
