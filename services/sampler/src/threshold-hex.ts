import { thresholdOf } from '@winnow/model'

/**
 * T in 14 hex digits, so that it compares with R as text. Probability 0 has no threshold of its own in
 * 14 digits and gets the strictest that has, 2^-56.
 */
export function thresholdHex(probability: number): string {
  const threshold = thresholdOf(probability)
  return (threshold > strictest ? strictest : threshold).toString(16).padStart(14, '0')
}

const strictest = (1n << 56n) - 1n
