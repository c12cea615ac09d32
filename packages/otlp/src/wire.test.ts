import { PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { countDataPoints } from './metrics.ts'
import { groupDepthMax, messagesMax, WireReader } from './wire.ts'

/** A reader that stands behind the tag of field 1, `type` being its wire type. */
function at(type: number, ...bytes: number[]): WireReader {
  const reader = new WireReader(Uint8Array.of(8 + type, ...bytes), 'Sample')
  reader.tag()
  return reader
}

function invalid(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(PipelineError)
    expect((error as PipelineError).code).toBe('PAYLOAD_INVALID')
    return (error as PipelineError).message
  }
  throw new Error('nothing was thrown')
}

const varints: readonly (readonly [bigint, readonly number[]])[] = [
  [0n, [0]],
  [127n, [0x7f]],
  [128n, [0x80, 1]],
  [2n ** 28n - 1n, [0xff, 0xff, 0xff, 0x7f]],
  [2n ** 32n - 1n, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  [2n ** 32n, [0x80, 0x80, 0x80, 0x80, 0x10]],
  [2n ** 35n, [0x80, 0x80, 0x80, 0x80, 0x80, 1]],
  [2n ** 53n - 1n, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  [2n ** 53n + 1n, [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
  [2n ** 63n - 1n, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  [-1n, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]],
  [-(2n ** 63n), [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]],
]

test('a 64-bit varint is exact at every size', () => {
  for (const [value, bytes] of varints) expect(at(0, ...bytes).int64()).toBe(value)
})

test('a padded varint of ten bytes is read, an eleventh byte or a 65th bit is refused', () => {
  expect(at(0, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0).int64()).toBe(1n)
  const tenth = (last: number): number[] => [...new Array<number>(9).fill(0xff), last]
  expect(invalid(() => at(0, ...tenth(2)).int64())).toContain('more than 64 bits')
  expect(invalid(() => at(0, ...tenth(0x81), 0).int64())).toContain('more than 64 bits')
})

test('32-bit readers take the lower half, as every protobuf parser does', () => {
  expect(at(0, 0x81, 0x80, 0x80, 0x80, 0x10).uint32()).toBe(1)
  expect(at(0, 0xff, 0xff, 0xff, 0xff, 0x0f).uint32()).toBe(2 ** 32 - 1)
  expect(at(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1).int32()).toBe(-1)
  expect(at(0, 0x80, 0x80, 0x80, 0x80, 0x10).bool()).toBe(true)
})

test('what is cut off names message, field and byte', () => {
  expect(invalid(() => at(0).int64())).toMatch(/field 1 of Sample .*truncated.* byte 1/)
  expect(invalid(() => at(0, 0x80).int64())).toContain('truncated varint')
  expect(invalid(() => at(1, 1, 2, 3, 4, 5, 6, 7).fixed64())).toContain('past the end')
  expect(invalid(() => at(5, 1, 2, 3).fixed32())).toContain('past the end')
  expect(invalid(() => at(2, 3, 65, 66).string())).toContain('past the end')
  expect(invalid(() => at(2).string())).toContain('truncated')
})

test('a length of 2^32 and more is past the end, not zero', () => {
  expect(invalid(() => at(2, 0x80, 0x80, 0x80, 0x80, 0x10).string())).toContain('past the end')
  expect(invalid(() => at(2, 0xff, 0xff, 0xff, 0xff, 0x0f).string())).toContain('past the end')
})

test('a field may not run past the message it lies in, though bytes follow', () => {
  const reader = new WireReader(Uint8Array.of(10, 2, 10, 2, 65, 66), 'Outer')
  reader.tag()
  reader.enter('Inner')
  reader.tag()
  expect(invalid(() => reader.string())).toMatch(/field 1 of Inner .*past the end/)
})

test('field number 0, wire types 6 and 7 and tags above 32 bits are refused', () => {
  const tagOf = (...bytes: number[]) =>
    invalid(() => new WireReader(Uint8Array.from(bytes), 'S').tag())
  expect(tagOf(0, 0)).toContain('number 0')
  expect(tagOf(2, 0)).toContain('number 0')
  expect(tagOf(0x80, 0)).toContain('number 0')
  expect(tagOf(14, 0)).toContain('wire type 6')
  expect(tagOf(15, 0)).toContain('wire type 7')
  expect(tagOf(0x80, 0x80, 0x80, 0x80, 0x10)).toContain('2^29')
  const largest = new WireReader(Uint8Array.of(0xf8, 0xff, 0xff, 0xff, 0x0f, 1), 'S')
  expect(largest.tag() >>> 3).toBe(2 ** 29 - 1)
})

test('every wire type is skipped whole, groups too', () => {
  const skipped = [
    [0x08, 0x80, 1],
    [0x09, 1, 2, 3, 4, 5, 6, 7, 8],
    [0x0a, 2, 65, 66],
    [0x0d, 1, 2, 3, 4],
    [0x0b, 0x10, 1, 0x1a, 1, 65, 0x23, 0x24, 0x0c],
  ]
  for (const bytes of skipped) {
    const reader = new WireReader(Uint8Array.from([...bytes, 0x10, 42]), 'Sample')
    reader.tag()
    reader.skip()
    expect(reader.tag()).toBe(0x10)
    expect(reader.uint32()).toBe(42)
    expect(reader.more()).toBe(false)
  }
})

test('a group that does not end, ends another, or was never begun is refused', () => {
  expect(invalid(() => at(3, 0x10, 1).skip())).toContain('without an end')
  expect(invalid(() => at(3, 0x14).skip())).toContain('did not begin')
  expect(invalid(() => at(4).skip())).toContain('did not begin')
})

test(`groups nest to ${groupDepthMax} and no deeper`, () => {
  const nest = (depth: number) => [...Array(depth).fill(0x0b), ...Array(depth).fill(0x0c)]
  const read = (depth: number) => {
    const reader = new WireReader(Uint8Array.from(nest(depth)), 'Sample')
    reader.tag()
    reader.skip()
    return reader.more()
  }
  expect(read(groupDepthMax)).toBe(false)
  expect(invalid(() => read(groupDepthMax + 1))).toContain('too deep')
  expect(invalid(() => read(1_000_000))).toContain('too deep')
})

test(`a payload has ${messagesMax} messages and no more`, () => {
  const payload = (count: number) => {
    const bytes = new Uint8Array(2 * count)
    for (let i = 0; i < bytes.length; i += 2) bytes[i] = 10
    return bytes
  }
  expect(countDataPoints(payload(messagesMax))).toBe(0)
  expect(() => countDataPoints(payload(messagesMax + 1))).toThrow(
    expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }),
  )
})

test('text is UTF-8, a byte order mark included; what is no UTF-8 becomes U+FFFD', () => {
  expect(at(2, 5, 0xe2, 0x82, 0xb9, 0xc3, 0xa9).string()).toBe('₹é')
  expect(at(2, 4, 0xef, 0xbb, 0xbf, 65).string()).toBe('\ufeffA')
  expect(at(2, 3, 65, 0xff, 66).string()).toBe('A\ufffdB')
  expect(at(2, 3, 65, 0xff, 66).cachedString()).toBe('A\ufffdB')
})

test('a cached string is the one on the wire, whatever was read before', () => {
  const words = [
    'service.name',
    'service.nbme',
    'sérvice',
    's\ufffdrvice',
    '',
    'x'.repeat(64),
    'x'.repeat(65),
  ]
  for (let round = 0; round < 3; round++) {
    for (const word of words) {
      const bytes = Buffer.from(word)
      expect(at(2, bytes.length, ...bytes).cachedString()).toBe(word)
    }
  }
})

test('bytes are a copy, also out of a Buffer and out of shared memory', () => {
  const source = Buffer.from([10, 2, 1, 2])
  const reader = new WireReader(source, 'Sample')
  reader.tag()
  const copy = reader.bytes()
  source.fill(9)
  expect(copy).toStrictEqual(Uint8Array.of(1, 2))
  const shared = new Uint8Array(new SharedArrayBuffer(8), 2, 5)
  shared.set([10, 3, 65, 66, 67])
  const other = new WireReader(shared, 'Sample')
  other.tag()
  expect(other.string()).toBe('ABC')
})

test('hex keeps every length, and the same id twice is the same text', () => {
  const id = Array.from({ length: 16 }, (_, i) => i * 17)
  const reader = new WireReader(
    Uint8Array.from([10, 16, ...id, 10, 16, ...id, 10, 16, ...id.toReversed(), 10, 3, 1, 2, 255]),
    'Sample',
  )
  const read = () => {
    reader.tag()
    return reader.hex()
  }
  expect(read()).toBe('00112233445566778899aabbccddeeff')
  expect(read()).toBe('00112233445566778899aabbccddeeff')
  expect(read()).toBe('ffeeddccbbaa99887766554433221100')
  expect(read()).toBe('0102ff')
})
