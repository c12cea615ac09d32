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

test('a tier lives for a day at least, the ledger for a week and no shorter than the others', () => {
  const lives = (warmLife: string, coldLife: string, ledgerLife: string) =>
    writerConfigSchema
      .safeParse({ warmLife, coldLife, ledgerLife })
      .error?.issues.map(({ path, message }) => `${path.join()}: ${message}`)
  expect(lives('1d', '1d', '7d')).toBeUndefined()
  expect(lives('30d', '30d', '30d')).toBeUndefined()
  expect(lives('23h', '1d', '7d')).toEqual(['warmLife: give at least 1d'])
  expect(lives('1d', '1d', '167h')).toEqual(['ledgerLife: give at least 7d'])
  expect(lives('31d', '1d', '30d')).toEqual([
    expect.stringMatching(/^ledgerLife: give at least warmLife/),
  ])
})
