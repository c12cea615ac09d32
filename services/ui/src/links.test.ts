import { expect, test } from 'vitest'
import { apiUrl, costPath, judged, rowsPath } from './api.ts'
import { bytesText, countText, daysText, dollarsText, shareText } from './format.ts'
import { costLink, daysDefault, placeOf, rowsLink, rowsOfTier, rowsTitle } from './links.ts'

const window = { since: '2026-11-15T06:00:00.000Z', until: '2026-11-22T06:00:00.000Z' }
const place = { view: 'cost', days: 7, isAll: true } as const

test('an address holds what is shown, and one that nobody made is the default', () => {
  expect(placeOf(costLink({ view: 'cost', days: 30, isAll: true }))).toEqual({
    view: 'cost',
    days: 30,
    isAll: true,
  })
  for (const hash of ['', '#', '#/cost?days=31', '#/cost?days=x', '#/nowhere']) {
    expect(placeOf(hash)).toEqual({ view: 'cost', days: daysDefault, isAll: false })
  }
})

test('a figure’s address asks for its rows alone, within the report’s window', () => {
  const asked = { only: 'written', of: { rule: 'low-csat' } } as const
  const at = placeOf(rowsLink(place, window, asked))
  if (at.view !== 'rows') throw new Error('it leads elsewhere')
  expect(at.from).toEqual(place)
  const path = rowsPath(at.asked, 100)
  expect(Object.fromEntries(new URLSearchParams(path.split('?')[1]))).toEqual({
    ...window,
    tenants: 'all',
    only: 'written',
    rule: 'low-csat',
    limit: '100',
  })
  expect(rowsTitle(at.asked)).toBe(
    'Decisions of what was written, rule low-csat, 2026-11-15 06:00 to 2026-11-22 06:00 UTC',
  )
})

test('a name is asked for as it is, whatever is in it', () => {
  const name = 'a&b=c #?%20 “d”'
  const at = placeOf(rowsLink(place, window, { of: { service: name } }))
  expect(at.view === 'rows' && at.asked.get('service')).toBe(name)
})

test('of the first and the last day only the part within the window is asked for', () => {
  const windowOf = (day: string) => {
    const at = placeOf(rowsLink(place, window, { day }))
    return at.view === 'rows' ? [at.asked.get('since'), at.asked.get('until')] : []
  }
  expect(windowOf('2026-11-15')).toEqual([window.since, '2026-11-16T00:00:00.000Z'])
  expect(windowOf('2026-11-18')).toEqual(['2026-11-18T00:00:00.000Z', '2026-11-19T00:00:00.000Z'])
  expect(windowOf('2026-11-22')).toEqual(['2026-11-22T00:00:00.000Z', window.until])
})

test('what is fixed has no rows, the ledger has every decision, bodies those that were written', () => {
  expect(['hot', 'warm', 'cold', 'ledger', 'index', 'fixed'].map(rowsOfTier)).toEqual([
    { only: 'written' },
    { only: 'written' },
    { only: 'written' },
    {},
    {},
    undefined,
  ])
})

test('the API is asked behind whatever path a proxy puts in front', () => {
  const of = (page: string) => apiUrl(costPath({ ...place, isAll: false }), page)
  const path = 'api/v1/cost?days=7&by=rule,service,variant,root&compare=true&daily=true'
  expect(of('http://127.0.0.1:4300/ui/')).toBe(`http://127.0.0.1:4300/${path}`)
  expect(of('https://in.example/winnow/ui/')).toBe(`https://in.example/winnow/${path}`)
})

test('an answer that is no 200 says what can be done, also where it is not Winnow’s', () => {
  const error = { code: 'C', field: 'days', value: '0', remedy: 'use 1 to 365' }
  expect(judged(200, { v: 1 })).toEqual({ kind: 'answer', body: { v: 1 } })
  expect(judged(401, { error })).toEqual({ kind: 'key', remedy: 'use 1 to 365' })
  expect(judged(403, { error }).kind).toBe('scope')
  const told = { code: 'C', remedy: 'days "0": use 1 to 365' }
  expect(judged(400, { error })).toEqual({ kind: 'refused', ...told })
  expect(judged(503, { error })).toEqual({ kind: 'failed', ...told })
  expect(judged(502, null)).toEqual({
    kind: 'failed',
    code: 'HTTP 502',
    remedy: 'status 502, without a reason: is this address Winnow’s?',
  })
})

test('figures are read with three digits', () => {
  expect([0, 999, 999.6, 1_000, 1_234_567, 5e15].map(bytesText)).toEqual([
    '0 B',
    '999 B',
    '1 kB',
    '1 kB',
    '1.23 MB',
    '5 PB',
  ])
  expect([0, 0.000123, 0.5, 1292.9].map(dollarsText)).toEqual([
    '$0.00',
    '$0.000123',
    '$0.50',
    '$1,292.90',
  ])
  expect([2002, 0.03714, 10600.4].map(countText)).toEqual(['2,002', '0.0371', '10,600'])
  expect([0.0001, 0.01, 0.5, 1, 6.5].map(daysText)).toEqual([
    '8.64 seconds',
    '14.4 minutes',
    '12 hours',
    '1 day',
    '6.5 days',
  ])
  expect([shareText(1, 3), shareText(0, 0)]).toEqual(['33.3 %', '–'])
})
