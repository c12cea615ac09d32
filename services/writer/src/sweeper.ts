import type { Metrics } from '@winnow/runtime'
import {
  type BlobStore,
  dayOf,
  endOf,
  idIndexKey,
  listHolds,
  listIdIndexFiles,
  listSegments,
  parseSnapshotKey,
  type SegmentName,
  type Tier,
} from '@winnow/storage'

/** How long each tier may hold what it holds, in milliseconds. */
export type TierLife = Readonly<Record<Tier, number>>

/** Objects that one run deletes at most; the next run goes on. */
export const sweepObjectsMax = 1_000

const dayMs = 86_400_000

export interface SweptTier {
  readonly tier: Tier | 'ids'
  readonly objects: number
  readonly bytes: number
}

/**
 * Deletes segments that are older than their tier allows, oldest first: once all of the UTC day in
 * their name is, so that a segment lives up to a day longer. The id indexes that end with a day of the ledger go
 * before its first segment; of one that goes on the writer takes the days out that are gone. A hold goes at its own
 * end. An object whose name is none
 * of ours is never touched. Several writers may sweep at once; what one has deleted the other passes.
 */
export async function sweepExpired(
  blobs: BlobStore,
  life: TierLife,
  nowMs: number,
  metrics: Metrics,
): Promise<number> {
  let left = sweepObjectsMax
  for (const tier of ['warm', 'cold', 'ledger'] as const) {
    const swept = await sweepTier(blobs, tier, nowMs - life[tier], left)
    for (const { tier: of, objects, bytes } of swept) {
      metrics.tierObjectsExpired.inc({ tier: of }, objects)
      metrics.tierBytesExpired.inc({ tier: of }, bytes)
      left -= objects
    }
    if (left <= 0) break
  }
  left -= await sweepSnapshots(blobs, nowMs - life.ledger, left, metrics)
  left -= await sweepHolds(blobs, nowMs, left, metrics)
  return sweepObjectsMax - left
}

/**
 * Snapshots of the sampler's index are replaced every few minutes, so that one as old as that is of a log
 * that is no more, or of one in which nothing has been decided since. What it names is gone everywhere.
 */
async function sweepSnapshots(
  blobs: BlobStore,
  untilMs: number,
  objectsMax: number,
  metrics: Metrics,
): Promise<number> {
  let objects = 0
  for await (const { key, bytes, modifiedAtMs } of blobs.list('index/')) {
    if (objects >= objectsMax) break
    if (parseSnapshotKey(key) === undefined || endOf(dayOf(modifiedAtMs)) > untilMs) continue
    await blobs.delete(key)
    metrics.tierObjectsExpired.inc({ tier: 'index' })
    metrics.tierBytesExpired.inc({ tier: 'index' }, bytes)
    objects++
  }
  return objects
}

/** Holds have no life of their own: each says its end in its name. */
async function sweepHolds(
  blobs: BlobStore,
  nowMs: number,
  objectsMax: number,
  metrics: Metrics,
): Promise<number> {
  let objects = 0
  for await (const { key, bytes, untilMs } of listHolds(blobs)) {
    if (objects >= objectsMax) break
    if (untilMs > nowMs) continue
    await blobs.delete(key)
    metrics.tierObjectsExpired.inc({ tier: 'hold' })
    metrics.tierBytesExpired.inc({ tier: 'hold' }, bytes)
    objects++
  }
  return objects
}

/** Deletes what lies wholly before `untilMs`, at most `objectsMax` objects. */
async function sweepTier(
  blobs: BlobStore,
  tier: Tier,
  untilMs: number,
  objectsMax: number,
): Promise<readonly SweptTier[]> {
  let objects = 0
  let bytes = 0
  const ids = { objects: 0, bytes: 0 }
  // Names sort by date, so the first one that may stay ends the run.
  const seen = new Set<string>()
  for await (const segment of listSegments(blobs, tier)) {
    if (Date.parse(`${segment.date}T00:00:00Z`) + dayMs > untilMs) break
    if (objects + ids.objects >= objectsMax) break
    const day = `${segment.date}/${segment.partition}/${segment.logId}`
    if (tier === 'ledger' && !seen.has(day)) {
      seen.add(day)
      const deleted = await deleteIdIndexes(blobs, segment)
      ids.objects += deleted.objects
      ids.bytes += deleted.bytes
    }
    await blobs.delete(segment.key)
    objects++
    bytes += segment.bytes
  }
  return [
    { tier, objects, bytes },
    { tier: 'ids', ...ids },
  ]
}

/** Those of the day, partition and log of a segment that are of no later day too. */
async function deleteIdIndexes(
  blobs: BlobStore,
  { date, partition, logId }: SegmentName,
): Promise<{ objects: number; bytes: number }> {
  let objects = 0
  let bytes = 0
  for (const index of await listIdIndexFiles(blobs, partition)) {
    if (index.logId !== logId || index.lastDate > date) continue
    await blobs.delete(idIndexKey(index))
    objects++
    bytes += index.bytes
  }
  return { objects, bytes }
}
