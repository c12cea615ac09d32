import { expect, test } from 'vitest'
import { giantOf } from './giant-trace.ts'
import { runGiants, violations } from './run-giant.ts'

test('a trace of 12,000 spans and one of 30 MB are kept whole beside others, in records within bounds', {
  timeout: 240_000,
}, async () => {
  const giants = [giantOf(1, 12_000, 0), giantOf(2, 300, 100_000)]
  const result = await runGiants({ giants, rate: 1_000, seconds: 2, say: () => {} })
  expect(violations(result)).toEqual([])
  // More slices than one record has, so that there was a chain to follow.
  expect(result.giants.map(({ primary }) => primary)).toEqual(['span-error', 'span-error'])
})
