import { acceptsVersion, type DecisionHead, readVersions } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { bodiesOf, spansOf } from '../hot-parts.ts'
import { checkSearch, pageOf } from '../hot-search.ts'
import type { HotBody, HotTraceRead, TraceFilter, TracePage } from '../hot-store.ts'
import { type HotVersion, isNewer } from '../hot-version.ts'
import { SpanPack } from '../span-pack.ts'
import type { Connection } from './connection.ts'
import { type BodyPlaces, bodyId, documentFormat } from './documents.ts'
import { indexPattern } from './index-names.ts'
import {
  lastOfMax,
  pageSearch,
  partsAtOnce,
  partsSearch,
  traceSearch,
  versionsSearch,
} from './searches.ts'

/** Bytes of bodies in one answer, as they are; one slice of more is asked for alone. */
const bodiesBytesMax = 16 * 1024 * 1024
const bodiesAtOnceMax = 256

/** Indices of traces that one look at their ages tells apart: thirty years of days. */
const indicesMax = 10_000

interface OldestAnswer {
  readonly aggregations?: {
    readonly indices: {
      readonly buckets: readonly {
        readonly key: string
        readonly oldest: { readonly value: number | null }
      }[]
    }
  }
}

interface TraceSource {
  readonly decision: DecisionHead
  readonly logId: string
  readonly partition: number
  readonly offset: number
}

interface PartSource {
  readonly v: number
  readonly logId: string
  readonly offset: number
  readonly decidedAt: number
  readonly spans: string
  readonly bodies: BodyPlaces
}

interface Part extends HotVersion {
  readonly spans: SpanPack
  readonly bodies: BodyPlaces
}

interface Hit<Source> {
  readonly _source: Source
  readonly sort?: readonly unknown[]
}

/** What is asked of the indices; whoever calls has refreshed them. */
export class OpenSearchReads {
  readonly #connection: Connection
  readonly #prefix: string

