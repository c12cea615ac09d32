import { expect, test } from 'vitest'
import {
  type CostLine,
  forecast,
  monthlyLines,
  objectPerTraceFlows,
  scaledFlows,
  type TierFlow,
  totalOf,
} from './cost-model.ts'
import { type CostPrices, costPricesSchema } from './prices.ts'

/** A trace of 25 KB, as the refund bot of the chapter on traces stores it. */
const traceBytes = 25_000

/** Its prices: the hot tier twice, for the index. */
const chapterPrices: CostPrices = costPricesSchema.parse({
  hot: { gbMonth: 0.023, copies: 2, putsPer1000: 0.005 },
  warm: { gbMonth: 0.0125, putsPer1000: 0.01, objectMin: '125KiB', daysMin: 0 },
  cold: { gbMonth: 0.004, putsPer1000: 0.02, objectMin: '125KiB', daysMin: 0 },
})

/** Every tier is written at once. `isBatched`: objects so large that their count costs nothing. */
function flowsOf(tracesPerDay: number, isBatched: boolean): TierFlow[] {
  const flow = {
    bytesPerDay: tracesPerDay * traceBytes,
    objectsPerDay: isBatched ? 0 : tracesPerDay,
  }
  // 128 KB are billed of an object of 25.
  const shortBytesPerDay = flow.objectsPerDay * (128_000 - traceBytes)
  return [
    { tier: 'hot', ...flow, lifeDays: 7 },
    { tier: 'warm', ...flow, shortBytesPerDay, lifeDays: 30 },
    { tier: 'cold', ...flow, shortBytesPerDay, lifeDays: 365 },
  ]
}

const rounded = (lines: readonly CostLine[]) =>
  lines.map(({ tier, what, dollars }) => `${tier} ${what} $${dollars.toFixed(2)}`)

test('a million traces a day in segments: every line, and $53.9 a month', () => {
  const lines = monthlyLines(flowsOf(1_000_000, true), chapterPrices)
  expect(lines.map(({ tier, what, quantity }) => `${tier} ${what} ${quantity}`)).toEqual([
    'hot storage 175',
    'hot copies 175',
    'warm storage 750',
    'cold storage 9125',
  ])
  expect(rounded(lines)).toEqual([
    'hot storage $4.03',
    'hot copies $4.03',
    'warm storage $9.38',
    'cold storage $36.50',
  ])
  expect(totalOf(lines)).toBeCloseTo(53.925, 6)
})

test('an object for each of them: requests and the smallest billed size make it $1,293', () => {
  const lines = monthlyLines(flowsOf(1_000_000, false), chapterPrices)
  expect(rounded(lines)).toEqual([
    'hot storage $4.03',
    'hot copies $4.03',
    'hot objects made $150.00',
    'warm storage $9.38',
    'warm minimum size $38.63',
    'warm objects made $300.00',
    'cold storage $36.50',
    'cold minimum size $150.38',
    'cold objects made $600.00',
  ])
  expect(totalOf(lines)).toBeCloseTo(1292.93, 2)
})

test.for([
  { row: 'keep all', traces: 1_000_000, batched: 53.9, single: 1292.9 },
  { row: 'by outcome', traces: 150_000, batched: 8.1, single: 193.9 },
  { row: 'errors only', traces: 30_000, batched: 1.6, single: 38.8 },
])('the row "$row" is $batched in segments and $single as objects', row => {
  const dollars = (isBatched: boolean) =>
    totalOf(monthlyLines(flowsOf(row.traces, isBatched), chapterPrices))
  expect(dollars(true)).toBeCloseTo(row.batched, 1)
  expect(dollars(false)).toBeCloseTo(row.single, 1)
})

test('what a class bills beyond the time it was stored is a line of its own', () => {
  const prices = costPricesSchema.parse({ cold: { gbMonth: 1, daysMin: 90, objectMin: '0B' } })
  const flow: TierFlow = { tier: 'cold', bytesPerDay: 1e9, objectsPerDay: 0, lifeDays: 60 }
  expect(rounded(monthlyLines([flow], prices))).toEqual([
    'cold storage $60.00',
    'cold minimum time $30.00',
  ])
  expect(rounded(monthlyLines([{ ...flow, lifeDays: 90 }], prices))).toEqual([
    'cold storage $90.00',
  ])
})

test('a forecast grows until every tier is full, and then no more', () => {
  const flows = flowsOf(1_000_000, true)
  const [first, week, month, year, later] = forecast(
    flows,
    chapterPrices,
    [1, 7, 30, 365, 1000],
  ).map(({ dollars }) => dollars)
  // A day of hot twice, of warm, and of cold.
  expect(first).toBeCloseTo(25 * (0.046 + 0.0125 + 0.004), 6)
  expect(week).toBeCloseTo(7 * 25 * (0.046 + 0.0125 + 0.004), 6)
  expect(month).toBeCloseTo(7 * 25 * 0.046 + 30 * 25 * (0.0125 + 0.004), 6)
  expect(year).toBeCloseTo(53.925, 6)
  expect(later).toBe(year)
})

test('what is fixed is in every month, whatever comes in', () => {
  const prices = costPricesSchema.parse({ fixed: [{ name: 'three brokers', month: 420 }] })
  expect(monthlyLines([], prices)).toEqual([
    { tier: 'fixed', what: 'three brokers', quantity: 1, unit: 'month', price: 420, dollars: 420 },
  ])
})

test('the rows of the chapter follow from each other: three tenths of a tenth, and an object for each', () => {
  const all = flowsOf(1_000_000, true)
  const dollars = (flows: readonly TierFlow[]) => totalOf(monthlyLines(flows, chapterPrices))
  expect(dollars(scaledFlows(all, 0.15))).toBeCloseTo(8.089, 3)
  expect(dollars(scaledFlows(all, 0.03))).toBeCloseTo(1.618, 3)
  expect(dollars(objectPerTraceFlows(all, 1_000_000, chapterPrices))).toBeCloseTo(1292.93, 2)
})

test('a policy that keeps more fills its objects, and the ledger has as much as before', () => {
  const flow = { bytesPerDay: 100, objectsPerDay: 2, shortBytesPerDay: 60, lifeDays: 30 }
  const flows: TierFlow[] = [
    { tier: 'warm', ...flow },
    { tier: 'ledger', ...flow },
  ]
  const warm = (factor: number) => scaledFlows(flows, factor)[0]
  expect(scaledFlows(flows, 1)).toEqual(flows)
  expect(warm(1.5)).toMatchObject({ bytesPerDay: 150, objectsPerDay: 2, shortBytesPerDay: 10 })
  expect(warm(2)).toMatchObject({ bytesPerDay: 200, shortBytesPerDay: 0 })
  expect(warm(0.5)).toMatchObject({ bytesPerDay: 50, shortBytesPerDay: 110 })
  expect(scaledFlows(flows, 3)[1]).toEqual(flows[1])
})
