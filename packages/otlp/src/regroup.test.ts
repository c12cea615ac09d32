import { decodeTenantRuns, encodeTenantRuns } from '@winnow/model'
import { describe, expect, test } from 'vitest'
import { ByteSink } from './byte-sink.ts'
import { decodeTraces } from './decode.ts'
import { encodeTraces } from './encode.ts'
import { noInterest } from './interest.ts'
import { emptySpan, type KeyValue, type Span, type TracesData } from './otlp.ts'
import { Composer, type RegroupLimits, regroupLimits } from './regroup.ts'
import { agentRequest, seededRandom, spansPerRequest } from './scan.bench.ts'
import { scanTraces } from './scan.ts'
import { tenantRunsOf } from './slice-layout.ts'
import { envelopeBytes } from './slice-writer.ts'
import { SpanTable, spanProblem } from './span-table.ts'

const partitions = 12

describe('regrouping loses and changes nothing', () => {
  test('of gathered requests of two tenants, whatever the hash seed', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const random = seededRandom(seed)
    const requests = Array.from({ length: 12 }, (_, i) => ({
      tenant: i % 2,
      bytes: encodeTraces(randomRequest(random)),
    }))
    const first = compose(requests, { hashSeed: 1 })
    expect(first.spans, `seed ${seed}`).toEqual(sent(requests))
    expect(compose(requests, { hashSeed: -99 }).records).toEqual(first.records)
  })

  test('of requests of an independent encoder', () => {
    const requests = [1, 2, 3].map(seed => ({ tenant: 0, bytes: agentRequest(seed) }))
    const composed = compose(requests)
    expect(composed.spans).toEqual(sent(requests))
    expect(composed.taken).toEqual([spansPerRequest, spansPerRequest, spansPerRequest])
    // Eight spans of four services are four ResourceSpans of one scope each.
    for (const slice of composed.slices) {
      expect(decodeTraces(slice.bytes).resourceSpans.map(r => r.scopeSpans.length)).toEqual([
        1, 1, 1, 1,
      ])
    }
  })

  test('unknown fields and pieces of resource and scope go where their spans go', () => {
    const unknown = [0xc2, 0x3e, 2, 7, 7]
    const resource = field(10, field(10, field(10, text('k')), field(18, field(10, text('v')))))
    const span = (trace: string) =>
      field(18, field(10, text(trace)), field(18, text('12345678')), unknown)
    const scopeSpans = (trace: string) =>
      field(18, field(10, field(10, text('lib'))), span(trace), field(26, text('url')), unknown)
    const bytes = Uint8Array.from([
      ...field(
        10,
        resource,
        scopeSpans('A'.repeat(16)),
        field(10, [16, 3]),
        scopeSpans('B'.repeat(16)),
        unknown,
      ),
    ])
    const { slices } = compose([{ tenant: 0, bytes }])
    expect(slices.map(slice => [...slice.bytes])).toEqual(
      ['A', 'B'].map(trace =>
        field(10, resource, field(10, [16, 3]), unknown, [
          ...field(
            18,
            field(10, field(10, text('lib'))),
            field(26, text('url')),
            unknown,
            span(trace.repeat(16)),
          ),
        ]),
      ),
    )
  })
})

describe('a record of the bus', () => {
  test('has the slices of one partition, each trace contiguous, each tenant one run', () => {
    const requests = [1, 2, 1, 2].map((seed, i) => ({ tenant: i >> 1, bytes: agentRequest(seed) }))
    const { records, slices, composer, sink } = compose(requests)
    const { layout } = composer
    expect(slices).toHaveLength(4 * 64)
    let end = 0
    for (let record = 0; record < layout.records; record++) {
      const value = records[record] as Buffer
      expect(layout.recordStart[record]).toBe(end)
      end += value.length
      const runs = tenantRunsOf(layout, record, tenant => `t${tenant}`)
      expect(decodeTenantRuns(encodeTenantRuns(runs))).toEqual(runs)
      expect(runs.map(run => run.tenant)).toEqual([...new Set(runs.map(run => run.tenant))])
      expect(runs.reduce((sum, run) => sum + run.length, 0)).toBe(value.length)
      for (const { start, length } of runs) {
        const ids = decodeTraces(value.subarray(start, start + length)).resourceSpans.flatMap(
          ({ scopeSpans }) =>
            scopeSpans.flatMap(({ spans }) => spans.map(({ traceId }) => traceId)),
        )
        // As many changes of trace as there are traces: none comes twice.
        const changes = ids.filter((id, i) => id !== ids[i - 1])
        expect(new Set(changes).size).toBe(changes.length)
        for (const id of changes) expect(partitionOfHex(id)).toBe(layout.recordPartition[record])
      }
    }
    expect(end).toBe(sink.length)
  })

  test('is filled up to recordFillBytes, and goes over it for one slice alone', () => {
    const spans = ['a', 'b', 'c', 'd'].map(digit => ({
      ...plainSpan,
      traceId: `${digit.repeat(30)}01`,
    }))
    const request = { tenant: 0, bytes: encodeTraces(requestOf(spans)) }
    const slice = compose([request]).slices[0]?.bytes.length as number
    const lengths = (recordFillBytes: number) =>
      compose([request], { limits: { ...regroupLimits, recordFillBytes } }).records.map(
        r => r.length,
      )
    expect(lengths(4 * slice)).toEqual([4 * slice])
    expect(lengths(4 * slice - 1)).toEqual([3 * slice, slice])
    expect(lengths(slice)).toEqual([slice, slice, slice, slice])
    expect(lengths(1)).toEqual([slice, slice, slice, slice])
  })

  test('names at most recordTenantsMax tenants', () => {
    const bytes = encodeTraces(requestOf([plainSpan]))
    const of = (tenants: number) =>
      compose(
        Array.from({ length: tenants }, (_, tenant) => ({ tenant, bytes })),
        { limits: { ...regroupLimits, recordTenantsMax: 3 } },
      ).records.length
    expect([of(3), of(4), of(7)]).toEqual([1, 2, 3])
  })
})

