import { type BlobStore, dateOf } from '@winnow/storage'
import { type CostLine, forecast, monthlyLines, type TierFlow, totalOf } from './cost-model.ts'
import { planLedger } from './ledger-plan.ts'
import { type Dimension, type LedgerDay, LedgerSums } from './ledger-sums.ts'
import type { CostPrices } from './prices.ts'
import { type CostShare, comparedPolicies, costShares, type PolicyCost } from './shares.ts'
import { type SpanShares, spanShares } from './span-shares.ts'
import { type MeasureOptions, measureStored, type Stored, type StoredFolder } from './stored.ts'

type Tier = TierFlow['tier']

/** What a pipeline's configuration says of its costs. */
export interface CostSettings {
  readonly prices: CostPrices
  /** How long each tier keeps what it has, milliseconds. */
  readonly livesMs: MeasureOptions['livesMs']
  readonly snapshotsPerDay: number
  readonly segmentAgeMs: number
}

export interface CostSource {
  readonly blobs: BlobStore
  /** What the hot store occupies. */
  readonly hotBytes: () => Promise<number>
  readonly settings: CostSettings
}

export interface CostQuestion {
  readonly nowMs: number
  /** What a day brings is the mean of so many, or of as many as there are. */
  readonly daysMax: number
  /** What this one causes alone; absent: the whole fleet. */
  readonly tenant?: string | undefined
  readonly by?: readonly Dimension[]
  /** By the names of spans too, which warm is read for. */
  readonly isBySpan?: boolean
  readonly isCompared?: boolean
  readonly isDaily?: boolean
  /** More of them are QUOTA_EXCEEDED; absent: however many there are. */
  readonly objectsMax?: number
  /** Segments of the ledger that are read, the newest; absent: however many there are. */
  readonly segmentsMax?: number
  readonly onListed?: () => void
  readonly onSegment?: (read: number, of: number) => void
  readonly onSpans?: (read: number, of: number) => void
}

export interface CostReport {
  readonly v: 1
  readonly currency: 'USD'
  /** By the stores' listings; of one tenant empty, for objects hold several tenants' rows. */
  readonly stored: readonly StoredFolder[]
  /** What a day brings was measured over so many; 0: nothing is stored yet. */
  readonly measuredDays: number
  readonly flows: readonly TierFlow[]
  /** From when on all of it is measured, the window having more segments than are read; absent: the whole window. */
  readonly reachedSince?: string
  /** Of a month in which every tier is full. */
  readonly lines: readonly CostLine[]
  readonly monthTotal: number
  readonly forecast: readonly {
    readonly day: number
    readonly dollars: number
    readonly tiers: Readonly<Record<string, number>>
  }[]
  /** What each of them causes; absent: nobody asked. */
  readonly by?: Readonly<Partial<Record<Dimension, readonly CostShare[]>>>
  readonly bySpan?: SpanShares
  readonly compared?: readonly PolicyCost[]
  readonly days?: readonly CostDay[]
}

/** What `GET /api/v1/cost` answers. */
export interface CostAnswer extends CostReport {
  /** Null: of every tenant. */
  readonly tenant: string | null
  /** By decision time, [since, until), as far as was read: what rows of the same figures are asked for with. */
  readonly window: { readonly since: string; readonly until: string }
  readonly prices: CostPrices
}

/** What one UTC day brought. The last one is not over. */
export interface CostDay extends LedgerDay {
  /** Bytes that it brought into each tier, see {@link dailyTiers}. */
  readonly tiers: Readonly<Record<Tier, number>>
}

/** Ends of tiers, and the year. */
const forecastDays = [1, 7, 30, 90, 365]
const dayMs = 86_400_000

/**
 * What is stored by the stores' own listings, and what a month of it costs; of one tenant the share that its
 * bytes and decisions have of that. Rejects as {@link measureStored} and {@link LedgerSums.read} do.
 */
export async function measureCost(source: CostSource, asked: CostQuestion): Promise<CostReport> {
  const { by = [], isBySpan = false, isCompared = false, isDaily = false } = asked
  const { tenant, nowMs, daysMax } = asked
  const { prices } = source.settings
  if (tenant === undefined && by.length === 0 && !isBySpan && !isCompared && !isDaily) {
    return reportOf(await measure(source, asked), prices)
  }
  const { segmentsMax, objectsMax } = asked
  const sinceMs = nowMs - daysMax * dayMs
  const wanted = {
    sinceMs,
    untilMs: nowMs,
    ...(segmentsMax !== undefined && { segmentsMax }),
    ...(objectsMax !== undefined && { objectsMax }),
  }
  let window = await planLedger(source.blobs, wanted)
  const isCut = window.sinceMs > sinceMs
  // Both of the same time, or neither is a share of the other.
  const stored = await measure(source, {
    ...asked,
    ...(isCut && { daysMax: (nowMs - window.sinceMs) / dayMs }),
  })
  // The first segment of all may have come in between.
  if (window.segments.length === 0 && stored.measuredDays > 0) {
    window = await planLedger(source.blobs, wanted)
  }
  const sums = new LedgerSums(by, { tenant })
  await sums.read(source.blobs, window, asked.onSegment)
  const own = tenant === undefined ? stored : shareOf(stored, sums)
  // What is fixed is no tenant's.
  const ownPrices = tenant === undefined ? prices : { ...prices, fixed: [] }
  const report = reportOf(own, ownPrices)
  const bySpan = isBySpan
    ? await spanShares(source.blobs, report.lines, {
        ...{ sinceMs: window.sinceMs, untilMs: nowMs, tenant },
        ...(asked.onSpans !== undefined && { onSegment: asked.onSpans }),
      })
    : undefined
  const shares = by.map(one => [one, costShares(report.lines, sums.all, sums.by(one))] as const)
  return {
    ...report,
    ...(isCut && { reachedSince: new Date(window.sinceMs).toISOString() }),
    ...(by.length > 0 && { by: Object.fromEntries(shares) }),
    ...(bySpan !== undefined && { bySpan }),
    ...(isCompared && {
      compared: comparedPolicies(sums, own.flows, ownPrices, stored.measuredDays),
    }),
    ...(isDaily && { days: dailyTiers(sums, own, window) }),
  }
}

