import { PipelineError } from '@winnow/runtime'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AttributeHits, valueType } from './attribute-hits.ts'
import { decodeTraces } from './decode.ts'
import { encodeLogs, encodeTraces } from './encode.ts'
import { attributeLevel, compileInterest, noInterest } from './interest.ts'
import {
  type AnyValue,
  anyValueDepthMax,
  emptySpan,
  type KeyValue,
  type Span,
  type TracesData,
} from './otlp.ts'
import { agentRequest, seededRandom, spansPerRequest } from './scan.bench.ts'
import { scanTraces } from './scan.ts'
import { SpanTable, spanProblem } from './span-table.ts'
import { scanBytesMax } from './wire-scan.ts'

const everywhere = ['resource', 'scope', 'span', 'event'] as const

describe('a scan agrees with the full decode', () => {
  test('over requests of an independent encoder', () => {
    expectAgreement(agentRequest(11))
    const table = new SpanTable()
    expect(scan(agentRequest(12), table)).toBe(spansPerRequest)
    expect(table.problems).toBe(0)
  })

  test('over random data of every shape', () => {
    fc.assert(
      fc.property(traces, data => expectAgreement(encodeTraces(data))),
      { numRuns: 300 },
    )
  })

  test('over random data behind other requests in one table, twice as long as its columns', () => {
    const table = new SpanTable()
    const request = agentRequest(3)
    for (let i = 0; i < 5; i++) expect(scan(request, table)).toBe(spansPerRequest)
    expect(table.length).toBe(5 * spansPerRequest)
    const ids = rowsOf(table).map(row => row.spanId)
    expect(ids.slice(4 * spansPerRequest)).toEqual(ids.slice(0, spansPerRequest))
    expect(table.sourceOf(table.length - 1).equals(request)).toBe(true)
  })
})