describe('limits', () => {
  test('a slice has sliceSpansMax spans, and the rest of its trace lies in another record', () => {
    const spans = Array.from({ length: 9 }, (_, i) => ({
      ...plainSpan,
      spanId: `${i + 1}`.repeat(16),
    }))
    const cut = (sliceSpansMax: number) => {
      const limits = { ...regroupLimits, sliceSpansMax }
      const {
        slices,
        records,
        spans: got,
      } = compose([{ tenant: 0, bytes: encodeTraces(requestOf(spans)) }], { limits })
      expect(got).toHaveLength(9)
      expect(records).toHaveLength(slices.length)
      return slices.map(slice => slice.spanCount)
    }
    expect(cut(9)).toEqual([9])
    expect(cut(8)).toEqual([8, 1])
    expect(cut(3)).toEqual([3, 3, 3])
  })

  test('a slice, and so a record, has at most recordBytesMax bytes', () => {
    const limits = { ...regroupLimits, spanBytesMax: 1000, headBytesMax: 300, recordBytesMax: 2000 }
    const spans = Array.from({ length: 40 }, (_, i) => ({
      ...plainSpan,
      spanId: `${10 + i}`.repeat(8),
      name: 'n'.repeat(i * 9),
    }))
    const request = { tenant: 0, bytes: encodeTraces(requestOf(spans)) }
    const { records, slices } = compose([request], { limits })
    expect(slices.reduce((sum, slice) => sum + slice.spanCount, 0)).toBe(40)
    for (const record of records) expect(record.length).toBeLessThanOrEqual(2000)
    // Two spans of a size fit exactly as long as the bound, lengths of five bytes each, does.
    const two = (nameLength: number, recordBytesMax: number) => {
      const pair = [1, 2].map(i => ({
        ...plainSpan,
        spanId: `${i}`.repeat(16),
        name: 'n'.repeat(nameLength),
      }))
      const bytes = encodeTraces(requestOf(pair))
      return compose([{ tenant: 0, bytes }], { limits: { ...limits, recordBytesMax } })
    }
    const whole = two(900, 1 << 20)
    expect(whole.slices).toHaveLength(1)
    const bound = boundOf(whole.table, 0, 2)
    expect(two(900, bound).slices).toHaveLength(1)
    expect(two(900, bound - 1).slices).toHaveLength(2)
  })

  test('a span over spanBytesMax is left out alone, and so are those under a head over headBytesMax', () => {
    const named = (length: number) => ({ ...plainSpan, name: 'n'.repeat(length) })
    const bytes = encodeTraces(requestOf([named(900), named(901), named(5)]))
    const size = spanSizes(bytes)[0] as number
    const exact = compose([{ tenant: 0, bytes }], {
      limits: { ...regroupLimits, spanBytesMax: size },
    })
    expect(exact.taken).toEqual([2])
    expect([...exact.table.problem.subarray(0, 3)]).toEqual([0, spanProblem.spanTooLarge, 0])
    expect(exact.table.problems).toBe(1)
    const head = exact.table.resources.headBytes[0] as number
    expect(head).toBeGreaterThan(exact.table.scopes.headBytes[0] as number)
    const under = (headBytesMax: number) =>
      compose([{ tenant: 0, bytes }], { limits: { ...regroupLimits, headBytesMax } })
    expect(under(head).taken).toEqual([3])
    expect(under(head - 1).taken).toEqual([0])
    expect(under(head - 1).table.problem[1]).toBe(spanProblem.headTooLarge)
  })

  test('what a request may become is bounded before anything is added', () => {
    const bytes = encodeTraces(requestOf([plainSpan, plainSpan]))
    const of = (composedBytesMax: number) => {
      const table = new SpanTable()
      const composer = new Composer(table, {
        ...options,
        limits: { ...regroupLimits, composedBytesMax },
      })
      scanTraces(bytes, 0, bytes.length, table, noInterest)
      return () => composer.add(0, 2, 0)
    }
    const whole = compose([{ tenant: 0, bytes }])
    const bound = whole.composer.boundBytes
    expect(bound).toBeGreaterThan(whole.sink.length)
    expect(of(bound)()).toBe(2)
    expect(of(bound - 1)).toThrow('composedBytesMax')
  })

  test('limits under which a span would fit into no record are refused', () => {
    const largest = 100 + 2 * 50 + 4 * envelopeBytes
    const limits = {
      ...regroupLimits,
      spanBytesMax: 100,
      headBytesMax: 50,
      recordBytesMax: largest,
    }
    const make = (of: RegroupLimits) => () =>
      new Composer(new SpanTable(), { ...options, limits: of })
    expect(make(limits)).not.toThrow()
    expect(make({ ...limits, recordBytesMax: largest - 1 })).toThrow(RangeError)
    expect(make(regroupLimits)).not.toThrow()
  })
})

