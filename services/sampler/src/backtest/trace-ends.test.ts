import type { Decision } from '@winnow/model'
import { expect, test } from 'vitest'
import { slice } from '../fixtures.ts'
import { TraceEnds } from './trace-ends.ts'

const at = (offset: number, traceId: string, revision: number, prev: number | null = null) => ({
  partition: 0,
  offset,
  decision: {
    tenant: 'default',
    traceId,
    revision,
    prev,
    slices: [slice(offset, [{ id: offset }])],
  } as unknown as Decision,
})

test('the first that comes of a trace is its end, and what comes of it later is none', () => {
  const ends = new TraceEnds()
  expect(ends.take(at(9, 'a', 3))).toMatchObject({ decision: { revision: 3 }, isPartial: false })
  expect(ends.take(at(8, 'a', 2))).toBeUndefined()
  expect(ends.take(at(7, 'b', 1))).toMatchObject({ decision: { traceId: 'b' } })
  expect(ends.take(at(6, 'a', 1))).toBeUndefined()
  expect([...ends.rest()]).toEqual([])
})

test('only traces whose first revision is still to come are remembered', () => {
  const ends = new TraceEnds()
  ends.take(at(9, 'a', 2))
  ends.take(at(8, 'b', 1))
  expect(ends.open).toBe(1)
  ends.take(at(7, 'a', 1))
  expect(ends.open).toBe(0)
})

test('a chain ends with the slices of all its records, in their order', () => {
  const ends = new TraceEnds()
  expect(ends.take(at(9, 'a', 4, 7))).toBeUndefined()
  expect(ends.take(at(8, 'a', 3))).toBeUndefined()
  expect(ends.take(at(7, 'a', 2, 5))).toBeUndefined()
  const end = ends.take(at(5, 'a', 1))
  expect(end).toMatchObject({ decision: { revision: 4 }, isPartial: false })
  expect(end?.slices.map(({ ref }) => ref.offset)).toEqual([5, 7, 9])
  expect(ends.open).toBe(0)
})

test('a chain that begins before what was read is judged on the rest', () => {
  const ends = new TraceEnds()
  ends.take(at(9, 'a', 4, 7))
  const [end, ...others] = ends.rest()
  expect(others).toEqual([])
  expect(end).toMatchObject({ decision: { revision: 4 }, isPartial: true })
})
