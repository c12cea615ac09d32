import { expect, test } from 'vitest'
import { slabBytes, slabOf } from './slab.ts'

test('pieces are apart, whatever their sizes', () => {
  const sizes = [10, 0, slabBytes / 4, slabBytes / 4 + 1, 5_000, 100_000, 1]
  const pieces = Array.from({ length: 200 }, (_, n) => slabOf(sizes[n % sizes.length] ?? 0).fill(n))
  for (const [n, piece] of pieces.entries()) {
    expect(piece.length).toBe(sizes[n % sizes.length])
    expect(piece.every(byte => byte === n)).toBe(true)
  }
})

test('a piece up to a quarter of a slab shares one, a larger one has memory of its own', () => {
  expect(slabOf(slabBytes / 4).buffer.byteLength).toBe(slabBytes)
  expect(slabOf(slabBytes / 4 + 1).buffer.byteLength).toBe(slabBytes / 4 + 1)
})
