import {
  type HeldTrace,
  type HotCensus,
  type HotCount,
  type HotFrontier,
  heldTracesMax,
  hotGroups,
} from '../hot-census.ts'
import type { HotPeriod } from '../hot-period.ts'
import type { Connection } from './connection.ts'
import { indexName } from './index-names.ts'

/** Traces in one answer. */
const tracesAtOnce = 1_000

/** Places in one query: three clauses each, of the 1,024 that the server takes. */
export const endsAtOnce = 256

type Kind = 'traces' | 'spans' | 'parts'

/** Where a document of each kind says which decision it comes from. */
const origin: Readonly<Record<Kind, string>> = { traces: '', spans: 'sampling.', parts: '' }

interface Counted {
  readonly doc_count: number
  readonly bytes?: { readonly value: number }
}

interface Bucket extends Counted {
  readonly key: { readonly traceId: string; readonly tenant: string | null }
  readonly within: { readonly buckets: readonly Counted[] }
}

/** The server's own counts of the indices of one day. */
export class OpenSearchCensus {
  readonly #connection: Connection
  readonly #prefix: string

  constructor(connection: Connection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  async count(day: HotPeriod, frontier: HotFrontier): Promise<HotCensus> {
    const groups: HotCount[] = hotGroups.map(() => ({ traces: 0, later: 0, spans: 0, bytes: 0 }))
    let strays = 0
    for (const kind of ['traces', 'spans', 'parts'] as const) {
      for (const reached of within(kind, frontier)) {
        const counted = await this.#groups(day, kind, [reached])
        for (const [at, group] of groups.entries()) {
          const one = counted[at]
          if (kind === 'traces') group.traces += one?.doc_count ?? 0
          else if (kind === 'spans') group.spans += one?.doc_count ?? 0
          else group.bytes += one?.bytes?.value ?? 0
        }
      }
      const all = await this.#groups(day, kind, [])
      strays += all.at(-1)?.doc_count ?? 0
    }
    await this.#countLater(day, frontier, groups)
    return { groups, strays }
  }

  async #countLater(day: HotPeriod, frontier: HotFrontier, groups: HotCount[]): Promise<void> {
    const again = { range: { revision: { gt: 1 } } }
    const all = await this.#groups(day, 'traces', [again])
    for (const [at, group] of groups.entries()) group.later = all[at]?.doc_count ?? 0
    for (const reached of within('traces', frontier)) {
      const counted = await this.#groups(day, 'traces', [again, reached])
      for (const [at, group] of groups.entries()) group.later -= counted[at]?.doc_count ?? 0
    }
  }

