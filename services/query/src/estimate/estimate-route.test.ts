import type { DecisionHead } from '@winnow/model'
import { emptyPack, MemoryHotStore, type TraceFilter } from '@winnow/storage'
import { expect, test } from 'vitest'
import { dayMs, decisionOn, todayMs } from '../lookup.fixture.ts'
import { parseSearch } from '../search.ts'
import { Estimates, estimatedTracesMax, estimatesAtOnceMax } from './estimate-route.ts'

const passing = 'f0000000000000'
const kept = (n: number, changes: Partial<DecisionHead> = {}) => ({
  ...decisionOn(n),
  verdict: 'keep' as const,
  rules: [
    { name: 'span-error', matched: n % 10 === 0, probability: 1 },
    { name: 'ordinary', matched: true, probability: 0.1, value: passing },
  ],
  ...(n % 10 === 0 && { probability: 1, th: '0', stratum: 'span-error' }),
  decidedAtMs: todayMs + n,
  sliceCount: 1,
  inputTokens: 100,
  ...changes,
})

async function storeOf(decisions: readonly DecisionHead[]): Promise<MemoryHotStore> {
  const hot = new MemoryHotStore()
  await hot.put(
    decisions.map((decision, offset) => ({
      decision,
      logId: 'log',
      partition: 0,
      offset,
      spans: emptyPack,
      bodies: [],
    })),
  )
  return hot
}

const estimates = new Estimates()
const ask = (hot: Pick<MemoryHotStore, 'search'>, query: string, tenant = 'default') =>
  estimates.answer(
    tenant,
    parseSearch(new URLSearchParams(query), todayMs + dayMs),
    hot as MemoryHotStore,
    dayMs,
  )

test('every page of kept traces is read, within the filters of a search', async () => {
  const hot = await storeOf(
    Array.from({ length: 2_500 }, (_, n) => kept(n, { service: n < 500 ? 'a' : 'b' })),
  )
  const all = await ask(hot, '')
  expect(all).toMatchObject({ kept: 2_500, tiersSearched: ['hot'], window: { since: null } })
  expect(all.traces.value).toBeCloseTo(250 + 2_250 * 10, 6)
  expect(all.sums.inputTokens.value).toBeCloseTo(100 * (250 + 2_250 * 10), 3)
  expect(all.rules[0]).toMatchObject({
    rule: 'span-error',
    kept: 250,
    traces: { value: 250, low: 250, high: 250 },
  })
  expect((await ask(hot, 'service=a')).kept).toBe(500)
  const since = new Date(todayMs + 2_000).toISOString()
  const later = await ask(hot, `since=${since}`)
  expect(later).toMatchObject({ kept: 500, window: { since, until: null } })
  expect((await ask(hot, 'rule=span-error')).traces).toEqual({ value: 250, low: 250, high: 250 })
})

test('another tenant’s traces are in no estimate', async () => {
  const hot = await storeOf([kept(1), kept(2, { tenant: 'other' })])
  expect(await ask(hot, '', 'other')).toMatchObject({ kept: 1 })
  const nobody = await ask(hot, '', 'third')
  expect(nobody).toMatchObject({ kept: 0, traces: { value: 0, low: 0, high: null }, rules: [] })
})

test('where no kept trace is like those asked for, what may have been dropped is bounded by the policy', async () => {
  const { kept: count, traces, rules } = await ask(await storeOf([kept(1)]), 'service=unheard')
  expect([count, traces.value, traces.low]).toEqual([0, 0, 0])
  expect(traces.high).toBeCloseTo(30.8, 1)
  expect(rules).toMatchObject([{ rule: 'span-error', traces: { high: 0 }, share: null }])
})

test('estimatedTracesMax kept traces are read, of one more the answer is since when to ask', async () => {
  /** A store of so many alike, by page, newest first: a real one would take its time. */
  const of = (count: number): Pick<MemoryHotStore, 'search'> => ({
    search: async ({ cursor, limit }: TraceFilter) => {
      const from = Number(cursor ?? 0)
      const end = Math.min(count, from + limit)
      const decisions = Array.from({ length: end - from }, (_, n) =>
        kept(1, { decidedAtMs: todayMs - from - n }),
      )
      return end < count ? { decisions, cursor: String(end) } : { decisions }
    },
  })
  expect((await ask(of(estimatedTracesMax), '')).kept).toBe(estimatedTracesMax)
  const since = new Date(todayMs - estimatedTracesMax + 1).toISOString()
  await expect(ask(of(estimatedTracesMax + 1), '')).rejects.toMatchObject({
    status: 422,
    code: 'ESTIMATE_TOO_LARGE',
    field: 'since',
    remedy: expect.stringContaining(`since=${since}`),
  })
})

test('estimatesAtOnceMax run at a time; one more is told to come again, and may then', async () => {
  const hot = await storeOf([kept(0)])
  const released = Promise.withResolvers<void>()
  const slow: Pick<MemoryHotStore, 'search'> = {
    search: async filter => {
      await released.promise
      return hot.search(filter)
    },
  }
  const running = Array.from({ length: estimatesAtOnceMax }, () => ask(slow, ''))
  await expect(ask(slow, '')).rejects.toMatchObject({ status: 503, code: 'TOO_MANY_ESTIMATES' })
  released.resolve()
  await Promise.all(running)
  expect(await ask(hot, '')).toMatchObject({ kept: 1 })
})
