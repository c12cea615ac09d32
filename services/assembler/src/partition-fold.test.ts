import { expect, test } from 'vitest'
import { summaryFactsMax } from './config.ts'
import { packedSlice, type SpanIds } from './packed-slice.fixture.ts'
import { PartitionFold, type ReadSlice } from './partition-fold.ts'

const rules = {
  quiet: 5_000,
  rootless: 60_000,
  openMax: 120_000,
  maxSpans: 4000,
  maxBytes: 1 << 24,
  maxRefs: 256,
  maxOpen: 200_000,
}
const traceId = 'a'.repeat(32)

function slice(
  spans: readonly SpanIds[],
  { traceId: id = traceId, ...over }: Partial<ReadSlice> & { readonly traceId?: string } = {},
): ReadSlice {
  const place = { tenant: 'default', traceId: id, start: 0, length: 100 }
  return { ...packedSlice(spans, place), ...over }
}

function run(records: readonly [atMs: number, ...slices: ReadSlice[]][], over = {}): PartitionFold {
  const fold = new PartitionFold({ ...rules, ...over }, 0)
  records.forEach(([atMs, ...slices], offset) => {
    fold.apply(offset, atMs, slices)
  })
  return fold
}

const reasons = (fold: PartitionFold): string[] => fold.closed.map(closed => closed.reason)

test('a trace closes once its root has ended, no parent is missing and it was quiet', () => {
  const fold = run([[0, slice([[2, 1]])], [1000, slice([[1, 0]])], [6000]])
  expect(reasons(fold)).toEqual([]) // due at 6000: a record of that very time may still be its
  fold.apply(3, 6001, [])
  expect(reasons(fold)).toEqual(['root'])
  expect(fold.closed[0]?.trace.sliceCount).toBe(2)
})

test('before a record is applied, everything due before its time is closed', () => {
  const fold = run([
    [0, slice([[1, 0]])],
    [9000, slice([[2, 1]])],
  ])
  expect(reasons(fold)).toEqual(['root'])
  expect(fold.closed[0]?.trace.spanCount).toBe(1)
  expect(fold.openCount).toBe(1) // the late span opens the trace anew: a fragment
})

test('a trace without a root waits for rootless, one with a missing parent until openMax', () => {
  expect(reasons(run([[0, slice([[2, 1]])], [60_000]]))).toEqual([])
  expect(reasons(run([[0, slice([[2, 1]])], [60_000], [60_001]]))).toEqual(['rootless'])
  const missing = [
    0,
    slice([
      [1, 0],
      [3, 2],
    ]),
  ] as [number, ReadSlice]
  expect(reasons(run([missing, [60_000], [120_000]]))).toEqual([])
  expect(reasons(run([missing, [60_000], [120_000], [120_001]]))).toEqual(['long'])
})

test('an entry span whose parent does not come is the root after twice quiet', () => {
  const entry = [
    0,
    slice([
      [1, 9, true],
      [2, 1],
    ]),
  ] as [number, ReadSlice]
  expect(reasons(run([entry, [10_000]]))).toEqual([])
  expect(reasons(run([entry, [10_000], [10_001]]))).toEqual(['root'])
})

test('an entry span whose parent is there is no root', () => {
  expect(
    reasons(
      run([
        [
          0,
          slice([
            [1, 7],
            [2, 1, true],
          ]),
        ],
        [50_000],
      ]),
    ),
  ).toEqual([])
})

test('a busy trace is summarised at openMax and goes on as a fragment', () => {
  const steady = Array.from({ length: 50 }, (_, i): [number, ReadSlice] => [
    i * 4000,
    slice([[i + 1, i]]),
  ])
  const fold = run(steady)
  expect(reasons(fold)).toEqual(['long'])
  expect(fold.closed[0]?.trace.sliceCount).toBe(31)
})

