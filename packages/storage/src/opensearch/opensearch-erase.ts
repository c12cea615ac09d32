import { PipelineError, type StageClock } from '@winnow/runtime'
import type { ErasedFromHot } from '../hot-store.ts'
import type { Connection } from './connection.ts'
import { type IndexKind, indexKinds, indexPattern, parseIndexName } from './index-names.ts'
import { listIndices } from './indices.ts'

/** Traces in one request: their parts fit one page. */
const tracesAtOnce = 100
const partsMax = 10_000

/** Deleting waits for the server, which reads every document that it deletes. */
const requestMs = 10 * 60_000

/** A shard lets go of deleted documents once its copies have them too, which they say every 30 s. */
const expungeTriesMax = 24
const expungePauseMs = 5_000

export interface EraseContext {
  readonly connection: Connection
  readonly prefix: string
  readonly clock: StageClock
  readonly closing: AbortSignal
}

/**
 * Deletes the documents of traces in every index of the prefix, then has the segments that held them merged
 * away: a deleted document's bytes lie in its segment until then. After a call that was cut short it finds the
 * indices with deleted documents by their own count. An index that is written to meanwhile always has some; then
 * those segments that were there have been merged, which is all that can be known.
 */
export async function eraseDocuments(
  context: EraseContext,
  tenant: string,
  traceIds: readonly string[],
): Promise<ErasedFromHot> {
  const erased = { traces: 0, rows: 0, bytes: 0 }
  await refuseClosed(context)
  await refresh(context)
  for (let at = 0; at < traceIds.length; at += tracesAtOnce) {
    const some = traceIds.slice(at, at + tracesAtOnce)
    const query = {
      bool: { filter: [{ term: { tenant } }, { terms: { traceId: some } }] },
    }
    erased.bytes += await bytesOf(context, query)
    // The trace's own document goes first: what nobody finds is read by nobody while the rest goes.
    for (const kind of ['traces', 'spans', 'parts', 'text', 'rejected'] as const) {
      const deleted = await deleteAll(context, kind, query)
      if (kind === 'traces') erased.traces += deleted
      if (kind === 'spans') erased.rows += deleted
    }
  }
  await expunge(context)
  // One that was closed meanwhile may have been passed over.
  await refuseClosed(context)
  return erased
}

/** Searches and deletions pass over closed indices without a word: what is in one would stay, and come back. */
async function refuseClosed({ connection, prefix }: EraseContext): Promise<void> {
  const closed = await listIndices(connection, prefix, 'closed')
  const [first] = closed
  if (first === undefined) return
  const text = `hot ${connection.address}: ${closed.length} indices are closed, as ${first.name}, and nothing can be erased from them; open (POST /${first.name}/_open) or delete them`
  throw new PipelineError('STORE_UNAVAILABLE', text)
}

const anyIndices = { ignore_unavailable: true, allow_no_indices: true } as const

async function refresh({ connection, prefix }: EraseContext): Promise<void> {
  const patterns = indexKinds.map(kind => indexPattern(prefix, kind)).join(',')
  await connection.send({
    method: 'POST',
    path: `/${patterns}/_refresh`,
    querystring: anyIndices,
  })
}

/** Of the slices whose text is or was there; span rows come on top of it. */
async function bytesOf({ connection, prefix }: EraseContext, query: object): Promise<number> {
  const { body } = await connection.send<{
    readonly hits: {
      readonly hits: readonly {
        readonly _source: { readonly bodies?: { readonly places: readonly [string, number][] } }
      }[]
    }
  }>({
    method: 'POST',
    path: `/${indexPattern(prefix, 'parts')}/_search`,
    querystring: anyIndices,
    body: { query, size: partsMax, _source: ['bodies.places'] },
  })
  let sum = 0
  for (const { _source } of body.hits.hits) {
    for (const [, bytes] of _source.bodies?.places ?? []) sum += bytes
  }
  return sum
}

async function deleteAll(
  { connection, prefix }: EraseContext,
  kind: IndexKind,
  query: object,
): Promise<number> {
  let deleted = 0
  for (;;) {
    const { body } = await connection.send<{
      readonly deleted: number
      readonly version_conflicts: number
      readonly failures: readonly unknown[]
    }>({
      method: 'POST',
      path: `/${indexPattern(prefix, kind)}/_delete_by_query`,
      querystring: { ...anyIndices, conflicts: 'proceed', refresh: true },
      body: { query },
      timeoutMs: requestMs,
    })
    deleted += body.deleted
    if (body.failures.length > 0) {
      const text = `hot ${connection.address}: ${body.failures.length} documents could not be deleted; see that its indices take writes`
      throw new PipelineError('STORE_UNAVAILABLE', text)
    }
    // Somebody wrote one of them between the look and its deletion.
    if (body.version_conflicts === 0) return deleted
  }
}

interface IndexCounts {
  readonly deleted: number
  readonly written: number
}

async function countsOf({ connection, prefix }: EraseContext): Promise<Map<string, IndexCounts>> {
  const { body } = await connection.send<{
    readonly indices?: Readonly<
      Record<
        string,
        {
          readonly total: {
            readonly docs: { readonly deleted: number }
            readonly indexing: { readonly index_total: number }
          }
        }
      >
    >
  }>({ method: 'GET', path: `/${prefix}-*/_stats/docs,indexing` })
  const counts = new Map<string, IndexCounts>()
  for (const [name, { total }] of Object.entries(body.indices ?? {})) {
    if (parseIndexName(prefix, name) === undefined) continue
    counts.set(name, { deleted: total.docs.deleted, written: total.indexing.index_total })
  }
  return counts
}

async function expunge(context: EraseContext): Promise<void> {
  const { connection, clock, closing } = context
  const first = await countsOf(context)
  let left = [...first].filter(([, { deleted }]) => deleted > 0).map(([name]) => name)
  for (let tries = 1; left.length > 0; tries++) {
    for (const name of left) {
      // Else segments of which less than a tenth was deleted are passed over.
      await connection.send({
        method: 'PUT',
        path: `/${name}/_settings`,
        body: { index: { merge: { policy: { expunge_deletes_allowed: 0 } } } },
      })
      await connection.send({ method: 'POST', path: `/${name}/_flush` })
      await connection.send({
        method: 'POST',
        path: `/${name}/_forcemerge`,
        querystring: { only_expunge_deletes: true },
        timeoutMs: requestMs,
      })
      await connection.send({ method: 'POST', path: `/${name}/_flush` })
    }
    const now = await countsOf(context)
    left = left.filter(name => {
      const counts = now.get(name)
      const isBusy = counts?.written !== first.get(name)?.written && tries > 1
      return counts !== undefined && counts.deleted > 0 && !isBusy
    })
    if (left.length === 0) return
    if (tries >= expungeTriesMax) {
      const text = `hot ${connection.address}: ${left.join(', ')} still hold deleted documents; see that all their copies are assigned`
      throw new PipelineError('STORE_UNAVAILABLE', text)
    }
    await clock.sleep(expungePauseMs, closing)
    if (closing.aborted) throw new PipelineError('STORE_UNAVAILABLE', 'the hot store is closed')
  }
}
