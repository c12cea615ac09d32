import { expect, test } from 'vitest'
import { jumpMaxMs, LogTime } from './log-time.ts'

function after(...stamps: number[]): LogTime {
  const time = new LogTime()
  for (const stamp of stamps) time.apply(stamp)
  return time
}

test('log time is the running maximum of append timestamps', () => {
  expect(after(1000, 4000, 3000, 6000).nowMs).toBe(5000)
})

test('a jump of a minute is applied, one past it is cut and counted', () => {
  expect(after(0, jumpMaxMs)).toMatchObject({ nowMs: jumpMaxMs, jumps: 0 })
  expect(after(0, jumpMaxMs + 1)).toMatchObject({ nowMs: jumpMaxMs, jumps: 1 })
})

test('after a jump time goes on from the new stamp, not by a minute a record', () => {
  expect(after(0, 3_600_000, 3_601_000).nowMs).toBe(jumpMaxMs + 1000)
})

test('a clock that is set back by an hour does not stop log time for an hour', () => {
  const time = after(3_600_000, 0, 1000)
  expect(time.nowMs).toBe(1000)
  expect(time.jumps).toBe(1)
})