describe('bytes that no exporter writes', () => {
  test('fields in any order, in pieces, and unknown ones, are read as protobuf has it', () => {
    const attribute = field(10, field(10, text('service.name')), field(18, field(10, text('late'))))
    const span = message(
      [0xfa, 0x7f, 1, 120],
      field(18, text('12345678')),
      [0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06],
      field(10, text('short')),
      field(10, text('0123456789abcdef')),
      [0xb0, 0x00, 0x85, 0x80, 0x00],
    )
    const bytes = message(
      field(
        10,
        field(18, field(18, span)),
        field(10, attribute),
        field(10, [16, 1]),
        field(26, []),
      ),
    )
    const table = new SpanTable()
    const interest = compileInterest([{ key: 'service.name', at: ['resource'] }])
    expect(scanTraces(bytes, 0, bytes.length, table, interest)).toBe(1)
    expect(decodeTraces(bytes).resourceSpans[0]?.resource.attributes).toHaveLength(1)
    expect(table.problem[0]).toBe(spanProblem.none)
    expect(table.kind[0]).toBe(5)
    const hit = table.resources.hitFirst[0] as number
    expect(textOf(bytes, table.hits, hit)).toBe('late')
    expect(table.resources.headBytes[0]).toBe(attribute.length + 2 + 4 + 2)
  })

  test('logs posted as traces are told, and harm no span beside them', () => {
    const logs = encodeLogs({
      resourceLogs: [
        {
          resource: { attributes: [], droppedAttributesCount: 0 },
          scopeLogs: [
            {
              scope: { name: '', version: '', attributes: [], droppedAttributesCount: 0 },
              schemaUrl: '',
              logRecords: [
                { ...logRecord, timeUnixNano: 1n },
                { ...logRecord, severityNumber: 9 },
                { ...logRecord, attributes: [{ key: 'a', value: {} }] },
                { ...logRecord, observedTimeUnixNano: 1n, traceId: '' },
              ],
            },
          ],
          schemaUrl: '',
        },
      ],
    })
    const table = new SpanTable()
    expect(scan(Buffer.concat([logs, agentRequest(1)]), table)).toBe(4 + spansPerRequest)
    expect([...table.problem.subarray(0, 5)]).toEqual([3, 3, 3, 3, 0])
    expect(table.problems).toBe(4)
  })

  test('a span without valid ids is flagged alone', () => {
    const ids = [
      ['0'.repeat(32), '0102030405060708'],
      ['01'.repeat(15), '0102030405060708'],
      ['01'.repeat(17), '0102030405060708'],
      ['', '0102030405060708'],
      ['01'.repeat(16), '0'.repeat(16)],
      ['01'.repeat(16), '01020304050607'],
      ['01'.repeat(16), '0102030405060708'],
    ] as const
    const spans = ids.map(([traceId, spanId]) => ({ ...plainSpan, traceId, spanId }))
    const table = new SpanTable()
    scan(encodeTraces(requestOf(spans)), table)
    expect([...table.problem.subarray(0, 7)]).toEqual([1, 1, 1, 1, 2, 2, 0])
    expect(table.problems).toBe(6)
  })

  test('a value may lie in anyValueDepthMax values, not in one more', () => {
    for (const nest of [nestedArray, nestedList]) {
      expect(scan(requestWith(nest(anyValueDepthMax)), new SpanTable())).toBe(1)
      expectAgreement(requestWith(nest(anyValueDepthMax)))
      expectRefused(requestWith(nest(anyValueDepthMax + 1)), 'anyValueDepthMax')
      expectRefused(requestWith(nest(50_000)), 'anyValueDepthMax')
    }
  })

  test('over scanRowsMax and scanBytesMax it is too large, at them it is not', () => {
    const spans = Array.from({ length: 4 }, () => plainSpan)
    const table = new SpanTable(3)
    const three = encodeTraces(requestOf(spans.slice(1)))
    expect(scan(three, table)).toBe(3)
    expect(scan(three, table)).toBe(3)
    const four = encodeTraces(requestOf(spans))
    expect(() => scan(four, table)).toThrow('scanRowsMax')
    expect(table.length).toBe(6)
    const heads = new SpanTable(3)
    const resources = (count: number) => Buffer.from(new Array(count).fill([10, 0]).flat())
    const scopes = (count: number) => field(10, new Array(count).fill([18, 0]).flat())
    expect(scan(resources(3), heads)).toBe(0)
    expect(() => scan(resources(4), heads)).toThrow('ResourceSpans')
    expect(scan(Buffer.from(scopes(3)), heads)).toBe(0)
    expect(() => scan(Buffer.from(scopes(4)), heads)).toThrow('ScopeSpans')
    const zeros = new Uint8Array(scanBytesMax + 1)
    const code = (bytes: Uint8Array) => thrown(() => scanTraces(bytes, 0, 0, table, noInterest))
    expect(code(zeros.subarray(1))).toBeUndefined()
    expect(code(zeros)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  })
})

describe('a bad request leaves nothing behind', () => {
  const interest = compileInterest(['a', 'service.name'].map(key => ({ key, at: everywhere })))
  const good = agentRequest(5)
  const table = new SpanTable()
  scanTraces(good, 0, good.length, table, interest)
  const before = snapshot(table)

  test('cut anywhere it is refused with PAYLOAD_INVALID or is a shorter request', () => {
    const whole = encodeTraces(requestOf([rich, rich]))
    for (let end = 0; end < whole.length; end++) {
      const cut = whole.subarray(0, end)
      const refusal = thrown(() => scanTraces(cut, 0, end, table, interest))
      if (end === 0) expect(refusal).toBeUndefined()
      else expect(refusal).toMatchObject({ code: 'PAYLOAD_INVALID' })
      if (refusal === undefined) table.rollback()
      expect(snapshot(table)).toEqual(before)
    }
    // The same where the buffer goes on behind the end that was given.
    for (let end = 1; end < whole.length; end++) {
      expect(() => scanTraces(whole, 0, end, table, interest)).toThrow(PipelineError)
    }
    expect(snapshot(table)).toEqual(before)
  })

  test('mutated it is refused with a PipelineError, or decodes', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = seededRandom(seed)
    const whole = encodeTraces(requestOf([rich, rich]))
    let accepted = 0
    for (let round = 0; round < 20_000; round++) {
      const bytes = Uint8Array.from(whole)
      for (let n = 1 + Math.floor(random() * 3); n > 0; n--) {
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      }
      const refusal = thrown(() => scanTraces(bytes, 0, bytes.length, table, interest))
      if (refusal !== undefined) {
        expect(refusal, `seed ${seed} round ${round}`).toBeInstanceOf(PipelineError)
        continue
      }
      accepted++
      const logs = table.problem.subarray(before.length, table.length).includes(3)
      table.rollback()
      if (logs) continue
      expect(
        thrown(() => decodeTraces(bytes)),
        `seed ${seed} round ${round}`,
      ).toBeUndefined()
    }
    expect(accepted).toBeGreaterThan(0)
    expect(snapshot(table)).toEqual(before)
  })
})

