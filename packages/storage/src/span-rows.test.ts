import { type AnyValue, decodeTraces, encodeTraces, genAiNames, type Span } from '@winnow/otlp'
import { ColdHasher, levelOf, levelTable } from '@winnow/privacy'
import { Random, trafficEvents } from '@winnow/testing'
import { expect, test } from 'vitest'
import { coldAttributes, coldEvents, coldRow, coldRows } from './cold-rows.ts'
import {
  attributesObject,
  clearBytesMax,
  clearListMax,
  hiddenName,
  traceStateLengthMax,
} from './level-json.ts'
import { pairs, sampleDecision, sampleSpan, sampleSpanId, sampleTraces, text } from './samples.ts'
import type { SpanRow } from './span-row.ts'
import { isUnread, spanRows } from './span-rows.ts'

const decision = sampleDecision(1, { spanCount: 2 })
const ref = { partition: 3, offset: 9, start: 0, length: 99, spanCount: 1 }
const hasher = new ColdHasher(new Uint8Array(32).fill(5))

function rowsOf(...spans: Span[]): SpanRow[] {
  // Through the wire, as the writer meets them.
  const data = decodeTraces(encodeTraces(sampleTraces(spans)))
  return spanRows(decision, 3, 17, [{ ref, data }])
}

function rowOf(changes: Partial<Span>): SpanRow {
  return rowsOf(sampleSpan(decision.traceId, 1, changes))[0] as SpanRow
}

function attribute(key: string, value: AnyValue): unknown {
  return JSON.parse(rowOf({ attributes: [{ key, value }] }).attributes)[key]
}

test('a span becomes a row of OpenTelemetry’s columns with its GenAI facts promoted', () => {
  expect(rowOf({})).toEqual({
    tenant: 'default',
    trace_id: decision.traceId,
    span_id: sampleSpanId(1),
    parent_span_id: sampleSpanId(0),
    service_name: 'refund-bot',
    name: 'llm.generate',
    kind: 3,
    start_time_unix_nano: 1_795_244_400_000_000_000n,
    end_time_unix_nano: 1_795_244_402_608_000_000n,
    status_code: 1,
    flags: 0x101,
    trace_state: null,
    scope_name: 'openinference',
    scope_version: '1.4.0',
    gen_ai_operation: 'chat',
    gen_ai_provider: 'anthropic',
    gen_ai_model: 'claude-3-5-sonnet-20241022',
    gen_ai_tool: null,
    input_tokens: 1_870,
    output_tokens: 180,
    cost_usd: 0.00831,
    experiment_id: 'exp_prompt_terser_v3',
    experiment_variant: 'B',
    attributes:
      '{"gen_ai.system":{"stringValue":"anthropic"},"gen_ai.operation.name":{"stringValue":"chat"},"gen_ai.request.model":{"stringValue":"claude-3-5-sonnet-20241022"},"gen_ai.usage.input_tokens":{"intValue":"1870"},"gen_ai.usage.output_tokens":{"intValue":"180"},"gen_ai.cost_usd":{"doubleValue":0.00831},"gen_ai.response.id":{"stringValue":"msg_01H4r7K"},"gen_ai.prompt.0.role":{"stringValue":"user"},"prompt.system_tokens":{"intValue":"420"}}',
    resource_attributes:
      '{"service.name":{"stringValue":"refund-bot"},"deployment.env":{"stringValue":"prod"},"session.id":{"stringValue":"sess_91ab"},"user.id_hash":{"stringValue":"h_38d2"},"experiment.id":{"stringValue":"exp_prompt_terser_v3"},"experiment.variant":{"stringValue":"B"}}',
    events: '[]',
    links: '[]',
    sampling_rule: 'citation-failed',
    sampling_revision: 1,
    sampling_probability: 1,
    sampling_adjusted_count: 1,
    sampling_offset: 17n,
    sampling_partition: 3,
  })
})

