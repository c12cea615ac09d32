import { Random } from '@winnow/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  type EstimatedDecision,
  type EstimateReport,
  Estimator,
  estimatedRulesMax,
} from './estimator.ts'
import {
  keptOf,
  newWorld,
  type RuleName,
  requestedOf,
  retentionMs,
  type WorldTrace,
} from './many-worlds.fixture.ts'
import type { Estimate } from './total.ts'

const runs = 1_000
const size = 4_000
const seed = 20_261_122
const world = newWorld(new Random(seed), size)

/** What is estimated: its truth, and where the report says it. */
interface Quantity {
  readonly name: string
  readonly truth: number
  readonly of: (report: EstimateReport) => Estimate | null | undefined
}

const sumOf = <T>(list: readonly T[], of: (one: T) => number): number =>
  list.reduce((total, one) => total + of(one), 0)
const having = (name: RuleName): number =>
  world.filter(({ matched }) => matched.includes(name)).length
const sum = (of: (trace: WorldTrace) => number): number => sumOf(world, of)
const durations = world.map(({ durationMs }) => durationMs).sort((a, b) => a - b)
const durationAt = (share: number): number => durations[Math.ceil(share * size) - 1] as number
const rule = ({ rules }: EstimateReport, name: RuleName) => rules.find(one => one.rule === name)

const quantities: readonly Quantity[] = [
  { name: 'traces', truth: size, of: report => report.traces },
  {
    name: 'error rate',
    truth: having('span-error') / size,
    of: report => rule(report, 'span-error')?.share,
  },
  {
    name: 'traces with a low CSAT, most of them rescued',
    truth: having('low-csat'),
    of: report => rule(report, 'low-csat')?.traces,
  },
  {
    name: 'share of failed outcomes, of which a rule keeps one in two',
    truth: having('outcome-failed') / size,
    of: report => rule(report, 'outcome-failed')?.share,
  },
  {
    name: 'share of the watched, of which a rule keeps one in four',
    truth: having('watched') / size,
    of: report => rule(report, 'watched')?.share,
  },
  {
    name: 'input tokens',
    truth: sum(({ inputTokens }) => inputTokens),
    of: report => report.sums.inputTokens,
  },
  { name: 'cost', truth: sum(({ costUsd }) => costUsd), of: report => report.sums.costUsd },
  { name: 'median duration', truth: durationAt(0.5), of: report => report.durationMs.p50 },
  { name: 'p95 of the duration', truth: durationAt(0.95), of: report => report.durationMs.p95 },
]

/** Of one quantity over all runs. */
interface Tally {
  covered: number
  width: number
  readonly values: number[]
}

/** The same traffic again and again, its random numbers drawn anew. */
function repeat(): Tally[] {
  const tallies = quantities.map((): Tally => ({ covered: 0, width: 0, values: [] }))
  for (let run = 0; run < runs; run++) {
    const random = Random.of(seed, run)
    const estimator = new Estimator(retentionMs)
    for (const trace of world) {
      const draw = random.unit()
      const decision =
        keptOf(trace, draw) ?? (isRequested(trace) ? requestedOf(trace, draw) : undefined)
      if (decision !== undefined) estimator.take(decision)
    }
    const report = estimator.report()
    for (const [at, { truth, of }] of quantities.entries()) {
      const tally = tallies[at] as Tally
      const { value, low, high } = of(report) as Estimate
      tally.values.push(value)
      tally.width += (high ?? Number.POSITIVE_INFINITY) - low
      if (low <= truth && truth <= (high ?? Number.POSITIVE_INFINITY)) tally.covered++
    }
  }
  return tallies
}

const mean = (values: readonly number[]): number => sumOf(values, value => value) / values.length

/** Of the values between which 95 % lie: known here alone, where traffic is drawn again and again. */
function exactWidth(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[0.975 * runs] as number) - (sorted[0.025 * runs] as number)
}

/** Whoever asks for dropped traces asks for those that cost most: no chance at all. */
const isRequested = ({ costUsd }: WorldTrace): boolean => costUsd > 0.02