/** Every row against the decoded span, every hit against the decoded attributes. */
function expectAgreement(bytes: Uint8Array): void {
  const decoded = decodeTraces(bytes)
  const keys = new Set<string>()
  const note = (pairs: readonly KeyValue[]) => {
    for (const { key } of pairs) if (key !== '' && !key.endsWith('*')) keys.add(key)
  }
  for (const { resource, scopeSpans } of decoded.resourceSpans) {
    note(resource.attributes)
    for (const { scope, spans } of scopeSpans) {
      note(scope.attributes)
      for (const span of spans) {
        note(span.attributes)
        for (const event of span.events) note(event.attributes)
      }
    }
  }
  const list = [...keys].filter(key => Buffer.byteLength(key) < 256 && !key.includes('\ufffd'))
  const interest = compileInterest(list.map(key => ({ key, at: everywhere })))
  const table = new SpanTable()
  scanTraces(bytes, 0, bytes.length, table, interest)
  const wanted = (pairs: readonly KeyValue[]) =>
    pairs.filter(({ key }) => list.includes(key)).map(({ key, value }) => [key, shownValue(value)])
  const chained = (first: number) => {
    const hits: number[] = []
    for (let hit = first; hit >= 0; hit = table.hits.next[hit] as number) hits.push(hit)
    return hits.map(hit => shownHit(bytes, table.hits, hit, list))
  }
  const rows = rowsOf(table)
  let row = 0
  let scopeAt = 0
  for (const [at, { resource, scopeSpans }] of decoded.resourceSpans.entries()) {
    expect(chained(table.resources.hitFirst[at] as number)).toEqual(wanted(resource.attributes))
    for (const { scope, spans } of scopeSpans) {
      expect(chained(table.scopes.hitFirst[scopeAt] as number)).toEqual(wanted(scope.attributes))
      expect(table.scopes.parent[scopeAt]).toBe(at)
      for (const span of spans) {
        expect(rows[row]).toEqual(expectedRow(span, at, scopeAt))
        const hits: unknown[] = []
        for (let hit = table.hitFrom[row] as number; hit < (table.hitTo[row] as number); hit++) {
          expect(table.hits.owner[hit]).toBe(row)
          if (table.hits.event[hit] === 0) hits.push(shownHit(bytes, table.hits, hit, list))
        }
        expect(hits).toEqual(wanted(span.attributes))
        expect(eventHits(bytes, table, row, list)).toEqual(
          span.events.flatMap(({ name, attributes }, event) =>
            wanted(attributes).map(pair => [event + 1, name, ...pair]),
          ),
        )
        row++
      }
      scopeAt++
    }
  }
  expect(row).toBe(table.length)
}

function eventHits(
  bytes: Uint8Array,
  { hits, hitFrom, hitTo }: SpanTable,
  row: number,
  list: string[],
) {
  const found: unknown[] = []
  for (let hit = hitFrom[row] as number; hit < (hitTo[row] as number); hit++) {
    if (hits.event[hit] === 0) continue
    expect(hits.level[hit]).toBe(attributeLevel.event)
    const name = utf8(bytes, hits.eventNameStart[hit] as number, hits.eventNameEnd[hit] as number)
    found.push([hits.event[hit], name, ...shownHit(bytes, hits, hit, list)])
  }
  return found
}

