import {
  type HealthPart,
  type Log,
  type Metrics,
  PipelineError,
  type StageClock,
  systemClock,
} from '@winnow/runtime'
import type { HeldTrace, HotCensus, HotFrontier } from '../hot-census.ts'
import { dayOf, endOf, type HotPeriod, hourOf } from '../hot-period.ts'
import { checkSearch } from '../hot-search.ts'
import {
  defaultHotLife,
  type ErasedFromHot,
  type HeldPeriod,
  type HotLife,
  type HotStore,
  type HotTrace,
  type HotTraceRead,
  type TraceFilter,
  type TracePage,
} from '../hot-store.ts'
import { BulkWriter, type Rejected } from './bulk-writer.ts'
import { Connection, type ConnectionOptions, NoAnswerError, StatusError } from './connection.ts'
import { partOps, traceOp } from './documents.ts'
import { type IndexKind, indexKinds, indexName } from './index-names.ts'
import { type Indices, indicesOf } from './indices.ts'
import { OpenSearchCensus } from './opensearch-census.ts'
import { eraseDocuments } from './opensearch-erase.ts'
import { OpenSearchReads } from './opensearch-reads.ts'
import { RequestBytes } from './request-bytes.ts'

/** How often a search makes new documents visible, where only others have written. */
export const refreshEveryMs = 1_000

/** Who asks for readiness often waits no more than a second. */
const probeWaitMs = 800

export interface OpenSearchHotStoreOptions extends ConnectionOptions {
  readonly indexPrefix: string
  readonly shards: number
  readonly replicas: number
  /** Bytes of one bulk request. */
  readonly bulkBytesMax: number
  /** Puts that are sent at the same time; further ones wait, and nothing of theirs is made yet. */
  readonly putsInFlightMax: number
  /** Who only reads puts no templates. */
  readonly mayWrite: boolean
  readonly life?: HotLife
  readonly clock?: StageClock
  readonly random?: () => number
  readonly log?: Log
  readonly metrics?: Metrics
}

/**
 * The hot tier in OpenSearch, an index a UTC day or hour:
 *
 *   winnow-traces-2026-11-21    the last decision of each trace, version = its offset
 *   winnow-spans-2026-11-21     a document a span, in Data Prepper's fields: for people and Dashboards
 *   winnow-parts-2026-11-21     what one decision brought: the spans' rows as bytes, and where bodies lie
 *   winnow-text-2026-11-21t07   a body a document, nothing of it searchable
 *   winnow-rejected-2026-11-21  what no index took, and why
 *
 * Indices are deleted whole. Ids and versions are functions of the log, so that whatever is sent twice
 * or by two changes nothing. A trace's own document comes last: once it is found, all of it is there.
 */
export class OpenSearchHotStore implements HotStore {
  readonly #options: OpenSearchHotStoreOptions
  readonly #connection: Connection
  readonly #indices: Indices
  readonly #reads: OpenSearchReads
  readonly #life: HotLife
  readonly #clock: StageClock
  readonly #memory = new RequestBytes()
  readonly #closing = new AbortController()
  #prepared: Promise<void> | undefined
  readonly #turns: (() => void)[] = []
  #putting = 0
  /** Something was put since the last refresh. */
  #isDirty = true
  #refreshedAtMs = Number.NEGATIVE_INFINITY
  #putFailure: string | undefined

  private constructor(options: OpenSearchHotStoreOptions, connection: Connection) {
    this.#options = options
    this.#connection = connection
    this.#indices = indicesOf(connection, options.indexPrefix, options)
    this.#reads = new OpenSearchReads(connection, options.indexPrefix)
    this.#life = options.life ?? defaultHotLife
    this.#clock = options.clock ?? systemClock
  }