test('spans with a problem are left out, the rest of their request is not', () => {
  const spans = [
    plainSpan,
    { ...plainSpan, spanId: '' },
    { ...plainSpan, traceId: '00' },
    plainSpan,
  ]
  const { taken, slices } = compose([{ tenant: 0, bytes: encodeTraces(requestOf(spans)) }])
  expect(taken).toEqual([2])
  expect(slices.map(slice => slice.spanCount)).toEqual([2])
})

test('a composer that was cleared starts from nothing', () => {
  const table = new SpanTable()
  const composer = new Composer(table, options)
  const sink = new ByteSink(16)
  const request = agentRequest(9)
  const turn = () => {
    sink.length = 0
    scanTraces(request, 0, request.length, table, noInterest)
    composer.add(0, table.length, 0)
    composer.compose(sink)
    composer.clear()
    table.clear()
    return Buffer.from(sink.bytes.subarray(0, sink.length))
  }
  const first = turn()
  expect(turn()).toEqual(first)
  expect(composer.boundBytes).toBe(0)
})

test('whatever a scan accepts of mutated bytes decodes after regrouping', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = seededRandom(seed)
  const whole = encodeTraces(randomRequest(seededRandom(4)))
  const table = new SpanTable()
  const composer = new Composer(table, options)
  const sink = new ByteSink()
  let composed = 0
  for (let round = 0; round < 5000; round++) {
    const bytes = Uint8Array.from(whole)
    for (let n = 1 + Math.floor(random() * 2); n > 0; n--) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
    }
    sink.length = 0
    composer.clear()
    table.clear()
    try {
      scanTraces(bytes, 0, bytes.length, table, noInterest)
    } catch (error) {
      expect(error, `seed ${seed} round ${round}`).toMatchObject({ code: 'PAYLOAD_INVALID' })
      continue
    }
    const taken = composer.add(0, table.length, 0)
    composer.compose(sink)
    const back = decodeTraces(sink.bytes.subarray(0, sink.length))
    expect(spansOf(0, back), `seed ${seed} round ${round}`).toHaveLength(taken)
    composed += taken
  }
  expect(composed).toBeGreaterThan(1000)
})

interface Request {
  readonly tenant: number
  readonly bytes: Uint8Array
}

const options = {
  hashSeed: 5,
  partitionOf: (bytes: Uint8Array, start: number) => (bytes[start + 15] as number) % partitions,
}

function partitionOfHex(traceId: string): number {
  return Number.parseInt(traceId.slice(30), 16) % partitions
}

