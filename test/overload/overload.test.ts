import { expect, test } from 'vitest'
import { runFairness, unfairness } from './run-fairness.ts'

const seed = 20_261
/** Twice what such a load leaves resident; what a flood may hold in bodies is a thousandth of what it sends. */
const rssMaxMiB = 2_500

test(`a flood of one tenant is refused with when to come again, and changes nothing of another (seed ${seed})`, async () => {
  const options = { seed, rate: 300, seconds: 6, cpuShare: 0.5, say: () => {} }
  const result = await runFairness(options)
  expect(unfairness(result)).toEqual([])
  expect(result.kept).toBeGreaterThan(10)
  expect(result.ledger.steady.kept + result.ledger.steady.dropped).toBe(result.acknowledged.steady)
  expect(Math.max(...result.rssMiB)).toBeLessThan(rssMaxMiB)
})