  constructor(connection: Connection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  /** `seriesAtMs` of the oldest trace of each index. */
  async oldest(): Promise<ReadonlyMap<string, number>> {
    const { body } = await this.#connection.send<OldestAnswer>({
      method: 'POST',
      path: `/${indexPattern(this.#prefix, 'traces')}/_search`,
      querystring: { ignore_unavailable: true, allow_no_indices: true },
      body: {
        size: 0,
        aggs: {
          indices: {
            terms: { field: '_index', size: indicesMax },
            aggs: { oldest: { min: { field: 'seriesAt' } } },
          },
        },
      },
    })
    const buckets = body.aggregations?.indices.buckets ?? []
    return new Map(
      buckets.flatMap(({ key, oldest }) => (oldest.value === null ? [] : [[key, oldest.value]])),
    )
  }

  async get(
    tenant: string,
    traceId: string,
    textFromMs?: number,
  ): Promise<HotTraceRead | undefined> {
    const hits = await this.#search<TraceSource>('traces', traceSearch(tenant, traceId))
    let last: (TraceSource & HotVersion) | undefined
    for (const { _source } of hits) {
      const one = { ..._source, decidedAtMs: checked(_source.decision, traceId).decidedAtMs }
      if (last === undefined || isNewer(one, last)) last = one
    }
    if (last === undefined) return undefined
    const { decision, logId, partition, offset } = last
    const parts = await this.#parts(tenant, traceId)
    const read = await this.#bodies(tenant, traceId, parts)
    const bodies = bodiesOf(parts, part => read.get(part), textFromMs)
    return { decision, logId, partition, offset, spans: spansOf(parts), bodies }
  }

  async search(filter: TraceFilter): Promise<TracePage> {
    let after = checkSearch(filter)
    const wanted = filter.limit + 1
    const found: DecisionHead[] = []
    for (;;) {
      const hits = await this.#search<TraceSource>('traces', pageSearch(filter, after, wanted))
      const rows = hits.map(({ _source }) => _source)
      const last = await this.#lastOf(
        filter.tenant,
        rows.map(({ decision }) => checked(decision, decision.traceId).traceId),
      )
      for (const { decision, logId, offset } of rows) {
        const { decidedAtMs, traceId } = decision
        const other = last.get(traceId)
        const isLast = other === undefined || !isNewer(other, { logId, offset, decidedAtMs })
        if (isLast) found.push(decision)
      }
      after = rows.at(-1)?.decision
      if (rows.length < wanted || found.length >= wanted) break
    }
    return pageOf(found.slice(0, wanted), filter.limit)
  }

  /** The version that speaks for each of these traces. */
  async #lastOf(tenant: string, ids: readonly string[]): Promise<Map<string, HotVersion>> {
    const last = new Map<string, HotVersion>()
    for (let at = 0; at < ids.length; at += lastOfMax) {
      const hits = await this.#search<{
        readonly traceId: string
        readonly logId: string
        readonly offset: number
        readonly decidedAt: number
      }>('traces', versionsSearch(tenant, ids.slice(at, at + lastOfMax)))
      for (const { _source } of hits) {
        const { traceId, logId, offset, decidedAt: decidedAtMs } = _source
        const version = { logId, offset, decidedAtMs }
        const before = last.get(traceId)
        if (before === undefined || isNewer(version, before)) last.set(traceId, version)
      }
    }
    return last
  }

  async #parts(tenant: string, traceId: string): Promise<Part[]> {
    const parts: Part[] = []
    let after: readonly unknown[] | undefined
    for (;;) {
      const hits = await this.#search<PartSource>('parts', partsSearch(tenant, traceId, after))
      for (const { _source } of hits) {
        const { v, logId, offset, decidedAt, spans, bodies } = _source
        if (v > documentFormat) throw newerFormat(traceId, v)
        const pack = SpanPack.from(bytesOf(spans))
        parts.push({ logId, offset, decidedAtMs: decidedAt, spans: pack, bodies })
      }
      after = hits.at(-1)?.sort
      if (hits.length < partsAtOnce) return parts
    }
  }

  /** By part; a body whose index has expired is in none. Found by their ids, so that nothing has to be searched. */
  async #bodies(tenant: string, traceId: string, parts: readonly Part[]) {
    const read = new Map<Part, HotBody[]>()
    let asked: { part: Part; ref: string; length: number; _index: string; _id: string }[] = []
    let bytes = 0
    const ask = async (): Promise<void> => {
      const docs = asked.map(({ _index, _id }) => ({ _index, _id }))
      const { body } = await this.#connection.send<{ readonly docs: readonly GotDoc[] }>({
        method: 'POST',
        path: '/_mget',
        body: { docs },
      })
      asked.forEach(({ part, ref, length }, at) => {
        const got = bodyOf(body.docs[at], ref, length, docs[at]?._index ?? '')
        if (got !== undefined) read.set(part, [...(read.get(part) ?? []), got])
      })
      asked = []
      bytes = 0
    }
    for (const part of parts) {
      for (const [ref, length] of part.bodies.places) {
        if (asked.length > 0 && bytes + length > bodiesBytesMax) await ask()
        const _id = bodyId({ tenant, traceId, logId: part.logId }, ref)
        asked.push({ part, ref, length, _index: part.bodies.index, _id })
        bytes += length
        if (asked.length === bodiesAtOnceMax) await ask()
      }
    }
    if (asked.length > 0) await ask()
    return read
  }

  async #search<Source>(kind: 'traces' | 'parts', body: object): Promise<readonly Hit<Source>[]> {
    const { body: found } = await this.#connection.send<{
      readonly hits: { readonly hits: readonly Hit<Source>[] }
    }>({
      method: 'POST',
      path: `/${indexPattern(this.#prefix, kind)}/_search`,
      // A shard that does not answer is an error, not a page with less on it.
      querystring: {
        allow_partial_search_results: false,
        ignore_unavailable: true,
        allow_no_indices: true,
      },
      body,
    })
    return found.hits.hits
  }
}

interface GotDoc {
  readonly found?: boolean
  readonly _source?: { readonly bytes: string }
  readonly error?: { readonly type?: string }
}

function bodyOf(
  doc: GotDoc | undefined,
  ref: string,
  length: number,
  index: string,
): HotBody | undefined {
  if (doc?._source === undefined) {
    const type = doc?.error?.type
    if (type === undefined || type === 'index_not_found_exception') return undefined
    throw new PipelineError(
      'STORE_UNAVAILABLE',
      `hot index ${index} does not answer (${type}): open it (POST /${index}/_open), or delete it`,
    )
  }
  const bytes = bytesOf(doc._source.bytes)
  if (bytes.length !== length) {
    throw new PipelineError(
      'DATA_CORRUPT',
      `${index} has ${bytes.length} bytes of slice ${ref}, written were ${length}; delete the index: what it held stays in warm, without its text`,
    )
  }
  return { ref, bytes }
}

function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}

function newerFormat(traceId: string, found: number): PipelineError {
  return new PipelineError(
    'CONFIG_INVALID',
    `what is held of ${traceId} has format ${found}, this release reads up to ${documentFormat}; run the newer release`,
  )
}

function checked(decision: DecisionHead, traceId: string): DecisionHead {
  if (acceptsVersion('decision', decision.v)) return decision
  throw new PipelineError(
    'CONFIG_INVALID',
    `the decision of ${traceId} has format ${decision.v}, this release reads ${readVersions('decision')}; run the newer release`,
  )
}
