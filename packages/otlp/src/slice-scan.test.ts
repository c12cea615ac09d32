import { expect, test } from 'vitest'
import { ByteSink } from './byte-sink.ts'
import { encodeTraces } from './encode.ts'
import { noInterest } from './interest.ts'
import { emptySpan, type Span, type TracesData } from './otlp.ts'
import { Composer } from './regroup.ts'
import { scanTraces } from './scan.ts'
import { tenantRunsOf } from './slice-layout.ts'
import { SliceIds, scanSlices } from './slice-scan.ts'
import { SpanTable } from './span-table.ts'

test('a composed record has the slices that were laid out in it, with the ids of their spans', () => {
  const table = new SpanTable()
  const composer = new Composer(table, { hashSeed: 1, partitionOf: () => 0 })
  for (let request = 0; request < 60; request++) {
    const spans = Array.from({ length: 1 + (request % 7) }, (_, at) =>
      span((request * 5 + at * at) % 40, request * 100 + at),
    )
    const bytes = encodeTraces(traces(spans))
    const from = table.length
    scanTraces(bytes, 0, bytes.length, table, noInterest)
    composer.add(from, table.length, request % 3)
  }
  const sink = new ByteSink()
  composer.compose(sink)
  const { layout } = composer
  let compared = 0
  for (let record = 0; record < layout.records; record++) {
    const origin = layout.recordStart[record] as number
    const value = sink.bytes.subarray(origin, origin + (layout.recordLength[record] as number))
    const scanned = new SliceIds()
    for (const { start, length } of tenantRunsOf(layout, record, String)) {
      scanSlices(value, start, start + length, scanned)
    }
    const first = layout.sliceFrom[record] as number
    expect(scanned.slices).toBe((layout.sliceTo[record] as number) - first)
    for (let at = 0; at < scanned.slices; at++) {
      const slice = first + at
      expect(scanned.start[at]).toBe((layout.start[slice] as number) - origin)
      expect(scanned.byteLength[at]).toBe(layout.byteLength[slice])
      expect(scanned.spanCount[at]).toBe(layout.spanCount[slice])
      expect(idsOf(scanned, at)).toEqual(wholeIdsOf(value, scanned, at))
      compared++
    }
  }
  expect(compared).toBeGreaterThan(60)
})

test('one trace in two runs is two slices, in two ResourceSpans of one run it is one', () => {
  const bytes = Buffer.concat([1, 2].map(id => Buffer.from(encodeTraces(traces([span(1, id)])))))
  const half = bytes.length / 2
  const one = new SliceIds()
  scanSlices(bytes, 0, bytes.length, one)
  expect([one.slices, one.spanCount[0], one.byteLength[0]]).toEqual([1, 2, bytes.length])
  const two = new SliceIds()
  scanSlices(bytes, 0, half, two)
  scanSlices(bytes, half, bytes.length, two)
  expect([two.slices, two.start[1], two.byteLength[1]]).toEqual([2, half, half])
})

test('two traces in one ResourceSpans, ids of a wrong length and torn bytes are refused', () => {
  const scan = (bytes: Uint8Array) => scanSlices(bytes, 0, bytes.length, new SliceIds())
  expect(() => scan(encodeTraces(traces([span(1, 1), span(2, 2)])))).toThrow(/hold two traces/)
  const bad = encodeTraces(traces([{ ...span(1, 1), spanId: '01' }]))
  expect(() => scan(bad)).toThrow(/without valid ids/)
  const good = encodeTraces(traces([span(1, 1)]))
  for (let end = 1; end < good.length; end++) {
    expect(() => scan(good.subarray(0, end)), `${end}`).toThrow(/PAYLOAD_INVALID/)
  }
})

test('of an id that is given twice the last counts, as in a whole scan', () => {
  const bytes = Buffer.from(encodeTraces(traces([span(1, 1)])))
  const spanBytes = bytes.length
  // A field 2 more at the end of the span; all three lengths around it are one byte.
  const again = Buffer.concat([bytes, Buffer.from([0x12, 8, 9, 9, 9, 9, 9, 9, 9, 9])])
  for (const at of lengthsAt(again)) again[at] = (again[at] as number) + 10
  const scanned = new SliceIds()
  scanSlices(again, 0, spanBytes + 10, scanned)
  expect(idsOf(scanned, 0)).toEqual([0x09090909, 0x09090909])
})

function idsOf(scanned: SliceIds, slice: number): number[] {
  const from = 2 * (scanned.spanFrom[slice] as number)
  return [...scanned.spanIds.subarray(from, from + 2 * (scanned.spanCount[slice] as number))]
}

/** What a whole scan of the slice's own bytes finds. */
function wholeIdsOf(value: Uint8Array, scanned: SliceIds, slice: number): number[] {
  const start = scanned.start[slice] as number
  const table = new SpanTable()
  scanTraces(value, start, start + (scanned.byteLength[slice] as number), table, noInterest)
  const ids: number[] = []
  for (let row = 0; row < table.length; row++) {
    expect(table.trace3[row]).toBe(scanned.traceIds[4 * slice + 3])
    ids.push(table.span0[row] as number, table.span1[row] as number)
  }
  return ids
}

/** Of ResourceSpans, then the last ScopeSpans in it, then the last span in that. */
function lengthsAt(bytes: Uint8Array): number[] {
  const found: number[] = []
  let at = 0
  let end = bytes.length - 10
  for (const tag of [10, 18, 18]) {
    while (bytes[at] !== tag || at + 2 + (bytes[at + 1] as number) !== end) at++
    found.push(at + 1)
    end = at + 2 + (bytes[at + 1] as number)
    at += 2
  }
  return found
}

function traces(spans: readonly Span[]): TracesData {
  const none = { attributes: [], droppedAttributesCount: 0 }
  const scope = { name: 's', version: '', ...none }
  return {
    resourceSpans: [
      { resource: none, schemaUrl: '', scopeSpans: [{ scope, schemaUrl: '', spans }] },
    ],
  }
}

function span(trace: number, id: number): Span {
  return {
    ...emptySpan,
    traceId: (trace + 1).toString(16).padStart(32, '0'),
    spanId: (id + 1).toString(16).padStart(16, '0'),
    name: 'n',
    kind: 1,
    startTimeUnixNano: 1n,
    endTimeUnixNano: 2n,
  }
}
