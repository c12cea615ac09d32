import { type Bus, type BusRecord, MemoryBus, topicSpecs } from '@winnow/bus'
import { decodeTenantRuns, type Evidence } from '@winnow/model'
import { decodeTraces, encodeTraces, type Span, tracesFromJson } from '@winnow/otlp'
import type { Names, Redactors } from '@winnow/privacy'
import {
  type ApiKeys,
  Health,
  ManualClock,
  Metrics,
  type ServerTls,
  silentLog,
} from '@winnow/runtime'
import { receiverConfigSchema } from './config.ts'
import { createReceiver, type Receiver } from './receiver.ts'

export const partitions = 4
export const specs = topicSpecs({ prefix: 'test', generation: 1, partitions })
/** 2026-05-22T10:15:00Z, near the times of the requests that tests send. */
export const nowMs = Date.UTC(2026, 4, 22, 10, 15)

/** A bus whose appends a test holds, fails or counts. */
export class TestBus {
  readonly memory: MemoryBus
  readonly bus: Bus
  appends = 0
  /** Called in front of every append; what it throws is the append's failure. */
  before: (topic: string, partition: number) => Promise<void> | void = () => {}

  constructor(clock: ManualClock) {
    this.memory = new MemoryBus(Object.values(specs), clock)
    const append: Bus['append'] = async (topic, partition, records) => {
      this.appends++
      await this.before(topic, partition)
      return this.memory.append(topic, partition, records)
    }
    this.bus = new Proxy<Bus>(this.memory, {
      get: (target, name: keyof Bus) =>
        name === 'append' ? append : (target[name] as () => unknown).bind(target),
    })
  }

  /** All records of one topic, by partition and offset. */
  async records(topic: 'spans' | 'evidence'): Promise<(BusRecord & { partition: number })[]> {
    const all: (BusRecord & { partition: number })[] = []
    for (let partition = 0; partition < partitions; partition++) {
      const batch = await this.memory.read(specs[topic].name, partition, 0, 1 << 30, 0)
      for (const record of batch.records) all.push({ ...record, partition })
    }
    return all
  }

  /** Every span on the bus with the tenant of its run. */
  async spans(): Promise<{ tenant: string; partition: number; span: Span }[]> {
    const all: { tenant: string; partition: number; span: Span }[] = []
    for (const { value, header, partition } of await this.records('spans')) {
      for (const { tenant, start, length } of decodeTenantRuns(header as Uint8Array) ?? []) {
        const data = decodeTraces(value.subarray(start, start + length))
        for (const { scopeSpans } of data.resourceSpans) {
          for (const { spans } of scopeSpans) {
            for (const span of spans) all.push({ tenant, partition, span })
          }
        }
      }
    }
    return all
  }

  async evidence(): Promise<Evidence[]> {
    const records = await this.records('evidence')
    return records.map(({ value }) => JSON.parse(Buffer.from(value).toString()) as Evidence)
  }
}

export interface Started {
  readonly receiver: Receiver
  readonly bus: TestBus
  readonly clock: ManualClock
  readonly metrics: Metrics
  readonly health: Health
  /** `http://host:port` of the HTTP port, and `host:port` of the gRPC port. */
  readonly url: string
  readonly grpc: string
}

/** A receiver on free ports over a memory bus, in the configuration's own words: `{ linger: '5ms' }`. */
export async function startReceiver(
  config: Readonly<Record<string, unknown>> = {},
  options: {
    readonly keys?: ApiKeys
    readonly tls?: ServerTls
    readonly lagging?: () => number
    readonly redactors?: Redactors
    readonly names?: Names
  } = {},
): Promise<Started> {
  const clock = new ManualClock()
  clock.advanceMs(nowMs)
  const bus = new TestBus(clock)
  const metrics = new Metrics()
  const health = new Health()
  const listen = { host: '127.0.0.1', port: 0 }
  const receiver = createReceiver({
    bus: bus.bus,
    topics: { spans: specs.spans.name, evidence: specs.evidence.name },
    listen: { grpc: listen, http: listen },
    keys: options.keys,
    tls: options.tls,
    config: receiverConfigSchema.parse(config),
    clock,
    log: silentLog,
    metrics,
    health,
    hashSeed: 1,
    ...(options.lagging !== undefined && { lagging: options.lagging }),
    ...(options.redactors !== undefined && { redactors: options.redactors }),
    ...(options.names !== undefined && { names: options.names }),
  })
  await receiver.start()
  const url = `http://${receiver.httpAddress}`
  return { receiver, bus, clock, metrics, health, url, grpc: receiver.grpcAddress }
}

export const media = { protobuf: 'application/x-protobuf', json: 'application/json' } as const

/** POSTs to the HTTP port; a string body is JSON unless the headers say otherwise. */
export function post(
  to: Started,
  path: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const type = typeof body === 'string' ? media.json : media.protobuf
  return fetch(`${to.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': type, ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  })
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')

/** A valid span in OTLP/JSON; the number makes its ids. */
export function spanJson(n: number, fields: Readonly<Record<string, unknown>> = {}) {
  return {
    traceId: hex(0x4bf9_2f00 + n, 32),
    spanId: hex(0x1000 + n, 16),
    name: `span ${n}`,
    kind: 1,
    startTimeUnixNano: `${nowMs - 1000}000000`,
    endTimeUnixNano: `${nowMs}000000`,
    ...fields,
  }
}

/** A request of these spans under one resource. */
export function requestJson(...spans: readonly object[]): string {
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'refund-bot' } }] }
  return JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] })
}

/** The same as protobuf. Spans that OTLP/JSON refuses are not in it. */
export function requestProto(...spans: readonly object[]): Buffer {
  return Buffer.from(encodeTraces(tracesFromJson(requestJson(...spans)).data))
}
