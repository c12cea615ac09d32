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
