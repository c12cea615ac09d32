import {
  type BlobStore,
  dateOf,
  parseHoldKey,
  parseIdIndexKey,
  parseSegmentKey,
  parseSnapshotKey,
} from '@winnow/storage'
import type { TierFlow } from './cost-model.ts'
import { tooLarge } from './ledger-plan.ts'

const dayMs = 86_400_000

type Tier = TierFlow['tier']

/** Where each tier's objects lie, and which of them are ours. */
const folders: readonly {
  readonly tier: Exclude<Tier, 'hot'>
  readonly prefix: string
  readonly isOurs: (key: string) => boolean
  /**
   * First and last UTC day of what one of our objects holds, whenever it was made: erasures write segments anew,
   * and indexes of days are merged. Absent: they are of no day, and what lies there is what a day needs.
   */
  readonly daysOf?: (key: string) => readonly [first: string, last: string]
}[] = [
  ...(['warm', 'cold', 'ledger'] as const).map(tier => ({
    tier,
    prefix: `${tier}/`,
    isOurs: (key: string) => parseSegmentKey(key) !== undefined,
    daysOf: (key: string) => {
      const { date = '' } = parseSegmentKey(key) ?? {}
      return [date, date] as const
    },
  })),
  {
    tier: 'index',
    prefix: 'ids/',
    isOurs: key => parseIdIndexKey(key) !== undefined,
    daysOf: key => {
      const { date = '', lastDate = '' } = parseIdIndexKey(key) ?? {}
      return [date, lastDate]
    },
  },
  {
    tier: 'index',
    prefix: 'index/',
    isOurs: key => parseSnapshotKey(key) !== undefined,
  },
  {
    // Of the class that everything small lies in, for as long as somebody says.
    tier: 'index',
    prefix: 'holds/',
    isOurs: key => parseHoldKey(key) !== undefined,
  },
]

export interface StoredFolder {
  readonly tier: Tier
  /** `hot`, or the folder's prefix. */
  readonly where: string
  readonly bytes: number
  /** 0 where the store has none that are paid for. */
  readonly objects: number
  /** Of these, objects by names that no writer gives. */
  readonly foreign: number
}

export interface Stored {
  readonly folders: readonly StoredFolder[]
  /** What a day brings, by what the last days that are there brought; of a tier at most as many as it keeps. */
  readonly flows: readonly TierFlow[]
  /** Bytes that the measured days brought, though their tier may no longer have the first of them. */
  readonly brought: Readonly<Record<Tier, number>>
  /** How many days that was measured over; 0: nothing is stored yet. */
  readonly measuredDays: number
  /** Bytes of the objects of each UTC day by tier, of the last days. */
  readonly days: ReadonlyMap<string, Readonly<Partial<Record<Tier, number>>>>
}

export interface MeasureOptions {
  /** What the hot store occupies. */
  readonly hotBytes: number
  /** How long each tier keeps what it has, milliseconds. */
  readonly livesMs: Readonly<Record<'hot' | 'warm' | 'cold' | 'ledger', number>>
  /** Snapshots of the index that are made in a day, each in the place of one before. */
  readonly snapshotsPerDay: number
  /** How long a segment gathers before it is made, milliseconds: the first one holds as much. */
  readonly segmentAgeMs: number
  /** The least size of an object that is billed, bytes. */
  readonly objectMin: Readonly<Record<Exclude<Tier, 'hot'>, number>>
  readonly nowMs: number
  /** A day's flow is the mean of so many, or of as many as there are. */
  readonly daysMax: number
  /** More objects than that are QUOTA_EXCEEDED; absent: however many there are. */
  readonly objectsMax?: number
  /** Hears of every object. */
  readonly onListed?: () => void
}

type Days = Map<string, Partial<Record<Tier, number>>>

interface Listing extends StoredFolder {
  /** Of the last days; `short`: what objects lack of the least size. */
  readonly recent: { readonly bytes: number; readonly objects: number; readonly short: number }
  readonly firstAtMs: number
  readonly isDated: boolean
}

