import { isRetryable, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  encodeHold,
  type HoldHead,
  holdBytesMax,
  holdKey,
  type ListedHold,
  readHoldHead,
} from '@winnow/storage'
import { ApiError } from '../api-error.ts'
import { traceErased } from '../erasure-routes.ts'
import type { Answer, Reader, RouteDeps } from '../routes.ts'
import { traceIdOf } from '../routes.ts'
import { refuseUnknown } from '../search.ts'
import { currentHolds } from './find-hold.ts'
import { type HoldRequest, holdId, holdRequest } from './hold-request.ts'
import { holdSource } from './hold-source.ts'

/** Holds of one tenant whose end is to come. Several asked for at once may pass it by as many. */
export const holdsOfTenantMax = 1_000

/** First lines that a list reads at once. */
const headsAtOnce = 16

/** A hold as the API shows it. Reason and person are null for a key that may not see them. */
export interface ShownHold extends Omit<HoldHead, 'v' | 'tenant' | 'reason' | 'by'> {
  readonly reason: string | null
  readonly by: string | null
}

export interface HoldReaderKey extends Reader {
  readonly keyName?: string | undefined
}

/**
 * Keeps what a trace's age still allows beyond its expiry. 201, or 200 where the same was asked for before: the
 * object is created once and never changes.
 */
export async function postHold(
  deps: RouteDeps,
  reader: HoldReaderKey,
  body: unknown,
): Promise<Answer> {
  const { tenant } = reader
  const blobs = blobsOf(deps)
  const asked = holdRequest(body, deps.clock.nowMs(), traceIdOf)
  refuseErased(deps, tenant, asked.traceId)
  const request = { ...asked, reason: await redacted(deps, tenant, asked.reason) }
  const id = holdId(tenant, request)
  const key = holdKey(tenant, { ...request, id })
  const known = await headOf(blobs, key, tenant, id)
  if (known !== undefined) return { status: 200, body: shown(known, reader) }
  await refuseTooMany(deps, tenant)
  const { held, ...source } = await holdSource(deps, tenant, request.traceId)
  const head = {
    ...source,
    ...askedOf(request),
    id,
    tenant,
    spans: held.spans.length,
    ...(reader.keyName !== undefined && { key: reader.keyName }),
    madeAt: new Date(deps.clock.nowMs()).toISOString(),
  }
  const bytes = await encoded(head, held)
  refuseErased(deps, tenant, request.traceId)
  const isNew = await written(deps, () => blobs.create(key, bytes))
  // An erasure that began meanwhile may have looked for holds before this one was there.
  if (deps.erasures?.blockedBy(tenant, request.traceId) !== undefined) {
    await blobs.delete(key)
    refuseErased(deps, tenant, request.traceId)
  }
  const made = await headOf(blobs, key, tenant, id)
  if (made === undefined) throw noSuchHold(id)
  if (isNew) deps.log.info('query.hold_made', { hold: id, traceId: request.traceId })
  return { status: isNew ? 201 : 200, body: shown(made, reader) }
}

/** Those of the tenant, or of one trace, that ends first in front. One that cannot be read is named. */
export async function getHolds(
  deps: RouteDeps,
  reader: Reader,
  query: URLSearchParams,
): Promise<Answer> {
  refuseUnknown(query, ['trace'])
  const { tenant } = reader
  const trace = query.get('trace')
  const blobs = blobsOf(deps)
  const listed = await current(deps, tenant, trace === null ? undefined : traceIdOf(trace))
  const holds: ShownHold[] = []
  const unreadable: string[] = []
  for (let at = 0; at < listed.length; at += headsAtOnce) {
    const some = listed.slice(at, at + headsAtOnce)
    await Promise.all(
      some.map(async ({ key }) => {
        try {
          const head = await readHoldHead(blobs, key, tenant)
          if (head !== undefined) holds.push(shown(head, reader))
        } catch (error) {
          if (isRetryable(error) || !(error instanceof PipelineError)) throw error
          deps.log.error('query.object_unreadable', error, { key })
          unreadable.push(key)
        }
      }),
    )
  }
  holds.sort((a, b) => compare(a.until, b.until) || compare(a.id, b.id))
  return { status: 200, body: { holds, ...(unreadable.length > 0 && { unreadable }) } }
}

export async function getHold(deps: RouteDeps, reader: Reader, id: string): Promise<Answer> {
  const { key } = await named(deps, reader.tenant, id)
  const head = await headOf(blobsOf(deps), key, reader.tenant, id)
  if (head === undefined) throw noSuchHold(id)
  return { status: 200, body: shown(head, reader) }
}