function expectedRow(span: Span, resource: number, scope: number) {
  const traceValid = /^(?!0{32})[0-9a-f]{32}$/.test(span.traceId)
  const spanValid = /^(?!0{16})[0-9a-f]{16}$/.test(span.spanId)
  const byte = (number: number) => (number >= 0 && number < 255 ? number : 255)
  return {
    resource,
    scope,
    problem: traceValid ? (spanValid ? 0 : spanProblem.spanId) : spanProblem.traceId,
    traceId: span.traceId.length === 32 ? span.traceId : '0'.repeat(32),
    spanId: span.spanId.length === 16 ? span.spanId : '0'.repeat(16),
    parentSpanId: span.parentSpanId.length === 16 ? span.parentSpanId : '0'.repeat(16),
    start: span.startTimeUnixNano,
    end: span.endTimeUnixNano,
    kind: byte(span.kind),
    status: byte(span.status.code),
    flags: span.flags,
    name: span.name,
    traceState: span.traceState,
    attributes: span.attributes.length,
    events: span.events.length,
    links: span.links.length,
  }
}

function rowsOf(table: SpanTable) {
  const hex = (word: number | undefined) => (word ?? 0).toString(16).padStart(8, '0')
  const nanos = (hi: number | undefined, lo: number | undefined) =>
    (BigInt(hi ?? 0) << 32n) | BigInt(lo ?? 0)
  return Array.from({ length: table.length }, (_, row) => {
    const source = table.sourceOf(row)
    const range = (from: Uint32Array, to: Uint32Array) =>
      source.toString('utf8', from[row], to[row])
    return {
      resource: table.resource[row],
      scope: table.scope[row],
      problem: table.problem[row],
      traceId: [table.trace0, table.trace1, table.trace2, table.trace3]
        .map(c => hex(c[row]))
        .join(''),
      spanId: hex(table.span0[row]) + hex(table.span1[row]),
      parentSpanId: hex(table.parent0[row]) + hex(table.parent1[row]),
      start: nanos(table.startHi[row], table.startLo[row]),
      end: nanos(table.endHi[row], table.endLo[row]),
      kind: table.kind[row],
      status: table.status[row],
      flags: table.flags[row],
      name: range(table.nameStart, table.nameEnd),
      traceState: range(table.stateStart, table.stateEnd),
      attributes: table.attributeCount[row],
      events: table.eventCount[row],
      links: table.linkCount[row],
    }
  })
}

function shownHit(bytes: Uint8Array, hits: AttributeHits, hit: number, list: string[]): unknown[] {
  const key = list[hits.key[hit] as number]
  expect(utf8(bytes, hits.keyStart[hit] as number, hits.keyEnd[hit] as number)).toBe(key)
  const type = hits.type[hit]
  const number = hits.number[hit]
  if (type === valueType.empty) return [key, 'empty']
  if (type === valueType.int || type === valueType.double) return [key, number]
  if (type === valueType.bool) return [key, number === 1]
  if (type === valueType.string) return [key, textOf(bytes, hits, hit)]
  const range = Buffer.from(bytes.subarray(hits.start[hit], hits.end[hit]))
  return [key, type === valueType.bytes ? range.toString('hex') : type]
}

function shownValue(value: AnyValue): unknown {
  if ('stringValue' in value) return value.stringValue
  if ('intValue' in value) return Number(value.intValue)
  if ('doubleValue' in value) return value.doubleValue
  if ('boolValue' in value) return value.boolValue
  if ('bytesValue' in value) return Buffer.from(value.bytesValue as Uint8Array).toString('hex')
  if ('arrayValue' in value) return valueType.array
  return 'kvlistValue' in value ? valueType.kvlist : 'empty'
}

function snapshot(table: SpanTable) {
  const { length, problems, hits, resources, scopes, pieces, sources } = table
  const behind = table.span0[length] === 0 && table.kind[length] === 0 && table.end[length] === 0
  return {
    length,
    problems,
    hits: hits.length,
    resources: resources.length,
    scopes: scopes.length,
    pieces: pieces.length,
    sources: sources.length,
    behind,
  }
}

function scan(bytes: Uint8Array, table: SpanTable): number {
  return scanTraces(bytes, 0, bytes.length, table, noInterest)
}

function thrown(act: () => unknown): unknown {
  try {
    act()
    return undefined
  } catch (error) {
    return error
  }
}

