import { expect, test } from 'vitest'
import { BatchCache, type DecodedBatch } from './kafka-batch-cache.ts'

const batch = (first: number, last: number, bytes = 10, checksum = 1): DecodedBatch => ({
  first,
  last,
  checksum,
  bytes,
  records: [],
})

test('a batch is found by any offset it spans, holes included, in its partition only', () => {
  const cache = new BatchCache(100, 10)
  const held = batch(5, 9)
  cache.add(1, held)
  for (const offset of [5, 7, 9]) expect(cache.find(1, offset)).toBe(held)
  expect([cache.find(1, 4), cache.find(1, 10), cache.find(0, 7)]).toEqual(
    Array.from({ length: 3 }, () => undefined),
  )
})

test('at its bytes it keeps all, one byte more gives up the least recently used', () => {
  const cache = new BatchCache(30, 10)
  for (const first of [0, 10, 20]) cache.add(0, batch(first, first + 9))
  expect(cache.bytes).toBe(30)
  cache.find(0, 0)
  cache.add(0, batch(30, 39, 1))
  expect(cache.find(0, 10)).toBeUndefined()
  expect([0, 20, 30].map(first => cache.find(0, first)?.first)).toEqual([0, 20, 30])
  expect(cache.bytes).toBe(21)
})

test('at its count it keeps all, one more gives up the least recently used', () => {
  const cache = new BatchCache(1000, 2)
  cache.add(0, batch(0, 0))
  cache.add(1, batch(0, 0))
  expect([cache.find(0, 0)?.first, cache.find(1, 0)?.first]).toEqual([0, 0])
  cache.add(2, batch(0, 0))
  expect(cache.find(0, 0)).toBeUndefined()
  expect(cache.bytes).toBe(20)
})

test('a batch over the whole budget is not kept and pushes nothing out', () => {
  const cache = new BatchCache(10, 10)
  cache.add(0, batch(0, 0, 10))
  cache.add(0, batch(1, 1, 11))
  expect([cache.find(0, 0)?.first, cache.find(0, 1)]).toEqual([0, undefined])
})

test('another batch at the same place takes its place', () => {
  const cache = new BatchCache(100, 10)
  cache.add(0, batch(0, 3, 10, 1))
  const anew = batch(0, 9, 20, 2)
  cache.add(0, anew)
  expect([cache.find(0, 0), cache.find(0, 9), cache.bytes]).toEqual([anew, anew, 20])
})

test('the same batch twice counts once', () => {
  const cache = new BatchCache(100, 10)
  cache.add(0, batch(0, 3))
  cache.add(0, batch(0, 3))
  expect(cache.bytes).toBe(10)
})