test('of a span that two slices hold the one of the first by (offset, start) is the row', () => {
  const slice = (offset: number, start: number, name: string) => ({
    ref: { ...ref, offset, start },
    data: sampleTraces([sampleSpan(decision.traceId, 1, { name })]),
  })
  const [second, first, third] = [
    slice(9, 50, 'second'),
    slice(9, 0, 'first'),
    slice(10, 0, 'third'),
  ]
  const orders = [
    [first, second, third],
    [third, second, first],
    [second, third, first],
  ]
  for (const order of orders) {
    expect(spanRows(decision, 3, 17, order).map(row => row.name)).toEqual(['first'])
  }
})

test('a slice of another trace is refused by its place', () => {
  expect(() => rowsOf(sampleSpan('ab'.repeat(16), 1))).toThrow(/DATA_CORRUPT.*slice 3:9:0/)
})

test('no text that a client put anywhere but under a clear key is in a row', () => {
  const secret = 'priya said so'
  const secrets: Partial<Span> = {
    attributes: pairs({
      'user.message': text(secret),
      'made.up.by.somebody': text(secret),
      'gen_ai.input.messages': { arrayValue: { values: [text(secret)] } },
      'session.id': text(`${secret} `.repeat(5)),
      'retrieval.doc_ids': { arrayValue: { values: [text(`${secret} `.repeat(5))] } },
      'user.id': { kvlistValue: { values: [{ key: secret, value: text(secret) }] } },
    }),
    name: `${secret} `.repeat(5),
    status: { code: 2, message: secret },
    events: [
      {
        timeUnixNano: 1n,
        name: 'exception',
        attributes: pairs({
          'exception.type': text('TypeError'),
          'exception.message': text(secret),
          'exception.stacktrace': text(secret),
        }),
        droppedAttributesCount: 0,
      },
      { timeUnixNano: 2n, name: `${secret} `.repeat(5), attributes: [], droppedAttributesCount: 0 },
    ],
    links: [
      {
        traceId: 'cd'.repeat(16),
        spanId: sampleSpanId(9),
        traceState: '',
        attributes: pairs({ why: text(secret) }),
        droppedAttributesCount: 0,
        flags: 0,
      },
    ],
  }
  const row = rowOf(secrets)
  for (const [column, value] of Object.entries(row))
    expect(String(value), column).not.toMatch(/priya/)
  expect(row.name).toBe(hiddenName)
  expect(JSON.parse(row.events)).toEqual([
    {
      timeUnixNano: '1',
      name: 'exception',
      attributes: [{ key: 'exception.type', value: { stringValue: 'TypeError' } }],
    },
    { timeUnixNano: '2', name: hiddenName, attributes: [] },
  ])
  expect(JSON.parse(row.links)).toEqual([
    { traceId: 'cd'.repeat(16), spanId: sampleSpanId(9), traceState: '', attributes: [], flags: 0 },
  ])
})

test('every shape of value under a clear key is OTLP/JSON', () => {
  const values: [AnyValue, unknown][] = [
    [{ stringValue: 'a "b" \u2028 é' }, { stringValue: 'a "b" \u2028 é' }],
    [{ intValue: -(2n ** 63n) }, { intValue: '-9223372036854775808' }],
    [{ doubleValue: Number.NaN }, { doubleValue: 'NaN' }],
    [{ doubleValue: Number.NEGATIVE_INFINITY }, { doubleValue: '-Infinity' }],
    [{ doubleValue: -0 }, { doubleValue: '-0' }],
    [{ doubleValue: 5e-324 }, { doubleValue: 5e-324 }],
    [{ boolValue: true }, { boolValue: true }],
    [{ bytesValue: new Uint8Array([1, 255]) }, { bytesValue: 'Af8=' }],
    [{ arrayValue: { values: [] } }, { arrayValue: { values: [] } }],
    [
      { arrayValue: { values: [{ intValue: 1n }, text('x')] } },
      { arrayValue: { values: [{ intValue: '1' }, { stringValue: 'x' }] } },
    ],
    [{}, {}],
  ]
  for (const [value, json] of values) expect(attribute('session.id', value)).toEqual(json)
})

