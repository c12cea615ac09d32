import { expect, test } from 'vitest'
import { MemoryPool, pieceBytesMin } from './memory-pool.ts'

test('what the last has let go is used again, for less as well, and not before', () => {
  const pool = new MemoryPool(1e6)
  const first = pool.take(100_000)
  expect(first.bytes.length).toBe(131_072)
  first.hold()
  first.release()
  expect(pool.take(100_000).bytes).not.toBe(first.bytes)
  first.release()
  expect(pool.idleBytes).toBe(131_072)
  expect(pool.take(70_000).bytes).toBe(first.bytes)
  expect(pool.idleBytes).toBe(0)
})

test('a piece is as long as was asked for, at least the smallest there is', () => {
  const pool = new MemoryPool(1e6)
  for (const bytes of [0, 1, pieceBytesMin]) {
    expect(pool.take(bytes).bytes.length).toBe(pieceBytesMin)
  }
  expect(pool.take(pieceBytesMin + 1).bytes.length).toBe(2 * pieceBytesMin)
})

test('at its limit it keeps what comes back, a piece more it leaves to the collector', () => {
  const pool = new MemoryPool(3 * pieceBytesMin)
  const pieces = Array.from({ length: 4 }, () => pool.take(1))
  for (const piece of pieces) piece.release()
  expect(pool.idleBytes).toBe(3 * pieceBytesMin)
})

test('what comes back to a full pool takes the place of larger pieces that nobody asks for', () => {
  const pool = new MemoryPool(4 * pieceBytesMin)
  const pieces = [2, 1, 1].map(count => pool.take(count * pieceBytesMin))
  const small = [pool.take(1), pool.take(1)]
  for (const piece of pieces) piece.release()
  expect(pool.idleBytes).toBe(4 * pieceBytesMin)
  for (const piece of small) piece.release()
  expect(pool.idleBytes).toBe(4 * pieceBytesMin)
  const again = Array.from({ length: 4 }, () => pool.take(1).bytes)
  expect(new Set(again)).toEqual(new Set([...pieces.slice(1), ...small].map(({ bytes }) => bytes)))
  expect(pool.idleBytes).toBe(0)
})

test('a piece that takes the place of several leaves room for those it need not', () => {
  const pool = new MemoryPool(4 * pieceBytesMin)
  const pieces = [1, 1, 1, 2].map(count => pool.take(count * pieceBytesMin))
  for (const piece of pieces) piece.release()
  expect(pool.idleBytes).toBe(4 * pieceBytesMin)
  pool.take(8 * pieceBytesMin).release()
  expect(pool.idleBytes).toBe(4 * pieceBytesMin)
  expect(pool.take(2 * pieceBytesMin).bytes).toBe(pieces[3]?.bytes)
})

test('memory is neither let go twice nor held once it is gone', () => {
  const memory = new MemoryPool(1e6).take(1)
  memory.release()
  expect(() => memory.release()).toThrow(TypeError)
  expect(() => memory.hold()).toThrow(TypeError)
})