  /**
   * Rejects with CONFIG_INVALID where what it finds cannot become right by itself: another product or an
   * old release, wrong credentials, a certificate that nobody vouches for. A server that does not answer
   * is none of these: it is said, and tried again with every call.
   */
  static async open(options: OpenSearchHotStoreOptions): Promise<OpenSearchHotStore> {
    const store = new OpenSearchHotStore(options, await Connection.open(options))
    try {
      await store.#ready()
    } catch (error) {
      const isWrong =
        (error instanceof StatusError && (error.status === 401 || error.status === 403)) ||
        !(error instanceof PipelineError && error.retryable) ||
        (error instanceof NoAnswerError && error.isUntrusted)
      if (isWrong) {
        await store.close()
        throw asConfigError(error)
      }
      options.log?.error('hot_store.unavailable', error)
    }
    return store
  }

  async put(traces: readonly HotTrace[]): Promise<void> {
    await this.#ready()
    await this.#turn()
    try {
      await this.#putAll(traces)
      this.#putFailure = undefined
    } catch (error) {
      this.#putFailure = (error as Error).message
      if (error instanceof NoAnswerError) {
        this.#prepared = undefined
        this.#indices.forget()
      }
      throw error
    } finally {
      this.#isDirty = true
      this.#nextTurn()
    }
  }

  async get(
    tenant: string,
    traceId: string,
    textFromMs?: number,
  ): Promise<HotTraceRead | undefined> {
    await this.#refresh()
    return this.#reads.get(tenant, traceId, textFromMs)
  }

  async search(filter: TraceFilter): Promise<TracePage> {
    checkSearch(filter)
    await this.#refresh()
    return this.#reads.search(filter)
  }

