import { expect, test } from 'vitest'
import { heldTracesMax, sortedHeld } from './hot-census.ts'

test('of one group so many traces are listed, the first by their ids', () => {
  const one = { tenant: 'default', isFound: true, isWithin: true, spans: 1, bytes: 1 }
  const traces = Array.from({ length: heldTracesMax + 1 }, (_, n) => ({
    ...one,
    traceId: n.toString(16).padStart(32, '0'),
  }))
  expect(sortedHeld(traces.toReversed())).toEqual(traces.slice(0, heldTracesMax))
  expect(sortedHeld(traces.slice(1)).length).toBe(heldTracesMax)
})