export function reportOf(
  { folders, flows, measuredDays }: Pick<Stored, 'folders' | 'flows' | 'measuredDays'>,
  prices: CostPrices,
): CostReport {
  const lines = monthlyLines(flows, prices)
  return {
    v: 1,
    currency: 'USD',
    stored: folders,
    measuredDays,
    flows,
    lines,
    monthTotal: totalOf(lines),
    forecast: forecast(flows, prices, forecastDays),
  }
}

function measure({ blobs, hotBytes, settings }: CostSource, asked: CostQuestion): Promise<Stored> {
  const { livesMs, snapshotsPerDay, segmentAgeMs, prices } = settings
  const { nowMs, daysMax, objectsMax, onListed } = asked
  return hotBytes().then(bytes =>
    measureStored(blobs, {
      hotBytes: bytes,
      livesMs,
      snapshotsPerDay,
      segmentAgeMs,
      objectMin: {
        warm: prices.warm.objectMin,
        cold: prices.cold.objectMin,
        ledger: prices.ledger.objectMin,
        index: prices.index.objectMin,
      },
      nowMs,
      daysMax,
      ...(objectsMax !== undefined && { objectsMax }),
      ...(onListed !== undefined && { onListed }),
    }),
  )
}

/**
 * The flows that one tenant causes: of hot, warm and cold by the bytes of its slices that were written, of the
 * ledger and the index by its decisions, as {@link costShares} shares them out. Nothing of the listing goes with
 * them: it is of every tenant.
 */
function shareOf({ flows, measuredDays, brought }: Stored, { all, fleet }: LedgerSums): Stored {
  const byBytes = fleet.bytes === 0 ? 0 : all.bytes / fleet.bytes
  const byDecisions = fleet.decisions === 0 ? 0 : all.decisions / fleet.decisions
  const own = flows.map((flow): TierFlow => {
    const factor = flow.tier === 'ledger' || flow.tier === 'index' ? byDecisions : byBytes
    const { bytesPerDay, objectsPerDay, shortBytesPerDay } = flow
    return {
      ...flow,
      bytesPerDay: bytesPerDay * factor,
      objectsPerDay: objectsPerDay * factor,
      ...(shortBytesPerDay !== undefined && { shortBytesPerDay: shortBytesPerDay * factor }),
    }
  })
  const ownBrought = {
    hot: brought.hot * byBytes,
    warm: brought.warm * byBytes,
    cold: brought.cold * byBytes,
    ledger: brought.ledger * byDecisions,
    index: brought.index * byDecisions,
  }
  return { folders: [], flows: own, brought: ownBrought, measuredDays, days: new Map() }
}

/**
 * What each day brought into the tiers: of a fleet what the listing has of that day, of hot and of one tenant
 * what the days of the measure brought, shared out by the bytes that were written and the decisions of each day.
 */
function dailyTiers(
  sums: LedgerSums,
  stored: Stored,
  { sinceMs, untilMs }: { readonly sinceMs: number; readonly untilMs: number },
): CostDay[] {
  const decided = new Map(sums.days().map(one => [one.day, one]))
  const first = dateOf(Math.max(0, sinceMs))
  const last = dateOf(Math.max(0, untilMs - 1))
  const names = new Set([...decided.keys(), ...stored.days.keys()])
  const wanted = [...names].filter(day => day >= first && day <= last).sort()
  const shared = (tier: Tier, { bytes, decisions }: LedgerDay['all']): number => {
    const isByDecisions = tier === 'ledger' || tier === 'index'
    const all = isByDecisions ? sums.all.decisions : sums.all.bytes
    return all === 0
      ? 0
      : Math.round((stored.brought[tier] * (isByDecisions ? decisions : bytes)) / all)
  }
  return wanted.map(day => {
    const of = decided.get(day) ?? { day, all: nothing, rules: [] }
    const listed = stored.days.get(day)
    const bytesOf = (tier: Tier): number =>
      stored.folders.length === 0 ? shared(tier, of.all) : (listed?.[tier] ?? 0)
    return {
      ...of,
      tiers: {
        hot: shared('hot', of.all),
        warm: bytesOf('warm'),
        cold: bytesOf('cold'),
        ledger: bytesOf('ledger'),
        index: bytesOf('index'),
      },
    }
  })
}

const nothing = { decisions: 0, traces: 0, kept: 0, matched: 0, bytes: 0 } as const
