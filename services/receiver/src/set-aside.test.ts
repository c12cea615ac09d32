import { createLog, Metrics, systemClock } from '@winnow/runtime'
import { expect, test, vi } from 'vitest'
import { linesMax, SetAside } from './set-aside.ts'

const poison = (offset: number) => ({
  topic: 'otlp_spans',
  partition: 0,
  record: { offset, key: new Uint8Array(), value: Buffer.from('?'), appendedAtMs: 0 },
})

test('a hundred messages set aside have a line each, of one more is said that there are more', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const lines: string[] = []
  const setAside = new SetAside(
    createLog(systemClock, line => lines.push(line)),
    new Metrics(),
  )
  const said = (event: string) => lines.filter(line => line.includes(`"${event}"`)).length
  try {
    for (let offset = 0; offset < linesMax; offset++) {
      setAside.message(poison(offset), 'invalid', 'no OTLP')
    }
    expect(said('receiver.source_set_aside')).toBe(linesMax)
    expect(said('receiver.source_more_set_aside')).toBe(0)
    setAside.message(poison(linesMax), 'invalid', 'no OTLP')
    expect(said('receiver.source_set_aside')).toBe(linesMax)
    expect(said('receiver.source_more_set_aside')).toBe(1)
    vi.advanceTimersByTime(60_001)
    setAside.message(poison(linesMax + 1), 'invalid', 'no OTLP')
    expect(said('receiver.source_set_aside')).toBe(linesMax + 1)
  } finally {
    vi.useRealTimers()
  }
})
