import { expect, test } from 'vitest'
import { servicesListedMax } from './config.ts'
import type { FoldEntry } from './decision-table.ts'
import { samplingReport } from './sampling.ts'

const entry = (over: Partial<FoldEntry>): FoldEntry =>
  ({ verdict: 'drop', matched: [], isAwaiting: false, decidedAtMs: 0, ...over }) as FoldEntry

test('the ratios of the rules add up to the ratio of all', () => {
  const kept = (primary: string) => entry({ verdict: 'keep', primary, matched: [primary, 'slow'] })
  const entries = [kept('low-csat'), kept('slow'), kept('slow'), entry({}), entry({})]
  const { keptRatio, rules } = samplingReport(entries, undefined, 0)
  expect(keptRatio).toBeCloseTo(0.6)
  expect(rules.reduce((sum, rule) => sum + rule.keptRatio, 0)).toBeCloseTo(0.6)
})

test('as many services as traces are not all listed, and the rest is counted', () => {
  const services = (count: number) =>
    samplingReport(
      Array.from({ length: count }, (_, i) => entry({ service: `s${i}` })),
      undefined,
      0,
    )
  const full = services(servicesListedMax)
  expect([full.services.length, full.servicesOmitted]).toEqual([servicesListedMax, 0])
  const over = services(servicesListedMax + 1)
  expect([over.services.length, over.servicesOmitted]).toEqual([servicesListedMax, 1])
})