  async expire(nowMs: number): Promise<void> {
    // Templates that somebody removed are there again before the next index is made.
    this.#prepared = undefined
    await this.#ready()
    const expired = (await this.#indices.list()).filter(({ period }) => {
      const life = period.kind === 'traces' ? this.#life.tracesMs : this.#life.textMs
      return endOf(period) + life <= nowMs
    })
    await this.#indices.remove(expired.map(({ name }) => name))
  }

  async periods(): Promise<HeldPeriod[]> {
    await this.#refresh()
    const [held, bytes, oldest] = await Promise.all([
      this.#indices.list(),
      this.#indices.bytesByName(),
      this.#reads.oldest(),
    ])
    return held.map(({ name, period }) => {
      const oldestMs = oldest.get(name)
      const age = oldestMs === undefined ? {} : { oldestMs }
      return { name, period, bytes: bytes.get(name) ?? 0, ...age }
    })
  }

  async census(dayStartMs: number, frontier: HotFrontier): Promise<HotCensus> {
    return (await this.#counted()).count(dayOf(dayStartMs), frontier)
  }

  async held(dayStartMs: number, group: string, frontier: HotFrontier): Promise<HeldTrace[]> {
    return (await this.#counted()).held(dayOf(dayStartMs), group, frontier)
  }

  /** Everything that was put before is counted. */
  async #counted(): Promise<OpenSearchCensus> {
    await this.#ready()
    await this.#indices.refresh(['traces', 'parts', 'spans'])
    return new OpenSearchCensus(this.#connection, this.#options.indexPrefix)
  }

  async erase(tenant: string, traceIds: readonly string[]): Promise<ErasedFromHot> {
    await this.#ready()
    const context = {
      connection: this.#connection,
      prefix: this.#options.indexPrefix,
      clock: this.#clock,
      closing: this.#closing.signal,
    }
    return eraseDocuments(context, tenant, traceIds)
  }

  async bytes(): Promise<number> {
    await this.#ready()
    // What is only in a node's memory and its log is no part of an index yet.
    await this.#indices.refresh(indexKinds)
    return this.#indices.bytes()
  }

  /** Ready while the server answers and takes what is put. */
  async health(): Promise<HealthPart> {
    try {
      await this.#connection.send({ method: 'GET', path: '/', timeoutMs: probeWaitMs })
    } catch (error) {
      return { ready: false, detail: (error as Error).message }
    }
    return this.#putFailure === undefined
      ? { ready: true }
      : { ready: false, detail: this.#putFailure }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#connection.close()
  }

  /** The server is one of ours and has the templates; asked once, and again after a failure. */
  #ready(): Promise<void> {
    this.#prepared ??= this.#prepare().catch((error: unknown) => {
      this.#prepared = undefined
      throw error
    })
    return this.#prepared
  }

  async #prepare(): Promise<void> {
    await this.#connection.checkRelease()
    if (this.#options.mayWrite) await this.#indices.putTemplates()
  }

  async #turn(): Promise<void> {
    if (this.#putting < this.#options.putsInFlightMax) this.#putting++
    else await new Promise<void>(resolve => this.#turns.push(resolve))
  }

  /** The place goes from hand to hand, so that nobody slips in between. */
  #nextTurn(): void {
    const next = this.#turns.shift()
    if (next === undefined) this.#putting--
    else next()
  }

  async #putAll(traces: readonly HotTrace[]): Promise<void> {
    const { indexPrefix } = this.#options
    await this.#indices.ensure(indexNames(indexPrefix, traces))
    const bulk = this.#bulk()
    for (const trace of traces) {
      for (const op of partOps(indexPrefix, trace)) await bulk.add(op)
    }
    await bulk.flush()
    for (const trace of traces) await bulk.add(traceOp(indexPrefix, trace))
    await bulk.flush()
  }

  #bulk(): BulkWriter {
    const { bulkBytesMax, random = Math.random, metrics } = this.#options
    return new BulkWriter({
      connection: this.#connection,
      memory: this.#memory,
      requestLengthMax: bulkBytesMax,
      clock: this.#clock,
      random,
      metrics,
      closing: this.#closing.signal,
      rejected: rejected => this.#setAside(rejected),
    })
  }

  /**
   * Without its text, which may be what is wrong with it: where it was to go, and why it could not. The
   * rows' own bytes are in the trace's part, so that what cannot be searched for can still be read.
   */
  async #setAside(rejected: readonly Rejected[]): Promise<void> {
    const { indexPrefix, log, metrics } = this.#options
    const atMs = this.#clock.nowMs()
    const into = indexName(indexPrefix, 'rejected', dayOf(atMs))
    let body = ''
    for (const { op, reason } of rejected) {
      const { index, id, tenant, traceId } = op
      metrics?.hotStoreRejected.inc({ reason: metrics.capped('name', reason) })
      log?.warn('hot_store.rejected', { index, id, reason })
      const action = { index: { _index: into, _id: `${index}/${id}`.slice(0, 500) } }
      const document = { tenant, traceId, index, reason, at: atMs }
      body += `${JSON.stringify(action)}\n${JSON.stringify(document)}\n`
    }
    try {
      await this.#indices.ensure([into])
      await this.#connection.send({
        method: 'POST',
        path: '/_bulk',
        bulkBody: body,
        allowed: [429],
      })
    } catch (error) {
      // It is counted and said already; what is written has to go on.
      log?.error('hot_store.set_aside_failed', error)
    }
  }

  /** What this store put is always found, what others put a second later at the most. */
  async #refresh(): Promise<void> {
    await this.#ready()
    const nowMs = this.#clock.nowMs()
    if (!this.#isDirty && nowMs - this.#refreshedAtMs < refreshEveryMs) return
    this.#isDirty = false
    try {
      await this.#indices.refresh(['traces', 'parts'])
      this.#refreshedAtMs = nowMs
    } catch (error) {
      this.#isDirty = true
      throw error
    }
  }
}

function indexNames(prefix: string, traces: readonly HotTrace[]): Set<string> {
  const names = new Set<string>()
  const add = (kind: IndexKind, period: HotPeriod): void => {
    names.add(indexName(prefix, kind, period))
  }
  const seen = new Set<string>()
  for (const { decision, bodies } of traces) {
    const [day, hour] = [dayOf(decision.seriesAtMs), hourOf(decision.decidedAtMs)]
    const place = `${day.startMs} ${hour.startMs} ${bodies.length > 0}`
    if (seen.has(place)) continue
    seen.add(place)
    for (const kind of ['traces', 'spans', 'parts'] as const) add(kind, day)
    if (bodies.length > 0) add('text', hour)
  }
  return names
}

function asConfigError(error: unknown): unknown {
  if (!(error instanceof PipelineError) || error.code === 'CONFIG_INVALID') return error
  const message = error.message.replace(/^\[\w+\] /, '')
  return new PipelineError('CONFIG_INVALID', message, { cause: error })
}
