import { expect, test } from 'vitest'
import { crc32c } from './crc32c.ts'

const ascending = Uint8Array.from({ length: 32 }, (_, at) => at)

test('the vectors of RFC 3720 come out', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  expect(crc32c(ascending)).toBe(0x46dd794e)
  expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c)
  const readCommand =
    '01c00000000000000000000000000000140000000000040000000014000000182800000000000000' +
    '0200000000000000'
  expect(crc32c(Buffer.from(readCommand, 'hex'))).toBe(0xd9963a56)
})

test('the check value of the algorithm comes out, and nothing of nothing', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(0))).toBe(0)
})

test('every length is as one byte at a time says, and pieces are as the whole', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, at) => (at * 37) ^ (at >> 1))
  for (let length = 0; length <= bytes.length; length++) {
    const whole = bytes.subarray(0, length)
    let one = 0
    for (let at = 0; at < length; at++) one = crc32c(whole.subarray(at, at + 1), one)
    expect(crc32c(whole)).toBe(one)
    for (const cut of [1, 7, 8, 33]) {
      expect(crc32c(whole.subarray(cut), crc32c(whole.subarray(0, cut)))).toBe(one)
    }
  }
})
