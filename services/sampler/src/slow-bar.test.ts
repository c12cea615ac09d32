import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { type BaselineKey, Baselines } from './baselines.ts'

const hour = 3_600_000
const pane = hour / 6
const key: BaselineKey = { tenant: 't', service: 's', operation: 'o' }
const options = { windowMs: hour, countMin: 500, keysMax: 2_000 }
const seed = 20261122
/** Roots of one pane. */
const perPane = 6_000

/** Judges a root as `slow` does, then learns it. */
function isSlow(baselines: Baselines, value: number, atMs: number): boolean {
  const { threshold = Number.POSITIVE_INFINITY } = baselines.bar(key, 0.99)
  baselines.add(0, key, value, atMs)
  return value > threshold
}

function lognormal(random: Random): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit())
  return 400 * Math.exp(0.5 * normal)
}

/** The share of each pane that is slow, where pane n takes `factors[n]` times as long as usual. */
function shares(factors: readonly number[], draw: (random: Random) => number): number[] {
  const random = new Random(seed)
  const baselines = new Baselines(options)
  return factors.map((factor, at) => {
    let slow = 0
    for (let i = 0; i < perPane; i++) {
      const atMs = at * pane + (i * pane) / perPane
      if (isSlow(baselines, factor * draw(random), atMs)) slow++
    }
    return slow / perPane
  })
}

test(`steady traffic keeps 1 % in every pane, a constant duration none (seed ${seed})`, () => {
  const steady = shares(new Array(20).fill(1), lognormal)
  const average = steady.slice(1).reduce((sum, share) => sum + share, 0) / 19
  expect(average).toBeGreaterThan(0.0085)
  expect(average).toBeLessThan(0.0115)
  expect(shares([1, 1, 1], () => 250)).toEqual([0, 0, 0])
})

test(`after a step to five times as long no pane keeps more than 3 %, and none nothing (seed ${seed})`, () => {
  const factors = [...new Array(6).fill(1), ...new Array(8).fill(5)]
  const after = shares(factors, lognormal).slice(6)
  for (const share of after) {
    expect(share, `${after}`).toBeLessThanOrEqual(0.03)
    expect(share, `${after}`).toBeGreaterThan(0.004)
  }
  expect(after.at(-1), 'what lasts for a window is usual').toBeLessThan(0.013)
})

test(`once an incident ends the bar is where it was, and not where the incident was (seed ${seed})`, () => {
  const factors = [1, 1, 1, 1, 1, 1, 5, 5, 1, 1, 1]
  const after = shares(factors, lognormal).slice(8)
  for (const share of after.slice(1)) {
    expect(share, `${after}`).toBeGreaterThan(0.007)
    expect(share, `${after}`).toBeLessThan(0.013)
  }
})

test(`a constant duration that becomes five times as long is bounded, too (seed ${seed})`, () => {
  const after = shares([1, 1, 1, 1, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5], () => 250).slice(6)
  for (const share of after) expect(share, `${after}`).toBeLessThanOrEqual(0.03)
  expect(after.slice(-2)).toEqual([0, 0])
})

test(`traffic that grows slower step by step moves its bar along (seed ${seed})`, () => {
  const factors = Array.from({ length: 24 }, (_, at) => 1 + at / 20)
  for (const share of shares(factors, lognormal).slice(1)) expect(share).toBeLessThan(0.03)
})

test('a bar says that it was raised, and what it was not taken from', () => {
  const baselines = new Baselines(options)
  const random = new Random(seed)
  for (let i = 0; i < 6_000; i++) isSlow(baselines, lognormal(random), i)
  expect(baselines.bar(key, 0.99)).not.toHaveProperty('raised')
  const { threshold: before = 0, count } = baselines.bar(key, 0.99)
  for (let i = 0; i < 200; i++) isSlow(baselines, 5 * lognormal(random), pane + i)
  const during = baselines.bar(key, 0.99)
  expect(during.raised).toBe(true)
  // The bar was taken a few roots ago, and knows the rest as usual.
  expect(during.count + (during.apart ?? 0)).toBe(count + 200)
  expect(during.apart).toBeGreaterThan(180)
  expect(during.threshold).toBeGreaterThan(3 * before)
})

test('a key that was warm keeps its bar until half of what makes it warm has gone', () => {
  const baselines = new Baselines({ ...options, countMin: 100 })
  for (let i = 0; i < 60; i++) baselines.add(0, key, 5, 0)
  for (let i = 0; i < 50; i++) baselines.add(0, key, 5, pane)
  expect(baselines.bar(key, 0.99).threshold).toBeDefined()
  baselines.add(0, { ...key, service: 'other' }, 5, 6 * pane)
  expect(baselines.bar(key, 0.99)).toMatchObject({ count: 50, threshold: expect.any(Number) })
  baselines.add(0, { ...key, service: 'other' }, 5, 7 * pane)
  expect(baselines.bar(key, 0.99)).not.toHaveProperty('threshold')
})

test('each quantity has a past of its own, to the millionth of a dollar', () => {
  const baselines = new Baselines({ ...options, countMin: 10 })
  const cost: BaselineKey = { ...key, quantity: 'cost' }
  for (let i = 0; i < 20; i++) {
    baselines.add(0, key, 900, 0)
    baselines.add(0, cost, 0.000_25, 0)
  }
  const { threshold = 0, count } = baselines.bar(cost, 0.99)
  expect(count).toBe(20)
  expect(threshold).toBeGreaterThanOrEqual(0.000_25)
  expect(threshold).toBeLessThan(0.000_253)
  expect(baselines.bar({ ...key, quantity: 'tokens' }, 0.99).count).toBe(0)
})
