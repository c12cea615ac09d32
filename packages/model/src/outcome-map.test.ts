import { expect, test } from 'vitest'
import { mapped, OutcomeMap, type OutcomeRule, settled } from './outcome-map.ts'

const rule = (more: Partial<OutcomeRule>): OutcomeRule => ({
  from: { evaluation: 'toxicity' },
  to: 'toxicity',
  ...more,
})

test('a condition is strict or not as it is called, and several members hold together', () => {
  const at = (failWhen: OutcomeRule['failWhen'], score: number) =>
    settled(rule({ failWhen }), { score })
  expect([at({ scoreAbove: 0.7 }, 0.7), at({ scoreAbove: 0.7 }, 0.71)]).toEqual([true, false])
  expect([at({ scoreAtLeast: 0.7 }, 0.7), at({ scoreAtLeast: 0.7 }, 0.69)]).toEqual([false, true])
  expect([at({ scoreBelow: 3 }, 3), at({ scoreBelow: 3 }, 2.9)]).toEqual([true, false])
  expect([at({ scoreAtMost: 3 }, 3), at({ scoreAtMost: 3 }, 3.1)]).toEqual([false, true])
  expect(at({ scoreAbove: 1, scoreBelow: 2 }, 1.5)).toBe(false)
  expect(at({ scoreAbove: 1, scoreBelow: 2 }, 2)).toBe(true)
  const label = rule({ failWhen: { label: ['Bad', 'worse'] } })
  expect([settled(label, { label: ' bad ' }), settled(label, { label: 'fine' })]).toEqual([
    false,
    true,
  ])
  expect(settled(rule({ failWhen: { passed: true } }), { passed: true })).toBe(false)
})

test('failing is asked first; what no condition speaks of is not settled', () => {
  const both = rule({ failWhen: { scoreAbove: 8 }, passWhen: { scoreBelow: 3 } })
  expect(settled(both, { score: 9 })).toBe(false)
  expect(settled(both, { score: 2 })).toBe(true)
  expect(settled(both, { score: 5 }), 'neither').toBe(false)
  expect(settled(rule({ passWhen: { label: ['ok'] } }), { label: 'no' })).toBe(false)
  expect(settled(rule({ failWhen: { scoreAbove: 1 } }), { label: 'x' })).toBeUndefined()
  expect(settled(rule({}), { score: 1 })).toBeUndefined()
})

test('an evaluation gets the name and the verdict of its line, and keeps what it was sent as', () => {
  const map = new OutcomeMap([
    rule({ failWhen: { scoreAbove: 0.7 } }),
    { from: { evaluation: 'stars' }, to: 'csat' },
    { from: { attribute: 'app.stars' }, to: 'csat' },
  ])
  expect(mapped(map, { name: 'toxicity', score: 0.9 })).toEqual({
    name: 'toxicity',
    score: 0.9,
    passed: false,
    settled: true,
  })
  expect(mapped(map, { name: 'stars', score: 2 })).toEqual({
    name: 'csat',
    score: 2,
    sentAs: 'stars',
  })
  expect(mapped(map, { name: 'app.stars', score: 2 })).toEqual({ name: 'app.stars', score: 2 })
  expect(map.attributes).toEqual(['app.stars'])
  expect(map.ofAttribute('app.stars')).toMatchObject({ to: 'csat' })
})
