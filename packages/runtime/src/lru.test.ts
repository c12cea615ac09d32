import { expect, test } from 'vitest'
import { Lru } from './lru.ts'

test('what was used longest ago goes first, at one past the weight', () => {
  const lru = new Lru<number>(3)
  lru.set('a', 1, 1)
  lru.set('b', 2, 1)
  lru.set('c', 3, 1)
  expect(lru.get('a')).toBe(1)
  lru.set('d', 4, 1)
  expect([lru.get('a'), lru.get('b'), lru.get('c'), lru.get('d')]).toEqual([1, undefined, 3, 4])
})

test('a value heavier than the whole is not held, and pushes nothing out', () => {
  const lru = new Lru<number>(3)
  lru.set('a', 1, 3)
  lru.set('b', 2, 4)
  expect([lru.get('a'), lru.get('b')]).toEqual([1, undefined])
})

test('a value set anew counts once', () => {
  const lru = new Lru<number>(3)
  for (let i = 0; i < 10; i++) lru.set('a', i, 2)
  lru.set('b', 1, 1)
  expect([lru.get('a'), lru.get('b')]).toEqual([9, 1])
})

test('what is taken is no longer held, and makes room', () => {
  const lru = new Lru<number>(3)
  lru.set('a', 1, 2)
  expect([lru.take('a'), lru.take('a'), lru.get('a')]).toEqual([1, undefined, undefined])
  lru.set('b', 2, 2)
  lru.set('c', 3, 1)
  expect([lru.get('b'), lru.get('c')]).toEqual([2, 3])
})

test('its weight is that of what it holds; cleared, it holds nothing and takes more', () => {
  const lru = new Lru<string, number>(3)
  lru.set(1, 'a', 2)
  lru.set(2, 'b', 1)
  expect(lru.weight).toBe(3)
  lru.set(1, 'c', 1)
  expect(lru.weight).toBe(2)
  lru.clear()
  expect([lru.weight, lru.get(1), lru.get(2)]).toEqual([0, undefined, undefined])
  lru.set(2, 'd', 3)
  expect([lru.weight, lru.take(2), lru.weight]).toEqual([3, 'd', 0])
})
