import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Schedule } from './schedule.ts'

test('entries come out by time, and none before its time', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 1000 })),
      fc.integer({ max: 1001 }),
      (times, before) => {
        const schedule = new Schedule<number>()
        for (const time of times) schedule.push(time, time)
        const out: number[] = []
        while (schedule.nextAtMs < before) out.push(schedule.pop().item)
        expect(out).toEqual(times.filter(time => time < before).sort((a, b) => a - b))
        expect(schedule.size).toBe(times.length - out.length)
      },
    ),
  )
})