test('lists, bytes and trace states are clear at their limits and content one past them', () => {
  const list = (length: number): AnyValue => ({
    arrayValue: { values: Array<AnyValue>(length).fill({ intValue: 1n }) },
  })
  expect(attribute('retrieval.doc_ids', list(clearListMax))).toBeDefined()
  expect(attribute('retrieval.doc_ids', list(clearListMax + 1))).toBeUndefined()
  const bytes = (length: number): AnyValue => ({ bytesValue: new Uint8Array(length) })
  expect(attribute('session.id', bytes(clearBytesMax))).toBeDefined()
  expect(attribute('session.id', bytes(clearBytesMax + 1))).toBeUndefined()
  const traceState = 'x'.repeat(traceStateLengthMax)
  expect(rowOf({ traceState }).trace_state).toBe(traceState)
  expect(rowOf({ traceState: `${traceState}x` }).trace_state).toBeNull()
})

test('of a key that comes twice the last value counts, also where it may not be shown', () => {
  const twice = (second: AnyValue): string =>
    rowOf({
      attributes: [
        { key: 'session.id', value: text('first') },
        { key: 'session.id', value: second },
      ],
    }).attributes
  expect(twice(text('last'))).toBe('{"session.id":{"stringValue":"last"}}')
  expect(twice({ kvlistValue: { values: [] } })).toBe('{}')
})

test('a time after 2262 is stored as the last that an INT64 holds', () => {
  const row = rowOf({ startTimeUnixNano: 2n ** 63n, endTimeUnixNano: 2n ** 64n - 1n })
  expect([row.start_time_unix_nano, row.end_time_unix_nano]).toEqual([
    2n ** 63n - 1n,
    2n ** 63n - 1n,
  ])
})

test('cold keeps structural keys, numbers that measure and ids; every other string is its token', () => {
  const warm = rowOf({
    traceState: 'ot=th:8',
    attributes: pairs({
      'gen_ai.request.model': text('gpt-4o'),
      'gen_ai.usage.input_tokens': { intValue: 5n },
      'gen_ai.response.id': text('msg_1'),
      'user.id': { intValue: 42n },
      'rerank.top1_id': { bytesValue: new Uint8Array([1]) },
      'retrieval.doc_ids': { arrayValue: { values: [text('pol_1'), text('pol_2')] } },
      'retrieval.scores': { arrayValue: { values: [{ doubleValue: 0.5 }] } },
    }),
    events: [
      {
        timeUnixNano: 1n,
        name: 'gen_ai.evaluation.result',
        attributes: pairs({
          'gen_ai.evaluation.name': text('judge'),
          'gen_ai.response.id': text('msg_1'),
        }),
        droppedAttributesCount: 0,
      },
    ],
    links: [
      {
        traceId: 'cd'.repeat(16),
        spanId: sampleSpanId(9),
        traceState: 'a=b',
        attributes: pairs({ 'session.id': text('sess') }),
        droppedAttributesCount: 0,
        flags: 1,
      },
    ],
  })
  const cold = coldRow(warm, hasher)
  const token = (value: string): object => ({ stringValue: hasher.token(value) })
  expect(JSON.parse(cold.attributes)).toEqual({
    'gen_ai.request.model': { stringValue: 'gpt-4o' },
    'gen_ai.usage.input_tokens': { intValue: '5' },
    'gen_ai.response.id': token('msg_1'),
    'user.id': token('42'),
    'rerank.top1_id': token('AQ=='),
    'retrieval.doc_ids': { arrayValue: { values: [token('pol_1'), token('pol_2')] } },
    'retrieval.scores': { arrayValue: { values: [{ doubleValue: 0.5 }] } },
  })
  expect(JSON.parse(cold.resource_attributes)).toMatchObject({
    'service.name': { stringValue: 'refund-bot' },
    'session.id': token('sess_91ab'),
    'user.id_hash': token('h_38d2'),
  })
  expect(cold.trace_state).toBe(hasher.token('ot=th:8'))
  expect(JSON.parse(cold.events)[0].attributes[1]).toEqual({
    key: 'gen_ai.response.id',
    value: token('msg_1'),
  })
  expect(JSON.parse(cold.links)[0]).toEqual({
    traceId: 'cd'.repeat(16),
    spanId: sampleSpanId(9),
    traceState: hasher.token('a=b'),
    attributes: [{ key: 'session.id', value: token('sess') }],
    flags: 1,
  })
  const same = ['attributes', 'resource_attributes', 'events', 'links', 'trace_state']
  for (const column of Object.keys(warm) as (keyof SpanRow)[]) {
    if (!same.includes(column)) expect(cold[column], column).toEqual(warm[column])
  }
})

