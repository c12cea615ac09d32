import { expect, test } from 'vitest'
import { Quantiles } from './quantiles.ts'
import { shareOf } from './share.ts'
import { Total } from './total.ts'

function counted(count: number, probability: number): Total {
  const total = new Total()
  for (let n = 0; n < count; n++) total.add(1, probability)
  return total
}

/** Σ of the binomial up to `count` of `size`. */
function upTo(count: number, size: number, probability: number): number {
  let term = (1 - probability) ** size
  let sum = 0
  for (let k = 0; k <= count; k++) {
    sum += term
    term *= ((size - k) / (k + 1)) * (probability / (1 - probability))
  }
  return sum
}

/** All sizes of which `count` kept ones are no wonder: what Clopper and Pearson do, for the size. */
function exact(count: number, probability: number): { low: number; high: number } {
  let low = count
  while (count > 0 && 1 - upTo(count - 1, low, probability) <= 0.025) low++
  let high = low
  while (upTo(count, high + 1, probability) > 0.025) high++
  return { low, high }
}

test.for([0, 1, 2, 3, 5, 8, 13, 40])('%i kept of one in ten: about the exact interval', count => {
  const { low, high } = counted(count, 0.1).interval([0.1])
  const ends = exact(count, 0.1)
  const width = ends.high - ends.low
  expect((high as number) - low).toBeLessThanOrEqual(1.1 * width)
  expect((high as number) - low).toBeGreaterThanOrEqual(0.8 * width)
  expect(Math.abs(low - ends.low)).toBeLessThanOrEqual(0.15 * width)
  expect(Math.abs((high as number) - ends.high)).toBeLessThanOrEqual(0.2 * width)
})

test.for([3, 10, 30, 100, 1_000])(
  'of %i traces of which one in ten is kept 94 % of the intervals or more hold the number',
  size => {
    let covered = 0
    let term = 0.9 ** size
    for (let count = 0; count <= size; count++) {
      const { low, high } = counted(count, 0.1).interval([0.1])
      if (low <= size && size <= (high as number)) covered += term
      term *= ((size - count) / (count + 1)) * (0.1 / 0.9)
    }
    expect(covered).toBeGreaterThanOrEqual(0.935)
  },
)

test('what was seen is certain', () => {
  const total = counted(7, 1)
  expect(total.interval([])).toEqual({ value: 7, low: 7, high: 7 })
  total.add(1, 0.001)
  expect(total.interval([]).low).toBeGreaterThanOrEqual(8)
})

test('a group of draws that may exist and was not seen moves the upper end alone', () => {
  const total = counted(50, 1)
  expect(total.interval([1])).toEqual({ value: 50, low: 50, high: 50 })
  const { value, low, high } = total.interval([0.05])
  expect([value, low]).toEqual([50, 50])
  expect(high).toBeCloseTo(50 + 3.37 / 0.05, -1)
  expect(total.interval([0]).high).toBeNull()
  expect(total.intervalOfAny([0.05]).high).toBeNull()
})

test('draws of one probability do not bound an amount whose other draws were not seen', () => {
  const total = counted(2, 0.5)
  expect(total.intervalOfAny([0.01]).high).toBeNull()
  expect(total.intervalOfAny([0.5, 0.01]).high).toBeNull()
  expect(total.intervalOfAny([0.5, 1])).toEqual(total.interval([]))
  total.add(1, 0.01)
  expect(total.intervalOfAny([0.5, 0.01])).toEqual(total.interval([]))
})

test('a total without a part has nothing left of its draws', () => {
  const part = counted(3, 0.1)
  const rest = counted(3, 0.1).without(part)
  expect(rest.interval([])).toEqual({ value: 0, low: 0, high: 0 })
  expect(rest.isWhole).toBe(true)
})

test('a share of draws all alike is Wilson’s, nearly', () => {
  const [kept, of] = [12, 400]
  const share = shareOf(counted(kept, 0.01).interval([]), counted(of - kept, 0.01).interval([]))
  const [p, z] = [kept / of, 1.96]
  const centre = (p + (z * z) / (2 * of)) / (1 + (z * z) / of)
  const half = (z * Math.sqrt((p * (1 - p)) / of + (z * z) / (4 * of * of))) / (1 + (z * z) / of)
  expect(share?.value).toBeCloseTo(p, 12)
  expect(Math.abs((share?.low ?? 0) - (centre - half))).toBeLessThan(0.003)
  expect(Math.abs((share?.high ?? 0) - (centre + half))).toBeLessThan(0.003)
})

test('a share is within 0 and 1, whatever is not known', () => {
  const none = { value: 0, low: 0, high: 30 }
  const some = { value: 10, low: 10, high: 10 }
  const open = { value: 10, low: 10, high: null }
  expect(shareOf(none, none)).toBeNull()
  expect(shareOf(none, some)).toEqual({ value: 0, low: 0, high: 0.75 })
  expect(shareOf(some, none)).toEqual({ value: 1, low: 0.25, high: 1 })
  expect(shareOf(some, some)).toEqual({ value: 0.5, low: 0.5, high: 0.5 })
  expect(shareOf(some, open)).toEqual({ value: 0.5, low: 0, high: 0.5 })
})

test('quantiles of values all kept are those values; of a few drawn ones the upper end may be anything', () => {
  const whole = new Quantiles()
  for (let n = 1; n <= 1_000; n++) whole.add(n, 1)
  expect(whole.estimate([0.5, 0.99, 1], [1])).toEqual([
    { value: 500, low: 500, high: 500 },
    { value: 990, low: 990, high: 990 },
    { value: 1000, low: 1000, high: 1000 },
  ])
  const drawn = new Quantiles()
  for (let n = 1; n <= 20; n++) drawn.add(n, 0.1)
  const [median, p99] = drawn.estimate([0.5, 0.99], [0.1])
  expect(median).toMatchObject({ value: 10 })
  expect(median?.low).toBeGreaterThanOrEqual(4)
  expect(median?.high).toBeLessThanOrEqual(16)
  expect(p99).toMatchObject({ value: 20, high: null })
  expect(new Quantiles().estimate([0.5], [0.1])).toEqual([null])
})

test('a thousand equal values have that quantile', () => {
  const same = new Quantiles()
  for (let n = 0; n < 1_000; n++) same.add(7, 0.1)
  expect(same.estimate([0.5], [0.1])).toEqual([{ value: 7, low: 7, high: 7 }])
})
