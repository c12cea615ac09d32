import { expect, test } from 'vitest'
import { checkObjectBytes } from './s3-blob-store.ts'
import { lifecycleRules, withRules } from './s3-lifecycle.ts'
import { s3ObjectBytesMax } from './s3-options.ts'

// What needs no server; test/stack has what does.

test('an object is as large as one PUT allows, and not a byte larger', () => {
  expect(() => checkObjectBytes('a.o', s3ObjectBytesMax)).not.toThrow()
  expect(() => checkObjectBytes('a.o', s3ObjectBytesMax + 1)).toThrow(/at most 5368709120/)
})

const dayMs = 86_400_000
const lives = { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs }

test('rules delete a day behind the sweeper, never before it', () => {
  const days = lifecycleRules('', { ...lives, warm: 1, ledger: 2.5 * dayMs }).map(
    rule => `${rule.ID} ${rule.Filter?.Prefix} ${rule.Expiration?.Days}`,
  )
  expect(days).toEqual([
    'winnow-warm warm/ 2',
    'winnow-cold cold/ 366',
    'winnow-ledger ledger/ 4',
    'winnow-ids ids/ 4',
  ])
})

test('rules of other pipelines and of others are kept, and equal ones are not put again', () => {
  const ours = lifecycleRules('a/', lives)
  const others = [...lifecycleRules('b/', lives), ...lifecycleRules('', lives)]
  const all = withRules(others, ours)
  expect(all).toEqual([...others, ...ours])
  expect(new Set(all?.map(({ ID }) => ID)).size).toBe(12)
  expect(withRules(all ?? [], ours)).toBeUndefined()
  const shorter = lifecycleRules('a/', { ...lives, warm: dayMs })
  expect(withRules(all ?? [], shorter)).toEqual([...others, ...shorter])
})
