import { expect, test } from 'vitest'
import { runGiants, violations } from './run-giant.ts'

const seed = 20_262

test(`a trace of 12,000 spans and one of 30 MB are kept whole beside others, in records within bounds (seed ${seed})`, {
  timeout: 240_000,
}, async () => {
  const giants = [
    { spans: 12_000, textBytes: 0 },
    { spans: 300, textBytes: 100_000 },
  ]
  const result = await runGiants({
    seed,
    giants,
    rate: 1_000,
    seconds: 2,
    rounds: 1,
    say: () => {},
  })
  expect(violations(result)).toEqual([])
  // More slices than one record has, so that there was a chain to follow.
  expect(result.giants.map(({ primary }) => primary)).toEqual(['span-error', 'span-error'])
  expect(Math.min(result.alone.traces, result.beside.traces)).toBeGreaterThan(100)
})
