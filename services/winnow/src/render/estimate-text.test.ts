import type { EstimateAnswer } from '@winnow/query'
import { expect, test } from 'vitest'
import { estimateText } from './estimate-text.ts'

const point = (value: number) => ({ value, low: value, high: value })
const answer: EstimateAnswer = {
  window: { since: '2026-11-21T00:00:00.000Z', until: null },
  confidence: 0.95,
  kept: 1_234,
  traces: { value: 10_403.6, low: 9_800.2, high: 11_020.7 },
  rules: [
    {
      rule: 'span-error',
      kept: 200,
      traces: point(200),
      share: { value: 0.01922, low: 0.0181, high: 0.0204 },
    },
    { rule: 'low-csat', kept: 0, traces: point(0), share: point(0) },
  ],
  sums: {
    inputTokens: { value: 2e6, low: 1.8e6, high: 2.3e6 },
    outputTokens: { value: 2e5, low: 1.8e5, high: 2.3e5 },
    costUsd: { value: 12.3456, low: 11.1, high: null },
  },
  durationMs: {
    traces: point(10_000),
    p50: { value: 2_600.4, low: 2_500, high: 2_700 },
    p90: null,
    p95: { value: 9_000, low: 8_000, high: null },
    p99: null,
  },
  strata: [{ stratum: 'span-error', kept: 200, traces: point(200), isWhole: true }],
  leftOut: { requested: 3, late: 0, inherited: 0 },
  rulesOmitted: 0,
  tiersSearched: ['hot'],
}

test('every figure has its interval, but for what is certain and what nothing bounds', () => {
  const lines = estimateText(answer)
    .split('\n')
    .map(text => text.trim().split(/ {2,}/))
  const line = (name: string) => lines.find(([first]) => first === name)
  expect(line('traces')).toEqual(['traces', '10,404', '9,800', '11,021'])
  expect(line('span-error')).toEqual(['span-error', '1.92 %', '1.81 %', '2.04 %', '200', '200'])
  expect(line('low-csat')).toEqual(['low-csat', '0 %', '=', '=', '0', '0'])
  expect(line('cost, US dollars')).toEqual(['cost, US dollars', '12.35', '11.1', 'unknown'])
  expect(line('duration p50, ms')).toEqual(['duration p50, ms', '2,600', '2,500', '2,700'])
  expect(line('duration p90, ms')).toEqual(['duration p90, ms', '–'])
  expect(line('duration p95, ms')).toEqual(['duration p95, ms', '9,000', '8,000', 'unknown'])
})

test('what was left out is said, and nothing where nothing was', () => {
  expect(estimateText(answer)).toContain('3 kept because somebody asked for them')
  expect(estimateText(answer)).not.toContain('too late')
  expect(estimateText(answer)).toContain('since 2026-11-21T00:00:00.000Z, from 1,234 kept ones')
})
