import { expect, test } from 'vitest'
import { idText, nanosText } from './number-text.ts'

test('nanoseconds in decimal are exact over all 64 bits', () => {
  const cases = [0n, 1n, 999_999_999n, 1_000_000_000n, 1_000_000_001n, 2n ** 32n, 2n ** 53n + 1n]
  for (let n = 0n; n < 64n; n++)
    cases.push(2n ** n - 1n, 2n ** n * 1_000_000_007n, 2n ** 64n - 1n - n)
  for (const ns of cases.map(value => BigInt.asUintN(64, value))) {
    expect(nanosText(Number(ns >> 32n), Number(ns & 0xffff_ffffn))).toBe(ns.toString())
  }
})

test('an id in hex keeps its zeros', () => {
  expect(idText(0x0102, 0xdeadbeef)).toBe('00000102deadbeef')
  expect(idText(0, 0)).toBe('0'.repeat(16))
})
