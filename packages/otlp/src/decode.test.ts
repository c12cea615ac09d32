import { PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { decodeTraces } from './decode.ts'
import { decodeLogs } from './decode-logs.ts'
import { encodeLogs, encodeTraces } from './encode.ts'
import {
  type AnyValue,
  anyValueDepthMax,
  emptySpan,
  type LogRecord,
  type Span,
  type TracesData,
} from './otlp.ts'

/** Length-delimited field `number` around `parts`. */
function field(number: number, ...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  const body = Buffer.concat(parts.map(part => Uint8Array.from(part)))
  const length: number[] = []
  let rest = body.length
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Uint8Array.of(number * 8 + 2, ...length, rest), body])
}

const text = (number: number, value: string) => field(number, Buffer.from(value))

/** TracesData with one span that has these fields. */
const request = (...fields: Uint8Array[]) => field(1, field(2, field(2, ...fields)))

function firstSpan(bytes: Uint8Array) {
  const span = decodeTraces(bytes).resourceSpans[0]?.scopeSpans[0]?.spans[0]
  if (span === undefined) throw new Error('no span')
  return span
}

/** One attribute `a` whose value nests `depth` values, as arrays or as key-value lists. */
function nested(depth: number, kind: 'array' | 'kvlist'): Uint8Array {
  // From the inside out, growing to the left: a level is a length and a tag or two before the rest.
  const bytes = Buffer.alloc(depth * 24 + 64)
  let start = bytes.length
  const wrap = (number: number): void => {
    let rest = bytes.length - start
    const prefix: number[] = []
    for (; rest > 127; rest >>>= 7) prefix.push((rest & 127) | 128)
    prefix.unshift(number * 8 + 2)
    prefix.push(rest)
    start -= prefix.length
    bytes.set(prefix, start)
  }
  for (let level = 1; level < depth; level++) {
    if (kind === 'kvlist') wrap(2)
    wrap(1)
    wrap(kind === 'array' ? 5 : 6)
  }
  wrap(2)
  wrap(9)
  return request(bytes.subarray(start))
}

test('an empty payload, empty envelopes and an empty span are what they are', () => {
  expect(decodeTraces(new Uint8Array())).toStrictEqual({ resourceSpans: [] })
  const nothingSet: Span = {
    traceId: '',
    spanId: '',
    traceState: '',
    parentSpanId: '',
    flags: 0,
    name: '',
    kind: 0,
    startTimeUnixNano: 0n,
    endTimeUnixNano: 0n,
    attributes: [],
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    links: [],
    droppedLinksCount: 0,
    status: { message: '', code: 0 },
  }
  expect(firstSpan(request())).toStrictEqual(nothingSet)
  expect(emptySpan).toStrictEqual(nothingSet)
})

const values: readonly AnyValue[] = [
  {},
  { stringValue: '' },
  { stringValue: 'refund of ₹1,250' },
  { boolValue: false },
  { boolValue: true },
  { intValue: 0n },
  { intValue: -(2n ** 63n) },
  { intValue: 2n ** 63n - 1n },
  { doubleValue: 0 },
  { doubleValue: -0 },
  { doubleValue: Number.NaN },
  { doubleValue: Number.NEGATIVE_INFINITY },
  { bytesValue: new Uint8Array() },
  { bytesValue: Uint8Array.of(0, 255) },
  { arrayValue: { values: [] } },
  {
    arrayValue: {
      values: [{}, { stringValue: 'a' }, { intValue: 1n }, { arrayValue: { values: [{}] } }],
    },
  },
  { kvlistValue: { values: [] } },
  {
    kvlistValue: {
      values: [
        { key: 'k', value: {} },
        { key: '', value: { boolValue: true } },
      ],
    },
  },
]

