import {
  type CostLine,
  monthlyLines,
  objectPerTraceFlows,
  scaledFlows,
  type TierFlow,
  totalOf,
} from './cost-model.ts'
import type { LedgerSum, LedgerSums } from './ledger-sums.ts'
import type { CostPrices } from './prices.ts'

/** What one tenant, rule, service, variant or root causes. */
export interface CostShare {
  readonly name: string
  readonly decisions: number
  readonly traces: number
  readonly kept: number
  readonly matched: number
  /** Of slices that were written, as clients sent them. */
  readonly bytes: number
  /** Of a month in which every tier is full, by tier and in all; what is fixed is nobody's. */
  readonly dollars: Readonly<Record<SharedTier | 'total', number>>
  /** Null where none was kept. */
  readonly dollarsPerKept: number | null
}

type SharedTier = TierFlow['tier']

/**
 * Shares out a month's bill: hot, warm and cold by the bytes of slices that were written, the ledger and
 * what finds its decisions by decisions.
 */
export function costShares(
  lines: readonly CostLine[],
  all: LedgerSum,
  rows: readonly (LedgerSum & { readonly name: string })[],
): CostShare[] {
  const of = (tier: SharedTier): number => totalOf(lines.filter(line => line.tier === tier))
  const dollars = {
    hot: of('hot'),
    warm: of('warm'),
    cold: of('cold'),
    ledger: of('ledger'),
    index: of('index'),
  }
  return rows.map(({ name, decisions, traces, kept, matched, bytes }) => {
    const byBytes = all.bytes === 0 ? 0 : bytes / all.bytes
    const byDecisions = all.decisions === 0 ? 0 : decisions / all.decisions
    const own = {
      hot: dollars.hot * byBytes,
      warm: dollars.warm * byBytes,
      cold: dollars.cold * byBytes,
      ledger: dollars.ledger * byDecisions,
      index: dollars.index * byDecisions,
    }
    const total = own.hot + own.warm + own.cold + own.ledger + own.index
    return {
      name,
      decisions,
      traces,
      kept,
      matched,
      bytes,
      dollars: { ...own, total },
      dollarsPerKept: kept === 0 ? null : total / kept,
    }
  })
}

/** A month of one policy on the traffic that was measured. */
export interface PolicyCost {
  readonly policy: 'keep all' | 'this policy' | 'errors only'
  readonly traces: number
  /** Of the slices that it has written; of all traffic estimated by the weights of what was kept. */
  readonly bytes: number
  /** In segments, as Winnow writes them; of this policy what the report's lines add up to. */
  readonly dollars: number
  /** Of these: what a tier holds once it is full, and a month of it. */
  readonly tiers: Readonly<Record<SharedTier, { readonly gb: number; readonly dollars: number }>>
  /** With an object for each trace in every tier, and no ledger. */
  readonly dollarsAsObjects: number
}

/** Nothing where nothing was kept: there are no bytes to go by. */
export function comparedPolicies(
  { all, errors, bytesOfAll }: Pick<LedgerSums, 'all' | 'errors' | 'bytesOfAll'>,
  flows: readonly TierFlow[],
  prices: CostPrices,
  days: number,
): PolicyCost[] {
  if (bytesOfAll === undefined || all.bytes === 0 || days <= 0) return []
  const costOf = (policy: PolicyCost['policy'], traces: number, bytes: number): PolicyCost => {
    const scaled = scaledFlows(flows, bytes / all.bytes)
    const lines = monthlyLines(scaled, prices)
    const objects = objectPerTraceFlows(scaled, traces / days, prices)
    return {
      policy,
      traces,
      bytes: Math.round(bytes),
      dollars: totalOf(lines),
      tiers: byTier(scaled, lines),
      dollarsAsObjects: totalOf(monthlyLines(objects, prices)),
    }
  }
  return [
    costOf('keep all', all.traces, bytesOfAll),
    costOf('this policy', all.kept, all.bytes),
    costOf('errors only', errors.kept, errors.bytes),
  ]
}

function byTier(flows: readonly TierFlow[], lines: readonly CostLine[]): PolicyCost['tiers'] {
  const of = (tier: SharedTier) => {
    const own = flows.filter(flow => flow.tier === tier)
    return {
      gb: own.reduce((sum, { bytesPerDay, lifeDays }) => sum + bytesPerDay * lifeDays, 0) / 1e9,
      dollars: totalOf(lines.filter(line => line.tier === tier)),
    }
  }
  return {
    hot: of('hot'),
    warm: of('warm'),
    cold: of('cold'),
    ledger: of('ledger'),
    index: of('index'),
  }
}
