import { expect, test } from 'vitest'
import { contentByAge, contentOf, mayHaveText } from './content.ts'
import { decisionOn } from './lookup.fixture.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const lives = { textMs: dayMs, tracesMs: 7 * dayMs, warmMs: 30 * dayMs, coldMs: 365 * dayMs }
const decidedAtMs = Date.UTC(2026, 10, 21, 7, 30)
const kept = decisionOn(1, {
  verdict: 'keep',
  decidedAtMs,
  seriesAtMs: decidedAtMs,
  lastSpanAtMs: decidedAtMs,
})
const at = (iso: string): number => Date.parse(iso)

test('levels follow each other as the tiers end', () => {
  const levels = [
    ['2026-11-22T07:59:59.999Z', 'full'],
    // The hour 7 is over at 8, and its text a day later.
    ['2026-11-22T08:00:00Z', 'structured'],
    ['2026-12-20T23:59:59.999Z', 'structured'],
    ['2026-12-21T00:00:00Z', 'hashed'],
    ['2027-11-20T23:59:59.999Z', 'hashed'],
    ['2027-11-21T00:00:00Z', 'none'],
  ] as const
  for (const [time, level] of levels) {
    expect(contentByAge(kept, at(time), lives)?.level, time).toBe(level)
  }
})

test('each level says since when, until when and what is not there', () => {
  expect(contentByAge(kept, decidedAtMs, lives)).toEqual({
    level: 'full',
    since: null,
    until: '2026-11-22T08:00:00.000Z',
    missing: [],
  })
  expect(contentByAge(kept, decidedAtMs + 2 * dayMs, lives)).toEqual({
    level: 'structured',
    since: '2026-11-22T08:00:00.000Z',
    until: '2026-12-21T00:00:00.000Z',
    missing: ['text'],
  })
  expect(contentByAge(kept, decidedAtMs + 40 * dayMs, lives)).toEqual({
    level: 'hashed',
    since: '2026-12-21T00:00:00.000Z',
    until: '2027-11-21T00:00:00.000Z',
    missing: ['text', 'strings'],
  })
  expect(contentByAge(kept, decidedAtMs + 400 * dayMs, lives)).toMatchObject({
    level: 'none',
    until: null,
    missing: ['text', 'strings', 'spans'],
  })
})

test('nothing is said of what is not held: dropped, awaiting, gone', () => {
  for (const changes of [{ verdict: 'drop' }, { sliceCount: 0 }, { gone: true }] as const) {
    expect(contentByAge({ ...kept, ...changes }, decidedAtMs, lives)).toBeUndefined()
  }
})

test('where the last revision came later than the spans, age alone does not promise the text', () => {
  const revised = {
    ...kept,
    revision: 2,
    decidedAtMs: decidedAtMs + 5 * hourMs,
    weighedAtMs: decidedAtMs,
  }
  const between = at('2026-11-22T09:00:00Z')
  expect(contentByAge(revised, between, lives)?.level).toBe('structured')
  expect(mayHaveText(revised, between, lives)).toBe(true)
  expect(mayHaveText(revised, decidedAtMs, lives)).toBe(false)
  expect(mayHaveText(revised, at('2026-11-22T13:00:00Z'), lives)).toBe(false)
  expect(mayHaveText(kept, between, lives)).toBe(false)
})

test('what was found decides over what age would allow, and lacking spans are said', () => {
  const lacking = contentOf(kept, { tier: 'warm', hasText: false, spans: 7 }, decidedAtMs, lives)
  expect(lacking).toMatchObject({ level: 'structured', since: null, missing: ['text', 'spans'] })
  const found = { tier: 'cold', hasText: false, spans: 8, date: '2026-11-20' } as const
  expect(contentOf(kept, found, decidedAtMs + 29.9 * dayMs, lives)).toMatchObject({
    level: 'hashed',
    since: '2026-12-21T00:00:00.000Z',
    until: '2027-11-21T00:00:00.000Z',
  })
})

test('a keep of bytes that were older than a text’s life never had its text', () => {
  const late = { ...kept, firstSpanAtMs: decidedAtMs - dayMs, lastSpanAtMs: decidedAtMs - dayMs }
  expect(contentByAge(late, decidedAtMs + hourMs, lives)).toMatchObject({
    level: 'structured',
    since: '2026-11-21T08:00:00.000Z',
    missing: ['text'],
  })
})
