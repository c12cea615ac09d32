import type { Decision } from '@winnow/model'
import { silentLog } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { dayMs, decisionOn, LookupFixture, todayMs, traceIdOf } from './lookup.fixture.ts'
import { parseSearch } from './search.ts'
import { type StoredTier, searchTier, type TierSearchFrom } from './tier-search.ts'

const ago = 60
const thenMs = todayMs - ago * dayMs
const day = new Date(thenMs).toISOString().slice(0, 10)
const lives = { textMs: dayMs, tracesMs: 7 * dayMs, warmMs: 30 * dayMs, coldMs: 365 * dayMs }

const kept = (n: number, changes: Partial<Decision> = {}): Decision =>
  decisionOn(n, {
    verdict: 'keep',
    primary: 'low-csat',
    rules: [{ name: 'low-csat', matched: true, probability: 1 }],
    firstSpanAtMs: thenMs,
    decidedAtMs: thenMs + n,
    seriesAtMs: thenMs,
    lastSpanAtMs: thenMs,
    ...changes,
  })

const ask = (
  fixture: LookupFixture,
  query: string,
  {
    tenant = 'default',
    tier = 'cold' as StoredTier,
    ...changes
  }: Partial<TierSearchFrom> & {
    tenant?: string
    tier?: StoredTier
  } = {},
) =>
  searchTier(tenant, tier, parseSearch(new URLSearchParams(query), todayMs), {
    blobs: fixture.blobs,
    lives,
    nowMs: todayMs,
    log: silentLog,
    ...changes,
  })

const idsOf = ({ traces }: { readonly traces: readonly { readonly traceId: string }[] }) =>
  traces.map(({ traceId }) => traceId)

test('kept traces of a day are listed newest first, by the filters, within the tenant', async () => {
  const fixture = new LookupFixture()
  await fixture.day(ago, [
    kept(1),
    kept(2, { service: 'other' }),
    decisionOn(3, { decidedAtMs: thenMs + 3 }),
    kept(4, { tenant: 'somebody' }),
    kept(5, { gone: true }),
    kept(6, { durationMs: 9_000, variant: 'B' }),
  ])
  const all = await ask(fixture, `since=${day}`)
  expect(idsOf(all)).toEqual([6, 2, 1].map(traceIdOf))
  expect(all).toMatchObject({ tiersSearched: ['cold'], complete: true })
  expect(all.traces[0]).toMatchObject({ primary: 'low-csat', content: 'hashed', durationMs: 9_000 })
  expect(idsOf(await ask(fixture, `since=${day}&service=other`))).toEqual([traceIdOf(2)])
  expect(idsOf(await ask(fixture, `since=${day}&variant=B`))).toEqual([traceIdOf(6)])
  expect(idsOf(await ask(fixture, `since=${day}&minDurationMs=9000`))).toEqual([traceIdOf(6)])
  expect(idsOf(await ask(fixture, `since=${day}&rule=span-error`))).toEqual([])
  expect(idsOf(await ask(fixture, `since=${day}`, { tenant: 'somebody' }))).toEqual([traceIdOf(4)])
})

test('a trace that was decided again is what its last decision of the window says', async () => {
  const fixture = new LookupFixture()
  const again = kept(1, {
    revision: 2,
    decidedAtMs: thenMs + 9,
    rules: [{ name: 'judge-failed', matched: true, probability: 1 }],
    primary: 'judge-failed',
  })
  await fixture.day(ago, [kept(1), kept(2)])
  await fixture.day(ago, [again], 10)
  const { traces } = await ask(fixture, `since=${day}`)
  expect(traces.map(({ traceId, primary }) => [traceId, primary])).toEqual([
    [traceIdOf(1), 'judge-failed'],
    [traceIdOf(2), 'low-csat'],
  ])
  expect(idsOf(await ask(fixture, `since=${day}&rule=low-csat`))).toEqual([traceIdOf(2)])
})

test('a page ends at its limit, and the next goes on behind it', async () => {
  const fixture = new LookupFixture()
  await fixture.day(
    ago,
    [1, 2, 3].map(n => kept(n)),
  )
  const first = await ask(fixture, `since=${day}&limit=2`)
  expect(idsOf(first)).toEqual([3, 2].map(traceIdOf))
  const second = await ask(fixture, `since=${day}&limit=2&cursor=${first.cursor}`)
  expect(idsOf(second)).toEqual([traceIdOf(1)])
  expect(second.cursor).toBeUndefined()
})

test('what has outlived a tier is not listed from it', async () => {
  const fixture = new LookupFixture()
  await fixture.day(ago, [kept(1)])
  expect(idsOf(await ask(fixture, `since=${day}`, { tier: 'warm' }))).toEqual([])
  const short = { ...lives, coldMs: (ago - 1) * dayMs }
  expect(idsOf(await ask(fixture, `since=${day}`, { lives: short }))).toEqual([])
  expect(idsOf(await ask(fixture, `since=${day}`, { blobs: undefined }))).toEqual([])
})

test('a segment that cannot be read is named, and the answer says that it lacks it', async () => {
  const fixture = new LookupFixture()
  await fixture.day(ago, [kept(1)])
  const { segment } = await fixture.day(ago, [kept(2)], 10)
  await fixture.blobs.delete(segment)
  await fixture.blobs.create(segment, Buffer.from('no Parquet'))
  const found = await ask(fixture, `since=${day}`)
  expect(idsOf(found)).toEqual([traceIdOf(1)])
  expect(found).toMatchObject({ complete: false, unreadable: [segment] })
})

test.each([
  ['as many kept traces as a search looks at', 3, undefined],
  ['one more', 2, 422],
])('%s: tracesMax', async (_, tracesMax, status) => {
  const fixture = new LookupFixture()
  await fixture.day(
    ago,
    [1, 2, 3].map(n => kept(n)),
  )
  const asked = ask(fixture, `since=${day}`, { tracesMax })
  if (status === undefined) expect((await asked).traces).toHaveLength(3)
  else await expect(asked).rejects.toMatchObject({ status, code: 'SEARCH_TOO_LARGE' })
})

test('of the day before only segments that were written since then are read', async () => {
  const fixture = new LookupFixture()
  const { clock } = fixture
  // An hour's slack, for a store whose clock is behind.
  clock.advanceMs(Date.parse(`${day}T00:00:00Z`) - 3_600_001 - clock.nowMs())
  const old = await fixture.day(ago + 1, [kept(1)])
  clock.advanceMs(1)
  const young = await fixture.day(ago + 1, [kept(2)], 10)
  clock.advanceMs(ago * dayMs)
  await fixture.day(ago, [kept(3)], 20)
  fixture.reads.length = 0
  expect(idsOf(await ask(fixture, `since=${day}`))).toContain(traceIdOf(3))
  expect(fixture.reads.some(read => read.includes(old.segment))).toBe(false)
  expect(fixture.reads.some(read => read.includes(young.segment))).toBe(true)
})
