import { expect, test } from 'vitest'
import {
  parseThreshold,
  probabilityOf,
  randomnessHex,
  randomnessOf,
  thresholdOf,
  thresholdText,
} from './threshold.ts'

test('thresholds equal the specification’s vectors', () => {
  const vectors: [number, string][] = [
    [1, '0'],
    [0.5, '8'],
    [0.25, 'c'],
    [0.1, 'e6666666666666'],
    [0.05, 'f3333333333333'],
    [0.01, 'fd70a3d70a3d71'],
    [0.001, 'ffbe76c8b43958'],
  ]
  for (const [probability, text] of vectors) {
    expect(thresholdText(thresholdOf(probability)), String(probability)).toBe(text)
    expect(probabilityOf(parseThreshold(text) as bigint)).toBeCloseTo(probability, 9)
  }
})

test('a valid rv is the randomness, anything else is ignored in favour of the trace id', () => {
  const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'
  expect(randomnessOf(traceId)).toBe(0x0a1b3c4d5e6fn | (0x2en << 48n))
  expect(randomnessOf(traceId, '0000000000000a')).toBe(10n)
  expect(randomnessOf(traceId, 'a')).toBe(randomnessOf(traceId))
  expect(randomnessHex(traceId)).toBe('2e0a1b3c4d5e6f')
  expect(randomnessHex(traceId, '0000000000000a')).toBe('0000000000000a')
})

test('a threshold that is no hex of at most 14 digits is not read', () => {
  for (const text of ['', 'E6', 'xyz', '0'.repeat(15)]) {
    expect(parseThreshold(text), text).toBeUndefined()
  }
})