/** What lies in every tier, by the store's own listing, read whole. */
export async function measureStored(blobs: BlobStore, options: MeasureOptions): Promise<Stored> {
  const { hotBytes, livesMs, snapshotsPerDay, segmentAgeMs, nowMs, daysMax } = options
  const { objectsMax = Number.POSITIVE_INFINITY } = options
  const listings: Listing[] = []
  const byDay: Days = new Map()
  let listed = 0
  const onListed = (): void => {
    if (++listed > objectsMax) throw tooLarge(objectsMax, 'objects in the blob store')
    options.onListed?.()
  }
  for (const folder of folders) {
    listings.push(await listFolder(blobs, folder, { ...options, onListed }, byDay))
  }
  const firstAtMs = Math.min(...listings.map(one => one.firstAtMs))
  const ageDays = Number.isFinite(firstAtMs) ? (nowMs - firstAtMs + segmentAgeMs) / dayMs : 0
  const measuredDays = Math.min(ageDays, daysMax)
  const perDay = (sum: number, days: number): number => (days > 0 ? sum / days : 0)
  const hotLifeDays = livesMs.hot / dayMs
  const flowOf = ({ tier, where, bytes, recent, isDated }: Listing): TierFlow => {
    if (!isDated) {
      const objectsPerDay = where === 'index/' ? snapshotsPerDay : 0
      return { tier, bytesPerDay: bytes, objectsPerDay, lifeDays: 1 }
    }
    const lifeDays = lifeDaysOf(tier, livesMs)
    const days = Math.min(measuredDays, lifeDays)
    return {
      tier,
      bytesPerDay: perDay(recent.bytes, days),
      objectsPerDay: perDay(recent.objects, days),
      shortBytesPerDay: perDay(recent.short, days),
      lifeDays,
    }
  }
  const hot = {
    tier: 'hot',
    bytesPerDay: perDay(hotBytes, Math.min(ageDays, hotLifeDays)),
    objectsPerDay: 0,
    lifeDays: hotLifeDays,
  } as const
  const dated = [hot, ...listings.filter(({ isDated }) => isDated).map(flowOf)]
  const broughtTo = (wanted: Tier): number =>
    dated.reduce(
      (sum, { tier, bytesPerDay }) => sum + (tier === wanted ? bytesPerDay * measuredDays : 0),
      0,
    )
  return {
    folders: [
      { tier: 'hot', where: 'hot', bytes: hotBytes, objects: 0, foreign: 0 },
      ...listings.map(({ tier, where, bytes, objects, foreign }) => ({
        tier,
        where,
        bytes,
        objects,
        foreign,
      })),
    ],
    flows: [hot, ...listings.map(flowOf)],
    brought: {
      hot: broughtTo('hot'),
      warm: broughtTo('warm'),
      cold: broughtTo('cold'),
      ledger: broughtTo('ledger'),
      index: broughtTo('index'),
    },
    measuredDays,
    days: byDay,
  }
}

function lifeDaysOf(tier: Tier, livesMs: MeasureOptions['livesMs']): number {
  return livesMs[tier === 'warm' || tier === 'cold' ? tier : 'ledger'] / dayMs
}

async function listFolder(
  blobs: BlobStore,
  { tier, prefix, isOurs, daysOf }: (typeof folders)[number],
  { nowMs, daysMax, livesMs, objectMin, onListed }: MeasureOptions,
  byDay: Days,
): Promise<Listing> {
  const sinceMs = nowMs - Math.min(daysMax, lifeDaysOf(tier, livesMs)) * dayMs
  const firstDayMs = startOf(dateOf(Math.max(0, nowMs - daysMax * dayMs)))
  const all = { bytes: 0, objects: 0 }
  const recent = { bytes: 0, objects: 0, short: 0 }
  let foreign = 0
  let firstAtMs = Number.POSITIVE_INFINITY
  for await (const { key, bytes, modifiedAtMs } of blobs.list(prefix)) {
    onListed?.()
    all.bytes += bytes
    all.objects++
    if (!isOurs(key)) {
      foreign++
      continue
    }
    if (daysOf === undefined) continue
    const [first, last] = daysOf(key)
    const days = { fromMs: startOf(first), toMs: startOf(last) + dayMs }
    addTo(byDay, tier, bytes, days, { fromMs: firstDayMs, toMs: Math.max(nowMs, firstDayMs) })
    // What was made again later is as old as it says.
    firstAtMs = Math.min(firstAtMs, modifiedAtMs, days.fromMs + dayMs)
    const share = shareWithin(days, sinceMs, nowMs)
    recent.bytes += bytes * share
    recent.objects += share
    recent.short += Math.max(0, objectMin[tier] - bytes) * share
  }
  return {
    tier,
    where: prefix,
    ...all,
    foreign,
    recent,
    firstAtMs,
    isDated: daysOf !== undefined,
  }
}

/** [from, to). */
interface Span {
  readonly fromMs: number
  readonly toMs: number
}

/** How much of what came in these days came since then, if it came evenly; of a day that is not over, until now. */
function shareWithin({ fromMs, toMs }: Span, sinceMs: number, nowMs: number): number {
  if (fromMs >= sinceMs) return 1
  const endMs = Math.min(toMs, nowMs)
  return endMs <= sinceMs ? 0 : (endMs - sinceMs) / (endMs - fromMs)
}

/** Shares whole bytes out over the days, and remembers those that are looked at. */
function addTo(byDay: Days, tier: Tier, bytes: number, days: Span, looked: Span): void {
  const all = Math.round((days.toMs - days.fromMs) / dayMs)
  const upTo = (dayStartMs: number): number =>
    Math.floor((bytes * Math.round((dayStartMs - days.fromMs) / dayMs)) / all)
  const toMs = Math.min(days.toMs, looked.toMs)
  for (let at = Math.max(days.fromMs, looked.fromMs); at < toMs; at += dayMs) {
    const day = dateOf(at)
    const known = byDay.get(day) ?? {}
    known[tier] = (known[tier] ?? 0) + upTo(at + dayMs) - upTo(at)
    byDay.set(day, known)
  }
}

function startOf(date: string): number {
  return Date.parse(`${date}T00:00:00Z`)
}
