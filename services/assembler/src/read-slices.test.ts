import { encodeTenantRuns } from '@winnow/model'
import {
  ByteSink,
  Composer,
  emptySpan,
  encodeTraces,
  noInterest,
  SpanTable,
  scanTraces,
  tenantRunsOf,
} from '@winnow/otlp'
import { agentTraffic } from '@winnow/testing'
import { describe, expect, test } from 'vitest'
import { idsOf, summarised } from './packed-slice.fixture.ts'
import { sliceReader } from './read-slices.ts'

const startMs = 1_716_370_863_120

test('a record is read as the slices that were composed into it, each within its tenant', () => {
  const { requests } = agentTraffic({ seed: 3, traces: 40, startMs })
  const tenants = [...new Set(requests.map(({ tenant }) => tenant))]
  expect(tenants.length).toBeGreaterThan(1)
  const table = new SpanTable()
  const composer = new Composer(table, { hashSeed: 1, partitionOf: () => 0 })
  for (const { tenant, data } of requests) {
    const bytes = encodeTraces(data)
    const from = table.length
    scanTraces(bytes, 0, bytes.length, table, noInterest)
    composer.add(from, table.length, tenants.indexOf(tenant))
  }
  const sink = new ByteSink()
  composer.compose(sink)
  const { layout } = composer
  const read = sliceReader()
  const got: unknown[] = []
  const expected: unknown[] = []
  for (let record = 0; record < layout.records; record++) {
    const origin = layout.recordStart[record] as number
    const value = sink.bytes.subarray(origin, origin + (layout.recordLength[record] as number))
    const header = encodeTenantRuns(tenantRunsOf(layout, record, at => tenants[at] as string))
    for (const slice of read(value, header)) {
      const { tenant, traceId, start, length, spanCount } = slice
      got.push([record, tenant, traceId, start, length, spanCount])
      // The slice's own bytes say the same again: their ids, and their facts.
      const [alone] = readAll(value.subarray(start, start + length))
      expect(alone).toEqual({
        traceId,
        ids: idsOf(slice),
        facts: summarised(slice).facts,
      })
    }
    for (
      let at = layout.sliceFrom[record] as number;
      at < (layout.sliceTo[record] as number);
      at++
    ) {
      const row = layout.row[at] as number
      const idAt = table.traceAt[row] as number
      expected.push([
        record,
        tenants[layout.tenant[at] as number],
        table.sourceOf(row).toString('hex', idAt, idAt + 16),
        (layout.start[at] as number) - origin,
        layout.byteLength[at],
        layout.spanCount[at],
      ])
    }
  }
  expect(got).toEqual(expected)
  expect(got).toHaveLength(40)
})

test('span ids come with parents and entry marks', () => {
  const value = traces([
    span('a', { spanId: '0102030405060708', kind: 2 }),
    span('a', { spanId: 'ff00000000000001', parentSpanId: '0102030405060708', kind: 2 }),
    span('a', { spanId: 'ff00000000000002', parentSpanId: '0102030405060708', flags: 0x100 }),
  ])
  expect(readAll(value)[0]?.ids).toEqual([
    ...[0x01020304, 0x05060708, 0, 0, 0],
    ...[0xff000000, 1, 0x01020304, 0x05060708, 1],
    ...[0xff000000, 2, 0x01020304, 0x05060708, 0],
  ])
})

describe('a record that no receiver composed gives no slice', () => {
  const good = traces([span('a')])
  const refusal = (value: Uint8Array, header: Uint8Array | undefined) => {
    const given: unknown[] = []
    try {
      for (const slice of sliceReader()(value, header)) given.push(slice)
    } catch (error) {
      expect(given).toEqual([])
      return error
    }
    return undefined
  }
  const whole = (value: Uint8Array) =>
    encodeTenantRuns([{ tenant: 't', start: 0, length: value.length }])

  test('without its header, or with runs outside of it', () => {
    expect(refusal(good, undefined)).toMatchObject({ code: 'DATA_CORRUPT' })
    expect(refusal(good, Buffer.from('{}'))).toMatchObject({ code: 'DATA_CORRUPT' })
    const over = encodeTenantRuns([{ tenant: 't', start: 0, length: good.length + 1 }])
    expect(refusal(good, over)).toMatchObject({ code: 'DATA_CORRUPT' })
    expect(refusal(good, whole(good))).toBeUndefined()
  })

  test('with two traces in one ResourceSpans, or a span without ids, behind good slices', () => {
    const mixed = Buffer.concat([good, traces([span('a'), span('b')])])
    expect(refusal(mixed, whole(mixed))).toMatchObject({ code: 'DATA_CORRUPT' })
    const nameless = Buffer.concat([good, traces([span('a', { spanId: '' })])])
    expect(refusal(nameless, whole(nameless))).toMatchObject({ code: 'DATA_CORRUPT' })
    const cut = Buffer.concat([good, good.subarray(0, good.length - 1)])
    expect(refusal(cut, whole(cut))).toMatchObject({ code: 'PAYLOAD_INVALID' })
  })

  test('but one trace in two places, and ResourceSpans without spans, are nothing strange', () => {
    const value = Buffer.concat([good, traces([]), traces([span('b')]), good])
    expect(readAll(value).map(({ traceId }) => traceId[0])).toEqual(['a', 'b', 'a'])
  })
})

/** All of the value is one tenant's. */
function readAll(value: Uint8Array) {
  const header = encodeTenantRuns([{ tenant: 't', start: 0, length: value.length }])
  const slices = []
  for (const slice of sliceReader()(value, header)) {
    slices.push({
      traceId: slice.traceId,
      ids: idsOf(slice),
      facts: summarised(slice).facts,
    })
  }
  return slices
}

type Span = Parameters<
  typeof encodeTraces
>[0]['resourceSpans'][number]['scopeSpans'][number]['spans'][number]

function span(digit: string, more: Partial<Span> = {}): Span {
  return {
    ...emptySpan,
    traceId: digit.repeat(32),
    spanId: '0102030405060708',
    name: 'n',
    kind: 1,
    startTimeUnixNano: 1n,
    endTimeUnixNano: 2n,
    ...more,
  }
}

function traces(spans: readonly Span[]): Uint8Array {
  const scope = { name: 's', version: '', attributes: [], droppedAttributesCount: 0 }
  return encodeTraces({
    resourceSpans: [
      {
        resource: { attributes: [], droppedAttributesCount: 0 },
        scopeSpans: [{ scope, spans, schemaUrl: '' }],
        schemaUrl: '',
      },
    ],
  })
}