  async held(day: HotPeriod, group: string, frontier: HotFrontier): Promise<HeldTrace[]> {
    const traces = new Map<string, { -readonly [Key in keyof HeldTrace]: HeldTrace[Key] }>()
    for (const kind of ['traces', 'spans', 'parts'] as const) {
      for await (const { key, doc_count, bytes, within: inside } of this.#traces(
        day,
        kind,
        group,
        frontier,
      )) {
        const { traceId } = key
        const tenant = key.tenant ?? ''
        const id = `${traceId} ${tenant}`
        const isWithin = sumOf(inside.buckets) === doc_count
        const none = { tenant, traceId, isFound: false, isWithin, spans: 0, bytes: 0 }
        const trace = traces.get(id) ?? none
        traces.set(id, trace)
        if (kind === 'traces') trace.isFound = true
        if (kind === 'spans') trace.spans = doc_count
        if (kind === 'parts') trace.bytes = bytes?.value ?? 0
      }
    }
    return [...traces.values()]
      .sort((a, b) => (`${a.traceId} ${a.tenant}` < `${b.traceId} ${b.tenant}` ? -1 : 1))
      .slice(0, heldTracesMax)
  }

  /** As `hotGroups`, and at the end what is in none. */
  async #groups(day: HotPeriod, kind: Kind, filter: readonly object[]): Promise<Counted[]> {
    const ranges = hotGroups.map(group => [group, beginsWith(group)])
    const answer = await this.#search<{
      readonly groups: { readonly buckets: Readonly<Record<string, Counted>> }
    }>(day, kind, {
      query: { bool: { filter } },
      aggs: {
        groups: {
          filters: { filters: Object.fromEntries(ranges), other_bucket_key: 'other' },
          ...summed(kind),
        },
      },
    })
    return [...hotGroups, 'other'].map(
      group => answer?.groups.buckets[group] ?? { doc_count: 0, bytes: { value: 0 } },
    )
  }

  async *#traces(
    day: HotPeriod,
    kind: Kind,
    group: string,
    frontier: HotFrontier,
  ): AsyncGenerator<Bucket> {
    const byTrace = [
      { traceId: { terms: { field: 'traceId' } } },
      { tenant: { terms: { field: 'tenant', missing_bucket: true } } },
    ]
    let after: object | undefined
    for (let read = 0; read < heldTracesMax; read += tracesAtOnce) {
      const sums = summed(kind)
      const answer = await this.#search<{
        readonly traces: { readonly after_key?: object; readonly buckets: readonly Bucket[] }
      }>(day, kind, {
        query: beginsWith(group),
        aggs: {
          traces: {
            composite: { size: tracesAtOnce, sources: byTrace, ...(after && { after }) },
            aggs: { ...sums.aggs, within: { filters: { filters: within(kind, frontier) } } },
          },
        },
      })
      yield* answer?.traces.buckets ?? []
      after = answer?.traces.after_key
      if (after === undefined) return
    }
  }

  /** Undefined where the day has no such index. */
  async #search<Answer>(day: HotPeriod, kind: Kind, body: object): Promise<Answer | undefined> {
    const { body: found } = await this.#connection.send<{ readonly aggregations?: Answer }>({
      method: 'POST',
      path: `/${indexName(this.#prefix, kind, day)}/_search`,
      // A shard that does not answer is an error, not a smaller count.
      querystring: {
        allow_partial_search_results: false,
        ignore_unavailable: true,
        allow_no_indices: true,
      },
      body: { size: 0, track_total_hits: false, ...body },
    })
    return found.aggregations
  }
}

/** `fg` is the first text behind all that begin with `ff`. */
function beginsWith(group: string): object {
  return { range: { traceId: { gte: group, lt: `${group}g` } } }
}

function summed(kind: Kind): { readonly aggs?: object } {
  return kind === 'parts' ? { aggs: { bytes: { sum: { field: 'bytes' } } } } : {}
}

function sumOf(counts: readonly Counted[]): number {
  return counts.reduce((sum, { doc_count }) => sum + doc_count, 0)
}

/**
 * What the ledger reaches, as queries of which at most one finds a document. Of spans only their places are
 * known, not when they were decided on.
 */
function within(kind: Kind, { ends, beforeMs }: HotFrontier): object[] {
  const field = (name: string): string => `${origin[kind]}${name}`
  const places = ends.map(({ logId, partition, offset }) => ({
    bool: {
      filter: [
        { term: { [field('logId')]: logId } },
        { term: { [field('partition')]: partition } },
        { range: { [field('offset')]: { lte: offset } } },
      ],
    },
  }))
  const logs = [...new Set(ends.map(({ logId }) => logId))]
  const isUnknown = { bool: { must_not: { terms: { [field('logId')]: logs } } } }
  const nowhere = { bool: { must_not: { exists: { field: field('logId') } } } }
  const old = { bool: { filter: [isUnknown, { range: { decidedAt: { lt: beforeMs } } }] } }
  const queries: object[] = [{ bool: { should: kind === 'spans' ? [nowhere] : [nowhere, old] } }]
  for (let at = 0; at < places.length; at += endsAtOnce) {
    queries.push({ bool: { should: places.slice(at, at + endsAtOnce) } })
  }
  return queries
}
