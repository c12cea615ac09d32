import { expect, test } from 'vitest'
import { logsFromJson, tracesFromJson } from './json.ts'
import { rejectionsDescribedMax } from './json-envelope.ts'
import { jsonDepthMax } from './json-text.ts'
import { type AnyValue, anyValueDepthMax, emptySpan } from './otlp.ts'
import { tracesToJson } from './to-json.ts'

const ids = { traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f', spanId: '0100000000000001' }

const request = (...spans: unknown[]) => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] })

const spansOf = (value: object | string) => {
  const { data, rejected } = tracesFromJson(value)
  return { spans: data.resourceSpans.flatMap(r => r.scopeSpans.flatMap(s => s.spans)), rejected }
}

/** The only span, which must be accepted. */
function accepted(span: object) {
  const { spans, rejected } = spansOf(JSON.stringify(request({ ...ids, ...span })))
  expect(rejected).toStrictEqual([])
  const [first] = spans
  if (first === undefined) throw new Error('no span')
  return first
}

/** Why the span was refused, its neighbours not being so. */
function refused(span: object): string {
  const good = { ...ids, name: 'good' }
  const { spans, rejected } = spansOf(JSON.stringify(request(good, { ...ids, ...span }, good)))
  expect(spans.map(it => it.name)).toStrictEqual(['good', 'good'])
  expect(rejected).toHaveLength(1)
  return rejected[0]?.message ?? ''
}

const readValue = (value: unknown): AnyValue | undefined =>
  accepted({ attributes: [{ key: 'k', value }] }).attributes[0]?.value

const whyNot = (value: unknown) => refused({ attributes: [{ key: 'k', value }] })

test('absent and null fields are defaults: no kind, no status, no times', () => {
  const nulls = {
    kind: null,
    status: null,
    attributes: null,
    events: null,
    name: null,
    flags: null,
  }
  for (const span of [{}, nulls]) {
    expect(accepted(span)).toStrictEqual({
      ...emptySpan,
      ...ids,
    })
  }
})

test('ids are hex of either case', () => {
  const span = accepted({
    traceId: '5B8EFFF798038103D269B633813FC60C',
    spanId: 'EEE19B7EC3C1B174',
    parentSpanId: 'EEE19b7ec3c1b173',
    links: [{ traceId: '5B8EFFF798038103D269B633813FC60C', spanId: 'EEE19B7EC3C1B174' }],
  })
  expect([span.traceId, span.spanId, span.parentSpanId]).toStrictEqual([
    '5b8efff798038103d269b633813fc60c',
    'eee19b7ec3c1b174',
    'eee19b7ec3c1b173',
  ])
  expect(span.links[0]).toMatchObject({ traceId: span.traceId, spanId: span.spanId })
})

test('a span whose ids are missing, zero, base64 or of another length is refused alone', () => {
  expect(refused({ traceId: undefined })).toMatch(
    /traceId of the span is missing; send 32 hex digits/,
  )
  expect(refused({ traceId: '0'.repeat(32) })).toContain('not all zero')
  expect(refused({ traceId: 'W47/95gDgQPSabYzgT/GDA==' })).toContain('32 hex digits')
  expect(refused({ spanId: '' })).toContain('spanId')
  expect(refused({ spanId: 'EEE19B7EC3C1B1745' })).toContain('16 hex digits')
  expect(refused({ spanId: 12 })).toContain('the number 12')
  expect(refused({ parentSpanId: 'abc' })).toContain('parentSpanId')
  expect(refused({ links: [{ traceId: 'xyz' }] })).toContain('traceId of a link')
})

test('a rejection names the span it is about, when the ids can be read', () => {
  const { rejected } = spansOf(
    request(
      { traceId: ids.traceId.toUpperCase(), spanId: ids.spanId, kind: 'SPAN_KIND_SERVER' },
      { traceId: 'no' },
    ),
  )
  expect(rejected[0]).toStrictEqual({ ...ids, message: expect.stringContaining('kind') })
  expect(rejected[1]).toStrictEqual({ message: expect.stringContaining('traceId') })
})

