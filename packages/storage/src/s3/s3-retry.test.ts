import { expect, test } from 'vitest'
import { s3RetryDelayMs, s3RetryFirstMs, s3RetryMaxMs } from './s3-retry.ts'

test('a pause is anything up to a bound that doubles, and ends growing', () => {
  expect(s3RetryDelayMs(1, undefined, 0)).toBe(0)
  expect(s3RetryDelayMs(1, undefined, 0.5)).toBe(s3RetryFirstMs / 2)
  expect(s3RetryDelayMs(3, undefined, 0.5)).toBe(s3RetryFirstMs * 2)
  for (const failed of [6, 7, 30, 4_000]) {
    expect(s3RetryDelayMs(failed, undefined, 1 - 2 ** -53), `${failed}`).toBeLessThanOrEqual(
      s3RetryMaxMs,
    )
  }
  expect(s3RetryDelayMs(4_000, undefined, 0.5)).toBe(s3RetryMaxMs / 2)
})

test('a pause is no shorter than the server asks for, within the bound of all', () => {
  expect(s3RetryDelayMs(1, 1_000, 0.5)).toBe(1_000)
  expect(s3RetryDelayMs(6, 1_000, 0.9)).toBeGreaterThan(1_000)
  expect(s3RetryDelayMs(1, s3RetryMaxMs, 0)).toBe(s3RetryMaxMs)
  expect(s3RetryDelayMs(1, s3RetryMaxMs + 1, 0)).toBe(s3RetryMaxMs)
})
