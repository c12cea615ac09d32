import type { Decision } from '@winnow/model'
import { expect, test } from 'vitest'
import { newestMs, type PlacedDecision } from './ledger-decisions.ts'

test('the newest decision of a segment with a million of them is found', () => {
  const one: PlacedDecision = {
    partition: 0,
    offset: 0,
    decision: { decidedAtMs: 7 } as unknown as Decision,
  }
  const decisions = new Array<PlacedDecision>(1_000_000).fill(one)
  decisions[500_000] = { ...one, decision: { decidedAtMs: 9 } as unknown as Decision }
  expect(newestMs({ decisions })).toBe(9)
})
