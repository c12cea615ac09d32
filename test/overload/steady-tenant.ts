// A tenant whose traffic is modest and known: what must become of each trace can be told beforehand.
import { setTimeout as sleep } from 'node:timers/promises'
import { emptySpan, type Span, type TracesData } from '@winnow/otlp'
import { type OtlpAnswer, OtlpClient, oracle, Random } from '@winnow/testing'
import type { DecisionProbe } from './decision-probe.ts'

export interface SteadyOptions {
  /** `host:port` of OTLP over HTTP. */
  readonly address: string
  readonly tenant: string
  readonly key: string
  readonly seed: number
  /** Spans a second. */
  readonly rate: number
}

export interface SentTrace {
  readonly traceId: string
  /** When its last span was acknowledged, in milliseconds since 1970. */
  readonly acknowledgedAtMs: number
}

const spansPerTrace = 4
const everyMs = 100
/** Of one in so many requests a trace is watched until it is decided. */
const watchedEvery = 4
/** One in so many has a span that failed. */
const failingEvery = 10
const durationMs = 100
const attemptsMax = 60

export class SteadyTenant {
  readonly #options: SteadyOptions
  readonly #client: OtlpClient
  readonly #random: Random
  readonly #acknowledged: TracesData[] = []
  #made = 0
  /** Answers that told it to come again, and requests that were never taken. */
  refusals = 0
  lost = 0

  constructor(options: SteadyOptions) {
    const { address, key: apiKey } = options
    this.#options = options
    this.#random = new Random(options.seed)
    this.#client = new OtlpClient({
      transport: 'http-protobuf',
      address,
      apiKey,
      attemptsMax,
      timeoutMs: 60_000,
    })
  }

  /** Sends for so long, each request when it is due whatever became of the one before. */
  async send(seconds: number, probe: DecisionProbe): Promise<SentTrace[]> {
    const traces = Math.max(1, Math.round((this.#options.rate * everyMs) / 1000 / spansPerTrace))
    const requests = Math.round((seconds * 1000) / everyMs)
    const startMs = performance.now()
    const sent: Promise<SentTrace[]>[] = []
    for (let n = 0; n < requests; n++) {
      await sleep(Math.max(0, startMs + n * everyMs - performance.now()))
      const one = this.#sendOne(traces)
      if (n % watchedEvery === 0) {
        one.then(([first]) => first && probe.watch(first)).catch(() => {})
      }
      sent.push(one)
    }
    return (await Promise.all(sent)).flat()
  }

  /** Ids of acknowledged traces that must be kept, by one who sees all of them at once. */
  mustKeep(): Set<string> {
    const { tenant } = this.#options
    const requests = this.#acknowledged.map(data => ({ tenant, data }))
    const verdicts = oracle({ requests, evaluations: [], nowMs: Date.now() })
    const kept = [...verdicts.values()].filter(({ keep }) => keep)
    return new Set(kept.map(({ traceId }) => traceId))
  }

  get spans(): number {
    return this.#acknowledged.reduce((sum, data) => sum + spansOf(data).length, 0)
  }

  close(): void {
    this.#client.close()
  }

  async #sendOne(traces: number): Promise<SentTrace[]> {
    const data = dataOf(Array.from({ length: traces }, () => this.#trace()).flat())
    const answer: OtlpAnswer = await this.#client.sendTraces(data)
    this.refusals += answer.attempts - 1
    if (!answer.acknowledged) {
      this.lost++
      return []
    }
    this.#acknowledged.push(data)
    const acknowledgedAtMs = Date.now()
    const ids = new Set(spansOf(data).map(({ traceId }) => traceId))
    return [...ids].map(traceId => ({ traceId, acknowledgedAtMs }))
  }

  #trace(): Span[] {
    const isFailing = this.#made++ % failingEvery === 0
    const traceId = this.#random.hex(4)
    const endNs = BigInt(Date.now()) * 1_000_000n
    const spanId = (n: number): string => (n + 1).toString(16).padStart(16, '0')
    return Array.from({ length: spansPerTrace }, (_, n) => ({
      ...emptySpan,
      traceId,
      spanId: spanId(n),
      parentSpanId: n === 0 ? '' : spanId(0),
      flags: 0x101,
      name: n === 0 ? 'agent.turn' : 'agent.step',
      kind: 1,
      // Always the same: a constant latency is never slow.
      startTimeUnixNano: endNs - BigInt(durationMs) * 1_000_000n,
      endTimeUnixNano: endNs,
      status: isFailing && n === 1 ? { message: 'failed', code: 2 } : { message: '', code: 0 },
    }))
  }
}

function spansOf(data: TracesData): readonly Span[] {
  return data.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
}

function dataOf(spans: Span[]): TracesData {
  const name = { key: 'service.name', value: { stringValue: 'steady' } }
  const resource = { attributes: [name], droppedAttributesCount: 0 }
  const scope = { name: 'steady', version: '', attributes: [], droppedAttributesCount: 0 }
  const scopeSpans = [{ scope, spans, schemaUrl: '' }]
  return { resourceSpans: [{ resource, scopeSpans, schemaUrl: '' }] }
}
