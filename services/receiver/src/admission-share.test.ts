import { expect, test } from 'vitest'
import { FairShare, shareSlackBytes, shareTenantsMax, shareWindowMs } from './admission-share.ts'

function shares(): { share: FairShare; at: (ms: number) => void } {
  let nowMs = 1_000_000
  const fromMs = nowMs
  const at = (ms: number): void => {
    nowMs = fromMs + ms
  }
  return { share: new FairShare(() => nowMs), at }
}

/** So much that the slack is little. */
const large = 100 * shareSlackBytes

test('up to the slack over an equal share a tenant is not above it, one byte more and it is', () => {
  const { share } = shares()
  share.add('a', large)
  share.add('b', large)
  expect([share.isAbove('a'), share.isBelow('a')]).toEqual([false, false])
  // Of two tenants one has the share and the slack when it has twice the slack more than the other.
  share.add('a', 2 * shareSlackBytes)
  expect([share.isAbove('a'), share.isBelow('a')]).toEqual([false, false])
  expect([share.isAbove('b'), share.isBelow('b')]).toEqual([false, true])
  share.add('a', 1)
  expect([share.isAbove('a'), share.isAbove('b')]).toEqual([true, false])
})

test('a tenant alone is neither above nor below, whatever it takes; one that comes new is below', () => {
  const { share } = shares()
  expect([share.isAbove('a'), share.isBelow('a')]).toEqual([false, false])
  share.add('a', 1e12)
  expect([share.isAbove('a'), share.isBelow('a')]).toEqual([false, false])
  expect([share.isAbove('b'), share.isBelow('b')]).toEqual([false, true])
})

test('what a modest tenant sent before a flood began is not held against it', () => {
  const { share } = shares()
  share.add('modest', shareSlackBytes)
  share.add('flood', 1)
  expect([share.isAbove('modest'), share.isAbove('flood')]).toEqual([false, false])
  share.add('flood', 4 * shareSlackBytes)
  expect([share.isAbove('modest'), share.isAbove('flood')]).toEqual([false, true])
})

test('what a tenant took counts whole for a window, then fades, and is forgotten after two', () => {
  const { share, at } = shares()
  share.add('a', large)
  at(shareWindowMs - 1)
  share.add('b', large / 2)
  expect(share.isAbove('a')).toBe(true)
  at(shareWindowMs * 1.5)
  // Half is left of each.
  share.add('b', large / 4)
  expect([share.isAbove('a'), share.isAbove('b')]).toEqual([false, false])
  share.add('b', 3 * shareSlackBytes)
  expect([share.isAbove('a'), share.isAbove('b')]).toEqual([false, true])
  at(2 * shareWindowMs)
  expect(share.isBelow('a')).toBe(true)
  at(10 * shareWindowMs)
  share.add('b', 1)
  expect([share.isAbove('b'), share.isBelow('b')]).toEqual([false, false])
})

test('a clock that is set back forgets nothing at once and goes on fading from there', () => {
  const { share, at } = shares()
  share.add('a', large)
  share.add('b', 10)
  at(-3_600_000)
  expect(share.isAbove('a')).toBe(true)
  at(-3_600_000 + 2 * shareWindowMs)
  expect(share.isAbove('a')).toBe(false)
})

test('tenants up to the limit are counted apart, those beyond it together', () => {
  const { share } = shares()
  for (let n = 0; n < shareTenantsMax; n++) share.add(`tenant ${n}`, 10 * shareSlackBytes)
  expect(share.isAbove('tenant 0')).toBe(false)
  share.add('one more', 6 * shareSlackBytes)
  expect(share.isBelow('one more')).toBe(true)
  share.add('another', 6 * shareSlackBytes)
  // Each took less than the others, and both of them more.
  expect([share.isAbove('one more'), share.isAbove('another')]).toEqual([true, true])
  expect(share.isAbove('tenant 0')).toBe(false)
})
