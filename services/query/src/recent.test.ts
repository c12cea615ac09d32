import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { Recent } from './recent.ts'

function counted() {
  const clock = new ManualClock()
  const recent = new Recent<number>(1_000, () => clock.nowMs())
  let asked = 0
  return { clock, recent, ask: async () => ++asked }
}

test('an answer is good for a while, for its key', async () => {
  const { clock, recent, ask } = counted()
  expect(
    await Promise.all([recent.of('a', ask), recent.of('a', ask), recent.of('b', ask)]),
  ).toEqual([1, 1, 2])
  clock.advanceMs(999)
  expect(await recent.of('a', ask)).toBe(1)
  clock.advanceMs(1)
  expect(await recent.of('a', ask)).toBe(3)
})

test('what was forgotten, and what failed, is asked again', async () => {
  const { recent, ask } = counted()
  await recent.of('a', ask)
  recent.forget('a')
  expect(await recent.of('a', ask)).toBe(2)
  const away = () => Promise.reject(new Error('away'))
  await expect(recent.of('b', away)).rejects.toThrow('away')
  expect(await recent.of('b', ask)).toBe(3)
})

test('a clock that was set back makes an answer old', async () => {
  let nowMs = 10_000
  const recent = new Recent<number>(1_000, () => nowMs)
  await recent.of('a', async () => 1)
  nowMs = 5_000
  expect(await recent.of('a', async () => 2)).toBe(2)
})
