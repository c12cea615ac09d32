import type { RuleAnswer } from '@winnow/model'
import { expect, test } from 'vitest'
import { asked, ruleText } from './rule-text.ts'

const answer = (name: string, over: Partial<RuleAnswer> = {}): RuleAnswer => ({
  name,
  matched: false,
  probability: 1,
  ...over,
})

test('a rule that saw nothing says so', () => {
  const names = [
    'judge-failed',
    'citation-failed',
    'low-csat',
    'outcome-failed',
    'slow',
    'active-variant',
  ]
  const texts = names.map(name => ruleText(answer(name)))
  expect(new Set(texts).size).toBe(names.length)
  for (const text of texts) expect(text).toMatch(/^(no|it has no) /)
})

test('a CSAT that is none is named, beside one that counts too', () => {
  const detail = { ignored: 3 }
  expect(ruleText(answer('low-csat', { detail }))).toBe(
    'no CSAT came; 3 left out, not a number from 1 to 5',
  )
  expect(ruleText(answer('low-csat', { value: 2, threshold: 2, detail }))).toBe(
    'CSAT 2, low is 2 or less; 3 more left out, not a number from 1 to 5',
  )
})

test('a condition says what it names and nobody recorded', () => {
  const detail = { notRecorded: 'app.tier' }
  expect(ruleText(answer('gold', { detail }))).toBe(
    'false; app.tier was recorded of none of its spans',
  )
  expect(ruleText(answer('gold', { value: 3, detail }))).toMatch(/^3; app\.tier was recorded/)
  expect(ruleText(answer('gold', { value: 3 }))).toBe('3')
})

test('a rule that takes a share asked for a trace only when its draw is high enough', () => {
  const ordinary = { matched: true, probability: 0.1, threshold: 'e6666666666666' }
  const low = answer('ordinary', { ...ordinary, value: '2e0a1b3c4d5e6f' })
  const high = answer('ordinary', { ...ordinary, value: 'e6666666666666' })
  expect(asked(low)).toBe(false)
  expect(ruleText(low)).toBe('10 % of all: its draw 2e0a1b3c4d5e6f is below e6666666666666')
  expect(asked(high)).toBe(true)
  expect(ruleText(high)).toContain('is not below')
})

test('slow names the p99 it was compared with, or that there is none yet', () => {
  const detail = { key: 'bot turn', count: 600 }
  expect(ruleText(answer('slow', { value: 2608.1234, threshold: 900, detail }))).toBe(
    '2608.123 ms, the p99 of bot turn is 900 ms over 600 traces',
  )
  expect(ruleText(answer('slow', { value: 5, detail }))).toContain('no p99 yet')
  const cost = { ...detail, quantity: 'cost' }
  expect(ruleText(answer('slow', { value: 0.0213, threshold: 0.02, detail: cost }))).toBe(
    '$0.0213, the p99 of bot turn is $0.02 over 600 traces',
  )
})

test('a rule of one’s own says what it compared', () => {
  expect(ruleText(answer('expensive', { value: 3, threshold: 1 }))).toBe('3 against 1')
})
