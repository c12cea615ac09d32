import type { Metrics } from '@winnow/runtime'
import {
  type BlobStore,
  idIndexKey,
  listIdIndexes,
  listSegments,
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
 * their name is, so that a segment lives up to a day longer. The id indexes of a day of the ledger go
 * before its first segment, so that no index outlives what it points to. An object whose name is none
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
  return sweepObjectsMax - left
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

/** Those of the day, partition and log of a segment. */
async function deleteIdIndexes(
  blobs: BlobStore,
  { date, partition, logId }: SegmentName,
): Promise<{ objects: number; bytes: number }> {
  let objects = 0
  let bytes = 0
  for (const index of await listIdIndexes(blobs, partition, date)) {
    if (index.logId !== logId) continue
    await blobs.delete(idIndexKey(index))
    objects++
    bytes += index.bytes
  }
  return { objects, bytes }
}
