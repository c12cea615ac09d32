import { expect, test } from 'vitest'
import { LagTrail, marksMax, noLag } from './lag-trail.ts'

test('a reader is behind since the last mark that it has passed in every partition', () => {
  const trail = new LagTrail(0, 0)
  const places = [0, 0]
  const lag = (nowMs: number, bytes: number) => trail.lag(nowMs, bytes, at => places[at] ?? 0)
  trail.mark(100, 10, [1, 0])
  trail.mark(200, 30, [2, 1])
  expect(lag(250, 30)).toEqual({ ms: 250, bytes: 30 })
  places[0] = 2
  expect(lag(250, 30)).toEqual({ ms: 150, bytes: 20 })
  places[1] = 1
  expect(lag(260, 30)).toEqual(noLag)
  trail.mark(300, 50, [3, 1])
  expect(lag(310, 50)).toEqual({ ms: 50, bytes: 20 })
})

test('a partition whose reader is not there yet has no lag, and what lies in it counts from when it is', () => {
  const trail = new LagTrail(0, 0)
  const places: (number | undefined)[] = [1, undefined]
  const lag = (nowMs: number, bytes: number) => trail.lag(nowMs, bytes, at => places[at])
  trail.mark(100, 10, [1, 4])
  expect(lag(9_000, 10)).toEqual(noLag)
  places[1] = 2
  trail.mark(9_050, 10, [1, 4])
  expect(lag(9_050, 10)).toEqual({ ms: 50, bytes: 0 })
  expect(lag(9_100, 10)).toEqual({ ms: 100, bytes: 0 })
  places[1] = 4
  expect(lag(9_150, 10)).toEqual(noLag)
})

test('silence is no lag: a log that does not grow makes no mark', () => {
  const trail = new LagTrail(0, 0)
  for (let atMs = 0; atMs <= 10_000; atMs += 50) {
    trail.mark(atMs, 0, [7])
    expect(trail.lag(atMs, 0, () => 7)).toEqual(noLag)
  }
})

test('past the most marks a long lag is still told whole, and ends with the newest mark', () => {
  const trail = new LagTrail(0, 0)
  let place = 0
  for (let n = 1; n <= 3 * marksMax; n++) trail.mark(n, n, [n])
  const nowMs = 3 * marksMax
  const lag = () => trail.lag(nowMs, nowMs, () => place)
  expect(lag()).toEqual({ ms: nowMs, bytes: nowMs })
  place = nowMs - 1
  const { ms } = lag()
  expect(ms).toBeGreaterThan(0)
  expect(ms).toBeLessThanOrEqual(8)
  place = nowMs
  expect(lag()).toEqual(noLag)
})
