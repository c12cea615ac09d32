import { expect, test } from 'vitest'
import { CloseTimesFinder, closeTimesMax, closeTimesSchema } from './close-times.ts'
import { assemblerConfigSchema } from './config.ts'
import { PartitionFold, type ReadSlice } from './partition-fold.ts'
import { wordsOfTrace } from './trace-key.ts'

const lines = closeTimesSchema.parse([
  { root: 'nightly', quiet: '30s' },
  { service: 'batch', root: 'report', openMax: '10min' },
  { service: 'batch', quiet: '20s', rootless: '90s' },
])

test('a line is found by service, by root, or by both', () => {
  const finder = new CloseTimesFinder(lines)
  expect(finder.ofService('"batch"')).toBe(3)
  expect(finder.ofService('"web"')).toBe(0)
  expect(finder.ofRoot('"web"', '"nightly"')).toBe(1)
  expect(finder.ofRoot('"batch"', '"report"')).toBe(2)
  expect(finder.ofRoot('"web"', '"report"')).toBe(0)
})

test('a line names whom it is about and what it changes, and there are so many at most', () => {
  const mistake = (list: unknown[]) => closeTimesSchema.safeParse(list).error?.issues[0]?.message
  expect(mistake([{ quiet: '1s' }])).toMatch(/wants a service, a root/)
  expect(mistake([{ service: 's' }])).toMatch(/wants one of quiet/)
  expect(mistake([{ service: 's', quiet: 5 }])).toMatch(/number with a unit/)
  expect(mistake([{ root: 'x'.repeat(64), quiet: '1s' }])).toBeUndefined()
  expect(mistake([{ root: 'x'.repeat(65), quiet: '1s' }])).toMatch(/up to 64 bytes/)
  const many = (count: number) =>
    Array.from({ length: count }, () => ({ service: 's', quiet: '1s' }))
  expect(mistake(many(closeTimesMax))).toBeUndefined()
  expect(mistake(many(closeTimesMax + 1))).toBeDefined()
})

const config = assemblerConfigSchema.parse({
  closeTimes: [
    { root: 'nightly', quiet: '30s' },
    { service: 'batch', rootless: '90s', openMax: '10min' },
  ],
})

function sliceOf(trace: number, closeTimes: number, hasRoot: boolean): ReadSlice {
  const id = trace.toString(16).padStart(32, '0')
  // One span, a root: no parent is wanted.
  const facts = Buffer.alloc(64)
  facts[18] = 4
  facts[26] = trace
  return {
    tenant: 't',
    ...wordsOfTrace(id),
    start: 0,
    length: 10,
    spanCount: hasRoot ? 1 : 0,
    jsonLength: 10,
    hasRoot,
    hasEntry: false,
    closeTimes,
    facts,
  }
}

test('a trace waits as its line says, and one without a line as all do', () => {
  const fold = new PartitionFold(config, 0)
  fold.apply(0, 0, [
    sliceOf(1, 0, true),
    sliceOf(2, 1, true),
    sliceOf(3, 2, false),
    sliceOf(4, 0, false),
  ])
  const closed = (atMs: number) => {
    fold.closeBefore(atMs)
    return fold.closed.map(({ trace }) => Number.parseInt(trace.traceId, 16))
  }
  expect(closed(5_001)).toEqual([1])
  expect(closed(29_999)).toEqual([1])
  expect(closed(30_001)).toEqual([1, 2])
  expect(closed(60_001)).toEqual([1, 2, 4])
  expect(closed(90_001)).toEqual([1, 2, 4, 3])
})

test('of several lines the first one is the trace’s, whichever slice comes first', () => {
  for (const order of [
    [1, 2],
    [2, 1],
  ]) {
    const fold = new PartitionFold(config, 0)
    order.forEach((line, at) => {
      fold.apply(at, 0, [sliceOf(7, line, line === 1)])
    })
    fold.closeBefore(29_999)
    expect(fold.closed).toHaveLength(0)
    fold.closeBefore(30_001)
    expect(fold.closed).toHaveLength(1)
  }
})