const full: TracesData = {
  resourceSpans: [
    {
      resource: {
        attributes: [{ key: 'service.name', value: { stringValue: 'refund-bot' } }],
        droppedAttributesCount: 1,
        entityRefs: [
          {
            schemaUrl: 'https://s',
            type: 'service',
            idKeys: ['service.name'],
            descriptionKeys: [''],
          },
        ],
      },
      scopeSpans: [
        {
          scope: {
            name: 'lib',
            version: '1.2',
            attributes: [{ key: 'scope', value: { boolValue: true } }],
            droppedAttributesCount: 2,
          },
          spans: [
            {
              traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f',
              spanId: '0100000000000006',
              traceState: 'ot=th:e6666666666666,a=b',
              parentSpanId: '0100000000000001',
              flags: 0x301,
              name: 'llm.generate',
              kind: 3,
              startTimeUnixNano: 1716370863449000001n,
              endTimeUnixNano: 2n ** 64n - 1n,
              attributes: values.map((value, index) => ({ key: `v${index}`, value })),
              droppedAttributesCount: 3,
              events: [
                {
                  timeUnixNano: 5n,
                  name: 'e',
                  attributes: [{ key: 'a', value: {} }],
                  droppedAttributesCount: 4,
                },
              ],
              droppedEventsCount: 5,
              links: [
                {
                  traceId: 'ffffffffffffffffffffffffffffffff',
                  spanId: 'ffffffffffffffff',
                  traceState: 'x=y',
                  attributes: [{ key: 'l', value: { intValue: 1n } }],
                  droppedAttributesCount: 6,
                  flags: 0x100,
                },
              ],
              droppedLinksCount: 7,
              status: { message: 'it broke', code: 2 },
            },
          ],
          schemaUrl: 'https://opentelemetry.io/schemas/gen-ai/1.42.0',
        },
      ],
      schemaUrl: 'https://opentelemetry.io/schemas/1.41.0',
    },
  ],
}

test('a span with everything in it comes back as it went', () => {
  expect(decodeTraces(encodeTraces(full))).toStrictEqual(full)
})

test('the same data is the same bytes, and the order of fields on the wire does not matter', () => {
  expect(encodeTraces(decodeTraces(encodeTraces(full)))).toStrictEqual(encodeTraces(full))
  const swapped = request(text(5, 'n'), Uint8Array.of(0x30, 3), text(3, 's'))
  const sorted = request(text(3, 's'), text(5, 'n'), Uint8Array.of(0x30, 3))
  expect(encodeTraces(decodeTraces(swapped))).toStrictEqual(encodeTraces(decodeTraces(sorted)))
})

test('what was decoded shares no memory with the bytes it came from', () => {
  const bytes = encodeTraces(full)
  const decoded = decodeTraces(bytes)
  bytes.fill(0)
  expect(decoded).toStrictEqual(full)
})

test('unknown fields and known ones of another wire type are passed over', () => {
  const span = firstSpan(
    request(
      text(5, 'n'),
      text(100, 'new'),
      Uint8Array.of(0x38, 1),
      Uint8Array.of(0x4b, 0x4c),
      text(5, 'm'),
    ),
  )
  expect(span.name).toBe('m')
  expect(span.startTimeUnixNano).toBe(0n)
  expect(span.attributes).toStrictEqual([])
})

test('a resource and a status in two pieces are merged, of a union the last member counts', () => {
  const attribute = (key: string) => field(1, text(1, key))
  const resource = field(
    1,
    field(1, attribute('a')),
    field(1, attribute('b'), Uint8Array.of(16, 9)),
  )
  expect(decodeTraces(resource).resourceSpans[0]?.resource).toStrictEqual({
    attributes: [
      { key: 'a', value: {} },
      { key: 'b', value: {} },
    ],
    droppedAttributesCount: 9,
  })
  expect(
    firstSpan(request(field(15, Uint8Array.of(24, 2)), field(15, text(2, 'm')))).status,
  ).toStrictEqual({
    message: 'm',
    code: 2,
  })
  const twice = request(field(9, text(1, 'k'), field(2, text(1, 'x'), Uint8Array.of(16, 1))))
  expect(firstSpan(twice).attributes).toStrictEqual([{ key: 'k', value: { boolValue: true } }])
})

