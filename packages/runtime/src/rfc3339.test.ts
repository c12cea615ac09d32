import { expect, test } from 'vitest'
import { rfc3339Ms } from './rfc3339.ts'

test('dates and times with an offset are moments', () => {
  const cases: [string, string][] = [
    ['2026-11-21', '2026-11-21T00:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['2026-11-21T12:00Z', '2026-11-21T12:00:00.000Z'],
    ['2026-11-21T12:00:00Z', '2026-11-21T12:00:00.000Z'],
    ['2026-11-21T12:00:00.123456789Z', '2026-11-21T12:00:00.123Z'],
    ['2026-11-21T14:30:00+02:30', '2026-11-21T12:00:00.000Z'],
  ]
  for (const [text, moment] of cases) {
    expect(new Date(rfc3339Ms(text) ?? Number.NaN).toISOString(), text).toBe(moment)
  }
})

test('what no calendar has, or of which nobody knows when it is, is no moment', () => {
  for (const text of [
    '2026-02-29',
    '2026-02-30',
    '2026-13-01',
    '2026-11-21T25:00:00Z',
    '2026-11-21T12:00:00',
    '2026-11-21 12:00:00Z',
    '2026-11-21garbage',
    '21 Nov 2026',
    '',
  ]) {
    expect(rfc3339Ms(text), text).toBe(undefined)
  }
})
