import { expect, test } from 'vitest'
import { type CountingState, countingStart, countRecord } from './counting.ts'
import type { DecisionRecord } from './decision.ts'

const claim = { v: 1, kind: 'claim', by: 'test' } as const
const decision = (claimOffset: number, seq: number) =>
  ({ v: 1, kind: 'decision', claim: claimOffset, seq }) as DecisionRecord

function fold(records: readonly DecisionRecord[], from: CountingState = countingStart): boolean[] {
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