test('ids of a wrong length are kept: refusing the span is the scanner’s', () => {
  const span = firstSpan(request(field(1, [1, 2, 3]), field(2, [])))
  expect([span.traceId, span.spanId]).toStrictEqual(['010203', ''])
})

test('a string that is no UTF-8 is replaced and its span kept', () => {
  const span = firstSpan(
    request(field(5, [65, 0xc0, 66]), field(9, text(1, 'k'), field(2, field(1, [0xff])))),
  )
  expect(span.name).toBe('A\ufffdB')
  expect(span.attributes).toStrictEqual([{ key: 'k', value: { stringValue: '\ufffd' } }])
})

for (const kind of ['array', 'kvlist'] as const) {
  test(`values nest to ${anyValueDepthMax} as ${kind} and no deeper, 50,000 deep included`, () => {
    let depth = 0
    let value: AnyValue | undefined = firstSpan(nested(anyValueDepthMax, kind)).attributes[0]?.value
    for (; value !== undefined; depth++) {
      if ('arrayValue' in value) value = value.arrayValue.values[0]
      else value = 'kvlistValue' in value ? value.kvlistValue.values[0]?.value : undefined
    }
    expect(depth).toBe(anyValueDepthMax)
    for (const past of [anyValueDepthMax + 1, 50_000]) {
      expect(() => decodeTraces(nested(past, kind))).toThrow(
        /\[PAYLOAD_INVALID\].*anyValueDepthMax/,
      )
    }
  })
}

test('encoding refuses a value too deep, and one that contains itself', () => {
  const wrap = (depth: number): AnyValue =>
    depth === 1 ? { intValue: 1n } : { arrayValue: { values: [wrap(depth - 1)] } }
  const data = (value: AnyValue) => ({
    resourceLogs: [
      {
        resource: { attributes: [{ key: 'k', value }], droppedAttributesCount: 0 },
        scopeLogs: [],
        schemaUrl: '',
      },
    ],
  })
  expect(decodeLogs(encodeLogs(data(wrap(anyValueDepthMax))))).toStrictEqual(
    data(wrap(anyValueDepthMax)),
  )
  expect(() => encodeLogs(data(wrap(anyValueDepthMax + 1)))).toThrow(PipelineError)
  const own: AnyValue[] = []
  own.push({ arrayValue: { values: own } })
  expect(() => encodeLogs(data({ arrayValue: { values: own } }))).toThrow(PipelineError)
})

test('a log record with everything in it comes back as it went, its body present or absent', () => {
  const record: LogRecord = {
    timeUnixNano: 1n,
    observedTimeUnixNano: 2n,
    severityNumber: 9,
    severityText: 'INFO',
    attributes: [
      { key: 'gen_ai.evaluation.name', value: { stringValue: 'csat' } },
      { key: 'gen_ai.evaluation.score.value', value: { doubleValue: 2 } },
    ],
    droppedAttributesCount: 1,
    flags: 1,
    traceId: '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f',
    spanId: '0100000000000001',
    eventName: 'gen_ai.evaluation.result',
  }
  const data = {
    resourceLogs: [
      {
        resource: { attributes: [], droppedAttributesCount: 0 },
        scopeLogs: [
          {
            scope: { name: 's', version: '', attributes: [], droppedAttributesCount: 0 },
            logRecords: [
              record,
              { ...record, body: {} },
              { ...record, body: { stringValue: 'b' } },
            ],
            schemaUrl: 'u',
          },
        ],
        schemaUrl: 'v',
      },
    ],
  }
  expect(decodeLogs(encodeLogs(data))).toStrictEqual(data)
})