test('an enum by its name is refused with the remedy, one not known yet is kept', () => {
  expect(refused({ kind: 'SPAN_KIND_SERVER' })).toBe(
    'kind of the span is the string "SPAN_KIND_SERVER"; send the number of the enum, not its name',
  )
  expect(refused({ kind: '2' })).toContain('kind')
  expect(refused({ kind: 1.5 })).toContain('kind')
  expect(refused({ status: { code: 'STATUS_CODE_ERROR' } })).toContain('code of the status')
  expect(accepted({ kind: 99 }).kind).toBe(99)
  expect(accepted({ status: { code: 2, message: 'm' } }).status).toStrictEqual({
    message: 'm',
    code: 2,
  })
})

test('attributes as an object are refused with the remedy, wherever they are', () => {
  const remedy = /attributes of .* is an object; send a list of {"key": …, "value": {…}}/
  expect(refused({ attributes: { 'http.route': '/' } })).toMatch(remedy)
  expect(refused({ events: [{ attributes: {} }] })).toMatch(remedy)
  expect(refused({ links: [{ attributes: {} }] })).toMatch(remedy)
  const { rejected } = spansOf({
    resourceSpans: [
      { resource: { attributes: {} }, scopeSpans: [{ spans: [ids, ids] }] },
      { scopeSpans: [{ scope: { attributes: {} }, spans: [ids] }, { spans: [ids] }] },
    ],
  })
  expect(rejected.map(it => it.message)).toStrictEqual([
    expect.stringMatching(/of the resource/),
    expect.stringMatching(/of the resource/),
    expect.stringMatching(/of the scope/),
  ])
})

test('entity references are kept, and checked as all else', () => {
  const group = (entityRefs: unknown) => ({
    resourceSpans: [{ resource: { entityRefs }, scopeSpans: [{ spans: [ids] }] }],
  })
  const good = { schemaUrl: 'u', type: 'service', idKeys: ['service.name'], descriptionKeys: [] }
  const { data } = tracesFromJson(group([good]))
  expect(data.resourceSpans[0]?.resource.entityRefs).toStrictEqual([good])
  expect(spansOf(group([{ idKeys: [7] }])).rejected[0]?.message).toContain('idKeys')
  expect(spansOf(group({})).rejected[0]?.message).toContain('entityRefs')
})

test('snake_case names and unknown fields are not looked at', () => {
  const span = accepted({
    start_time_unix_nano: '5',
    parent_span_id: 'x',
    attributesOfTomorrow: { a: [{}] },
  })
  expect(span.startTimeUnixNano).toBe(0n)
  expect(span.parentSpanId).toBe('')
  expect(refused({ traceId: undefined, trace_id: ids.traceId })).toContain('traceId')
})

test('a request in other names or for another signal is refused instead of being empty', () => {
  const wrong = (value: object) => () => tracesFromJson(value)
  expect(wrong({ resource_spans: [] })).toThrow(/lowerCamelCase/)
  expect(wrong({ resourceLogs: [] })).toThrow(/\/v1\/logs/)
  expect(() => logsFromJson({ resourceSpans: [] })).toThrow(/\/v1\/traces/)
  expect(tracesFromJson({}).data).toStrictEqual({ resourceSpans: [] })
  expect(tracesFromJson({ resourceSpans: [], resourceLogs: [] }).rejected).toStrictEqual([])
})

test('a level of the envelope that is no list refuses the request: nobody could count its spans', () => {
  for (const value of [
    [],
    { resourceSpans: {} },
    { resourceSpans: [null] },
    { resourceSpans: [{ scopeSpans: 'x' }] },
    { resourceSpans: [{ scopeSpans: [{ spans: {} }] }] },
  ]) {
    expect(() => tracesFromJson(value)).toThrow(
      expect.objectContaining({ code: 'PAYLOAD_INVALID' }),
    )
  }
  expect(spansOf(request(null, 7, ids)).rejected).toHaveLength(2)
})