test('a trace at a limit of spans, bytes or slices closes at once, one below it stays open', () => {
  const spans = slice([
    [1, 0],
    [2, 1],
  ])
  expect(reasons(run([[0, spans]], { maxSpans: 2 }))).toEqual(['spans'])
  expect(reasons(run([[0, spans]], { maxSpans: 3 }))).toEqual([])
  expect(reasons(run([[0, spans]], { maxBytes: 100 }))).toEqual(['bytes'])
  expect(reasons(run([[0, spans]], { maxBytes: 101 }))).toEqual([])
  expect(reasons(run([[0, spans]], { maxRefs: 1 }))).toEqual(['refs'])
  expect(reasons(run([[0, spans]], { maxRefs: 2 }))).toEqual([])
})

test('as many traces are open as may be; of one more the oldest is summarised as it is', () => {
  const of = (n: number, id: number, parent = 0): ReadSlice =>
    slice([[id, parent]], { traceId: `${n}`.repeat(32) })
  const fold = run(
    [
      [0, of(1, 1)],
      [1, of(2, 1)],
      [2, of(1, 2, 1)],
    ],
    { maxOpen: 2 },
  )
  expect([fold.openCount, reasons(fold), fold.committable]).toEqual([2, [], 0])
  fold.apply(3, 3, [of(3, 1)])
  expect([fold.openCount, reasons(fold)]).toEqual([2, ['long']])
  expect(fold.closed[0]?.trace).toMatchObject({ traceId: '1'.repeat(32), sliceCount: 2 })
  expect(fold.committable, 'not acknowledged yet').toBe(0)
  fold.acknowledge(1)
  expect(fold.committable).toBe(1)
  fold.apply(4, 4, [of(1, 3, 1)])
  expect(fold.closed[0]?.trace.traceId, 'it opens anew, as the youngest').toBe('2'.repeat(32))
})

test('a trace whose facts fill a summary closes at once, before its record is too large for a bus', () => {
  const half = summaryFactsMax / 2
  const two = (jsonLength: number) =>
    run([
      [0, slice([[1, 0]], { jsonLength: half })],
      [1, slice([[2, 1]], { jsonLength })],
    ])
  expect(reasons(two(half - 1))).toEqual([])
  expect(reasons(two(half))).toEqual(['bytes'])
})

test('a missing parent counts once, and none does where an entry span was the root', () => {
  const missing = (fold: PartitionFold): number[] =>
    fold.closed.map(({ missingParents }) => missingParents)
  const orphans = slice([
    [2, 1],
    [3, 1],
    [4, 9],
  ])
  expect(missing(run([[0, orphans], [60_000], [60_001]]))).toEqual([2])
  expect(missing(run([[0, slice([[1, 9, true]])], [10_000], [10_001]]))).toEqual([0])
})

test('two tenants with one trace id are two traces', () => {
  const fold = run([[0, slice([[1, 0]]), slice([[1, 0]], { tenant: 'other', start: 100 })]])
  expect(fold.openCount).toBe(2)
  expect(fold.find('other', traceId)?.spanCount).toBe(1)
  expect(fold.find('nobody', traceId)).toBeUndefined()
})

test('a span id seen in an earlier slice is counted as a duplicate, also far into a large trace', () => {
  const many = Array.from({ length: 100 }, (_, i): SpanIds => [i + 1, i])
  const fold = run([
    [0, slice(many)],
    [
      1,
      slice([
        [1, 0],
        [100, 99],
        [101, 100],
      ]),
    ],
  ])
  expect(fold.find('default', traceId)).toMatchObject({ spanCount: 101, slices: 2 })
  fold.closeBefore(6000)
  expect(reasons(fold)).toEqual(['root'])
  expect(fold.duplicateSpans).toBe(2)
})

