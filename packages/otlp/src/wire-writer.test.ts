import { expect, test } from 'vitest'
import { WireReader } from './wire.ts'
import { WireWriter } from './wire-writer.ts'

const refused = expect.objectContaining({ code: 'PAYLOAD_INVALID' })

test('a message is whole for every guess of its length, also where the buffer ends', () => {
  for (const guess of [1, 2, 3]) {
    for (const size of [0, 1, 127, 128, 4090, 4095, 16_383, 16_384, 2_097_152]) {
      const content = Uint8Array.from({ length: size }, (_, i) => i)
      const writer = new WireWriter(16)
      const outer = writer.begin(10, guess)
      const inner = writer.begin(18, guess)
      writer.bytes(26, content)
      writer.end(inner, guess)
      writer.end(outer, guess)
      writer.uint32(8, 7)
      const reader = new WireReader(writer.finish(), 'Sample')
      expect(reader.tag()).toBe(10)
      const outerEnd = reader.enter('Outer')
      expect(reader.tag()).toBe(18)
      const innerEnd = reader.enter('Inner')
      reader.tag()
      expect(Buffer.compare(reader.bytes(), content)).toBe(0)
      expect(reader.more()).toBe(false)
      reader.leave(innerEnd)
      expect(reader.more()).toBe(false)
      reader.leave(outerEnd)
      reader.tag()
      expect(reader.uint32()).toBe(7)
    }
  }
})

test('numbers come back exact at both ends of their range', () => {
  for (const value of [
    0n,
    1n,
    127n,
    128n,
    2n ** 31n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    -1n,
    -(2n ** 63n),
  ]) {
    const writer = new WireWriter(1)
    writer.int64(8, value)
    const reader = new WireReader(writer.finish(), 'Sample')
    reader.tag()
    expect(reader.int64()).toBe(value)
  }
  for (const value of [1, 2 ** 31 - 1, -1, -(2 ** 31)]) {
    const writer = new WireWriter(1)
    writer.int32(8, value)
    const reader = new WireReader(writer.finish(), 'Sample')
    reader.tag()
    expect(reader.int32()).toBe(value)
  }
})

test('a number above 64 bits is refused, never wrapped', () => {
  expect(() => new WireWriter().int64(8, 2n ** 63n)).toThrow(refused)
  expect(() => new WireWriter().int64(8, -(2n ** 63n) - 1n)).toThrow(refused)
  expect(() => new WireWriter().fixed64(9, 2n ** 64n)).toThrow(refused)
  expect(() => new WireWriter().fixed64(9, -1n)).toThrow(refused)
})

test('an id that is not hex is refused, never cut', () => {
  for (const id of ['abc', 'zz', '0g', 'a', 'é0']) {
    expect(() => new WireWriter().hex(10, id), id).toThrow(refused)
  }
  const writer = new WireWriter()
  writer.hex(10, 'AbCd')
  expect(writer.finish()).toStrictEqual(Uint8Array.of(10, 2, 0xab, 0xcd))
})

test('text of every length and script is written as UTF-8', () => {
  for (const text of [
    'a',
    'x'.repeat(40),
    'x'.repeat(41),
    'é'.repeat(20),
    'ab₹',
    '👩‍🚀'.repeat(40),
  ]) {
    const writer = new WireWriter(1)
    writer.string(10, text)
    writer.string(18, '')
    const reader = new WireReader(writer.finish(), 'Sample')
    reader.tag()
    expect(reader.string()).toBe(text)
    expect(reader.more()).toBe(false)
  }
})
