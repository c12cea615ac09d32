import { expect, test } from 'vitest'
import { monthlyLines, type TierFlow, totalOf } from './cost-model.ts'
import { type Dimension, LedgerSums, nameless, namesMax, others } from './ledger-sums.ts'
import { costPricesSchema } from './prices.ts'
import { comparedPolicies, costShares } from './shares.ts'

type Row = Parameters<LedgerSums['add']>[0]

const row = (own: Partial<Row>): Row => ({
  tenant: 'default',
  trace_id: '00',
  revision: 1,
  verdict: 'keep',
  primary_rule: 'ordinary',
  rules: '["ordinary"]',
  adjusted_count: 10,
  span_count: 8,
  slice_count: 4,
  gone: false,
  service_name: 'refund-bot',
  root_name: 'refund_chat.turn',
  experiment_variant: null,
  decided_at: 1,
  sampling_offset: 0,
  bytes_written: 1_000,
  ...own,
})
const drop = { verdict: 'drop', rules: '[]', adjusted_count: 0, bytes_written: 0 } as const

function sumsOf(by: readonly Dimension[], rows: readonly Row[]): LedgerSums {
  const sums = new LedgerSums(by)
  for (const one of rows.toReversed()) sums.add(one)
  return sums
}

test('a trace counts once, by its last decision; its bytes count where they were written', () => {
  const rows = [
    row({ trace_id: 'a' }),
    row({ trace_id: 'b', ...drop }),
    // Kept by chance first, and by its outcome then.
    row({
      trace_id: 'a',
      revision: 2,
      primary_rule: 'low-csat',
      rules: '["low-csat","ordinary"]',
      adjusted_count: 1,
      bytes_written: 50,
    }),
  ]
  const sums = sumsOf(['rule', 'variant'], rows)
  expect(sums.all).toEqual({ decisions: 3, traces: 2, kept: 1, matched: 1, bytes: 1_050 })
  expect(sums.by('rule')).toEqual([
    { name: 'ordinary', decisions: 2, traces: 1, kept: 0, matched: 1, bytes: 1_000 },
    { name: 'low-csat', decisions: 1, traces: 1, kept: 1, matched: 1, bytes: 50 },
  ])
  expect(sums.by('variant')).toMatchObject([{ name: nameless, traces: 2, bytes: 1_050 }])
  // One of two traces of eight spans was kept for certain: of the other as much is to be expected.
  expect(sums.bytesOfAll).toBe(2_100)
})

test('outcomes that await their trace, and keeps whose bytes are gone, are no traces kept', () => {
  const awaiting = row({ trace_id: 'a', ...drop, slice_count: 0, span_count: 0 })
  const gone = row({ trace_id: 'b', gone: true, adjusted_count: 0, bytes_written: 0 })
  const sums = sumsOf(['tenant'], [awaiting, gone])
  expect(sums.all).toMatchObject({ decisions: 2, traces: 1, kept: 0, bytes: 0 })
  expect(sums.bytesOfAll).toBeUndefined()
})

test('names beyond namesMax are added up, and nothing of them is lost', () => {
  const rows = Array.from({ length: namesMax + 2 }, (_, at) =>
    row({ trace_id: `${at}`, service_name: `service-${at}` }),
  )
  const few = sumsOf(['service'], rows.slice(2)).by('service')
  expect(few.map(({ name }) => name)).not.toContain(others)
  expect(few.length).toBe(namesMax)
  const many = sumsOf(['service'], rows).by('service')
  expect(many.length).toBe(namesMax + 1)
  expect(many.find(({ name }) => name === others)).toMatchObject({ traces: 2, bytes: 2_000 })
})

const prices = costPricesSchema.parse({ fixed: [{ name: 'brokers', month: 100 }] })
const flow = { bytesPerDay: 1e9, objectsPerDay: 100, lifeDays: 30 }
const flows: TierFlow[] = (['hot', 'warm', 'cold', 'ledger', 'index'] as const).map(tier => ({
  tier,
  ...flow,
}))

test('shares add up to the bill without what is fixed', () => {
  const sums = sumsOf(
    ['tenant'],
    [
      row({ trace_id: 'a', tenant: 'x', bytes_written: 3_000 }),
      row({ trace_id: 'b', tenant: 'y' }),
      row({ trace_id: 'c', tenant: 'y', ...drop }),
    ],
  )
  const lines = monthlyLines(flows, prices)
  const shares = costShares(lines, sums.all, sums.by('tenant'))
  const sum = shares.reduce((total, share) => total + share.dollars.total, 0)
  expect(sum).toBeCloseTo(totalOf(lines) - 100, 9)
  const [x, y] = shares
  const warm = totalOf(lines.filter(({ tier }) => tier === 'warm'))
  expect([x?.dollars.warm, y?.dollars.warm]).toEqual([warm * 0.75, warm * 0.25])
  const ledger = totalOf(lines.filter(({ tier }) => tier === 'ledger'))
  expect(x?.dollars.ledger).toBeCloseTo(ledger / 3, 12)
  expect(y?.dollarsPerKept).toBeCloseTo(y?.dollars.total ?? 0, 12)
})

test('this policy costs what the bill says; all traffic more, errors alone less, an object each most', () => {
  const rows = Array.from({ length: 100 }, (_, at) => row({ trace_id: `${at}`, ...drop }))
  const error = { rules: '["span-error"]', primary_rule: 'span-error', adjusted_count: 1 }
  const kept = [row({ trace_id: 'k' }), row({ trace_id: 'e', ...error })]
  const sums = sumsOf([], [...rows, ...kept])
  const compared = comparedPolicies(sums, flows, prices, 1)
  const [all, own, errors] = compared
  expect(own?.dollars).toBeCloseTo(totalOf(monthlyLines(flows, prices)), 9)
  expect(own?.tiers.warm.gb).toBe(30)
  expect(all?.tiers.warm.gb).toBeCloseTo(30 * 51, 9)
  expect(all?.tiers.ledger).toEqual(own?.tiers.ledger)
  for (const { dollars, tiers } of compared) {
    const sum = Object.values(tiers).reduce((total, tier) => total + tier.dollars, 0)
    expect(dollars).toBeCloseTo(sum + 100, 9)
  }
  expect(compared.map(({ traces, bytes }) => [traces, bytes])).toEqual([
    [102, 102_000],
    [2, 2_000],
    [1, 1_000],
  ])
  expect(all?.dollars).toBeGreaterThan(own?.dollars ?? 0)
  expect(errors?.dollars).toBeLessThan(own?.dollars ?? 0)
  expect(comparedPolicies(sumsOf([], rows), flows, prices, 1)).toEqual([])
})
