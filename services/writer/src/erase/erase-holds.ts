import { type BlobStore, type ListedHold, listHolds } from '@winnow/storage'
import type { Removed } from './erasure-record.ts'

/** A tenant's holds of these traces, by their names, whether they can be read or not. */
export async function holdsOfTraces(
  blobs: BlobStore,
  tenant: string,
  traceIds: ReadonlySet<string>,
): Promise<ListedHold[]> {
  const holds: ListedHold[] = []
  for await (const hold of listHolds(blobs, tenant))
    if (traceIds.has(hold.traceId)) holds.push(hold)
  return holds
}

/** So many objects, and no rows: each is deleted whole. Undefined: none, and nothing is said of them. */
export function removedHolds(
  holds: readonly ListedHold[],
  before: Removed | undefined,
): Removed | undefined {
  if (holds.length === 0) return before
  const bytes = holds.reduce((sum, hold) => sum + hold.bytes, before?.bytes ?? 0)
  return { objects: (before?.objects ?? 0) + holds.length, rows: 0, bytes }
}
