import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeTraces } from './decode.ts'
import { decodeLogs } from './decode-logs.ts'
import { encodeLogs, encodeTraces } from './encode.ts'
import { logsFromJson, tracesFromJson } from './json.ts'
import type {
  AnyValue,
  InstrumentationScope,
  KeyValue,
  LogRecord,
  LogsData,
  Resource,
  Span,
  TracesData,
} from './otlp.ts'
import { logsToJson, spanToJson, tracesToJson } from './to-json.ts'

const text = fc.string({ unit: 'binary', maxLength: 60 })
const uint32 = fc.nat({ max: 2 ** 32 - 1 })
const nanos = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const enumNumber = fc.oneof(fc.nat({ max: 5 }), fc.integer())
const hex = (bytes: number) =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .filter(id => id.some(byte => byte !== 0))
    .map(id => Buffer.from(id).toString('hex'))

const { value: anyValue } = fc.letrec<{ value: AnyValue; pair: KeyValue }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant({}),
    fc.record({ stringValue: text }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ intValue: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
    fc.record({ doubleValue: fc.double() }),
    fc.record({ bytesValue: fc.uint8Array({ maxLength: 40 }) }),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 4 }) }) }),
    fc.record({ kvlistValue: fc.record({ values: fc.array(tie('pair'), { maxLength: 4 }) }) }),
  ),
  pair: fc.record({ key: text, value: tie('value') }),
}))

const attributes = fc.array(fc.record({ key: text, value: anyValue }), { maxLength: 5 })

const span: fc.Arbitrary<Span> = fc.record({
  traceId: hex(16),
  spanId: hex(8),
  traceState: text,
  parentSpanId: fc.oneof(fc.constant(''), hex(8)),
  flags: uint32,
  name: text,
  kind: enumNumber,
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes,
  droppedAttributesCount: uint32,
  events: fc.array(
    fc.record({ timeUnixNano: nanos, name: text, attributes, droppedAttributesCount: uint32 }),
    { maxLength: 3 },
  ),
  droppedEventsCount: uint32,
  links: fc.array(
    fc.record({
      traceId: hex(16),
      spanId: hex(8),
      traceState: text,
      attributes,
      droppedAttributesCount: uint32,
      flags: uint32,
    }),
    { maxLength: 3 },
  ),
  droppedLinksCount: uint32,
  status: fc.record({ message: text, code: enumNumber }),
})

const resource: fc.Arbitrary<Resource> = fc.oneof(
  fc.record({ attributes, droppedAttributesCount: uint32 }),
  fc.record({
    attributes,
    droppedAttributesCount: uint32,
    entityRefs: fc.array(
      fc.record({
        schemaUrl: text,
        type: text,
        idKeys: fc.array(text, { maxLength: 3 }),
        descriptionKeys: fc.array(text, { maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  }),
)

const scope: fc.Arbitrary<InstrumentationScope> = fc.record({
  name: text,
  version: text,
  attributes,
  droppedAttributesCount: uint32,
})

const traces: fc.Arbitrary<TracesData> = fc.record({
  resourceSpans: fc.array(
    fc.record({
      resource,
      scopeSpans: fc.array(
        fc.record({ scope, spans: fc.array(span, { maxLength: 3 }), schemaUrl: text }),
        { maxLength: 2 },
      ),
      schemaUrl: text,
    }),
    { maxLength: 2 },
  ),
})

const logRecord: fc.Arbitrary<LogRecord> = fc.record(
  {
    timeUnixNano: nanos,
    observedTimeUnixNano: nanos,
    severityNumber: enumNumber,
    severityText: text,
    body: anyValue,
    attributes,
    droppedAttributesCount: uint32,
    flags: uint32,
    traceId: fc.oneof(fc.constant(''), hex(16)),
    spanId: fc.oneof(fc.constant(''), hex(8)),
    eventName: text,
  },
  {
    requiredKeys: [
      'timeUnixNano',
      'observedTimeUnixNano',
      'severityNumber',
      'severityText',
      'attributes',
      'droppedAttributesCount',
      'flags',
      'traceId',
      'spanId',
      'eventName',
    ],
  },
)

const logs: fc.Arbitrary<LogsData> = fc.record({
  resourceLogs: fc.array(
    fc.record({
      resource,
      scopeLogs: fc.array(
        fc.record({ scope, logRecords: fc.array(logRecord, { maxLength: 3 }), schemaUrl: text }),
        { maxLength: 2 },
      ),
      schemaUrl: text,
    }),
    { maxLength: 2 },
  ),
})

test('traces: JSON to object to protobuf to object to JSON is the identity', () => {
  fc.assert(
    fc.property(traces, data => {
      const json = tracesToJson(data)
      const read = tracesFromJson(json)
      expect(read.rejected).toStrictEqual([])
      const decoded = decodeTraces(encodeTraces(read.data))
      expect(decoded).toEqual(data)
      expect(tracesToJson(decoded)).toBe(json)
    }),
    { numRuns: 300 },
  )
})

test('logs: JSON to object to protobuf to object to JSON is the identity', () => {
  fc.assert(
    fc.property(logs, data => {
      const json = logsToJson(data)
      const read = logsFromJson(Buffer.from(json))
      expect(read.rejected).toStrictEqual([])
      const decoded = decodeLogs(encodeLogs(read.data))
      expect(decoded).toEqual(data)
      expect(logsToJson(decoded)).toBe(json)
    }),
    { numRuns: 200 },
  )
})

test('equal data is equal bytes', () => {
  fc.assert(
    fc.property(traces, data => {
      const bytes = encodeTraces(data)
      expect(Buffer.compare(encodeTraces(decodeTraces(bytes)), bytes)).toBe(0)
    }),
    { numRuns: 100 },
  )
})

test('64-bit numbers written as JSON numbers are as exact as those written as strings', () => {
  fc.assert(
    fc.property(span, one => {
      const json = spanToJson(one)
      const asStrings = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [json] }] }] })
      const asNumbers = asStrings.replace(
        /"(startTimeUnixNano|endTimeUnixNano|timeUnixNano|intValue)":"(-?\d+)"/g,
        '"$1":$2',
      )
      expect(tracesFromJson(asNumbers)).toEqual(tracesFromJson(asStrings))
    }),
    { numRuns: 200 },
  )
})
