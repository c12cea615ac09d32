import { expect, test } from 'vitest'
import { WireReader, WireWriter } from './kafka-wire.ts'

test('what was written is read back, past the first buffer too', () => {
  const large = 'x'.repeat(5000)
  const writer = new WireWriter()
    .int8(-1)
    .int16(-2)
    .int32(-3)
    .int64(2 ** 40)
    .string('é')
  for (const length of [0, 126, 127, 128, 20_000]) writer.compactLength(length)
  const reader = new WireReader(writer.compactString(large).bytes())
  expect([reader.int8(), reader.int16(), reader.int32(), reader.int64(), reader.string()]).toEqual([
    -1,
    -2,
    -3,
    2 ** 40,
    'é',
  ])
  expect(Array.from({ length: 5 }, () => reader.uvarint() - 1)).toEqual([0, 126, 127, 128, 20_000])
  expect(reader.compactString() === large).toBe(true)
})

test('reading past the end is DATA_CORRUPT, from every position', () => {
  const bytes = new WireWriter().int32(2).string('ab').string('cd').bytes()
  for (let length = 0; length < bytes.length; length++) {
    const reader = new WireReader(bytes.subarray(0, length))
    expect(() => reader.array(() => reader.string())).toThrow(/DATA_CORRUPT/)
  }
})

test('a varint that does not end is DATA_CORRUPT', () => {
  const endless = Buffer.alloc(20, 0xff)
  expect(() => new WireReader(endless).varint()).toThrow(/DATA_CORRUPT/)
  expect(() => new WireReader(endless).skipVarlong()).toThrow(/DATA_CORRUPT/)
})

test('varints are zigzag: both ends of 32 bits come back', () => {
  for (const [bytes, value] of [
    [[0], 0],
    [[1], -1],
    [[2], 1],
    [[0xfe, 0xff, 0xff, 0xff, 0x0f], 2 ** 31 - 1],
    [[0xff, 0xff, 0xff, 0xff, 0x0f], -(2 ** 31)],
  ] as const) {
    expect(new WireReader(Buffer.from(bytes)).varint()).toBe(value)
  }
})
