import { setTimeout as sleep } from 'node:timers/promises'
import type { ManualClock } from '@winnow/runtime'
import {
  OtlpClient,
  type OtlpClientOptions,
  postEvaluations,
  type TrafficEvaluation,
  type TrafficEvent,
  type TrafficRequest,
} from '@winnow/testing'
import { keyOf, type PipelineHarness, tenants } from './pipeline-harness.ts'

/** Every transport and compression that OTLP clients use, in turn. */
const ways: readonly Pick<OtlpClientOptions, 'transport' | 'compression' | 'apiKeyHeader'>[] = [
  { transport: 'grpc' },
  { transport: 'http-protobuf', compression: 'gzip' },
  { transport: 'http-json' },
  { transport: 'grpc', compression: 'gzip', apiKeyHeader: 'x-api-key' },
  { transport: 'http-protobuf', compression: 'zstd', apiKeyHeader: 'x-api-key' },
  { transport: 'http-protobuf' },
  { transport: 'http-json', compression: 'gzip' },
]

/** Sends as the tenants' exporters and evaluators do; whatever is not acknowledged whole is an error. */
export class TrafficPlayer {
  readonly #harness: PipelineHarness
  readonly #clients: ReadonlyMap<string, readonly OtlpClient[]>
  #sent = 0
  #told = 0

  constructor(harness: PipelineHarness) {
    const { otlpGrpc, otlpHttp } = harness.addresses
    this.#harness = harness
    this.#clients = new Map(
      tenants.map(tenant => [
        tenant,
        ways.map(way => {
          const address = way.transport === 'grpc' ? otlpGrpc : otlpHttp
          return new OtlpClient({ ...way, address, apiKey: keyOf(tenant) })
        }),
      ]),
    )
  }

  /** One after the other, each at its time by `clock`, which stands still while a request is under way. */
  async playByClock(events: readonly TrafficEvent[], clock: ManualClock): Promise<void> {
    for (const event of events) {
      if (event.kind === 'trace') continue
      await this.#passUntil(event.atMs, clock)
      await this.#play(event)
    }
  }

  /** Each at its time by the wall clock, counted from now; later where the machine does not keep up. */
  async playByWall(events: readonly TrafficEvent[], startMs: number): Promise<void> {
    const beganAtMs = Date.now()
    const underWay = new Set<Promise<void>>()
    for (const event of events) {
      if (event.kind === 'trace') continue
      const earlyMs = event.atMs - startMs - (Date.now() - beganAtMs)
      if (earlyMs > 0) await sleep(earlyMs)
      while (underWay.size >= underWayMax) await Promise.race(underWay)
      const done = this.#play(event).finally(() => underWay.delete(done))
      underWay.add(done)
    }
    await Promise.all(underWay)
  }

  close(): void {
    for (const clients of this.#clients.values()) for (const client of clients) client.close()
  }

  /**
   * Where nothing is sent for a while, the stages get real time to do what is due by then: else a
   * trace would be decided hours after its last span, and no evaluation would be late.
   */
  async #passUntil(atMs: number, clock: ManualClock): Promise<void> {
    while (atMs - clock.nowMs() > stepMs && this.#harness.openTraces > 0) {
      clock.advanceMs(stepMs)
      await sleep(pollMs)
    }
    clock.advanceMs(Math.max(0, atMs - clock.nowMs()))
  }

  async #play(event: TrafficRequest | TrafficEvaluation): Promise<void> {
    this.#harness.throwIfFailed()
    if (event.kind === 'request') await this.#send(event)
    else await this.#tell(event)
  }

  async #send({ tenant, data }: TrafficRequest): Promise<void> {
    const client = this.#clients.get(tenant)?.[this.#sent++ % ways.length]
    if (client === undefined) throw new Error(`there is no client of ${tenant}`)
    const { acknowledged, rejected, status, message } = await client.sendTraces(data)
    if (acknowledged && rejected === 0) return
    throw new Error(`a request of ${tenant} was refused: ${status}, ${rejected} spans, ${message}`)
  }

  async #tell(evaluation: TrafficEvaluation): Promise<void> {
    const { api, otlpHttp } = this.#harness.addresses
    // Both addresses take evaluations.
    const address = this.#told++ % 2 === 0 ? api : otlpHttp
    const apiKey = keyOf(evaluation.tenant)
    const { status, body } = await postEvaluations({ address, apiKey }, [evaluation])
    if (status === 202) return
    throw new Error(`an evaluation was refused: ${status}, ${JSON.stringify(body)}`)
  }
}

const underWayMax = 24

/** Longer gaps between two events are walked through in steps while traces are open. */
const stepMs = 60_000
/** A little more than the stages' longest sleep at the end of a log. */
const pollMs = 270
