import { type CostAnswer, type CostRows, costPricesSchema, measureCost } from '@winnow/cost'
import type { Decision } from '@winnow/model'
import type { Scope } from '@winnow/runtime'
import { ledgerRow, segmentKey, writeSegment } from '@winnow/storage'
import { expect, test } from 'vitest'
import { ApiError } from './api-error.ts'
import {
  Costs,
  costDaysMax,
  costKeptMs,
  costRowsMax,
  costsAtOnceMax,
  getCost,
  getCostRows,
} from './cost-routes.ts'
import { dayMs, decisionOn, LookupFixture, todayMs } from './lookup.fixture.ts'

const settings = {
  prices: costPricesSchema.parse({ fixed: [{ name: 'three brokers', month: 420 }] }),
  livesMs: { hot: 7 * dayMs, warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365 * dayMs },
  snapshotsPerDay: 24,
  segmentAgeMs: 60_000,
}

type Row = readonly [change: Partial<Decision>, bytes: number]

const kept = (n: number, rule: string, bytes: number, change: Partial<Decision> = {}): Row => [
  {
    ...decisionOn(n),
    verdict: 'keep',
    primary: rule,
    rules: [
      { name: rule, matched: true, probability: 1 },
      { name: 'ordinary', matched: true, probability: 0.1 },
    ],
    adjustedCount: 1,
    ...change,
  },
  bytes,
]
const dropped = (n: number, change: Partial<Decision> = {}): Row => [
  { ...decisionOn(n), ...change },
  0,
]

/** A store with a segment in each tier for every day, by how many days ago it was. */
async function filled(days: Readonly<Record<number, readonly Row[]>>, changes = {}) {
  const fixture = new LookupFixture()
  let a = 0
  // The oldest first, as a log has them.
  for (const [ago, rows] of Object.entries(days).toReversed()) {
    const atMs = todayMs - Number(ago) * dayMs
    const ledger = rows.map(([decision, bytes], at) => ({
      ...ledgerRow({ ...decisionOn(0), ...decision, decidedAtMs: atMs }, 0, a + at),
      bytes_written: bytes,
    }))
    const metadata = {
      v: 1,
      partition: 0,
      logId: 'log-1',
      a,
      b: a + rows.length - 1,
      after: { claim: 0, next: 1 },
      rows: { ledger: rows.length, warm: 0, cold: 0 },
      digest: 'd',
    }
    const held = { tier: 'ledger', rows: ledger } as const
    await writeSegment(fixture.blobs, atMs, { ...metadata, tier: 'ledger' }, held)
    for (const tier of ['warm', 'cold'] as const) {
      await fixture.blobs.create(segmentKey(tier, atMs, 0, 'log-1', a), new Uint8Array(300_000))
    }
    a += 1_000
  }
  fixture.clock.advanceMs(1_000)
  const { blobs, hot, clock } = fixture
  return { costs: new Costs({ settings, blobs, hot, clock, ...changes }), fixture }
}

const everything = 'by=rule,service,tenant,variant,root&compare=true&daily=true'

const reader = (tenant: string, scopes: readonly Scope[] = ['read', 'admin']) => ({
  tenant,
  scopes,
})

async function reportOf(
  costs: Costs,
  query = everything,
  asks = reader('default'),
): Promise<CostAnswer> {
  return (await getCost(costs, asks, new URLSearchParams(query))).body as CostAnswer
}

async function rowsOf(costs: Costs, query: string, asks = reader('default')): Promise<CostRows> {
  const asked = new URLSearchParams(query)
  const answer = await getCostRows(costs, asks, asked, todayMs + 1_000, () => false)
  return answer.body as CostRows
}

const refusal = async (answer: Promise<unknown>) => {
  const error = await answer.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ApiError)) throw new Error(`no refusal: ${error}`)
  const { status, code, field, value } = error
  return { status, code, field, value }
}

const twoTenants = {
  2: [
    kept(1, 'low-csat', 1_000),
    kept(2, 'span-error', 500, { service: 'other' }),
    dropped(3),
    kept(4, 'low-csat', 4_000, { tenant: 'somebody', service: 'SOMEBODYS' }),
  ],
  1: [
    kept(5, 'ordinary', 250, { variant: 'B' }),
    dropped(6, { tenant: 'somebody', service: 'SOMEBODYS' }),
    // Kept by chance first: its bytes were written then.
    kept(1, 'judge-failed', 50, { revision: 2 }),
  ],
}

