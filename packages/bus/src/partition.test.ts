import { expect, test } from 'vitest'
import { partitionOf, partitionOfHex } from './partition.ts'

/** From the tests of Kafka's Java client, `UtilsTest.testMurmur2`: signed 32 bit. */
const vectors: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

/** With 2^31 partitions the number is the hash without its sign, as `toPositive` in the client. */
const everyBit = 2 ** 31

test('places a key where the Java client of Kafka does', () => {
  for (const [key, hash] of vectors) {
    const bytes = Buffer.from(key)
    expect(partitionOf(bytes, 0, bytes.length, everyBit), key).toBe(hash & 0x7fffffff)
    expect(partitionOf(bytes, 0, bytes.length, 12), key).toBe((hash & 0x7fffffff) % 12)
  }
})

test('reads the key out of the middle of a larger buffer', () => {
  const bytes = Buffer.from('..foobar..')
  expect(partitionOf(bytes, 2, 6, everyBit)).toBe(-790332482 & 0x7fffffff)
})

test('a trace id in hex and its raw bytes have one partition', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const bytes = Buffer.from(traceId, 'hex')
  expect(partitionOfHex(traceId, 12)).toBe(partitionOf(bytes, 0, 16, 12))
  expect(partitionOfHex(traceId.toUpperCase(), 12)).toBe(partitionOfHex(traceId, 12))
})

test('spreads trace ids evenly over the partitions', () => {
  const counts = new Array<number>(12).fill(0)
  const bytes = Buffer.alloc(16)
  for (let at = 0; at < 12_000; at++) {
    bytes.writeUInt32LE(Math.imul(at, 0x9e3779b1) >>> 0, 4)
    const partition = partitionOf(bytes, 0, 16, 12)
    counts[partition] = (counts[partition] as number) + 1
  }
  expect(Math.min(...counts)).toBeGreaterThan(850)
  expect(Math.max(...counts)).toBeLessThan(1150)
})