test('nanoseconds are exact as string and as number, in the text and only there', () => {
  const text = (time: string) =>
    `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${ids.traceId}","spanId":"${ids.spanId}","startTimeUnixNano":${time}}]}]}]}`
  for (const [time, exact] of [
    ['1716370863120000001', 1716370863120000001n],
    ['"1716370863120000001"', 1716370863120000001n],
    ['1.716370863120000001e18', 1716370863120000001n],
    ['"1.716370863120000001e18"', 1716370863120000001n],
    ['1716370863120000001.0', 1716370863120000001n],
    ['18446744073709551615', 2n ** 64n - 1n],
    ['12', 12n],
    ['1e3', 1000n],
  ] as const) {
    expect(spansOf(text(time)).spans[0]?.startTimeUnixNano, time).toBe(exact)
  }
  for (const time of [
    '-1',
    '18446744073709551616',
    '1.5',
    '"1.5"',
    '"abc"',
    '""',
    'true',
    '{}',
    '1e400',
    '1e-3',
  ]) {
    expect(spansOf(text(time)).rejected[0]?.message, time).toContain('startTimeUnixNano')
  }
  const parsed = spansOf(JSON.parse(text('1716370863120000001')))
  expect(parsed.rejected[0]?.message).toContain('as a string of decimal digits')
})

test('every value of the union is read, and what is none is refused by the name of its key', () => {
  expect(readValue({ stringValue: '__REDACTED__' })).toStrictEqual({ stringValue: '__REDACTED__' })
  expect(readValue({ boolValue: false })).toStrictEqual({ boolValue: false })
  expect(readValue({ intValue: '-9223372036854775808' })).toStrictEqual({ intValue: -(2n ** 63n) })
  expect(readValue({ intValue: 7 })).toStrictEqual({ intValue: 7n })
  expect(readValue({ doubleValue: 1.5 })).toStrictEqual({ doubleValue: 1.5 })
  expect(readValue({ doubleValue: 'NaN' })).toStrictEqual({ doubleValue: Number.NaN })
  expect(readValue({ doubleValue: '-Infinity' })).toStrictEqual({
    doubleValue: Number.NEGATIVE_INFINITY,
  })
  expect(readValue({ doubleValue: '-1.5e-7' })).toStrictEqual({ doubleValue: -1.5e-7 })
  for (const base64 of ['+/+/AQ==', '-_-_AQ==', '-_-_AQ', '+/+/AQ']) {
    expect(readValue({ bytesValue: base64 })).toStrictEqual({
      bytesValue: Uint8Array.of(251, 255, 191, 1),
    })
  }
  expect(readValue({ arrayValue: {} })).toStrictEqual({ arrayValue: { values: [] } })
  expect(readValue({ arrayValue: { values: [{}, null, { intValue: '1' }] } })).toStrictEqual({
    arrayValue: { values: [{}, {}, { intValue: 1n }] },
  })
  expect(readValue({ kvlistValue: { values: [{ key: 'a' }] } })).toStrictEqual({
    kvlistValue: { values: [{ key: 'a', value: {} }] },
  })
  for (const empty of [{}, null, undefined, { stringValue: null }, { valueOfTomorrow: 1 }]) {
    expect(readValue(empty)).toStrictEqual({})
  }
  expect(whyNot('plain')).toBe(
    'the value of attribute "k" is a string of 5 characters; send an object such as {"stringValue": …}',
  )
  for (const wrong of [
    { stringValue: 7 },
    { boolValue: 'true' },
    { intValue: 1.5 },
    { intValue: '9223372036854775808' },
    { intValue: '' },
    { doubleValue: 'x' },
    { doubleValue: '' },
    { bytesValue: 'a' },
    { bytesValue: 'a*==' },
    { bytesValue: [1] },
    { arrayValue: [] },
    { arrayValue: { values: {} } },
    { arrayValue: { values: [{ intValue: {} }] } },
    { kvlistValue: { values: ['a'] } },
  ]) {
    expect(whyNot(wrong), JSON.stringify(wrong)).toMatch(/; send /)
  }
})

