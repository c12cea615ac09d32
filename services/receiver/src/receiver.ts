import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bus, Source } from '@winnow/bus'
import { OutcomeMap, type OutcomeRule } from '@winnow/model'
import type { Names, Redactors } from '@winnow/privacy'
import {
  type Address,
  type ApiKeys,
  type Clock,
  type Component,
  type Health,
  type Log,
  type Metrics,
  PipelineError,
  type ServerTls,
} from '@winnow/runtime'
import { Admission } from './admission.ts'
import { BodyPool } from './body-pool.ts'
import { BusHealth } from './bus-health.ts'
import type { ReceiverConfig } from './config.ts'
import type { Edge } from './edge.ts'
import { GrpcServer } from './grpc-server.ts'
import { httpHandler } from './http-handler.ts'
import { HttpServer } from './http-server.ts'
import { Intake } from './intake.ts'
import type { KafkaSourceConfig } from './kafka-source-config.ts'
import { Redaction } from './redaction.ts'
import { RefusalHold } from './refusal-hold.ts'
import { ScoreTraces } from './score-traces.ts'
import { SourceIntake } from './source-intake.ts'

export interface ReceiverOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string }
  /** Port 0 picks a free one. */
  readonly listen: { readonly grpc: Address; readonly http: Address }
  /** Undefined: any credential is ignored and the tenant is `default`. */
  readonly keys: ApiKeys | undefined
  /** Undefined: plain text. */
  readonly tls?: ServerTls | undefined
  readonly config: ReceiverConfig
  /** What senders' outcomes are here: `outcomes:` of the configuration. */
  readonly outcomes?: readonly OutcomeRule[]
  /** What is redacted of each tenant's before the bus; absent: nothing. */
  readonly redactors?: Redactors
  /** Who is asked for names in what is redacted; absent: nobody. */
  readonly names?: Names
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly health: Health
  /**
   * How near the stages of this process are to being too far behind, 0 to 1. Above a half
   * acknowledgements are held, at 1 requests are refused: overload would feed itself. On Kafka absent:
   * there lag is allowed.
   */
  readonly lagging?: () => number
  /** Topics of others that are taken from too; closed with the receiver. */
  readonly kafkaSource?: { readonly source: Source; readonly config: KafkaSourceConfig }
  /** An integer that senders do not know; random where it is absent. */
  readonly hashSeed?: number
}

/** Takes OTLP and evaluations, and acknowledges what the bus has made durable. */
export interface Receiver extends Component {
  /** `host:port` as bound; valid once started. */
  readonly grpcAddress: string
  readonly httpAddress: string
  /** Rejects when it cannot go on; what it acknowledged or committed is on the bus. */
  readonly failed: Promise<never>
  /** Bytes of requests that are held in memory now. */
  readonly bytesInFlight: number
  /** Bytes of records that it has made durable since it was started. */
  readonly appendedBytes: number
}

export function createReceiver(options: ReceiverOptions): Receiver {
  return new OtlpReceiver(options)
}

/** Body memory that is kept for the next requests. */
const pooledBytesMax = 64 * 1024 * 1024

class OtlpReceiver implements Receiver {
  readonly #options: ReceiverOptions
  readonly #admission: Admission
  readonly #busHealth: BusHealth
  readonly #outcomes: OutcomeMap
  readonly #failure = Promise.withResolvers<never>()
  #running: Running | undefined
  #isStopping = false

