import { expect, test } from 'vitest'
import {
  attributeLevel,
  compileInterest,
  interestKeyBytesMax,
  interestKeysMax,
} from './interest.ts'

const span = attributeLevel.span

function find(interest: ReturnType<typeof compileInterest>, key: string, level: number = span) {
  const bytes = Buffer.from(`..${key}..`)
  return interest.find(bytes, 2, bytes.length - 2, level)
}

test('a key is found by its bytes, at the levels where it is wanted', () => {
  const interest = compileInterest([
    { key: 'judge.score', at: ['span'] },
    { key: 'service.name', at: ['resource', 'event'] },
  ])
  expect(find(interest, 'judge.score')).toBe(0)
  expect(find(interest, 'judge.score', attributeLevel.resource)).toBe(-1)
  expect(find(interest, 'service.name')).toBe(-1)
  expect(find(interest, 'service.name', attributeLevel.event)).toBe(1)
  expect(interest.indexOf('service.name')).toBe(1)
  expect(interest.indexOf('service')).toBe(-1)
  // As long, with the same last and middle byte.
  expect(find(interest, 'judge.scare')).toBe(-1)
  expect(find(interest, 'xudge.score')).toBe(-1)
  expect(find(interest, '')).toBe(-1)
})

test('a prefix finds what begins with it, and an exact key goes before it', () => {
  const interest = compileInterest([
    { key: 'outcome.*', at: ['span'] },
    { key: 'outcome.csat_response', at: ['span'] },
    { key: 'ott', at: ['span'] },
  ])
  expect(find(interest, 'outcome.policy_correct')).toBe(0)
  expect(find(interest, 'outcome.')).toBe(0)
  expect(find(interest, 'outcome.csat_response')).toBe(1)
  expect(find(interest, 'outcome.csat_responses')).toBe(0)
  expect(find(interest, 'outcome')).toBe(-1)
  expect(find(interest, 'output')).toBe(-1)
  expect(find(interest, 'ott')).toBe(2)
})

test('prefixes that share a first byte are told apart, and one of one or two bytes is found too', () => {
  const at = ['span'] as const
  const long = compileInterest(['trace.a*', 'trade.*', 'evaluations.*'].map(key => ({ key, at })))
  expect(
    ['trace.ab', 'trade.1', 'evaluations.0', 'traceloop', 'tr', 't'].map(key => find(long, key)),
  ).toEqual([0, 1, 2, -1, -1, -1])
  const short = compileInterest(['a*', 'tb*', 'trace.*'].map(key => ({ key, at })))
  expect(['a', 'ab', 'tb', 'tbc', 'trace.', 'tr', 'ta'].map(key => find(short, key))).toEqual([
    0, 0, 1, 1, 2, -1, -1,
  ])
})

test('every key of a full list is found and nothing else', () => {
  const keys = Array.from({ length: interestKeysMax }, (_, i) => `gen_ai.key_${i}`)
  const interest = compileInterest(keys.map(key => ({ key, at: ['span'] })))
  expect(keys.map(key => find(interest, key))).toEqual(keys.map((_, i) => i))
  expect(find(interest, `gen_ai.key_${interestKeysMax}`)).toBe(-1)
  const over = [...keys, 'one.more'].map(key => ({ key, at: ['span'] as const }))
  expect(() => compileInterest(over)).toThrow(RangeError)
})

test('a list that could not be found in full is refused by name', () => {
  const longest = 'k'.repeat(interestKeyBytesMax)
  expect(find(compileInterest([{ key: longest, at: ['span'] }]), longest)).toBe(0)
  expect(() => compileInterest([{ key: `${longest}k`, at: ['span'] }])).toThrow('bytes')
  expect(() => compileInterest([{ key: '', at: ['span'] }])).toThrow('""')
  expect(() => compileInterest([{ key: '*', at: ['span'] }])).toThrow('"*"')
  expect(() => compileInterest([{ key: 'a', at: [] }])).toThrow('a is wanted at no level')
  const twice = { key: 'a', at: ['span'] as const }
  expect(() => compileInterest([twice, twice])).toThrow('a is listed twice')
})
