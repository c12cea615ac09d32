import type { TierFlow } from '@winnow/cost'
import { type BlobStore, parseIdIndexKey, parseSegmentKey, parseSnapshotKey } from '@winnow/storage'

const dayMs = 86_400_000

type Tier = TierFlow['tier']

/** Where each tier's objects lie, and which of them are ours. */
const folders: readonly {
  readonly tier: Exclude<Tier, 'hot'>
  readonly prefix: string
  readonly isOurs: (key: string) => boolean
}[] = [
  { tier: 'warm', prefix: 'warm/', isOurs: key => parseSegmentKey(key) !== undefined },
  { tier: 'cold', prefix: 'cold/', isOurs: key => parseSegmentKey(key) !== undefined },
  { tier: 'ledger', prefix: 'ledger/', isOurs: key => parseSegmentKey(key) !== undefined },
  { tier: 'index', prefix: 'ids/', isOurs: key => parseIdIndexKey(key) !== undefined },
  { tier: 'index', prefix: 'index/', isOurs: key => parseSnapshotKey(key) !== undefined },
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
  /** What a day brings, by what was made in the last days that are there; of a tier at most as many as it keeps. */
  readonly flows: readonly TierFlow[]
  /** How many days that was measured over; 0: nothing is stored yet. */
  readonly measuredDays: number
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
  /** Hears of every object. */
  readonly onListed?: () => void
}

interface Listing extends StoredFolder {
  /** Made in the last days; `short`: what objects lack of the least size. */
  readonly recent: { readonly bytes: number; readonly objects: number; readonly short: number }
  readonly firstAtMs: number
}

/** What lies in every tier, by the store's own listing, read whole. */
export async function measureStored(blobs: BlobStore, options: MeasureOptions): Promise<Stored> {
  const { hotBytes, livesMs, snapshotsPerDay, segmentAgeMs, nowMs, daysMax } = options
  const listings: Listing[] = []
  for (const folder of folders) listings.push(await listFolder(blobs, folder, options))
  const firstAtMs = Math.min(...listings.map(one => one.firstAtMs))
  const ageDays = Number.isFinite(firstAtMs) ? (nowMs - firstAtMs + segmentAgeMs) / dayMs : 0
  const measuredDays = Math.min(ageDays, daysMax)
  const perDay = (sum: number, days: number): number => (days > 0 ? sum / days : 0)
  const hotLifeDays = livesMs.hot / dayMs
  const flows = listings.map(({ tier, where, bytes, recent }): TierFlow => {
    if (where === 'index/') {
      return { tier, bytesPerDay: bytes, objectsPerDay: snapshotsPerDay, lifeDays: 1 }
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
  })
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
    flows: [
      {
        tier: 'hot',
        bytesPerDay: perDay(hotBytes, Math.min(ageDays, hotLifeDays)),
        objectsPerDay: 0,
        lifeDays: hotLifeDays,
      },
      ...flows,
    ],
    measuredDays,
  }
}

function lifeDaysOf(tier: Tier, livesMs: MeasureOptions['livesMs']): number {
  return livesMs[tier === 'warm' || tier === 'cold' ? tier : 'ledger'] / dayMs
}

async function listFolder(
  blobs: BlobStore,
  { tier, prefix, isOurs }: (typeof folders)[number],
  { nowMs, daysMax, livesMs, objectMin, onListed }: MeasureOptions,
): Promise<Listing> {
  const sinceMs = nowMs - Math.min(daysMax, lifeDaysOf(tier, livesMs)) * dayMs
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
    firstAtMs = Math.min(firstAtMs, modifiedAtMs)
    if (modifiedAtMs < sinceMs) continue
    recent.bytes += bytes
    recent.objects++
    recent.short += Math.max(0, objectMin[tier] - bytes)
  }
  return { tier, where: prefix, ...all, foreign, recent, firstAtMs }
}
