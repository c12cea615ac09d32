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

test('memory is neither let go twice nor held once it is gone', () => {
  const memory = new MemoryPool(1e6).take(1)
  memory.release()
  expect(() => memory.release()).toThrow(TypeError)
  expect(() => memory.hold()).toThrow(TypeError)
})
