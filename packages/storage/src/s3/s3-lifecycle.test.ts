import type { LifecycleRule } from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { lifecycleProblems, lifecycleRules } from './s3-lifecycle.ts'

const dayMs = 86_400_000
const ours = lifecycleRules('', { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs })

function withChanged(id: string, changes: Partial<LifecycleRule>): LifecycleRule[] {
  return ours.map(rule => (rule.ID === id ? { ...rule, ...changes } : rule))
}

const rulesOf = (there: readonly LifecycleRule[], wanted = true) =>
  lifecycleProblems(there, ours, wanted)

test('rules that are as they were put are no problem', () => {
  expect(rulesOf(ours)).toEqual([])
})

test('a rule that is absent, disabled or of other days is named', () => {
  expect(rulesOf(ours.filter(({ ID }) => ID !== 'winnow-cold'))).toEqual([
    { rule: 'winnow-cold', says: 'absent: nothing in the bucket deletes cold/' },
  ])
  expect(rulesOf(withChanged('winnow-warm', { Status: 'Disabled' }))).toEqual([
    {
      rule: 'winnow-warm',
      says: 'disabled: warm/ after 31 days, not warm/ after 31 days as configured',
    },
  ])
  expect(rulesOf(withChanged('winnow-ids', { Expiration: { Days: 400 } }))).toEqual([
    { rule: 'winnow-ids', says: 'ids/ after 400 days, not ids/ after 366 days as configured' },
  ])
})

test('where they are not wanted none is missing, and one that deletes too early is named all the same', () => {
  expect(rulesOf([], false)).toEqual([])
  const weekly: LifecycleRule = {
    ID: 'clean-up',
    Status: 'Enabled',
    Filter: { Prefix: '' },
    Expiration: { Days: 60 },
  }
  expect(rulesOf([weekly], false).map(({ says }) => says)).toEqual([
    'deletes cold/ after 60 days, before its time is over',
    'deletes ledger/ after 60 days, before its time is over',
    'deletes ids/ after 60 days, before its time is over',
  ])
  for (const changes of [
    { Status: 'Disabled' as const },
    { Filter: { Prefix: 'other/' } },
    { Filter: { Tag: { Key: 'a', Value: 'b' } } },
    { Expiration: { Days: 365 } },
  ]) {
    expect(rulesOf([{ ...weekly, ...changes }], false)).toEqual([])
  }
})
