import { expect, test } from 'vitest'
import {
  type CountedRecord,
  type CountingState,
  countingStart,
  countRecord,
  startOfCounting,
} from './counting.ts'

const claim = { kind: 'claim' } as const
const decision = (claimOffset: number, seq: number) =>
  ({ kind: 'decision', claim: claimOffset, seq }) as const

function fold(records: readonly CountedRecord[], from: CountingState = countingStart): boolean[] {
  let state = from
  return records.map((record, offset) => {
    const step = countRecord(state, offset, record)
    state = step.state
    return step.counts
  })
}

test('what an older claim appends after a newer one does not count', () => {
  expect(fold([claim, decision(0, 1), claim, decision(0, 2), decision(2, 1)])).toEqual([
    false,
    true,
    false,
    false,
    true,
  ])
})

test('a repeated append counts once', () => {
  expect(fold([claim, decision(0, 1), decision(0, 1), decision(0, 2)])).toEqual([
    false,
    true,
    false,
    true,
  ])
})

test('a sequence number that leaves a gap does not count', () => {
  expect(fold([claim, decision(0, 2), decision(0, 1)])).toEqual([false, false, true])
})

test('with no state, the first decision is taken at its word when its claim is no longer held', () => {
  expect(fold([decision(90, 7), decision(90, 8), decision(90, 8)])).toEqual([true, true, false])
})

test('with no state, a later claim that is no longer held ends what an older one appended', () => {
  expect(fold([decision(80, 3), decision(90, 7), decision(80, 4), decision(90, 8)])).toEqual([
    true,
    true,
    false,
    true,
  ])
})

test('after a gap that took the claim away, its decisions go on counting', () => {
  const before: CountingState = { claim: 10, next: 5 }
  expect(
    fold([decision(10, 9), decision(70, 4), decision(70, 5), decision(10, 5)], before),
  ).toEqual([false, true, true, false])
})

test('without state the greatest claim named before the first claim record is in force', () => {
  const records = [decision(80, 3), decision(90, 7), decision(80, 4), decision(90, 8)]
  const start = startOfCounting(records)
  expect(start).toEqual({ claim: 90, next: 7 })
  expect(fold(records, start)).toEqual([false, true, false, true])
  expect(startOfCounting([])).toEqual(countingStart)
  expect(startOfCounting([claim, decision(0, 1)])).toEqual(countingStart)
  // Named by a former owner behind the claim record: it says nothing of what was before.
  expect(startOfCounting([decision(80, 3), claim, decision(90, 1)])).toEqual({ claim: 80, next: 3 })
})

test('a reader that comes to any first retained offset agrees with one that saw all', () => {
  // Claims at 0, 4 and 10; what a former owner appends lies up to two records behind the next claim.
  const log: CountedRecord[] = [
    claim,
    decision(0, 1),
    decision(0, 2),
    decision(0, 3),
    claim,
    decision(0, 4),
    decision(0, 5),
    decision(4, 1),
    decision(4, 2),
    decision(4, 3),
    claim,
    decision(4, 4),
    decision(10, 1),
    decision(10, 2),
  ]
  const all = fold(log)
  for (let first = 0; first <= log.length; first++) {
    const retained = log.slice(first)
    let state = startOfCounting(retained)
    const counts = retained.map((record, at) => {
      const step = countRecord(state, first + at, record)
      state = step.state
      return step.counts
    })
    expect(counts, `from ${first}`).toEqual(all.slice(first))
  }
})