test('what may be committed lies behind every open and every unacknowledged trace', () => {
  const other = 'b'.repeat(32)
  const fold = run([[0, slice([[1, 0]])], [1000, slice([[1, 0]], { traceId: other })], [5500]])
  expect(reasons(fold)).toEqual(['root'])
  expect(fold.committable).toBe(0)
  fold.acknowledge(1)
  expect(fold.committable).toBe(1)
  fold.apply(3, 9000, [])
  fold.acknowledge(1)
  expect(fold.committable).toBe(4)
})

test('at the end of the log the wall clock closes, but only after the slack', () => {
  const fold = run([[1_000_000, slice([[1, 0]])]])
  fold.closeAtWall(1_007_000, 2000)
  expect(reasons(fold)).toEqual([])
  fold.closeAtWall(1_007_001, 2000)
  expect(reasons(fold)).toEqual(['root'])
})

test('a jump of the clock that stamps the log closes no trace before its time by more than a minute', () => {
  const fold = run(
    [
      [0, slice([[2, 1]])],
      [86_400_000, slice([[3, 2]])],
    ],
    { rootless: 61_000 },
  )
  expect(reasons(fold)).toEqual([])
})

test('a trace of 100,000 spans is summarised in parts, each within the limits, and nothing is lost', () => {
  const perSlice = 500
  const slices = Array.from({ length: 200 }, (_, at) =>
    slice(
      Array.from({ length: perSlice }, (_span, i): SpanIds => [at * perSlice + i + 1, 1]),
      { start: at * 100 },
    ),
  )
  const fold = run(slices.map((one, at): [number, ReadSlice] => [at * 10, one]))
  fold.closeAtWall(1_000_000, 0)
  expect(fold.openCount).toBe(0)
  expect(fold.closed.map(({ trace }) => trace.spanCount)).toEqual(Array(25).fill(4000))
  expect(new Set(reasons(fold))).toEqual(new Set(['spans']))
  // Each part but the first names a parent that lies in the first.
  expect(fold.closed.map(({ missingParents }) => missingParents)).toEqual(
    Array.from({ length: 25 }, (_, at) => (at === 0 ? 0 : 1)),
  )
  expect(fold.closed.reduce((sum, { trace }) => sum + trace.sliceCount, 0)).toBe(200)
})

test('a trace of 200 MB is summarised in parts of 16', () => {
  const records = Array.from({ length: 50 }, (_, at): [number, ReadSlice] => [
    at,
    slice([[at + 1, at]], { length: 4 * 1024 * 1024 }),
  ])
  const fold = run(records)
  expect(reasons(fold)).toEqual(Array(12).fill('bytes'))
  expect(fold.closed.map(({ trace }) => trace.sliceCount)).toEqual(Array(12).fill(4))
  expect(fold.openCount).toBe(1)
})

test('a span that comes 4 s, 20 s, 45 s, 1 h or 23 h late is a fragment', () => {
  for (const lateMs of [4_000, 20_000, 45_000, 3_600_000, 82_800_000]) {
    const fold = run([
      [0, slice([[1, 0]])],
      [lateMs, slice([[2, 1]])],
    ])
    fold.closeAtWall(lateMs + 1_000_000, 0)
    const slices = fold.closed.map(({ trace }) => trace.sliceCount)
    expect(slices, `${lateMs} ms`).toEqual(lateMs < 5000 ? [2] : [1, 1])
    expect(fold.openCount).toBe(0)
  }
})

test('thousands due at once close in turns, and none of them twice', () => {
  const records = Array.from({ length: 3000 }, (_, at): [number, ReadSlice] => [
    0,
    slice([[1, 0]], { traceId: at.toString(16).padStart(32, '0') }),
  ])
  const fold = run(records)
  const turns: number[] = []
  let isDone = false
  while (!isDone) {
    isDone = fold.closeBefore(5001, 256)
    turns.push(fold.closed.length)
    fold.acknowledge(fold.closed.length)
  }
  expect(turns).toEqual([...Array(11).fill(256), 3000 - 11 * 256])
  expect(fold.openCount).toBe(0)
})