test('no structured string of any row is left in its cold row', () => {
  const rows = rowsOf(
    sampleSpan(decision.traceId, 0),
    sampleSpan(decision.traceId, 1, { attributes: pairs({ 'session.id': text('another') }) }),
  )
  const cold = coldRows(rows, hasher)
  expect(cold).toEqual(rows.map(row => coldRow(row, hasher)))
  for (const [n, row] of rows.entries()) {
    for (const json of [row.attributes, row.resource_attributes]) {
      for (const [key, value] of Object.entries<{ stringValue?: string }>(JSON.parse(json))) {
        if (levelOf(key) !== 'structured' || value.stringValue === undefined) continue
        expect(Object.values(cold[n] ?? {}).join(' '), key).not.toContain(value.stringValue)
      }
    }
  }
})

test('what is promoted to a column comes from structural keys alone, or is a number', () => {
  const promoted = ['operation', 'provider', 'requestModel', 'responseModel', 'toolName'] as const
  const experiment = ['experimentId', 'experimentVariant', 'flagKey', 'flagVariant'] as const
  for (const meaning of [...promoted, ...experiment]) {
    for (const key of genAiNames[meaning]) expect(levelOf(key), key).toBe('structural')
  }
})

test('every name that the GenAI view knows stands in the table of levels', () => {
  const listed = new Set(levelTable().map(row => row.pattern))
  for (const keys of Object.values(genAiNames)) {
    for (const key of keys) {
      const pattern = key.replace(/(?<=\.)\d+(?=\.|$)/g, 'N')
      expect(listed, key).toContain(pattern)
    }
  }
})

test('rows are the same where the values that no row holds are passed over', () => {
  let rows = 0
  for (const event of trafficEvents({ seed: 5, traces: 40, startMs: 0 })) {
    if (event.kind !== 'request') continue
    const bytes = encodeTraces(event.data)
    const whole = decodeTraces(bytes).resourceSpans
    const brief = decodeTraces(bytes, isUnread).resourceSpans
    for (const [n, { scopeSpans, ...group }] of whole.entries()) {
      for (const [m, { spans, ...scope }] of scopeSpans.entries()) {
        for (const [k, span] of spans.entries()) {
          const same = brief[n]?.scopeSpans[m]?.spans[k] as Span
          const made = (one: Span): SpanRow[] => {
            const data = { resourceSpans: [{ ...group, scopeSpans: [{ ...scope, spans: [one] }] }] }
            return spanRows({ ...decision, traceId: one.traceId }, 0, 1, [{ ref, data }])
          }
          expect(made(same)).toEqual(made(span))
          rows++
        }
      }
    }
  }
  expect(rows).toBeGreaterThan(100)
})

test('attributes are hashed by their pieces as they are by a parser', () => {
  const values: AnyValue[] = [
    text('plain'),
    text(''),
    text('with "quotes" and \\ and }'),
    text('{"stringValue":"x"},"a":'),
    text('Ümläut 😀 \n'),
    { intValue: -5n },
    { doubleValue: 1.5 },
    { doubleValue: Number.NaN },
    { boolValue: true },
    { bytesValue: new Uint8Array([1, 2, 3]) },
    { arrayValue: { values: [text('a'), { intValue: 2n }] } },
    {},
  ]
  const keys = ['session.id', 'gen_ai.request.model', 'prompt.system_tokens', 'gen_ai.response.id']
  const random = new Random(3)
  for (let round = 0; round < 3_000; round++) {
    const own = keys.slice(0, random.int(0, keys.length))
    const attributes = own.map(key => ({ key, value: random.pick(values) }))
    const json = attributesObject(attributes)
    const cold = JSON.parse(coldAttributes(json, hasher))
    const list = Object.entries(JSON.parse(json)).map(([key, value]) => ({ key, value }))
    const [event] = JSON.parse(coldEvents(JSON.stringify([{ attributes: list }]), hasher))
    const parsed = event.attributes as readonly { key: string; value: unknown }[]
    expect(cold, json).toEqual(Object.fromEntries(parsed.map(({ key, value }) => [key, value])))
  }
})
