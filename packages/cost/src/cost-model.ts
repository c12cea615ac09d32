import type { CostPrices, TierPrice } from './prices.ts'

/** What one day brings into a tier, and how long it stays there. */
export interface TierFlow {
  readonly tier: Exclude<keyof CostPrices, 'fixed'>
  readonly bytesPerDay: number
  /** 0 where the store has no objects that are paid for. */
  readonly objectsPerDay: number
  /** What its objects are short of the least size that is billed, added up object by object; absent: nothing. */
  readonly shortBytesPerDay?: number
  readonly lifeDays: number
}

/** One line of a month's bill. `dollars` is what `quantity` times `price` gives. */
export interface CostLine {
  /** A tier; `fixed` for what no tier causes. */
  readonly tier: string
  readonly what: string
  readonly quantity: number
  readonly unit: 'GB-month' | '1,000 requests' | 'month'
  readonly price: number
  readonly dollars: number
}

/** A month has 30 days, so that figures of two months compare. */
export const daysOfMonth = 30

const gigabyte = 1e9

/**
 * The bill of one month, a line for each cause, once every tier has been filled for `afterDays`
 * (absent: for its whole life). What is smaller than a class allows, or goes sooner, is a line of its
 * own: it is what batching saves.
 */
export function monthlyLines(
  flows: readonly TierFlow[],
  prices: CostPrices,
  afterDays = Number.POSITIVE_INFINITY,
): CostLine[] {
  return [
    ...flows.flatMap(flow => linesOf(flow, prices[flow.tier], afterDays)),
    ...prices.fixed.map(({ name, month }) => line('fixed', name, 1, 'month', month)),
  ]
}

function linesOf(flow: TierFlow, price: TierPrice, afterDays: number): CostLine[] {
  const { tier, bytesPerDay, objectsPerDay, shortBytesPerDay = 0, lifeDays } = flow
  const days = Math.min(lifeDays, afterDays)
  const storedGb = (bytesPerDay * days) / gigabyte
  // What is deleted goes on being paid for until the class's least time is over.
  const unservedDays = Math.max(0, Math.min(price.daysMin, afterDays) - days)
  const billedPerDayGb = (bytesPerDay + shortBytesPerDay) / gigabyte
  const shortGb = (shortBytesPerDay * days) / gigabyte
  const lines = [
    line(tier, 'storage', storedGb, 'GB-month', price.gbMonth),
    line(tier, 'copies', storedGb * (price.copies - 1), 'GB-month', price.gbMonth),
    line(tier, 'minimum size', shortGb, 'GB-month', price.gbMonth),
    line(tier, 'minimum time', billedPerDayGb * unservedDays, 'GB-month', price.gbMonth),
    line(
      tier,
      'objects made',
      (objectsPerDay * daysOfMonth) / 1000,
      '1,000 requests',
      price.putsPer1000,
    ),
  ]
  return lines.filter(({ what, dollars }) => what === 'storage' || dollars > 0)
}

function line(
  tier: string,
  what: string,
  quantity: number,
  unit: CostLine['unit'],
  price: number,
): CostLine {
  return { tier, what, quantity, unit, price, dollars: quantity * price }
}

/** Dollars of some lines. */
export function totalOf(lines: readonly CostLine[]): number {
  return lines.reduce((sum, { dollars }) => sum + dollars, 0)
}

/** What the month costs that ends after so many days, from an empty store on: in all, and by tier. */
export function forecast(
  flows: readonly TierFlow[],
  prices: CostPrices,
  days: readonly number[],
): {
  readonly day: number
  readonly dollars: number
  readonly tiers: Readonly<Record<string, number>>
}[] {
  return days.map(day => {
    const lines = monthlyLines(flows, prices, day)
    const tiers: Record<string, number> = {}
    for (const { tier, dollars } of lines) tiers[tier] = (tiers[tier] ?? 0) + dollars
    return { day, dollars: totalOf(lines), tiers }
  })
}

const isKept = ({ tier }: TierFlow): boolean => tier === 'hot' || tier === 'warm' || tier === 'cold'

/**
 * The flows of another policy, which keeps `factor` times the bytes: as many objects, larger or smaller
 * ones. The ledger has every decision under any policy.
 */
export function scaledFlows(flows: readonly TierFlow[], factor: number): TierFlow[] {
  return flows.map(flow => {
    if (!isKept(flow)) return flow
    const { bytesPerDay, shortBytesPerDay = 0 } = flow
    // What an object grows by it no longer is short of.
    const short = Math.max(0, shortBytesPerDay - bytesPerDay * (factor - 1))
    return {
      ...flow,
      bytesPerDay: bytesPerDay * factor,
      shortBytesPerDay: shortBytesPerDay === 0 ? 0 : short,
    }
  })
}

/** The flows of a store that makes an object for each trace, of the same bytes in all, and no ledger. */
export function objectPerTraceFlows(
  flows: readonly TierFlow[],
  tracesPerDay: number,
  prices: CostPrices,
): TierFlow[] {
  return flows.filter(isKept).map(flow => ({
    ...flow,
    objectsPerDay: tracesPerDay,
    shortBytesPerDay: Math.max(0, tracesPerDay * prices[flow.tier].objectMin - flow.bytesPerDay),
  }))
}
