import { expect, test } from 'vitest'
import { exitCode } from '../exit-codes.ts'
import { parseOutcome } from './commands.ts'

test('a number is a score, true and false are verdicts, all else is a label', () => {
  const cases: [string, object][] = [
    ['csat=2', { score: 2 }],
    ['csat=-.5e1', { score: -5 }],
    ['csat=+2.', { score: 2 }],
    ['csat= 4 ', { score: 4 }],
    ['csat=FALSE', { passed: false }],
    ['csat=True', { passed: true }],
    ['csat=0x10', { label: '0x10' }],
    ['csat=2 of 5', { label: '2 of 5' }],
    ['csat=a=b', { label: 'a=b' }],
  ]
  for (const [pair, value] of cases) expect(parseOutcome(pair)).toEqual({ name: 'csat', ...value })
})

test('what has no name, no value or no finite number is wrong use', () => {
  for (const pair of ['csat', '=2', 'csat=', 'csat= ', ' =2', 'csat=1e400', 'csat=NaN', 'x=-inf']) {
    expect(() => parseOutcome(pair), pair).toThrow(
      expect.objectContaining({ status: exitCode.usage }),
    )
  }
})
