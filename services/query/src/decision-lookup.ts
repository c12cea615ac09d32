import type { Bus } from '@winnow/bus'
import { type DecisionHead, parseDecision } from '@winnow/model'
import { isRetryable, type Log, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  dateOf,
  decisionOf,
  type HotStore,
  type IdIndexName,
  idIndexKey,
  latestSnapshot,
  listIdIndexes,
  lookUpInIdIndex,
  lookUpInSnapshot,
  openIdIndex,
  openSnapshot,
  readLedgerRow,
  type SnapshotEntry,
} from '@winnow/storage'
import type { DecisionFold } from './decision-fold.ts'
import { FileCache } from './file-cache.ts'

/** Where a decision was looked for. */
export interface Searched {
  /**
   * In the order in which they were asked; the last one has it, if any has. `log`: the decisions that
   * are remembered; `index`: the sampler's index of the last days; `ledger`: every day before.
   */
  readonly tiers: readonly ('log' | 'hot' | 'index' | 'ledger')[]
  /** The oldest day, UTC, whose ledger was searched; null where none was. */
  readonly ledgerSince: string | null
  /** False where something is left: older days (ask on with `before=` that day), or what was unreadable. */
  readonly complete: boolean
  /** Keys of objects that could not be read; the log of the service says why. */
  readonly unreadable: readonly string[]
}

export interface Found {
  /** The last counting decision of the trace. */
  readonly decision: DecisionHead | undefined
  readonly searched: Searched
}

export interface LookupOptions {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly topic: string
  readonly fold: DecisionFold
  readonly hot: HotStore
  /** Undefined: neither index nor ledger can be searched. */
  readonly blobs: BlobStore | undefined
  /** Days of the ledger that one request searches. */
  readonly daysMax: number
  readonly log: Log
}

/** Memory of footers of index files, which never change. */
export const footersBytesMax = 32 * 1024 * 1024

const dayMs = 86_400_000

/**
 * Finds the last decision of a trace among all there ever were, without a memory of its own: what the
 * log still has and is remembered, the hot store, the sampler's index snapshot, and the id index of
 * each day of the ledger, newest first. Every step is within the tenant. A trace of day n before today
 * is 2n + 7 reads of the blob store away, whatever else there is.
 */
export class DecisionLookup {
  readonly #options: LookupOptions
  readonly #files = new FileCache(footersBytesMax)
  #logId: string | undefined

  constructor(options: LookupOptions) {
    this.#options = options
  }

  /** With `before`, a UTC day, only the ledger of earlier days is searched. */
  async find(tenant: string, traceId: string, before?: string): Promise<Found> {
    const { hot, blobs } = this.#options
    const search = new Search()
    if (before === undefined) {
      const remembered = await this.#fromLog(tenant, traceId, search)
      if (remembered !== undefined) return search.found(remembered)
      search.tiers.push('hot')
      const stored = await hot.get(tenant, traceId)
      if (stored !== undefined) return search.found(stored.decision)
    }
    if (blobs === undefined) return search.nothing(false)
    let until = before
    if (before === undefined) {
      const indexed = await this.#fromIndex(blobs, tenant, traceId, search)
      if (indexed?.decision !== undefined) return search.found(indexed.decision)
      // Its segment is named by a day no later than that of its own append.
      if (indexed !== undefined) until = dateOf(indexed.decidedAtMs + 2 * dayMs)
    }
    return await this.#fromLedger(blobs, tenant, traceId, until, search)
  }

