import type { Bus } from '@winnow/bus'
import type { CostSettings } from '@winnow/cost'
import { OutcomeMap, type OutcomeRule } from '@winnow/model'
import type {
  Address,
  ApiKeys,
  Component,
  Health,
  Log,
  Metrics,
  ServerTls,
  StageClock,
} from '@winnow/runtime'
import { type BlobStore, defaultHotLife, type HotStore } from '@winnow/storage'
import { ApiServer } from './api-server.ts'
import type { QueryConfig } from './config.ts'
import { Costs } from './cost-routes.ts'
import { DecisionFold } from './decision-fold.ts'
import { DecisionLookup } from './decision-lookup.ts'
import type { ErasureRequests } from './erasure-routes.ts'
import { Estimates } from './estimate/estimate-route.ts'
import { openPage } from './page.ts'
import type { Policies } from './policy-routes.ts'
import { SpanLookup } from './span-lookup.ts'
import { LedgerWatch } from './verify/ledger-watch.ts'
import type { PendingFacts } from './why.ts'

export interface QueryOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: {
    readonly spans: string
    readonly evidence: string
    readonly decisions: string
  }
  readonly hot: HotStore
  /** Where the sampler's index and the ledger lie; without it older decisions are not found. */
  readonly blobs?: BlobStore
  readonly listen: Address
  readonly keys: ApiKeys | undefined
  /** Undefined: plain text. */
  readonly tls?: ServerTls | undefined
  readonly config: QueryConfig
  /** What senders' outcomes are here: `outcomes:` of the configuration. */
  readonly outcomes?: readonly OutcomeRule[]
  /** Takes out of what a caller writes what must not be kept; absent: nothing. */
  readonly redact?: (tenant: string, body: unknown) => Promise<unknown>
  readonly spansRetentionMs: number
  /** How long warm and cold hold what they hold. */
  readonly livesMs?: Readonly<Record<'warm' | 'cold', number>>
  readonly clock: StageClock
  readonly log: Log
  readonly metrics: Metrics
  readonly health: Health
  readonly pending?: (tenant: string, traceId: string) => Promise<PendingFacts | undefined>
  /** The policies of the fleet, in `control`; without it nobody is told or changes them here. */
  readonly policies?: Policies
  /** What costs are worked out from; without it, or without a blob store, they are not. */
  readonly costs?: CostSettings
  /** Folder of the page, as it was built; without it there is none. */
  readonly pageFolder?: string
  /** What is erased, in `control`; without it nothing is, here. */
  readonly erasures?: ErasureRequests
  /** Names of a tenant's cold keys; undefined where none can be read here. */
  readonly coldKeys?: (tenant: string) => Promise<readonly string[] | undefined>
}

const defaultLivesMs = { warm: 30 * 86_400_000, cold: 365 * 86_400_000 }

/** The API over the stores and the retained decisions. It writes requests in `evidence`, policies and erasures in `control`. */
export class Query implements Component {
  readonly #fold: DecisionFold
  readonly #ledger: LedgerWatch
  readonly #server: ApiServer
  #ready = false

  constructor(options: QueryOptions) {
    const { bus, topics, log, config, hot, clock, listen, keys, pending, blobs } = options
    const { warm, cold } = options.livesMs ?? defaultLivesMs
    this.#ledger = new LedgerWatch({
      bus,
      topics,
      everyMs: config.verifyEvery,
      slicesMax: config.verifySlicesMax,
      clock,
      log,
      metrics: options.metrics,
    })
    this.#fold = new DecisionFold({
      bus,
      topic: topics.decisions,
      bytesMax: config.foldBytesMax,
      clock,
      log,
      onRead: (partition, item) => this.#ledger.offer(partition, item),
    })
    this.#server = new ApiServer({
      bus,
      evidence: topics.evidence,
      hot,
      fold: this.#fold,
      lookup: new DecisionLookup({
        bus,
        topic: topics.decisions,
        fold: this.#fold,
        hot,
        blobs,
        daysMax: config.ledgerDaysMax,
        nowMs: () => clock.nowMs(),
        log,
      }),
      stored:
        blobs &&
        new SpanLookup({
          blobs,
          partitionOf: traceId => this.#fold.partitionOf(traceId),
          warmLifeMs: warm,
          nowMs: () => clock.nowMs(),
          coldKeys: options.coldKeys,
          log,
        }),
      blobs,
      lives: { ...defaultHotLife, warmMs: warm, coldMs: cold },
      ledger: this.#ledger,
      ...(options.policies !== undefined && { policies: options.policies }),
      ...(options.erasures !== undefined && { erasures: options.erasures }),
      ...(options.costs !== undefined &&
        blobs !== undefined && {
          costs: new Costs({ settings: options.costs, blobs, hot, clock }),
        }),
      ...(options.pageFolder !== undefined && { page: openPage(options.pageFolder) }),
      estimates: new Estimates(),
      waits: { spansRetentionMs: options.spansRetentionMs, awaitingMaxMs: config.awaitingMax },
      outcomes: new OutcomeMap(options.outcomes),
      clock,
      listen,
      keys,
      tls: options.tls,
      log,
      ...(pending !== undefined && { pending }),
      ...(options.redact !== undefined && { redact: options.redact }),
    })
    options.health.register('query', () => {
      if (!this.#ready) {
        return { ready: false, detail: 'still reading the retained decisions; wait' }
      }
      // It reads on without traffic, so this also tells when the bus is back.
      return this.#fold.isReadable
        ? { ready: true }
        : { ready: false, detail: 'decisions cannot be read; see whether the bus answers' }
    })
  }

  get address(): string {
    return this.#server.address
  }

  async start(): Promise<void> {
    await this.#fold.start()
    await this.#ledger.start()
    await this.#server.start()
    this.#ready = true
  }

  async stop(): Promise<void> {
    this.#ready = false
    await this.#server.stop()
    await this.#ledger.stop()
    await this.#fold.stop()
  }
}