test('of all tenants it is what the command measures, and each tenant’s parts add up to it', async () => {
  const { costs, fixture } = await filled(twoTenants)
  const fleet = await reportOf(costs, `${everything}&tenants=all`)
  const { blobs, hot, clock } = fixture
  const measured = await measureCost(
    { blobs, hotBytes: () => hot.bytes(), settings },
    {
      nowMs: clock.nowMs(),
      daysMax: 7,
      by: ['root', 'rule', 'service', 'tenant', 'variant'],
      isCompared: true,
      isDaily: true,
    },
  )
  expect(fleet).toEqual({
    ...measured,
    tenant: null,
    prices: settings.prices,
    window: {
      since: new Date(clock.nowMs() - 7 * dayMs).toISOString(),
      until: new Date(clock.nowMs()).toISOString(),
    },
  })
  const own = await Promise.all(
    ['default', 'somebody'].map(tenant => reportOf(costs, everything, reader(tenant))),
  )
  const monthly = own.reduce((sum, { monthTotal }) => sum + monthTotal, 0)
  expect(monthly).toBeCloseTo(fleet.monthTotal - 420, 9)
  const shares = fleet.by?.tenant ?? []
  for (const report of own) {
    const share = shares.find(({ name }) => name === report.tenant)
    expect(report.monthTotal).toBeCloseTo(share?.dollars.total ?? 0, 9)
    expect(report.by?.tenant?.map(({ name }) => name)).toEqual([report.tenant])
    expect(report.stored).toEqual([])
    expect(report.prices.fixed).toEqual([])
  }
  for (const tier of ['warm', 'cold', 'ledger'] as const) {
    const brought = (report: CostAnswer) =>
      (report.days ?? []).reduce((sum, { tiers }) => sum + tiers[tier], 0)
    const listed = fleet.stored.find(({ where }) => where === `${tier}/`)?.bytes ?? 0
    expect(brought(fleet)).toBe(listed)
    const shared = own.reduce((sum, report) => sum + brought(report), 0)
    expect(Math.abs(shared - listed)).toBeLessThan(4)
  }
})

test('each day of a window that is longer than hot keeps its traces is drawn with what it brought', async () => {
  const days = Object.fromEntries(
    Array.from({ length: 30 }, (_, ago) => [ago + 1, [kept(ago, 'ordinary', 1_000)]]),
  )
  const { fixture } = await filled(days)
  const { blobs, clock } = fixture
  // Seven days of what each brings.
  const source = { blobs, hotBytes: async () => 7_000, settings }
  for (const tenant of [undefined, 'default']) {
    const asked = { nowMs: clock.nowMs(), daysMax: 60, isDaily: true, tenant }
    const { days: drawn = [] } = await measureCost(source, asked)
    expect(drawn).toHaveLength(30)
    for (const { tiers } of drawn) {
      expect(tiers.hot).toBeGreaterThan(950)
      expect(tiers.hot).toBeLessThan(1_050)
    }
  }
})

test('a tenant sees its own names and no other’s, whatever it asks', async () => {
  const { costs } = await filled(twoTenants)
  const asks = reader('default', ['read'])
  const answers = [
    await reportOf(costs, everything, asks),
    await rowsOf(costs, '', asks),
    await rowsOf(costs, 'tenant=somebody', asks),
    await rowsOf(costs, 'service=SOMEBODYS', asks),
  ]
  for (const answer of answers) expect(JSON.stringify(answer)).not.toMatch(/somebody/i)
  expect(answers.slice(2)).toMatchObject([{ rows: [] }, { rows: [] }])
  const admin = { status: 403, code: 'PERMISSION_DENIED', field: 'scope', value: 'admin' }
  expect(await refusal(reportOf(costs, 'tenants=all', asks))).toEqual(admin)
  expect(await refusal(rowsOf(costs, 'tenants=all', asks))).toEqual(admin)
  expect(JSON.stringify(await rowsOf(costs, 'tenants=all&tenant=somebody'))).toContain('SOMEBODYS')
})