/** Ends it now: what is held goes, and of the trace there is what its age allows. */
export async function deleteHold(deps: RouteDeps, tenant: string, id: string): Promise<Answer> {
  const blobs = blobsOf(deps)
  const { key, traceId } = await named(deps, tenant, id)
  await written(deps, () => blobs.delete(key))
  deps.log.info('query.hold_ended', { hold: id, traceId })
  const endedAt = new Date(deps.clock.nowMs()).toISOString()
  return { status: 200, body: { id, traceId, state: 'ended', endedAt } }
}

/** What a key may see of it. Pure. */
export function shown(
  { v: _v, tenant: _tenant, reason, by, ...head }: HoldHead,
  { scopes }: Pick<Reader, 'scopes'>,
): ShownHold {
  const seesText = scopes.includes('content')
  return {
    ...head,
    reason: seesText ? reason : null,
    by: seesText || scopes.includes('admin') ? by : null,
  }
}

/** By its id alone, which a name ends in: a list of the tenant's, and no object is read. */
async function named(deps: RouteDeps, tenant: string, id: string): Promise<ListedHold> {
  const found = (await current(deps, tenant)).find(one => one.id === id)
  if (found === undefined) throw noSuchHold(id)
  return found
}

/** One that cannot be read is nobody's mistake here: whoever asks is told what to do about it. */
async function headOf(
  blobs: BlobStore,
  key: string,
  tenant: string,
  id: string,
): Promise<HoldHead | undefined> {
  try {
    return await readHoldHead(blobs, key, tenant)
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'DATA_CORRUPT') throw error
    const remedy = `${key} is damaged, or of a newer release: upgrade, restore it from a copy, or end it (DELETE /api/v1/holds/${id}) and hold the trace again`
    throw new ApiError(409, 'HOLD_UNREADABLE', remedy, { field: 'id', value: id })
  }
}

async function refuseTooMany(deps: RouteDeps, tenant: string): Promise<void> {
  const { length } = await current(deps, tenant)
  if (length < holdsOfTenantMax) return
  const remedy = `the tenant has ${length} holds, of at most ${holdsOfTenantMax}; end one that nobody needs (DELETE /api/v1/holds/{id}), or wait until one ends`
  throw new ApiError(409, 'TOO_MANY_HOLDS', remedy)
}

async function encoded(...args: Parameters<typeof encodeHold>): Promise<Uint8Array> {
  try {
    return await encodeHold(...args)
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'PAYLOAD_TOO_LARGE') throw error
    const remedy = `a hold has at most ${holdBytesMax} bytes, and this trace has more; keep it elsewhere: GET /api/v1/traces/{id}?format=otlp`
    throw new ApiError(413, 'HOLD_TOO_LARGE', remedy, {
      field: 'traceId',
      value: args[0].traceId,
    })
  }
}

/** A query that only reads may have credentials that only read: then the store refuses, as if it were away. */
async function written<T>({ log }: RouteDeps, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code === 'DATA_CORRUPT') throw error
    log.error('query.hold_not_written', error)
    const remedy =
      'the blob store did not take it; try again, and give query the right to put and delete objects below holds/'
    throw new ApiError(503, 'UNAVAILABLE', remedy)
  }
}

async function redacted({ redact }: RouteDeps, tenant: string, reason: string): Promise<string> {
  if (redact === undefined) return reason
  return ((await redact(tenant, { reason })) as { readonly reason: string }).reason
}

function askedOf({ traceId, reason, by, untilMs }: HoldRequest) {
  return { traceId, reason, by, until: new Date(untilMs).toISOString() }
}

function current(deps: RouteDeps, tenant: string, traceId?: string): Promise<ListedHold[]> {
  return currentHolds({ ...deps, nowMs: deps.clock.nowMs() }, tenant, traceId)
}

function blobsOf({ blobs }: RouteDeps): BlobStore {
  if (blobs !== undefined) return blobs
  throw new ApiError(404, 'NO_SUCH_PATH', 'ask a query service that has the blob store')
}

function refuseErased({ erasures }: RouteDeps, tenant: string, traceId: string): void {
  const by = erasures?.blockedBy(tenant, traceId)
  if (by !== undefined) throw traceErased(traceId, by)
}

function noSuchHold(id: string): ApiError {
  const remedy = 'GET /api/v1/holds lists those of this tenant; one that has ended is gone'
  return new ApiError(404, 'NO_SUCH_HOLD', remedy, { field: 'id', value: id })
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
