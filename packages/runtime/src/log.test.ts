import { expect, test } from 'vitest'
import { ManualClock } from './clock.ts'
import { countingLog, createLog } from './log.ts'

function recorded(): {
  clock: ManualClock
  lines: Record<string, unknown>[]
  log: ReturnType<typeof createLog>
} {
  const clock = new ManualClock()
  const lines: Record<string, unknown>[] = []
  return { clock, lines, log: createLog(clock, line => lines.push(JSON.parse(line))) }
}

test('a kind of error is logged once a minute, and the next line says how many were held back', () => {
  const { clock, lines, log } = recorded()
  for (let i = 0; i < 5; i++) log.error('bus.down', new Error('refused'))
  clock.advanceMs(59_999)
  log.error('bus.down', new Error('refused'))
  expect(lines).toHaveLength(1)
  clock.advanceMs(1)
  log.error('bus.down', new Error('refused'))
  expect(lines).toHaveLength(2)
  expect(lines[1]).toMatchObject({ kind: 'bus.down', error: 'refused', repeated: 5 })
})

test('kinds do not hold each other back', () => {
  const { lines, log } = recorded()
  log.warn('a')
  log.warn('b')
  log.info('c', { count: 1 })
  expect(lines.map(line => line.kind)).toEqual(['a', 'b', 'c'])
})

test('a counting log counts what is held back too, and says what the other would', () => {
  const { lines, log } = recorded()
  const counted: string[] = []
  const counting = countingLog(log, level => counted.push(level))
  for (let i = 0; i < 3; i++) counting.warn('bus.slow')
  counting.error('bus.down', new Error('refused'), { topic: 'spans' })
  counting.info('bus.up')
  expect(counted).toEqual(['warn', 'warn', 'warn', 'error'])
  expect(lines.map(({ kind }) => kind)).toEqual(['bus.slow', 'bus.down', 'bus.up'])
  expect(lines[1]).toMatchObject({ error: 'refused', topic: 'spans' })
})
