import { expect, test } from 'vitest'
import { checkP99, percentile } from './percentiles.ts'

const hundred = Array.from({ length: 100 }, (_, at) => at + 1)

test('percentile() is the nearest rank', () => {
  expect(percentile(hundred.toReversed(), 99)).toBe(99)
  expect(percentile(hundred, 98.5)).toBe(99)
  expect(percentile(hundred, 99.5)).toBe(100)
  expect(percentile([7], 50)).toBe(7)
  expect(percentile([], 50)).toBeUndefined()
})

test('a threshold is taken at the bounds and refused one past them', () => {
  expect(checkP99(hundred, 99)).toBeNull()
  expect(checkP99(hundred, 101)).toBeNull()
  expect(checkP99(hundred, 98.9)).toContain('98.9 ms lies outside of 99 to 101.005')
  expect(checkP99(hundred, 101.1)).toContain('of 100 durations')
  expect(checkP99([], 1)).toContain('without durations')
})
