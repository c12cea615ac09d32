import { ManualClock } from '@winnow/runtime'
import { MemoryBlobStore } from '@winnow/storage'
import { expect, test } from 'vitest'
import { BacktestSums, lostListedMax } from './backtest-sums.ts'
import { TierBytes } from './tier-bytes.ts'

test('lost traces are listed up to lostListedMax, and all are counted', async () => {
  const sums = new BacktestSums(undefined)
  const lose = (at: number): void =>
    sums.add({
      traceId: at.toString(16).padStart(32, '0'),
      before: 'keep',
      beforeRule: 'low-csat',
      after: 'drop',
      afterRule: 'ordinary',
      bytes: 1_000,
      hasFailed: true,
    })
  const tiers = await TierBytes.of(new MemoryBlobStore(new ManualClock()), 0)
  const lost = async () => {
    const { knownBad } = await sums.totals(tiers)
    return [knownBad.lost, knownBad.lostIds.length]
  }
  for (let at = 0; at < lostListedMax; at++) lose(at)
  expect(await lost()).toEqual([lostListedMax, lostListedMax])
  lose(lostListedMax)
  expect(await lost()).toEqual([lostListedMax + 1, lostListedMax])
})
