import { factTextBytesMax } from '@winnow/model'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  patternCharsMax,
  patternRepeatsMax,
  patternTriesMax,
  slowPattern,
} from './condition-pattern.ts'

describe('a pattern that may be tried without bound is refused', () => {
  test.each([
    '(a|a)*b',
    '((a+)b?)*c',
    '((x+)y?)*z',
    '(x|xx)+y',
    '(?:(?<n>a|b)c){2,}',
    '(([ab]?))*',
    '(\\d+\\.){3}',
    '(?=(a|b)+)',
  ])('%s', pattern => {
    expect(slowPattern(pattern)).toContain('without bound')
  })

  test.each([
    'a.*a.*a.*a.*b',
    '^a.*a.*a.*a.*b',
    'a{0,64}a{1,}a*',
    'a?'.repeat(40),
    '(a|a)'.repeat(20),
    '(?=.*a)(?=.*b)(?=.*c)d',
    '(^a)?b*c*d*',
  ])('%s', pattern => {
    expect(slowPattern(pattern)).toContain('begin it with ^')
  })

  test.each([
    '^/api/v\\d+/users/\\d+/orders/\\d+$',
    '^(live|x)$',
    '^/l',
    'heal.*check',
    '[()*+]+',
    '\\(a\\+\\)+',
    '(abc)+x*',
    '\\p{Lu}\\u{1F600}+',
    '(?<word>a|b)-\\k<word>',
    '^(?:GET|POST) .*',
    '^a|^b',
    '\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}',
  ])('and these are not: %s', pattern => {
    expect(() => new RegExp(pattern, 'u')).not.toThrow()
    expect(slowPattern(pattern)).toBeUndefined()
  })
})

test('tries, repeats and characters have their limits', () => {
  expect(patternTriesMax).toBe(factTextBytesMax ** 3)
  const repeats = (count: number) => `^${'[ab]{1,64}'.repeat(count)}`
  expect(slowPattern(repeats(3))).toBeUndefined()
  expect(slowPattern(repeats(4))).toContain('takes too long')
  expect(slowPattern(`a{${patternRepeatsMax}}`)).toBeUndefined()
  expect(slowPattern(`a{${patternRepeatsMax + 1}}`)).toContain('more than 256')
  expect(slowPattern(`a{1,${patternRepeatsMax + 1}}`)).toContain('more than 256')
  expect(slowPattern('a'.repeat(patternCharsMax))).toBeUndefined()
  expect(slowPattern('a'.repeat(patternCharsMax + 1))).toContain('more than 256')
})

test('every expression can be read, whatever it has', () => {
  const piece = fc.constantFrom(
    ...[
      'a',
      '.',
      '^',
      '$',
      '|',
      '(',
      ')',
      '(?:',
      '(?=',
      '(?<!',
      '[',
      ']',
      '[^',
      '\\',
      '\\)',
      '\\]',
    ],
    ...['*', '+', '?', '*?', '{2}', '{1,}', '{0,3}', '\\p{L}', '\\u{61}', '\\d', '-', '\u{1F600}'],
  )
  let seen = 0
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const pattern = pieces.join('')
      let expression: RegExp
      try {
        expression = new RegExp(pattern, 'u')
      } catch {
        return
      }
      seen++
      if (slowPattern(pattern) === undefined) expression.test('a'.repeat(factTextBytesMax))
    }),
    { numRuns: 20_000 },
  )
  expect(seen).toBeGreaterThan(500)
})
