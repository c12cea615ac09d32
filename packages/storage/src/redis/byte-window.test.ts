import { ManualClock } from '@winnow/runtime'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteWindow } from './byte-window.ts'

const lifeMs = 3_200
const paneMs = 100

test('what was added counts for its whole life, and at most two panes longer', () => {
  const step = fc.record({ afterMs: fc.nat({ max: 900 }), bytes: fc.nat({ max: 1_000 }) })
  const property = fc.property(fc.array(step), steps => {
    const clock = new ManualClock()
    const window = new ByteWindow(clock, lifeMs)
    const added: { readonly atMs: number; readonly bytes: number }[] = []
    const since = (atMs: number): number =>
      added.filter(one => one.atMs > atMs).reduce((sum, { bytes }) => sum + bytes, 0)
    for (const { afterMs, bytes } of steps) {
      clock.advanceMs(afterMs)
      window.add(bytes)
      added.push({ atMs: clock.nowMs(), bytes })
      expect(window.bytes).toBeGreaterThanOrEqual(since(clock.nowMs() - lifeMs))
      expect(window.bytes).toBeLessThanOrEqual(since(clock.nowMs() - lifeMs - 2 * paneMs))
    }
    clock.advanceMs(lifeMs + 2 * paneMs)
    expect(window.bytes).toBe(0)
  })
  fc.assert(property, { numRuns: 500 })
})

test('a clock that is set back by more than a life does not make the bytes stay', () => {
  const clock = new ManualClock()
  clock.advanceMs(10 * lifeMs)
  const window = new ByteWindow(clock, lifeMs)
  window.add(7)
  clock.advanceMs(-paneMs)
  expect(window.bytes).toBe(7)
  clock.advanceMs(-2 * lifeMs)
  window.add(5)
  expect(window.bytes).toBe(5)
  clock.advanceMs(lifeMs + 2 * paneMs)
  expect(window.bytes).toBe(0)
})