function expectRefused(bytes: Uint8Array, words: string): void {
  const refusal = thrown(() => scan(bytes, new SpanTable()))
  expect(refusal).toMatchObject({ code: 'PAYLOAD_INVALID' })
  expect(String(refusal)).toContain(words)
}

function textOf(bytes: Uint8Array, hits: AttributeHits, hit: number): string {
  return utf8(bytes, hits.start[hit] as number, hits.end[hit] as number)
}

function utf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('utf8')
}

function message(...parts: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flat())
}

/** A length-delimited field of less than 128 bytes, or of any length with a longer varint. */
function field(tag: number, ...parts: readonly (readonly number[] | Uint8Array)[]): number[] {
  const body = parts.flatMap(part => [...part])
  const length: number[] = []
  let rest = body.length
  for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128)
  return [tag, ...length, rest, ...body]
}

function text(value: string): number[] {
  return [...Buffer.from(value)]
}

/** The bytes of an AnyValue of so many values in one another, made from the inside out. */
function nestedArray(depth: number): Uint8Array {
  return nested(depth, inner => [wrap(42, wrap(10, inner))])
}

function nestedList(depth: number): Uint8Array {
  return nested(depth, inner => [wrap(50, wrap(10, wrap(18, inner)))])
}

function nested(depth: number, around: (inner: Chain) => Chain): Uint8Array {
  let chain: Chain = []
  for (let i = 1; i < depth; i++) chain = around(chain)
  return flatten(chain)
}

type Chain = readonly Layer[]
interface Layer {
  readonly tag: number
  readonly inner: Chain
  readonly size: number
}

function wrap(tag: number, inner: Layer | Chain): Layer {
  const chain = Array.isArray(inner) ? inner : [inner as Layer]
  const body = chain.reduce((sum, layer) => sum + layer.size, 0)
  return { tag, inner: chain, size: 1 + varintSize(body) + body }
}

function varintSize(value: number): number {
  return value < 128 ? 1 : 1 + varintSize(value >>> 7)
}

function flatten(chain: Chain): Uint8Array {
  const bytes: number[] = []
  let layer = chain[0]
  while (layer !== undefined) {
    let rest = layer.inner.reduce((sum, inner) => sum + inner.size, 0)
    bytes.push(layer.tag)
    for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128)
    bytes.push(rest)
    layer = layer.inner[0]
  }
  return Uint8Array.from(bytes)
}

function requestWith(value: Uint8Array): Uint8Array {
  const wrapped = (tag: number, ...parts: Uint8Array[]) => {
    const body = Buffer.concat(parts)
    const head = field(tag, new Array(0))
    const length: number[] = []
    let rest = body.length
    for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128)
    return Buffer.concat([Buffer.from([head[0] as number, ...length, rest]), body])
  }
  const ids = Uint8Array.from([
    ...field(10, text('0123456789abcdef')),
    ...field(18, text('12345678')),
  ])
  const pair = wrapped(74, Uint8Array.from(field(10, text('a'))), wrapped(18, value))
  return wrapped(10, wrapped(18, wrapped(18, ids, pair)))
}

const plainSpan: Span = {
  ...emptySpan,
  traceId: '01'.repeat(16),
  spanId: '02'.repeat(8),
}

const someValues: readonly KeyValue[] = [
  { key: 'a', value: { stringValue: 'x'.repeat(150) } },
  { key: 'b', value: { intValue: -5n } },
  { key: 'c', value: { doubleValue: 0.25 } },
  { key: 'd', value: { boolValue: true } },
  { key: 'e', value: { bytesValue: Uint8Array.of(1, 2) } },
  { key: 'f', value: { arrayValue: { values: [{}, { stringValue: 'y' }] } } },
  { key: 'g', value: { kvlistValue: { values: [{ key: 'h', value: { intValue: 1n } }] } } },
  { key: 'i', value: {} },
]

const rich: Span = {
  ...plainSpan,
  traceState: 'ot=th:c',
  parentSpanId: '03'.repeat(8),
  flags: 0x301,
  name: 'llm.generate',
  kind: 3,
  startTimeUnixNano: 1_716_370_863_120_000_001n,
  endTimeUnixNano: 1_716_370_865_728_000_002n,
  attributes: someValues,
  events: [{ timeUnixNano: 5n, name: 'e', attributes: someValues, droppedAttributesCount: 1 }],
  links: [
    {
      traceId: '01'.repeat(16),
      spanId: '02'.repeat(8),
      traceState: 'a=b',
      attributes: someValues,
      droppedAttributesCount: 0,
      flags: 1,
    },
  ],
  status: { message: 'no', code: 2 },
}

