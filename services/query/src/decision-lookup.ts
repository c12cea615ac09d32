import type { Bus } from '@winnow/bus'
import { type DecisionHead, parseDecision } from '@winnow/model'
import { type Log, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  dateOf,
  type HotStore,
  latestSnapshot,
  lookUpInSnapshot,
  openSnapshot,
  type SnapshotEntry,
} from '@winnow/storage'
import type { DecisionFold } from './decision-fold.ts'
import { LedgerSearch, listsKeptMs } from './ledger-search.ts'
import { Recent } from './recent.ts'
import { type Found, Search } from './searched.ts'

export type { Found, Searched } from './searched.ts'

export interface LookupOptions {
  readonly bus: Bus
  /** Full name of the `decisions` topic. */
  readonly topic: string
  readonly fold: DecisionFold
  readonly hot: HotStore
  /** Undefined: neither index nor ledger can be searched. */
  readonly blobs: BlobStore | undefined
  /** Indexes of the ledger, and days without one, that one request looks into. */
  readonly daysMax: number
  readonly nowMs: () => number
  readonly log: Log
}

const dayMs = 86_400_000

/**
 * Finds the last decision of a trace among all there ever were, without a memory of its own: what the
 * log still has and is remembered, the hot store, the sampler's index snapshot, and the id indexes of
 * the ledger. Every step is within the tenant.
 */
export class DecisionLookup {
  readonly #options: LookupOptions
  readonly #ledger: LedgerSearch | undefined
  readonly #snapshots: Recent<string | undefined>
  #logId: string | undefined

  constructor(options: LookupOptions) {
    this.#options = options
    const { blobs, fold, daysMax, nowMs } = options
    const partitionOf = (traceId: string): number => fold.partitionOf(traceId)
    this.#snapshots = new Recent(listsKeptMs, nowMs)
    this.#ledger = blobs && new LedgerSearch({ blobs, partitionOf, daysMax, nowMs })
  }

  /** With `before`, a UTC day, only the ledger of earlier days is searched. */
  async find(tenant: string, traceId: string, before?: string): Promise<Found> {
    const { hot, blobs } = this.#options
    const search = new Search(this.#options.log)
    if (before === undefined) {
      const remembered = await this.#fromLog(tenant, traceId, search)
      if (remembered !== undefined) return search.found(remembered)
      search.tiers.push('hot')
      const stored = await hot.get(tenant, traceId)
      if (stored !== undefined) return search.found(stored.decision)
    }
    if (blobs === undefined || this.#ledger === undefined) return search.nothing(false)
    let until = before
    if (before === undefined) {
      const indexed = await this.#fromIndex(blobs, tenant, traceId, search)
      if (indexed?.decision !== undefined) return search.found(indexed.decision)
      // Its segment is named by a day no later than that of its own append.
      if (indexed !== undefined) until = dateOf(indexed.decidedAtMs + 2 * dayMs)
    }
    search.tiers.push('ledger')
    const logged = await this.#ledger.find({ tenant, traceId, before: until }, search)
    return logged === undefined
      ? search.nothing(true)
      : { ...search.found(logged.decision), segment: logged.segment }
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
    const logId = this.#logId
    const list = `${partition}`
    const key = await this.#snapshots.of(list, () => latestSnapshot(blobs, partition, logId))
    if (key === undefined) {
      search.isPartial ||= fold.forgotten > 0
      return undefined
    }
    const entry = await search.readable(key, async (): Promise<SnapshotEntry | undefined> => {
      const snapshot = await this.#ledger?.files.get(key, () => openSnapshot(blobs, key))
      if (snapshot !== undefined) return lookUpInSnapshot(blobs, snapshot, tenant, traceId)
      // It went after it was listed: the next request asks for a newer one.
      this.#snapshots.forget(list)
      search.isPartial = true
      return undefined
    })
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
}

function isOf(decision: DecisionHead, tenant: string, traceId: string): boolean {
  return decision.tenant === tenant && decision.traceId === traceId
}

function isGone(error: unknown): boolean {
  return error instanceof PipelineError && error.code === 'OFFSET_GONE'
}
