import { type ColdHasher, type ColdHashers, coldKeyCheck } from '@winnow/privacy'
import { PipelineError } from '@winnow/runtime'
import type { Erasure } from './erasure-record.ts'

type Job = Pick<Erasure, 'tenant' | 'keys'>

/** Whether the tenant has a cold key that the job was not made with: rows that it hashed would not be found. */
export async function hasOtherColdKey(
  hashers: ColdHashers,
  { tenant, keys }: Job,
): Promise<boolean> {
  const all = await hashers.all(tenant)
  return !all.every(hasher => keys?.cold.includes(coldKeyCheck(hasher)))
}

/**
 * Makes of a text in the clear what the job looks for; the key may have been rotated since it was asked for. Throws
 * where all of its keys have been destroyed: then nothing that it looks for can be told any more.
 */
export async function jobHasher(hashers: ColdHashers, { tenant, keys }: Job): Promise<ColdHasher> {
  const all = await hashers.all(tenant)
  const own = all.findLast(hasher => keys === undefined || keys.cold.includes(coldKeyCheck(hasher)))
  if (own !== undefined) return own
  throw new PipelineError(
    'CONFIG_INVALID',
    "the tenant's cold keys that it was asked for with have been destroyed: delete the objects that cannot be read, then ask again for what is left",
  )
}
