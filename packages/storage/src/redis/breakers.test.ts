import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { Breakers } from './breakers.ts'

const minMs = 500
const maxMs = 1_500

function broken(): { breakers: Breakers; clock: ManualClock } {
  const clock = new ManualClock()
  const breakers = new Breakers(clock, { minMs, maxMs })
  expect(breakers.mayTry(3)).toBe(true)
  breakers.failed(3)
  return { breakers, clock }
}

test('after a failure nobody tries until the wait is over, and then one', () => {
  const { breakers, clock } = broken()
  clock.advanceMs(minMs - 1)
  expect(breakers.mayTry(3)).toBe(false)
  clock.advanceMs(1)
  expect([breakers.mayTry(3), breakers.mayTry(3)]).toEqual([true, false])
})

test('a probe that passes closes, one that fails doubles the wait up to the longest', () => {
  const { breakers, clock } = broken()
  for (const waitMs of [minMs, 2 * minMs, maxMs, maxMs]) {
    clock.advanceMs(waitMs - 1)
    expect(breakers.mayTry(3), `${waitMs}`).toBe(false)
    clock.advanceMs(1)
    expect(breakers.mayTry(3), `${waitMs}`).toBe(true)
    breakers.failed(3)
  }
  clock.advanceMs(maxMs)
  expect(breakers.mayTry(3)).toBe(true)
  breakers.passed(3)
  expect(breakers.open).toBe(0)
  expect([breakers.mayTry(3), breakers.mayTry(3)]).toEqual([true, true])
})

test('answers to what was asked before it broke change nothing', () => {
  const { breakers, clock } = broken()
  breakers.passed(3)
  breakers.failed(3)
  clock.advanceMs(minMs - 1)
  expect(breakers.mayTry(3)).toBe(false)
  clock.advanceMs(1)
  expect(breakers.mayTry(3)).toBe(true)
})

test('a probe of which nobody hears is followed by another', () => {
  const { breakers, clock } = broken()
  clock.advanceMs(minMs)
  expect(breakers.mayTry(3)).toBe(true)
  clock.advanceMs(minMs)
  expect(breakers.mayTry(3)).toBe(true)
})

test('each key has its own, and a reset closes all', () => {
  const { breakers } = broken()
  expect(breakers.mayTry(4)).toBe(true)
  breakers.failed(4)
  expect(breakers.open).toBe(2)
  breakers.reset()
  expect([breakers.mayTry(3), breakers.mayTry(4), breakers.open]).toEqual([true, true, 0])
})
