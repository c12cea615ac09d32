import { partitionOf } from '@winnow/bus'
import { noInterest, SpanTable, scanTraces } from '@winnow/otlp'
import { expect, test } from 'vitest'
import { inspectRows, RowFindings } from './grouping.ts'
import { requestProto, spanJson } from './receiver.fixture.ts'

const count = 8
const partition = (bytes: Uint8Array, start: number): number => partitionOf(bytes, start, 16, count)

function inspect(limitNs: bigint, ...spans: object[]) {
  const table = new SpanTable()
  const findings = new RowFindings()
  const marks = new Uint8Array(count)
  // A first request in the table: positions and rows of the second one do not begin at 0.
  scanTraces(requestProto(spanJson(500)), 0, requestProto(spanJson(500)).length, table, noInterest)
  const bytes = requestProto(...spans)
  const from = table.length
  scanTraces(bytes, 0, bytes.length, table, noInterest)
  const limit = [Number(limitNs >> 32n), Number(limitNs & 0xffff_ffffn)] as const
  inspectRows(table, bytes, from, table.length, partition, marks, ...limit, findings)
  return { findings, marked: [...marks].flatMap((mark, index) => (mark === 1 ? [index] : [])) }
}

const at = (startNs: bigint, endNs: bigint) => ({
  startTimeUnixNano: String(startNs),
  endTimeUnixNano: String(endNs),
})

test('the partitions of a request are marked, and no others', () => {
  const spans = Array.from({ length: 5 }, (_, n) => spanJson(n))
  const wanted = spans.map(({ traceId }) => partition(Buffer.from(traceId, 'hex'), 0))
  const { marked } = inspect(2n ** 64n - 1n, ...spans, ...spans)
  expect(marked).toEqual([...new Set(wanted)].sort((a, b) => a - b))
})

test('times compare as 64 bits: one nanosecond decides, in either word', () => {
  const edge = 0x1_0000_0000n * 400_000_000n
  const cases: readonly [start: bigint, end: bigint, backward: number][] = [
    [edge, edge, 0],
    [edge, edge - 1n, 1],
    [edge - 1n, edge, 0],
    [edge + 5n, edge + 4n, 1],
    [edge, 0n, 1],
    [0n, 0n, 0],
  ]
  for (const [start, end, backward] of cases) {
    expect(inspect(2n ** 64n - 1n, spanJson(1, at(start, end))).findings.backward).toBe(backward)
  }
  for (const [start, early] of [
    [edge - 1n, 0],
    [edge, 0],
    [edge + 1n, 1],
    [2n * edge, 1],
  ] as const) {
    expect(inspect(edge, spanJson(1, at(start, start))).findings.early).toBe(early)
  }
})
