import { setTimeout as sleep } from 'node:timers/promises'
import {
  OtlpClient,
  postEvaluations,
  type TrafficEvaluation,
  type TrafficRequest,
  trafficEvents,
} from '@winnow/testing'
import { keyOf, tenants } from '../support/pipeline-harness.ts'

/** Where the system under test listens; the same after every restart. */
export interface Entrances {
  readonly otlpGrpc: string
  readonly otlpHttp: string
  readonly api: string
}

/** What was sent and acknowledged, each once, however often it was sent. */
export interface Acknowledged {
  readonly requests: readonly TrafficRequest[]
  readonly evaluations: readonly TrafficEvaluation[]
}

export interface TrafficOptions {
  readonly seed: number
  readonly tracesPerSecond: number
  readonly entrances: Entrances
}

/** Requests and evaluations that wait for their answer at once. */
const underWayMax = 96
/** Behind its times by more than this, as after an outage, the traffic goes on from where it is. */
const behindMaxMs = 1_000
/** A request that nobody takes for so long is a finding, not a reason to wait. */
const acknowledgeWaitMs = 120_000

/**
 * Seeded traffic of exporters that never give up: what has no answer, or is refused for now, is sent
 * again until it is acknowledged, as OTLP asks. Runs until it is told to finish.
 */
export class SeededTraffic {
  readonly #options: TrafficOptions
  readonly #clients: ReadonlyMap<string, readonly OtlpClient[]>
  readonly #underWay = new Set<Promise<void>>()
  readonly #requests: TrafficRequest[] = []
  readonly #evaluations: TrafficEvaluation[] = []
  readonly #failure = Promise.withResolvers<never>()
  #running: Promise<void> | undefined
  #isFinishing = false
  #requestsUnderWay = 0
  #sent = 0
  /** Answers that told to come again, and sends without any answer. */
  refused = 0
  unanswered = 0

  constructor(options: TrafficOptions) {
    const { otlpGrpc, otlpHttp } = options.entrances
    this.#options = options
    this.#failure.promise.catch(() => {})
    this.#clients = new Map(
      tenants.map(tenant => [
        tenant,
        [
          { transport: 'grpc', address: otlpGrpc } as const,
          { transport: 'http-protobuf', address: otlpHttp, compression: 'gzip' } as const,
        ].map(way => new OtlpClient({ ...way, apiKey: keyOf(tenant), attemptsMax: 1 })),
      ]),
    )
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Requests of spans that were sent and have no answer yet: appends in flight. */
  get requestsUnderWay(): number {
    return this.#requestsUnderWay
  }

  get acknowledgedSpans(): number {
    return this.#requests.reduce((sum, request) => sum + spansOf(request), 0)
  }

  /** A request that was acknowledged: to send it again changes nothing. */
  sample(): TrafficRequest {
    const [first] = this.#requests
    if (first === undefined) throw new Error('nothing is acknowledged yet')
    return first
  }

  /** Takes nothing new, and resolves once all that was begun is acknowledged. */
  async finish(): Promise<Acknowledged> {
    this.#isFinishing = true
    await Promise.race([this.#running, this.#failure.promise])
    await Promise.race([Promise.all(this.#underWay), this.#failure.promise])
    for (const clients of this.#clients.values()) for (const client of clients) client.close()
    return { requests: this.#requests, evaluations: this.#evaluations }
  }

  async #run(): Promise<void> {
    const { seed, tracesPerSecond } = this.#options
    const startMs = Date.now()
    const options = { seed, tracesPerSecond, startMs, tenants, quick: true, spanBytesMean: 700 }
    let shiftMs = 0
    for (const event of trafficEvents({ ...options, traces: Number.MAX_SAFE_INTEGER })) {
      if (this.#isFinishing) return
      if (event.kind === 'trace') continue
      const earlyMs = event.atMs + shiftMs - Date.now()
      if (earlyMs > 0) await sleep(earlyMs)
      else if (earlyMs < -behindMaxMs) shiftMs -= earlyMs
      while (this.#underWay.size >= underWayMax) await Promise.race(this.#underWay)
      const done = this.#deliver(event)
        .catch(this.#failure.reject)
        .finally(() => this.#underWay.delete(done))
      this.#underWay.add(done)
    }
  }

  async #deliver(event: TrafficRequest | TrafficEvaluation): Promise<void> {
    if (event.kind === 'request') {
      await this.#untilTaken(() => this.#send(event))
      this.#requests.push(event)
    } else {
      await this.#untilTaken(() => this.#tell(event))
      this.#evaluations.push(event)
    }
  }

  async #untilTaken(attempt: () => Promise<boolean>): Promise<void> {
    const untilMs = Date.now() + acknowledgeWaitMs
    for (let pauseMs = 50; !(await attempt()); pauseMs = Math.min(1_000, pauseMs * 2)) {
      if (Date.now() > untilMs) throw new Error(`nothing was taken for ${acknowledgeWaitMs} ms`)
      await sleep(pauseMs)
    }
  }

  async #send({ tenant, data }: TrafficRequest): Promise<boolean> {
    const clients = this.#clients.get(tenant) ?? []
    const client = clients[this.#sent++ % clients.length]
    if (client === undefined) throw new Error(`there is no client of ${tenant}`)
    this.#requestsUnderWay++
    try {
      const answer = await client.sendTraces(data)
      if (answer.acknowledged && answer.rejected === 0) return true
      if (!answer.retryable || answer.rejected > 0) {
        throw new Error(`a request was refused: ${answer.status} ${answer.message}`)
      }
      this.#count(answer.status)
      return false
    } finally {
      this.#requestsUnderWay--
    }
  }

  async #tell(evaluation: TrafficEvaluation): Promise<boolean> {
    const { api, otlpHttp } = this.#options.entrances
    const address = this.#sent++ % 2 === 0 ? api : otlpHttp
    const target = { address, apiKey: keyOf(evaluation.tenant), attemptsMax: 1 }
    try {
      const { status, body } = await postEvaluations(target, [evaluation])
      if (status === 202) return true
      if (status !== 429 && status !== 503) {
        throw new Error(`an evaluation was refused: ${status} ${JSON.stringify(body)}`)
      }
      this.#count(status)
    } catch (error) {
      // What fetch throws where no answer came.
      if (!(error instanceof TypeError)) throw error
      this.#count(0)
    }
    return false
  }

  #count(status: number): void {
    if (status === 0) this.unanswered++
    else this.refused++
  }
}

function spansOf({ data }: TrafficRequest): number {
  let count = 0
  for (const { scopeSpans } of data.resourceSpans) {
    for (const { spans } of scopeSpans) count += spans.length
  }
  return count
}