  async #fromLog(
    tenant: string,
    traceId: string,
    search: Search,
  ): Promise<DecisionHead | undefined> {
    search.tiers.push('log')
    try {
      return await this.#options.fold.latest(tenant, traceId)
    } catch (error) {
      // Retention may pass a record between the fold and the fetch: a store has it then.
      if (!isGone(error)) throw error
      return undefined
    }
  }

  /** Undefined: the index does not know the trace. Without `decision` its record has left the log. */
  async #fromIndex(
    blobs: BlobStore,
    tenant: string,
    traceId: string,
    search: Search,
  ): Promise<{ decision?: DecisionHead; decidedAtMs: number } | undefined> {
    const { bus, topic, fold } = this.#options
    search.tiers.push('index')
    const partition = fold.partitionOf(traceId)
    this.#logId ??= await bus.logId(topic)
    const key = await latestSnapshot(blobs, partition, this.#logId)
    if (key === undefined) {
      search.isPartial ||= fold.forgotten > 0
      return undefined
    }
    const entry = await this.#readable(
      key,
      search,
      async (): Promise<SnapshotEntry | undefined> => {
        const snapshot = await this.#files.get(key, () => openSnapshot(blobs, key))
        return snapshot && lookUpInSnapshot(blobs, snapshot, tenant, traceId)
      },
    )
    if (entry === undefined) return undefined
    const { offset, decidedAtMs } = entry
    try {
      const { value } = await bus.fetch(topic, partition, offset)
      const parsed = parseDecision(Buffer.from(value).toString())
      const decision = parsed.kind === 'record' ? parsed.record : undefined
      if (decision?.kind === 'decision' && isOf(decision, tenant, traceId)) {
        return { decision, decidedAtMs }
      }
      search.cannotRead(key)
      const what = `${key} says that ${traceId} was decided at ${offset}, where another record lies`
      this.#options.log.error('query.index_wrong', what)
      return undefined
    } catch (error) {
      if (!isGone(error)) throw error
      return { decidedAtMs }
    }
  }

  /** The ledger of the days before `until`, newest first, as many as one request may. */
  async #fromLedger(
    blobs: BlobStore,
    tenant: string,
    traceId: string,
    until: string | undefined,
    search: Search,
  ): Promise<Found> {
    search.tiers.push('ledger')
    const names = await listIdIndexes(blobs, this.#options.fold.partitionOf(traceId))
    const earlier = names.filter(({ date }) => until === undefined || date < until)
    const days = [...Map.groupBy(earlier, ({ date }) => date)].reverse()
    for (const [date, indexes] of days.slice(0, this.#options.daysMax)) {
      search.ledgerSince = date
      const decision = await this.#fromDay(blobs, tenant, traceId, indexes, search)
      if (decision !== undefined) return search.found(decision)
    }
    return search.nothing(days.length <= this.#options.daysMax)
  }

  /** Several indexes of one log: the later goes first. Of two logs of a day the later decision speaks. */
  async #fromDay(
    blobs: BlobStore,
    tenant: string,
    traceId: string,
    indexes: readonly IdIndexName[],
    search: Search,
  ): Promise<DecisionHead | undefined> {
    let last: { readonly decision: DecisionHead; readonly logId: string } | undefined
    for (const index of indexes.toReversed()) {
      const { logId } = index
      if (last?.logId === logId) continue
      const decision = await this.#inIndex(blobs, tenant, traceId, idIndexKey(index), search)
      if (decision !== undefined && decision.decidedAtMs >= (last?.decision.decidedAtMs ?? 0)) {
        last = { decision, logId }
      }
    }
    return last?.decision
  }

  async #inIndex(
    blobs: BlobStore,
    tenant: string,
    traceId: string,
    key: string,
    search: Search,
  ): Promise<DecisionHead | undefined> {
    const place = await this.#readable(key, search, async () => {
      const index = await this.#files.get(key, () => openIdIndex(blobs, key))
      return index && lookUpInIdIndex(blobs, index, tenant, traceId)
    })
    if (place === undefined) return undefined
    return await this.#readable(place.key, search, async () => {
      const row = await readLedgerRow(blobs, place)
      const decision = row && decisionOf(row)
      if (decision === undefined || isOf(decision, tenant, traceId)) return decision
      throw new PipelineError(
        'DATA_CORRUPT',
        `${place.key}: row ${place.row} is not of ${traceId}, as ${key} says; delete that index`,
      )
    })
  }

  /** One bad object makes an answer incomplete, and says so; a store that is away makes none. */
  async #readable<T>(
    key: string,
    search: Search,
    read: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      if (isRetryable(error) || !(error instanceof PipelineError)) throw error
      search.cannotRead(key)
      this.#options.log.error('query.object_unreadable', error, { key })
      return undefined
    }
  }
}

/** What one request has searched so far. */
class Search {
  readonly tiers: Searched['tiers'][number][] = []
  readonly #unreadable: string[] = []
  ledgerSince: string | null = null
  isPartial = false

  cannotRead(key: string): void {
    this.#unreadable.push(key)
    this.isPartial = true
  }

  found(decision: DecisionHead): Found {
    return { decision, searched: this.#searched(true) }
  }

  nothing(isAll: boolean): Found {
    return { decision: undefined, searched: this.#searched(isAll) }
  }

  #searched(isAll: boolean): Searched {
    const { tiers, ledgerSince } = this
    return { tiers, ledgerSince, complete: isAll && !this.isPartial, unreadable: this.#unreadable }
  }
}

function isOf(decision: DecisionHead, tenant: string, traceId: string): boolean {
  return decision.tenant === tenant && decision.traceId === traceId
}

function isGone(error: unknown): boolean {
  return error instanceof PipelineError && error.code === 'OFFSET_GONE'
}
