import { expect, test } from 'vitest'
import { writerConfigSchema } from './config.ts'

const expireEvery = (text: string) => writerConfigSchema.safeParse({ expireEvery: text })

test('expiry is asked for at most every second and at least as often as a timer can wait', () => {
  expect(expireEvery('1s').data?.expireEvery).toBe(1_000)
  expect(expireEvery('24d').data?.expireEvery).toBe(24 * 86_400_000)
  for (const text of ['999ms', '25d']) {
    expect(expireEvery(text).error?.issues).toMatchObject([
      { path: ['expireEvery'], message: 'give 1s to 24d' },
    ])
  }
})

test('a key that is none is refused', () => {
  expect(writerConfigSchema.safeParse({ segmentCount: 3 }).success).toBe(false)
  expect(writerConfigSchema.safeParse({ segmentDecisions: 0 }).success).toBe(false)
  expect(writerConfigSchema.safeParse({ segmentDecisions: 1_000_001 }).success).toBe(false)
})