function compose(
  requests: readonly Request[],
  { hashSeed = 5, limits = regroupLimits }: { hashSeed?: number; limits?: RegroupLimits } = {},
) {
  const table = new SpanTable()
  const composer = new Composer(table, { ...options, hashSeed, limits })
  const sink = new ByteSink(64)
  const taken = requests.map(({ bytes, tenant }) => {
    const from = table.length
    scanTraces(bytes, 0, bytes.length, table, noInterest)
    return composer.add(from, table.length, tenant)
  })
  composer.compose(sink)
  const { layout } = composer
  const copy = (start: number | undefined, length: number | undefined) =>
    Buffer.from(sink.bytes.subarray(start, (start ?? 0) + (length ?? 0)))
  const records = Array.from({ length: layout.records }, (_, record) =>
    copy(layout.recordStart[record], layout.recordLength[record]),
  )
  const slices = Array.from({ length: layout.slices }, (_, slice) => ({
    tenant: layout.tenant[slice] as number,
    spanCount: layout.spanCount[slice] as number,
    bytes: copy(layout.start[slice], layout.byteLength[slice]),
  }))
  const spans = slices.flatMap(({ tenant, bytes, spanCount }) => {
    const found = spansOf(tenant, decodeTraces(bytes))
    expect(found).toHaveLength(spanCount)
    expect(new Set(found.map(({ span }) => span.traceId)).size).toBe(1)
    return found
  })
  expect(layout.recordSpans.subarray(0, layout.records).reduce((a, b) => a + b, 0)).toBe(
    spans.length,
  )
  return { table, composer, sink, taken, records, slices, spans: spans.sort(byIdentity) }
}

function sent(requests: readonly Request[]) {
  return requests
    .flatMap(({ tenant, bytes }) => spansOf(tenant, decodeTraces(bytes)))
    .sort(byIdentity)
}

function spansOf(tenant: number, { resourceSpans }: TracesData) {
  return resourceSpans.flatMap(({ resource, scopeSpans, schemaUrl }) =>
    scopeSpans.flatMap(({ scope, spans, schemaUrl: scopeSchemaUrl }) =>
      spans.map(span => ({ tenant, resource, schemaUrl, scope, scopeSchemaUrl, span })),
    ),
  )
}

/** Stable, so that spans sent twice under one id keep their order. */
function byIdentity(a: { tenant: number; span: Span }, b: { tenant: number; span: Span }): number {
  const key = ({ tenant, span }: { tenant: number; span: Span }) =>
    `${tenant} ${span.traceId} ${span.name}`
  return key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0
}

/** Names are unique within a request, so that order within a trace is not compared. */
function randomRequest(random: () => number): TracesData {
  const int = (below: number) => Math.floor(random() * below)
  const attribute = (): KeyValue => ({ key: `k${int(9)}`, value: { intValue: BigInt(int(1000)) } })
  const list = <T>(most: number, make: () => T): T[] => Array.from({ length: int(most + 1) }, make)
  return {
    resourceSpans: list(4, () => ({
      resource: { attributes: list(3, attribute), droppedAttributesCount: int(3) },
      scopeSpans: list(4, () => ({
        scope: {
          name: `s${int(9)}`,
          version: '',
          attributes: list(2, attribute),
          droppedAttributesCount: 0,
        },
        spans: list(8, () => ({
          ...plainSpan,
          traceId: `${1 + int(9)}`.repeat(32),
          name: `span-${random()}`,
          attributes: list(4, attribute),
        })),
        schemaUrl: int(2) === 0 ? '' : 'https://example.com/scope',
      })),
      schemaUrl: int(2) === 0 ? '' : 'https://example.com/resource',
    })),
  }
}

function requestOf(spans: readonly Span[]): TracesData {
  const pair = (key: string): KeyValue => ({ key, value: { stringValue: 'x'.repeat(100) } })
  return {
    resourceSpans: [
      {
        resource: { attributes: [pair('a'), pair('b')], droppedAttributesCount: 0 },
        scopeSpans: [
          {
            scope: { name: 'lib', version: '1', attributes: [], droppedAttributesCount: 0 },
            spans,
            schemaUrl: 'https://example.com/scope',
          },
        ],
        schemaUrl: 'https://example.com/resource',
      },
    ],
  }
}

function spanSizes(bytes: Uint8Array): number[] {
  const table = new SpanTable()
  const rows = scanTraces(bytes, 0, bytes.length, table, noInterest)
  return Array.from(
    { length: rows },
    (_, row) => (table.end[row] as number) - (table.start[row] as number),
  )
}

/** What a slice of these rows, all of one scope, is taken to need. */
function boundOf(table: SpanTable, from: number, to: number): number {
  let bytes = (table.resources.headBytes[0] as number) + (table.scopes.headBytes[0] as number)
  bytes += 2 * envelopeBytes
  for (let row = from; row < to; row++) {
    bytes += (table.end[row] as number) - (table.fieldStart[row] as number)
  }
  return bytes
}

const plainSpan: Span = {
  ...emptySpan,
  traceId: '0102030405060708090a0b0c0d0e0f10',
  spanId: '0102030405060708',
  startTimeUnixNano: 1n,
  endTimeUnixNano: 2n,
}

/** A length-delimited field of less than 16 KiB. */
function field(tag: number, ...parts: readonly (readonly number[])[]): number[] {
  const body = parts.flat()
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7]
  return [tag, ...length, ...body]
}

function text(value: string): number[] {
  return [...Buffer.from(value)]
}
