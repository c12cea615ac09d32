import type { BlobStore } from '../blob-store.ts'
import { hasAttribute } from '../segments/find-attribute.ts'
import { readHold } from './hold-file.ts'

/**
 * As `findInSegment`: the held trace, where one of its spans has the attribute with such a value. It is asked with
 * texts as the hold has them, in the clear or as cold's tokens.
 */
export async function findInHold(
  blobs: BlobStore,
  key: string,
  tenant: string,
  field: string,
  isWanted: (text: string) => boolean,
): Promise<Set<string>> {
  const hold = await readHold(blobs, key, tenant)
  const has = hold?.held.spans.some(row => hasAttribute(row, field, isWanted)) === true
  return new Set(hold !== undefined && has ? [hold.head.traceId] : [])
}