test('a message repeats little of what was sent', () => {
  expect(refused({ kind: 'x'.repeat(10_000) }).length).toBeLessThan(200)
  const attributes = [{ key: 'k'.repeat(10_000), value: { intValue: 'x'.repeat(10_000) } }]
  expect(refused({ attributes }).length).toBeLessThan(300)
})

test('a hostile batch of refusals says why a hundred times and counts them all', () => {
  const { rejected } = spansOf(request(...new Array(rejectionsDescribedMax + 50).fill({})))
  expect(rejected).toHaveLength(rejectionsDescribedMax + 50)
  expect(rejected[rejectionsDescribedMax - 1]?.message).toContain('traceId')
  expect(rejected[rejectionsDescribedMax]?.message).toContain('refused like others')
  expect(rejected[rejectionsDescribedMax]).toBe(rejected[rejectionsDescribedMax + 1])
})

const deep = (depth: number): object =>
  depth === 1
    ? { intValue: '1' }
    : { kvlistValue: { values: [{ key: 'k', value: deep(depth - 1) }] } }

test(`values nest to ${anyValueDepthMax}; one deeper refuses the span, 50,000 the request`, () => {
  expect(readValue(deep(anyValueDepthMax))).toBeDefined()
  expect(whyNot(deep(anyValueDepthMax + 1))).toContain('anyValueDepthMax')
  const open = '{"arrayValue":{"values":['
  const text = JSON.stringify(request({ ...ids, attributes: [{ key: 'k', value: 'HERE' }] }))
  const bomb = text.replace('"HERE"', `${open.repeat(50_000)}${']}}'.repeat(50_000)}`)
  expect(() => tracesFromJson(bomb)).toThrow(/\[PAYLOAD_INVALID\].*jsonDepthMax/)
  const ignored = `{"unknown":${'['.repeat(jsonDepthMax + 1)}`
  expect(() => tracesFromJson(ignored)).toThrow(/jsonDepthMax/)
})

test('of a key that comes twice the last one counts', () => {
  const { spans } = spansOf(
    `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${ids.traceId}","spanId":"${ids.spanId}","name":"a","name":"b"}]}]}]}`,
  )
  expect(spans[0]?.name).toBe('b')
})

test('a lone surrogate becomes U+FFFD, so that protobuf holds the same text', () => {
  expect(readValue({ stringValue: 'a\ud800b' })).toStrictEqual({ stringValue: 'a\ufffdb' })
})

test('names that every object inherits are no fields', () => {
  const text = `{"__proto__":{"resourceSpans":[1]},"constructor":1}`
  expect(tracesFromJson(text)).toStrictEqual({ data: { resourceSpans: [] }, rejected: [] })
})

test('a log record may lack ids, and is refused alone for what a span is refused for', () => {
  const { data, rejected } = logsFromJson({
    resourceLogs: [
      {
        scopeLogs: [
          {
            logRecords: [
              {
                eventName: 'gen_ai.evaluation.result',
                body: { stringValue: 'b' },
                severityNumber: 9,
              },
              { severityNumber: 'SEVERITY_NUMBER_INFO' },
              { traceId: 'x' },
              { body: 'text' },
            ],
          },
        ],
      },
    ],
  })
  expect(data.resourceLogs[0]?.scopeLogs[0]?.logRecords).toHaveLength(1)
  expect(data.resourceLogs[0]?.scopeLogs[0]?.logRecords[0]).toMatchObject({
    traceId: '',
    body: { stringValue: 'b' },
    eventName: 'gen_ai.evaluation.result',
  })
  expect(rejected.map(it => it.message)).toStrictEqual([
    expect.stringContaining('severityNumber'),
    expect.stringContaining('traceId'),
    expect.stringContaining('body'),
  ])
})

test('JSON for readers carries every field, 64-bit numbers as strings', () => {
  const { data } = tracesFromJson(request(ids))
  expect(JSON.parse(tracesToJson(data)).resourceSpans[0].scopeSpans[0].spans[0]).toStrictEqual({
    ...emptySpan,
    ...ids,
    startTimeUnixNano: '0',
    endTimeUnixNano: '0',
  })
})