const logRecord = {
  timeUnixNano: 0n,
  observedTimeUnixNano: 0n,
  severityNumber: 0,
  severityText: '',
  body: { stringValue: 'hello' },
  attributes: [],
  droppedAttributesCount: 0,
  flags: 0,
  traceId: '01'.repeat(16),
  spanId: '02'.repeat(8),
  eventName: '',
}

function requestOf(spans: readonly Span[]): TracesData {
  return {
    resourceSpans: [
      {
        resource: { attributes: someValues, droppedAttributesCount: 0 },
        scopeSpans: [
          {
            scope: { name: 's', version: '1', attributes: someValues, droppedAttributesCount: 0 },
            spans,
            schemaUrl: 'https://example.com/scope',
          },
        ],
        schemaUrl: 'https://example.com/resource',
      },
    ],
  }
}

const shortText = fc.string({ unit: 'grapheme', maxLength: 20 })
const uint32 = fc.nat({ max: 2 ** 32 - 1 })
const nanos = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const id = (bytes: number) =>
  fc
    .oneof(
      { weight: 8, arbitrary: fc.uint8Array({ minLength: bytes, maxLength: bytes }) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
      { weight: 1, arbitrary: fc.constant(new Uint8Array(bytes)) },
    )
    .map(array => Buffer.from(array).toString('hex'))

const { value: anyValue } = fc.letrec<{ value: AnyValue; pair: KeyValue }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant({}),
    fc.record({ stringValue: fc.string({ unit: 'grapheme', maxLength: 200 }) }),
    fc.record({ boolValue: fc.boolean() }),
    fc.record({ intValue: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
    fc.record({ doubleValue: fc.double({ noNaN: true }) }),
    fc.record({ bytesValue: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ arrayValue: fc.record({ values: fc.array(tie('value'), { maxLength: 4 }) }) }),
    fc.record({ kvlistValue: fc.record({ values: fc.array(tie('pair'), { maxLength: 4 }) }) }),
  ),
  pair: fc.record({ key: shortText, value: tie('value') }),
}))

const someAttributes = fc.array(fc.record({ key: shortText, value: anyValue }), { maxLength: 5 })

const someSpan: fc.Arbitrary<Span> = fc.record({
  traceId: id(16),
  spanId: id(8),
  traceState: shortText,
  parentSpanId: id(8),
  flags: uint32,
  name: shortText,
  kind: fc.oneof(fc.nat({ max: 5 }), fc.integer()),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes: someAttributes,
  droppedAttributesCount: uint32,
  events: fc.array(
    fc.record({
      timeUnixNano: nanos,
      name: shortText,
      attributes: someAttributes,
      droppedAttributesCount: uint32,
    }),
    { maxLength: 3 },
  ),
  droppedEventsCount: uint32,
  links: fc.array(
    fc.record({
      traceId: id(16),
      spanId: id(8),
      traceState: shortText,
      attributes: someAttributes,
      droppedAttributesCount: uint32,
      flags: uint32,
    }),
    { maxLength: 2 },
  ),
  droppedLinksCount: uint32,
  status: fc.record({ message: shortText, code: fc.oneof(fc.nat({ max: 2 }), fc.integer()) }),
})

const traces: fc.Arbitrary<TracesData> = fc.record({
  resourceSpans: fc.array(
    fc.record({
      resource: fc.record({ attributes: someAttributes, droppedAttributesCount: uint32 }),
      scopeSpans: fc.array(
        fc.record({
          scope: fc.record({
            name: shortText,
            version: shortText,
            attributes: someAttributes,
            droppedAttributesCount: uint32,
          }),
          spans: fc.array(someSpan, { maxLength: 3 }),
          schemaUrl: shortText,
        }),
        { maxLength: 3 },
      ),
      schemaUrl: shortText,
    }),
    { maxLength: 3 },
  ),
})
