import type { RuleAnswer } from '@winnow/model'
import { expect, test } from 'vitest'
import { type EarlierVerdict, judge } from './verdict.ts'

const rule = (name: string, probability: number, matched = true): RuleAnswer => ({
  name,
  matched,
  probability,
})
const ordinary = rule('ordinary', 0.1)
const low = '00000000000000'
const at10 = 'e6666666666666'

const earlier = (more: Partial<EarlierVerdict> = {}): EarlierVerdict => ({
  verdict: 'drop',
  isAwaiting: false,
  primary: 'ordinary',
  stratum: 'ordinary',
  probability: 0.1,
  th: at10,
  adjustedCount: 0,
  ...more,
})

test('R at the threshold is kept, one below is not', () => {
  expect(judge([ordinary], at10, undefined, undefined)).toMatchObject({
    verdict: 'keep',
    primary: 'ordinary',
    stratum: 'ordinary',
    th: at10,
    adjustedCount: expect.closeTo(10, 9),
  })
  expect(judge([ordinary], 'e6666666666665', undefined, undefined)).toMatchObject({
    verdict: 'drop',
    primary: 'ordinary',
    probability: 0.1,
    adjustedCount: 0,
  })
})

test('the highest probability decides, the first match names', () => {
  const judged = judge([rule('a', 0.5), rule('b', 1), ordinary], low, undefined, undefined)
  expect(judged).toMatchObject({ verdict: 'keep', primary: 'a', probability: 1, th: '0' })
  const only = judge(
    [rule('a', 1, false), rule('b', 0.5), ordinary],
    '80000000000000',
    undefined,
    undefined,
  )
  expect(only).toMatchObject({ verdict: 'keep', primary: 'b', th: '8', adjustedCount: 2 })
  expect(judge([rule('b', 0.5), ordinary], '7fffffffffffff', undefined, undefined)).toMatchObject({
    verdict: 'drop',
    primary: 'ordinary',
  })
})

test('an upstream threshold is composed, never multiplied', () => {
  const f = 'f0000000000000'
  expect(judge([ordinary], f, '80000000000000', undefined)).toMatchObject({
    th: at10,
    adjustedCount: expect.closeTo(10, 9),
  })
  expect(judge([ordinary], f, f, undefined)).toMatchObject({ th: 'f', adjustedCount: 16 })
  // A rule that keeps all stands for itself alone, whatever upstream let through.
  expect(judge([rule('a', 1), ordinary], f, f, undefined)).toMatchObject({
    th: 'f',
    adjustedCount: 1,
  })
})

test('probability 0 keeps nothing, not even the highest R', () => {
  const all = 'ffffffffffffff'
  expect(judge([rule('ordinary', 0)], all, undefined, undefined).verdict).toBe('drop')
})

test('a keep is inherited with its name and weight when the rules would drop now', () => {
  const kept = earlier({
    verdict: 'keep',
    primary: 'slow',
    stratum: 'slow',
    probability: 1,
    th: '0',
    adjustedCount: 1,
  })
  expect(judge([ordinary], low, undefined, kept)).toEqual({
    verdict: 'keep',
    primary: 'slow',
    probability: 1,
    th: '0',
    adjustedCount: 1,
    stratum: 'slow',
    isInherited: true,
    isRescue: false,
  })
})

test('a drop that becomes a keep is a rescue, and stays one', () => {
  const rescued = judge([rule('a', 1), ordinary], low, undefined, earlier())
  expect(rescued).toMatchObject({
    isRescue: true,
    stratum: 'rescued',
    primary: 'a',
    adjustedCount: 1,
  })
  const later = judge([rule('b', 1), ordinary], low, undefined, earlier({ ...rescued }))
  expect(later).toMatchObject({ isRescue: false, stratum: 'rescued', primary: 'b' })
})

test('what a rule rescues one in two of stands for two, as what it keeps at once', () => {
  const half = 'a0000000000000'
  const rescued = judge([rule('a', 0.5), ordinary], half, undefined, earlier())
  expect(rescued).toMatchObject({ stratum: 'rescued', th: '8', adjustedCount: 2 })
  const kept = judge([rule('a', 0.5), ordinary], half, undefined, undefined)
  expect(kept).toMatchObject({ stratum: 'a', th: '8', adjustedCount: 2 })
})

test('a trace of which only evaluations had come was never dropped', () => {
  const awaited = judge([rule('a', 1), ordinary], low, undefined, earlier({ isAwaiting: true }))
  expect(awaited).toMatchObject({ isRescue: false, stratum: 'a' })
})