test('rows of every name add up to what the report says of it', async () => {
  const { costs } = await filled(twoTenants)
  for (const tenants of ['', '&tenants=all']) {
    const { by = {}, window, days = [] } = await reportOf(costs, `${everything}${tenants}`)
    const within = `since=${window.since}&until=${window.until}${tenants}`
    for (const [dimension, shares] of Object.entries(by)) {
      for (const { name, decisions, traces, kept: of, bytes } of shares) {
        const { sum, rows, more } = await rowsOf(costs, `${within}&${dimension}=${name}`)
        expect(sum, `${dimension} ${name}`).toMatchObject({ decisions, traces, kept: of, bytes })
        expect(rows.length + more).toBe(decisions)
        const added = rows.reduce((total, row) => total + row.adds.bytes, 0)
        expect(added).toBe(bytes)
      }
    }
    for (const { name, matched } of by.rule ?? []) {
      expect((await rowsOf(costs, `${within}&matched=${name}`)).sum.kept, name).toBe(matched)
    }
    for (const { day, all } of days) {
      const next = new Date(Date.parse(day) + dayMs).toISOString()
      const { sum } = await rowsOf(costs, `since=${day}&until=${next}${tenants}`)
      expect(sum.bytes, day).toBe(all.bytes)
    }
  }
  const { sum } = await rowsOf(costs, 'only=errors')
  expect(sum).toMatchObject({ kept: 1, bytes: 500 })
  expect((await rowsOf(costs, 'only=written')).rows.map(({ adds }) => adds.bytes)).toHaveLength(4)
  expect((await rowsOf(costs, 'only=kept')).sum).toMatchObject({ traces: 3, kept: 3 })
})

test('rows come newest first, costRowsMax of them at most, and the others are added up all the same', async () => {
  const many = Array.from({ length: 300 }, (_, at) => kept(at, 'ordinary', 1))
  const { costs } = await filled({ 3: many, 1: [kept(900, 'low-csat', 7)] })
  const some = await rowsOf(costs, 'limit=2')
  expect(some.rows[0]).toMatchObject({ rule: 'low-csat', adds: { bytes: 7 } })
  expect(some).toMatchObject({ more: 299, withheld: 0, sum: { decisions: 301, bytes: 307 } })
  expect((await rowsOf(costs, `limit=${costRowsMax}`)).rows.length).toBe(301)
  const over = { status: 400, code: 'INVALID_NUMBER', field: 'limit', value: `${costRowsMax + 1}` }
  expect(await refusal(rowsOf(costs, `limit=${costRowsMax + 1}`))).toEqual(over)
})

test('rows of traces that are being erased are counted and not shown', async () => {
  const { costs } = await filled({ 1: [kept(1, 'low-csat', 10), kept(2, 'low-csat', 20)] })
  const { traceId } = decisionOn(1)
  const asked = new URLSearchParams()
  const isHidden = (_: string, id: string): boolean => id === traceId
  const { body } = await getCostRows(costs, reader('default'), asked, todayMs + 1_000, isHidden)
  expect(body).toMatchObject({ withheld: 1, more: 0, sum: { decisions: 2, bytes: 30 } })
  expect(JSON.stringify(body)).not.toContain(traceId)
})

test('what cannot be asked is refused with the field and the value', async () => {
  const { costs } = await filled({})
  const status = 400
  const cases: readonly (readonly [string, object])[] = [
    ['days=0', { code: 'INVALID_NUMBER', field: 'days', value: '0' }],
    [`days=${costDaysMax + 1}`, { code: 'INVALID_NUMBER', field: 'days', value: '366' }],
    ['days=1.5', { code: 'INVALID_NUMBER', field: 'days', value: '1.5' }],
    ['by=rule,span', { code: 'INVALID_BY', field: 'by', value: 'span' }],
    ['compare=yes', { code: 'INVALID_FLAG', field: 'compare', value: 'yes' }],
    ['tenants=some', { code: 'INVALID_TENANTS', field: 'tenants', value: 'some' }],
    ['dais=7', { code: 'UNKNOWN_PARAMETER', field: 'dais' }],
  ]
  for (const [query, wanted] of cases) {
    expect(await refusal(reportOf(costs, query)), query).toMatchObject({ status, ...wanted })
  }
  expect((await reportOf(costs, `days=${costDaysMax}`)).measuredDays).toBe(0)
  const only = { status, code: 'INVALID_ONLY', field: 'only', value: 'lost' }
  expect(await refusal(rowsOf(costs, 'only=lost'))).toEqual(only)
  const year = new Date(todayMs - 365 * dayMs).toISOString()
  const until = new Date(todayMs).toISOString()
  expect((await rowsOf(costs, `since=${year}&until=${until}`)).sum.decisions).toBe(0)
  const longer = new Date(todayMs - 365 * dayMs - 1).toISOString()
  const tooLong = { status, code: 'WINDOW_TOO_LONG', field: 'since', value: longer }
  expect(await refusal(rowsOf(costs, `since=${longer}&until=${until}`))).toEqual(tooLong)
  expect(await refusal(rowsOf(costs, `since=${until}&until=${year}`))).toMatchObject({
    code: 'INVALID_TIME',
    field: 'until',
    value: year,
  })
})

