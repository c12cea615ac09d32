import { expect, test } from 'vitest'
import { type IndexEntry, IndexTable } from './index-table.ts'

const entry = (offset: number, more: Partial<IndexEntry> = {}): IndexEntry => ({
  offset,
  revision: 1,
  verdict: 'drop',
  decidedAtMs: 0,
  fingerprint: 0n,
  ...more,
})
const id = (n: number): string => n.toString(16).padStart(32, '0')
const make = (tracesMax = 100_000, lifeMs = 1_000) => new IndexTable({ tracesMax, lifeMs, seed: 7 })

test('it returns what was set last, through growth', () => {
  const table = make()
  for (let n = 0; n < 10_000; n++) table.set('a', id(n), entry(n))
  for (let n = 0; n < 10_000; n += 3) {
    table.set(
      'a',
      id(n),
      entry(n + 1e12, { revision: 9, verdict: 'keep', fingerprint: 2n ** 64n - 1n }),
    )
  }
  expect(table.size).toBe(10_000)
  for (let n = 0; n < 10_000; n++) {
    const expected =
      n % 3 === 0
        ? entry(n + 1e12, { revision: 9, verdict: 'keep', fingerprint: 2n ** 64n - 1n })
        : entry(n)
    expect(table.get('a', id(n))).toEqual(expected)
  }
  expect(table.get('a', id(10_001))).toBeUndefined()
})

test('the same trace id of two tenants is two traces', () => {
  const table = make()
  table.set('a', id(1), entry(1))
  table.set('b', id(1), entry(2))
  expect([table.get('a', id(1))?.offset, table.get('b', id(1))?.offset]).toEqual([1, 2])
  expect(table.get('c', id(1))).toBeUndefined()
})

test('at its limit it takes a trace it knows and refuses one past it', () => {
  const table = make(100)
  for (let n = 0; n < 100; n++) table.set('a', id(n), entry(n))
  table.set('a', id(5), entry(500))
  expect(() => table.set('a', id(100), entry(100))).toThrow(
    expect.objectContaining({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringContaining('indexTracesMax'),
    }),
  )
  expect(table.get('a', id(5))?.offset).toBe(500)
})

test('what outlived its life makes room, what did not stays', () => {
  const table = make(100)
  for (let n = 0; n < 50; n++) table.set('a', id(n), entry(n, { decidedAtMs: 0 }))
  for (let n = 50; n < 100; n++) table.set('a', id(n), entry(n, { decidedAtMs: 1_001 }))
  table.set('a', id(100), entry(100, { decidedAtMs: 1_001 }))
  expect(table.size).toBe(51)
  expect(table.get('a', id(0))).toBeUndefined()
  expect(table.get('a', id(99))?.offset).toBe(99)
})
