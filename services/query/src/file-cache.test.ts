import type { SortedFile } from '@winnow/storage'
import { expect, test } from 'vitest'
import { FileCache } from './file-cache.ts'

const file = (key: string, weight: number) => ({ key, weight }) as SortedFile

test('what was used longest ago goes once there is more than the limit', async () => {
  const cache = new FileCache(30)
  const opened: string[] = []
  const get = (key: string, weight = 10) =>
    cache.get(key, async () => {
      opened.push(key)
      return file(key, weight)
    })
  for (const key of ['a', 'b', 'c', 'a']) await get(key)
  expect([opened, cache.bytes]).toEqual([['a', 'b', 'c'], 30])
  await get('d')
  expect(cache.bytes).toBe(30)
  for (const key of ['a', 'c', 'd']) await get(key)
  expect(opened).toEqual(['a', 'b', 'c', 'd'])
  await get('b')
  expect(opened.at(-1)).toBe('b')
})

test('a file over the limit is given and not held, a key without a file is asked for again', async () => {
  const cache = new FileCache(30)
  expect(await cache.get('x', async () => file('x', 31))).toMatchObject({ key: 'x' })
  expect(cache.bytes).toBe(0)
  expect(await cache.get('y', async () => undefined)).toBeUndefined()
  expect(await cache.get('y', async () => file('y', 30))).toMatchObject({ key: 'y' })
  expect(cache.bytes).toBe(30)
})
