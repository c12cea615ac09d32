import type { StageClock } from '@winnow/runtime'
import {
  type BlobStore,
  countInSegment,
  eraseFromSegment,
  type HotStore,
  listSegments,
} from '@winnow/storage'
import { holdsOfTraces, removedHolds } from './erase-holds.ts'
import type { Erasure, Removed, RemovedFrom } from './erasure-record.ts'
import { isDamaged, patiently } from './patiently.ts'

/** Of an erasure in its stores: what it has removed so far. */
export interface Progress {
  readonly looked: number
  readonly removed: Erasure['removed']
  /** Of what was looked at. */
  readonly lastDecidedAtMs: number
  /** What a process that comes after could not find out. */
  readonly mustBeSaid: boolean
}

interface Stores {
  readonly hot: HotStore
  readonly blobs: BlobStore
  readonly clock: StageClock
}

/** A segment that cannot be read; throws where that ends the step. */
export type OnAside = (key: string, error: unknown) => void

/** Traces that the hot store is given at once; then `control` hears what that has removed. */
const hotTracesAtOnce = 10_000

const segmentTiers = ['ledger', 'warm', 'cold'] as const

/**
 * Takes traces out of every store. A segment says itself what the erasure took out of it, so that what is
 * counted here is right whoever removed it, and however often he was killed.
 */
export async function sweepTraces(
  { hot, blobs, clock }: Stores,
  { id, tenant, removed: before, decidedAtMs = 0 }: Erasure,
  traceIds: readonly string[],
  onProgress: (progress: Progress) => Promise<void>,
  onAside: OnAside,
  ended: AbortSignal,
): Promise<void> {
  if (traceIds.length === 0) return
  const wanted = new Set(traceIds)
  const isErased = (of: string, traceId: string): boolean => of === tenant && wanted.has(traceId)
  const sums = {
    hot: { ...before.hot },
    warm: { objects: 0, rows: 0, bytes: 0 },
    cold: { objects: 0, rows: 0, bytes: 0 },
    ledger: { objects: 0, rows: 0, bytes: 0 },
  }
  let { holds } = before
  let looked = 0
  let lastDecidedAtMs = decidedAtMs
  const tell = (mustBeSaid: boolean): Promise<void> =>
    onProgress({
      looked,
      removed: { ...copied(sums, before), ...(holds !== undefined && { holds }) },
      lastDecidedAtMs,
      mustBeSaid,
    })
  for (let at = 0; at < traceIds.length && !ended.aborted; at += hotTracesAtOnce) {
    const some = traceIds.slice(at, at + hotTracesAtOnce)
    const { traces, rows, bytes } = await patiently(clock, ended, () => hot.erase(tenant, some))
    add(sums.hot, { objects: traces, rows, bytes })
    looked++
    await tell(traces > 0)
  }
  for (const tier of segmentTiers) {
    for await (const { key } of listSegments(blobs, tier)) {
      if (ended.aborted) return
      try {
        const of = await patiently(clock, ended, () =>
          eraseFromSegment(blobs, key, { id, isErased }),
        )
        lastDecidedAtMs = Math.max(lastDecidedAtMs, of.lastDecidedAtMs)
        if (of.taken !== undefined) add(sums[tier], { ...of.taken, objects: 1 })
      } catch (error) {
        if (!isDamaged(error)) throw error
        onAside(key, error)
      }
      looked++
      await tell(false)
    }
  }
  for (const hold of await patiently(clock, ended, () => holdsOfTraces(blobs, tenant, wanted))) {
    if (ended.aborted) return
    await patiently(clock, ended, () => blobs.delete(hold.key))
    holds = removedHolds([hold], holds)
    looked++
    await tell(true)
  }
}

/** What `sweepTraces` would find, but in hot. */
export async function countTraces(
  { blobs }: Pick<Stores, 'blobs'>,
  tenant: string,
  traceIds: ReadonlySet<string>,
  onLooked: () => Promise<void>,
  onAside: OnAside,
): Promise<Erasure['removed']> {
  const isErased = (of: string, traceId: string): boolean => of === tenant && traceIds.has(traceId)
  const sums = {
    hot: { objects: 0, rows: 0, bytes: 0 },
    warm: { objects: 0, rows: 0, bytes: 0 },
    cold: { objects: 0, rows: 0, bytes: 0 },
    ledger: { objects: 0, rows: 0, bytes: 0 },
  }
  for (const tier of segmentTiers) {
    for await (const { key } of listSegments(blobs, tier)) {
      try {
        const rows = await countInSegment(blobs, key, { isErased })
        if (rows > 0) add(sums[tier], { objects: 1, rows, bytes: 0 })
      } catch (error) {
        if (!isDamaged(error)) throw error
        onAside(key, error)
      }
      await onLooked()
    }
  }
  const holds = removedHolds(await holdsOfTraces(blobs, tenant, traceIds), undefined)
  return { ...sums, ...(holds !== undefined && { holds }) }
}

type Sums = Record<RemovedFrom, { -readonly [K in keyof Removed]: Removed[K] }>

function add(sum: Sums[RemovedFrom], more: Removed): void {
  sum.objects += more.objects
  sum.rows += more.rows
  sum.bytes += more.bytes
}

/** A segment that has expired since can no longer say what was taken out of it: the earlier count holds. */
function copied(sums: Sums, before: Erasure['removed']): Erasure['removed'] {
  const most = (tier: RemovedFrom): Removed =>
    sums[tier].rows >= before[tier].rows ? { ...sums[tier] } : before[tier]
  return { hot: { ...sums.hot }, warm: most('warm'), cold: most('cold'), ledger: most('ledger') }
}
