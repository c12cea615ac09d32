import { expect, test } from 'vitest'
import { defaultSamplerConfig, samplerConfigSchema } from './config.ts'

test('the defaults are those of the design', () => {
  expect(defaultSamplerConfig).toMatchObject({
    slowWindow: 3_600_000,
    slowCountMin: 500,
    slowKeysMax: 2_000,
    indexLife: 72 * 3_600_000,
    spansRetention: 24 * 3_600_000,
    baselinesEvery: 10_000,
  })
})

test('a limit is refused one past its bounds and taken at them', () => {
  const read = (slowCountMin: number) => samplerConfigSchema.safeParse({ slowCountMin }).success
  expect([0, 1, 1_000_000, 1_000_001].map(read)).toEqual([false, true, true, false])
})

test('an unknown key is refused', () => {
  expect(samplerConfigSchema.safeParse({ slowWindows: '1h' }).success).toBe(false)
})
