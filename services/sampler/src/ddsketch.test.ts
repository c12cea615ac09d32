import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bucketOf, DDSketch, upperBoundMs } from './ddsketch.ts'

const sketchOf = (values: readonly number[]): DDSketch => {
  const sketch = new DDSketch()
  for (const value of values) sketch.add(value)
  return sketch
}

/** The value with rank ceil(quantile * count). */
function exact(values: readonly number[], quantile: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(1, Math.ceil(quantile * sorted.length)) - 1] as number
}

const duration = fc.double({ min: 0.001, max: 8e9, noNaN: true })

test('a quantile lies within half a percent of the exact one', () => {
  fc.assert(
    fc.property(
      fc.array(duration, { minLength: 1, maxLength: 300 }),
      fc.constantFrom(0.5, 0.9, 0.99),
      (values, quantile) => {
        const bucket = sketchOf(values).quantileBucket(quantile) as number
        expect(bucket).toBe(bucketOf(exact(values, quantile)))
      },
    ),
  )
  const gamma = upperBoundMs(1_001) / upperBoundMs(1_000)
  expect((gamma - 1) / (gamma + 1)).toBeCloseTo(0.005, 6)
})

test('the bucket just below a millisecond is 0, without a sign', () => {
  expect(bucketOf(0.995)).toBe(0)
})

test('no duration exceeds the upper bound of its bucket, and none of a higher bucket is below it', () => {
  fc.assert(
    fc.property(duration, value => {
      expect(value).toBeLessThanOrEqual(upperBoundMs(bucketOf(value)))
      expect(value).toBeGreaterThan(upperBoundMs(bucketOf(value) - 1) * (1 - 1e-6) - 1e-6)
    }),
  )
})

test('what is merged can be taken away again, and the order of adding does not matter', () => {
  const durations = fc.array(duration, { maxLength: 60 })
  fc.assert(
    fc.property(durations, durations, (a, b) => {
      const sum = sketchOf(a)
      sum.merge(sketchOf(b))
      expect(sum.toJSON()).toEqual(sketchOf([...b, ...a]).toJSON())
      sum.merge(sketchOf(b), -1)
      expect(sum.toJSON()).toEqual(sketchOf(a).toJSON())
      expect(sum.count).toBe(a.length)
    }),
  )
})

test('it survives its own text', () => {
  const sketch = sketchOf([0.5, 3, 3, 70_000])
  const read = DDSketch.fromJSON(JSON.parse(JSON.stringify(sketch)))
  expect(read?.toJSON()).toEqual(sketch.toJSON())
  expect(read?.count).toBe(4)
  expect(new DDSketch().toJSON()).toEqual([])
  expect(DDSketch.fromJSON([])?.count).toBe(0)
})

test('text that no sketch wrote is refused', () => {
  for (const row of [
    [0.5, 1],
    [1, -9_000],
    [1, 1.5],
    [-1e6, 1],
    [1e6, 1],
    [2_500, 1, ...new Array(9_000).fill(1)],
  ]) {
    expect(DDSketch.fromJSON(row), JSON.stringify(row).slice(0, 20)).toBeUndefined()
  }
})

test('values beyond its range share the outermost buckets', () => {
  expect(bucketOf(0)).toBe(bucketOf(0.001))
  expect(bucketOf(1e300)).toBe(bucketOf(8.64e9))
  expect(sketchOf([0, -5, 1e300]).count).toBe(3)
  expect(new DDSketch().quantileBucket(0.99)).toBeUndefined()
})
