import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sampleSpanRow, sampleTrace } from '../samples.ts'
import { SpanPack } from '../span-pack.ts'
import type { SpanRow } from '../span-row.ts'
import { attributeBytesMax, nestedMax, spanDocuments } from './span-document.ts'

function document(changes: Partial<SpanRow>, n = 0): Record<string, unknown> {
  const trace = sampleTrace(1)
  const row = sampleSpanRow(trace.decision.traceId, n, changes)
  const [text = ''] = spanDocuments({ ...trace, spans: SpanPack.of([row]) }, [row])
  expect(text).not.toContain('\n')
  return JSON.parse(text)
}

const text = (value: string): string => JSON.stringify({ stringValue: value })

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : 1

test('a span is a document in Data Prepper’s fields, with plain attributes', () => {
  expect(document({ start_time_unix_nano: 1_795_244_400_123_456_789n })).toEqual({
    v: 1,
    tenant: 'default',
    traceId: sampleTrace(1).decision.traceId,
    spanId: '0000000000000001',
    parentSpanId: '',
    name: 'refund_chat.turn',
    kind: 'SPAN_KIND_SERVER',
    startTime: '2026-11-21T07:00:00.123456789Z',
    '@timestamp': '2026-11-21T07:00:00.123456789Z',
    endTime: '2026-11-21T07:00:02.608000000Z',
    durationInNanos: 2_484_543_211,
    status: { code: 1 },
    serviceName: 'refund-bot',
    traceGroup: 'refund_chat.turn',
    traceGroupFields: {
      endTime: '2026-11-21T07:00:02.608000000Z',
      durationInNanos: 2_484_543_211,
      statusCode: 1,
    },
    instrumentationScope: { name: 'openinference', version: '1.4.0' },
    attributes: {
      'session.id': 'sess_91ab',
      'gen_ai.request.model': 'claude-3-5-sonnet-20241022',
      'gen_ai.response.id': 'msg_01H4r7K',
      'prompt.system_tokens': 420,
    },
    resource: { attributes: { 'service.name': 'refund-bot', 'deployment.env': 'prod' } },
    experiment: { id: 'exp_prompt_terser_v3', variant: 'B' },
    sampling: {
      rule: 'citation-failed',
      revision: 1,
      probability: 1,
      adjustedCount: 1,
      logId: sampleTrace(1).logId,
      partition: 3,
      offset: 1,
    },
  })
})

test('what is summed up has a field of its own', () => {
  expect(document({ gen_ai_tool: 'search', cost_usd: null }, 1)).toMatchObject({
    parentSpanId: '0000000000000001',
    genAi: {
      operation: 'chat',
      provider: 'anthropic',
      model: 'claude-3-5-sonnet-20241022',
      tool: 'search',
      inputTokens: 1_871,
      outputTokens: 180,
    },
  })
})

test('every kind of value is there as people would write it', () => {
  const attributes = `{"s":${text('a"\n😀')},"i":{"intValue":"9007199254740993"},"d":{"doubleValue":1.5},"nan":{"doubleValue":"NaN"},"b":{"boolValue":false},"x":{"bytesValue":"AQI="},"l":{"arrayValue":{"values":[{"intValue":"1"},{}]}},"none":{}}`
  const [raw = ''] = spanDocuments(sampleTrace(1), [
    sampleSpanRow(sampleTrace(1).decision.traceId, 0, { attributes }),
  ])
  // As digits: a number of JavaScript would be another.
  expect(raw).toContain('"i":9007199254740993')
  expect(JSON.parse(raw).attributes).toMatchObject({
    s: 'a"\n😀',
    d: 1.5,
    nan: 'NaN',
    b: false,
    x: 'AQI=',
    l: [1, null],
  })
  expect(JSON.parse(raw).attributes).not.toHaveProperty('none')
})

test('the plain attributes are the same whether their text is cut or parsed', () => {
  const value = fc.oneof(
    fc.string().map(plain => ({ typed: { stringValue: plain }, plain })),
    fc.bigInt().map(int => ({ typed: { intValue: `${int}` }, plain: Number(int) })),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map(double => ({ typed: { doubleValue: double }, plain: double + 0 })),
    fc.boolean().map(plain => ({ typed: { boolValue: plain }, plain })),
    fc.base64String().map(plain => ({ typed: { bytesValue: plain }, plain })),
    fc.array(fc.boolean()).map(plain => ({
      typed: { arrayValue: { values: plain.map(boolValue => ({ boolValue })) } },
      plain,
    })),
    fc.constant({ typed: {}, plain: undefined }),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.string(), value, { noNullPrototype: true }), drawn => {
      const all = Object.entries(drawn)
      const typed = all.map(([key, one]) => `${JSON.stringify(key)}:${JSON.stringify(one.typed)}`)
      const plain = all.filter(([, one]) => one.plain !== undefined)
      const cut = document({ attributes: `{${typed.join(',')}}` }).attributes
      expect(Object.entries(cut as object).toSorted(byKey)).toEqual(
        plain.map(([key, one]) => [key, one.plain] as const).toSorted(byKey),
      )
      // One escape more, and all of it is parsed.
      const parsed = document({ attributes: `{${['"\\n":{}', ...typed].join(',')}}` })
      expect(parsed.attributes).toEqual(cut)
    }),
  )
})

test('an attribute of the most bytes is in, of one more it is left out by name', () => {
  for (const filler of ['a', 'ü']) {
    // The value's two quotes are counted too.
    const room = attributeBytesMax - 'key""'.length
    const fits = filler.repeat(Math.floor(room / Buffer.byteLength(filler)))
    const attributes = (value: string): string => `{"key":${text(value)},"other":{"intValue":"1"}}`
    const whole = document({ attributes: attributes(fits) })
    expect(whole.attributes).toEqual({ key: fits, other: 1 })
    expect(whole.attributesLeftOut).toBeUndefined()
    const cut = document({ attributes: attributes(`${fits}${filler}`) })
    expect(cut.attributes).toEqual({ other: 1 })
    expect(cut.attributesLeftOut).toEqual(['key'])
  }
  const key = 'k'.repeat(attributeBytesMax)
  expect(document({ attributes: `{"${key}":${text('v')}}` }).attributesLeftOut).toEqual([
    'k'.repeat(200),
  ])
})

test('events and links are there with their time and plain attributes, as many as an index takes', () => {
  const event = `{"timeUnixNano":"1795244400000000001","name":"retry","attributes":[{"key":"n","value":{"intValue":"2"}}]}`
  const link = `{"traceId":"${'a'.repeat(32)}","spanId":"${'b'.repeat(16)}","traceState":"","attributes":[],"flags":0}`
  const made = document({
    events: `[${Array.from({ length: nestedMax + 1 }, () => event).join(',')}]`,
    links: `[${link}]`,
  })
  const events = made.events as unknown[]
  expect(events.length).toBe(nestedMax)
  expect(events[0]).toEqual({
    name: 'retry',
    time: '2026-11-21T07:00:00.000000001Z',
    attributes: { n: 2 },
  })
  expect(made.links).toEqual([
    { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceState: '', attributes: {} },
  ])
})

test('the earliest and the latest time, an end before the start, and an unknown kind', () => {
  expect(
    document({
      start_time_unix_nano: 2n ** 63n - 1n,
      end_time_unix_nano: 0n,
      kind: 77,
      service_name: null,
      scope_name: null,
    }),
  ).toMatchObject({
    startTime: '2262-04-11T23:47:16.854775807Z',
    endTime: '1970-01-01T00:00:00.000000000Z',
    kind: 'SPAN_KIND_77',
  })
})
