import type { BacktestReport } from '@winnow/sampler'
import { expect, test } from 'vitest'
import { backtestText } from './backtest-text.ts'

const side = (traces: number) => ({ traces, share: traces / 100, sliceBytes: traces * 1024 })
const report: BacktestReport = {
  policy: 'next-9b01d2e4',
  decidedBy: { 'default-1': 120 },
  since: '2026-11-14T09:00:00.000Z',
  until: null,
  decisions: 120,
  traces: 100,
  gone: 1,
  partial: 0,
  unasked: 0,
  ceilings: 0,
  kept: { before: side(40), after: side(20) },
  rules: [
    {
      rule: 'low-csat',
      before: side(40),
      after: side(20),
      warm: { before: 4096, after: 2048 },
      cold: { before: null, after: null },
    },
  ],
  tiers: {
    hot: { before: 40960, after: 20480 },
    warm: { before: 4096, after: 2048 },
    cold: { before: null, after: null },
    ledger: { before: 9, after: 9 },
  },
  calibratedFrom: 3,
  flips: { toKeep: 2, toDrop: 22 },
  knownBad: {
    source: 'outcomes',
    found: 12,
    notFound: 0,
    lost: 12,
    missed: 1,
    lostIds: Array.from({ length: 12 }, (_, at) => at.toString(16).padStart(32, '0')),
  },
  tookMs: 2_000,
}

test('shares, tiers, flips and what is lost are on one page, and what is reckoned is said', () => {
  const text = backtestText(report)
  expect(text).toContain('traces kept                   40            20       -50.0 %')
  expect(text).toContain('warm bytes               4.0 KiB       2.0 KiB       -50.0 %')
  expect(text).toContain('cold bytes               unknown       unknown\n')
  expect(text).toContain('2 drops would be kept, 22 keeps would be dropped')
  expect(text).toContain('12 traces with a failed outcome: 12 LOST; 1 were dropped already')
  expect(text).toContain('and 2 more (--json lists them)')
  expect(text).toContain('reckoned from 3 segments')
  expect(text).toContain('120 decisions in 2.0 s, 60 a second')
})