  constructor(options: ReceiverOptions) {
    const { config, clock, health, lagging } = options
    this.#options = options
    this.#outcomes = new OutcomeMap(options.outcomes)
    this.#failure.promise.catch(() => {})
    this.#admission = new Admission(config, () => clock.nowMs(), lagging)
    this.#busHealth = new BusHealth(clock)
    health.register('bus', () => this.#busHealth.read())
    const { redactors, names } = options
    if (redactors !== undefined) health.register('redaction', () => redactors.health())
    if (names !== undefined) health.register('names', () => names.health())
    health.register('receiver', () =>
      this.#running !== undefined && !this.#isStopping
        ? { ready: true }
        : { ready: false, detail: 'not listening' },
    )
  }

  get failed(): Promise<never> {
    return this.#failure.promise
  }

  get grpcAddress(): string {
    return this.#started().grpc.address
  }

  get httpAddress(): string {
    return this.#started().http.address
  }

  get bytesInFlight(): number {
    return this.#admission.bytesInFlight
  }

  get appendedBytes(): number {
    return this.#running?.intake.appendedBytes ?? 0
  }

  async start(): Promise<void> {
    const { listen, config, tls } = this.#options
    const intake = await this.#intake()
    const edge = this.#edge(intake)
    const grpc = new GrpcServer(edge, tls)
    const http = new HttpServer(httpHandler(edge), config.connectionsMax, tls)
    this.#isStopping = false
    await grpc.start(listen.grpc)
    try {
      await http.start(listen.http)
    } catch (error) {
      await grpc.close()
      throw error
    }
    this.#running = { intake, grpc, http, source: this.#startSource(intake) }
  }

  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    this.#isStopping = true
    const { grpc, http, intake, source } = running
    const { stopWaitMax } = this.#options.config
    const finished = Promise.all([grpc.close(), http.close(), source?.stop(stopWaitMax)]).then(() =>
      intake.drain(),
    )
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, stopWaitMax)
    await Promise.race([finished, late])
    clearTimeout(timer)
    grpc.destroy()
    http.destroy()
    this.#running = undefined
  }

  #startSource(intake: Intake): SourceIntake | undefined {
    const { kafkaSource, config, log, metrics, health } = this.#options
    if (kafkaSource === undefined) return undefined
    const { requestBytesMax } = config
    const shared = { intake, admission: this.#admission, log, metrics, requestBytesMax }
    const source = new SourceIntake({ ...kafkaSource, ...shared })
    source.failed.catch(this.#failure.reject)
    health.register('source', () => source.health())
    source.start()
    return source
  }

  async #intake(): Promise<Intake> {
    const { bus, topics, config, clock, log, metrics, hashSeed, redactors, names } = this.#options
    return new Intake({
      bus,
      topics,
      partitions: {
        spans: await bus.partitionCount(topics.spans),
        evidence: await bus.partitionCount(topics.evidence),
      },
      config,
      clock,
      log,
      metrics,
      busHealth: this.#busHealth,
      outcomes: this.#outcomes,
      redaction: new Redaction(redactors, metrics, names),
      hashSeed: hashSeed ?? randomInt(2 ** 31),
    })
  }

  #edge(intake: Intake): Edge {
    const { config, keys, clock, log, metrics, lagging } = this.#options
    const refusals = new RefusalHold(config.retryDelay)
    return {
      config,
      keys,
      nowMs: () => clock.nowMs(),
      admission: this.#admission,
      pool: new BodyPool(pooledBytesMax),
      intake,
      outcomes: this.#outcomes,
      scoreTraces: new ScoreTraces(),
      log,
      metrics,
      holdWhileLagging: async tenant => {
        if (this.#admission.isBelowShare(tenant)) return
        const holdMs = lagHoldMs(lagging?.() ?? 0, config.lagHoldMax)
        if (holdMs > 0) await sleep(holdMs)
      },
      holdRefusal: () => refusals.wait(),
      isStopping: () => this.#isStopping,
    }
  }

  #started(): Running {
    if (this.#running !== undefined) return this.#running
    throw new PipelineError('CONFIG_INVALID', 'the receiver is not started; call start() before')
  }
}

interface Running {
  readonly intake: Intake
  readonly grpc: GrpcServer
  readonly http: HttpServer
  readonly source: SourceIntake | undefined
}

/** Nothing up to a half, then rising to `holdMaxMs` where requests begin to be refused. */
export function lagHoldMs(lag: number, holdMaxMs: number): number {
  return Math.max(0, Math.min(1, 2 * lag - 1)) * holdMaxMs
}