describe(`${runs} samples of the same ${size} traces, seed ${seed}`, () => {
  let tallies: readonly Tally[] = []
  beforeAll(() => {
    tallies = repeat()
  }, 180_000)

  for (const [at, { name, truth }] of quantities.entries()) {
    test(`${name}: 95 % of the intervals hold the truth, and they are no wider than they need be`, () => {
      const { covered, width, values } = tallies[at] as Tally
      expect(covered / runs).toBeGreaterThanOrEqual(0.935)
      expect(covered / runs).toBeLessThanOrEqual(0.97)
      expect(width / runs).toBeLessThanOrEqual(1.5 * exactWidth(values))
    })

    test(`${name}: the mean of the estimates is the truth`, () => {
      const { values } = tallies[at] as Tally
      expect(Math.abs(mean(values) / truth - 1)).toBeLessThan(0.015)
    })
  }
})

test('what every rule keeps for certain is told without an interval, and so is its share of itself', () => {
  const estimator = new Estimator(retentionMs, 'span-error')
  const failed = world.filter(
    ({ matched, upstream }) => matched[0] === 'span-error' && upstream === 1,
  )
  for (const trace of failed) estimator.take(keptOf(trace, 0.5) as EstimatedDecision)
  const report = estimator.report()
  const point = (of: number) => ({ value: of, low: of, high: of })
  expect(report.traces).toEqual(point(failed.length))
  expect(rule(report, 'span-error')?.share).toEqual(point(1))
  const { low, high, value } = report.sums.costUsd
  expect([low, high]).toEqual([value, value])
  expect(report.durationMs.p95).toMatchObject({ low: report.durationMs.p95?.value })
  expect(report.strata.every(({ isWhole }) => isWhole)).toBe(true)
})

test('strata add up to all traces, and rescued ones are one', () => {
  const random = Random.of(seed, 0)
  const estimator = new Estimator(retentionMs)
  for (const trace of world) {
    const decision = keptOf(trace, random.unit())
    if (decision !== undefined) estimator.take(decision)
  }
  const { traces, strata, kept } = estimator.report()
  expect(strata.map(({ stratum }) => stratum)).toContain('rescued')
  expect(sumOf(strata, one => one.traces.value)).toBeCloseTo(traces.value, 6)
  expect(sumOf(strata, one => one.kept)).toBe(kept)
})

test('of nothing kept only the policy tells how much may have been dropped', () => {
  const empty = new Estimator(retentionMs)
  expect(empty.report()).toMatchObject({
    kept: 0,
    traces: { value: 0, low: 0, high: null },
    rules: [],
    durationMs: { p50: null },
  })
  const other = keptOf(world[0] as WorldTrace, 0.999) as EstimatedDecision
  empty.learn(other)
  const { traces, rules, sums } = empty.report()
  expect(traces).toMatchObject({ value: 0, low: 0 })
  expect(traces.high).toBeCloseTo(30.8, 1)
  expect(sums.costUsd).toEqual({ value: 0, low: 0, high: null })
  expect(rules.find(one => one.rule === 'span-error')).toEqual({
    rule: 'span-error',
    kept: 0,
    traces: { value: 0, low: 0, high: 0 },
    share: null,
  })
})

test('a policy that keeps nothing else bounds nothing, in whichever order policies are seen', () => {
  for (const seen of [
    [0, 0.1],
    [0.1, 0],
  ]) {
    const estimator = new Estimator(retentionMs)
    for (const probability of seen) {
      estimator.learn({ rules: [{ name: 'ordinary', matched: true, probability }] })
    }
    expect(estimator.report().traces).toEqual({ value: 0, low: 0, high: null })
  }
})

test('rules are counted up to estimatedRulesMax, and how many are not is said', () => {
  const estimator = new Estimator(retentionMs)
  const decision = keptOf(world[0] as WorldTrace, 0.999) as EstimatedDecision
  const names = Array.from({ length: estimatedRulesMax + 1 }, (_, n) => `rule-${n}`)
  const rules = names.map(name => ({ name, matched: true, probability: 1 }))
  estimator.take({ ...decision, rules: rules.slice(0, -1) })
  expect(estimator.report()).toMatchObject({ rulesOmitted: 0 })
  estimator.take({ ...decision, rules })
  expect(estimator.report()).toMatchObject({ rulesOmitted: 1 })
  expect(estimator.report().rules).toHaveLength(estimatedRulesMax)
})