test('as many objects as the limit says are listed, one more is refused with a remedy that helps', async () => {
  const days = { 1: [dropped(1)], 2: [dropped(2)] }
  // Two days of three tiers are six objects.
  const within = await filled(days, { objectsMax: 6, segmentsMax: 2 })
  const whole = await reportOf(within.costs)
  expect(whole.days?.length).toBe(2)
  expect(whole.reachedSince).toBeUndefined()
  expect((await rowsOf(within.costs, '')).sum.decisions).toBe(2)
  const objects = await filled(days, { objectsMax: 5 })
  const tooLarge = { status: 422, code: 'COST_TOO_LARGE', field: undefined }
  expect(await refusal(reportOf(objects.costs))).toMatchObject(tooLarge)
  // Fewer days have no fewer objects to be listed.
  await expect(reportOf(objects.costs)).rejects.toThrow(/winnow cost.*writer\.segmentAge/)
  await expect(reportOf(objects.costs)).rejects.not.toThrow(/fewer days/)
  const few = await filled(days, { objectsMax: 1 })
  expect(await refusal(rowsOf(few.costs, ''))).toMatchObject(tooLarge)
})

test('of more segments than the limit says the newest are read, and the answer says since when', async () => {
  const days = { 1: [kept(1, 'ordinary', 10)], 4: [kept(2, 'ordinary', 20)], 6: [dropped(3)] }
  const { costs } = await filled(days, { segmentsMax: 1 })
  const report = await reportOf(costs, `${everything}&tenants=all`)
  expect(report.reachedSince).toBe(report.window.since)
  expect(Date.parse(report.window.since)).toBeLessThanOrEqual(todayMs - dayMs)
  expect(Date.parse(report.window.since)).toBeGreaterThan(todayMs - 4 * dayMs)
  expect(report.by?.rule).toMatchObject([{ name: 'ordinary', decisions: 1, bytes: 10 }])
  expect(report.measuredDays).toBeLessThan(4)
  const rows = await rowsOf(costs, '')
  expect(rows).toMatchObject({ sum: { bytes: 10 }, reachedSince: report.window.since })
  const two = await filled(days, { segmentsMax: 2 })
  expect((await rowsOf(two.costs, '')).sum).toMatchObject({ decisions: 2, bytes: 30 })
  const all = await filled(days, { segmentsMax: 3 })
  expect((await rowsOf(all.costs, '')).reachedSince).toBeUndefined()
})

test('costsAtOnceMax questions are worked out at a time, one more is told to come again; the same one waits', async () => {
  const { costs } = await filled({ 1: [dropped(1)] })
  const running = Array.from({ length: costsAtOnceMax }, (_, at) =>
    reportOf(costs, `days=${at + 1}`),
  )
  const same = reportOf(costs, 'days=1')
  const one = await refusal(reportOf(costs, 'days=300'))
  expect(one).toMatchObject({ status: 503, code: 'TOO_MANY_COSTS' })
  expect(await same).toBe(await running[0])
  await Promise.all(running)
  expect((await reportOf(costs, 'days=300')).v).toBe(1)
})

test('a question that takes longer than costKeptMs is joined by the same one, and its answer is as old as its end', async () => {
  const { costs, fixture } = await filled({ 1: [dropped(1)] })
  const first = reportOf(costs)
  fixture.clock.advanceMs(costKeptMs + 1)
  const second = reportOf(costs)
  expect(await second).toBe(await first)
  fixture.clock.advanceMs(costKeptMs - 1)
  expect(await reportOf(costs)).toBe(await first)
})

test('an answer is given again for costKeptMs, to nobody but its tenant, and a failure is not', async () => {
  const { costs, fixture } = await filled({ 1: [dropped(1)] })
  const first = await reportOf(costs)
  fixture.clock.advanceMs(costKeptMs - 1)
  expect(await reportOf(costs)).toBe(first)
  expect(await reportOf(costs, everything, reader('somebody'))).not.toBe(first)
  fixture.clock.advanceMs(1)
  expect(await reportOf(costs)).not.toBe(first)
  const key = segmentKey('ledger', todayMs, 0, 'log-1', 77)
  await fixture.blobs.create(key, Buffer.from('no Parquet'))
  fixture.clock.advanceMs(costKeptMs)
  const unreadable = { status: 500, code: 'LEDGER_UNREADABLE' }
  expect(await refusal(reportOf(costs))).toMatchObject(unreadable)
  await fixture.blobs.delete(key)
  expect((await reportOf(costs)).days?.length).toBe(1)
})
