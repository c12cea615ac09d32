import { type Bus, type NewRecord, partitionOfHex } from '@winnow/bus'
import type { OutcomeMap, OutcomeRecord } from '@winnow/model'
import {
  countDataPoints,
  countDataPointsInJson,
  decodeLogs,
  type ExportResult,
  encodeTraces,
  fullSuccess,
  logsFromJson,
  type Signal,
  tracesFromJson,
} from '@winnow/otlp'
import type { Clock, Log, Metrics } from '@winnow/runtime'
import type { Ticket } from './admission.ts'
import { AppendWindow } from './append-window.ts'
import type { Body } from './body.ts'
import type { BusHealth } from './bus-health.ts'
import type { ReceiverConfig } from './config.ts'
import { within } from './deadline.ts'
import { Gather, type Gathered } from './gather.ts'
import { evaluationsInLogs } from './log-evaluations.ts'
import { resultOf } from './span-report.ts'

/** OpenTelemetry's names of its protocols, and a topic's; also the `transport` of `winnow_spans_received_total`. */
export type Transport = 'grpc' | 'http/protobuf' | 'http/json' | 'kafka/protobuf' | 'kafka/json'

export interface ExportRequest {
  readonly signal: Signal
  readonly transport: Transport
  readonly tenant: string
  readonly body: Body
  readonly ticket: Ticket
}

export interface IntakeOptions {
  readonly bus: Bus
  /** Full topic names. */
  readonly topics: { readonly spans: string; readonly evidence: string }
  /** Of both topics. */
  readonly partitions: { readonly spans: number; readonly evidence: number }
  readonly config: ReceiverConfig
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly busHealth: BusHealth
  readonly outcomes: OutcomeMap
  readonly hashSeed: number
}

/**
 * What happens to a request once its bytes are there, whatever brought them: spans to `spans`,
 * evaluations to `evidence`, the rest refused with a reason. It resolves only when the bus has it.
 */
export class Intake {
  readonly #options: IntakeOptions
  readonly #window: AppendWindow
  readonly #gather: Gather

  constructor(options: IntakeOptions) {
    const { bus, topics, partitions, config, clock, hashSeed, outcomes } = options
    this.#options = options
    this.#window = new AppendWindow(bus)
    this.#gather = new Gather({
      append: (partition, records) => this.#append(topics.spans, partition, records),
      partitions: partitions.spans,
      config,
      outcomes,
      clock,
      hashSeed,
    })
  }

  /** Of records that are durable. */
  get appendedBytes(): number {
    return this.#window.appendedBytes
  }

  /** Takes body and ticket over, also when it rejects. Rejects with a PipelineError, or with a defect. */
  async export(request: ExportRequest): Promise<ExportResult> {
    const { signal, body, ticket } = request
    if (signal === 'traces') return this.#traces(request)
    try {
      return await (signal === 'logs' ? this.#logs(request) : metricsResult(request))
    } finally {
      body.release()
      ticket.release()
    }
  }

  /** Resolves once all are durable. */
  async evaluations(records: readonly OutcomeRecord[]): Promise<void> {
    const { topics, partitions, config } = this.#options
    const byPartition = new Map<number, NewRecord[]>()
    for (const record of records) {
      const partition = partitionOfHex(record.traceId, partitions.evidence)
      const group = byPartition.get(partition) ?? []
      byPartition.set(partition, group)
      group.push({ value: Buffer.from(JSON.stringify(record)) })
    }
    const appends = [...byPartition].map(([partition, group]) =>
      this.#append(topics.evidence, partition, group),
    )
    await this.#noted(within(config.appendWaitMax, Promise.all(appends)))
  }

  /** Sends what is gathered and resolves once nothing is under way. */
  drain(): Promise<void> {
    return this.#gather.drain()
  }

  async #traces(request: ExportRequest): Promise<ExportResult> {
    const { metrics } = this.#options
    const { transport, tenant } = request
    const { report, durable, carried } = this.#gatherSpans(request)
    const outcomes = carried.records.length === 0 ? undefined : this.evaluations(carried.records)
    await Promise.all([this.#noted(durable), outcomes])
    for (const [reason, count] of report.byReason) metrics.spansRejected.inc({ reason }, count)
    const labels = { tenant: metrics.capped('tenant', tenant), transport }
    if (report.accepted > 0) metrics.spansReceived.inc(labels, report.accepted)
    return resultOf(report, carried.leftOut)
  }

  #gatherSpans({ transport, tenant, body, ticket }: ExportRequest): Gathered {
    const { charge } = ticket
    const settled = (): void => ticket.release()
    try {
      // Requests that were charged while this body came may have used up what is left.
      ticket.take(0)
      if (!isJson(transport)) {
        const composed = (): void => body.release()
        const { bytes } = body
        return this.#gather.add({ tenant, bytes, rejections: [], charge, composed, settled })
      }
      const { data, rejected } = tracesFromJson(body.bytes)
      body.release()
      const bytes = bufferOf(encodeTraces(data))
      const composed = (): void => {}
      return this.#gather.add({ tenant, bytes, rejections: rejected, charge, composed, settled })
    } catch (error) {
      body.release()
      ticket.release()
      throw error
    }
  }

  async #logs({ transport, tenant, body }: ExportRequest): Promise<ExportResult> {
    const { config, outcomes } = this.#options
    const { data, rejected } = isJson(transport)
      ? logsFromJson(body.bytes)
      : { data: decodeLogs(body.bytes), rejected: [] }
    const limits = {
      evaluationsMax: config.evaluationsMax,
      commentBytesMax: config.evaluationCommentBytesMax,
    }
    const found = evaluationsInLogs(tenant, data, rejected, { limits, outcomes })
    await this.evaluations(found.records)
    return found.result
  }

  /** An append that only takes too long has not failed for the bus, and yet nothing goes on. */
  async #noted(durable: Promise<unknown>): Promise<void> {
    try {
      await durable
    } catch (error) {
      this.#options.busHealth.failed(error)
      throw error
    }
  }

  async #append(topic: string, partition: number, records: readonly NewRecord[]): Promise<void> {
    const { busHealth, log } = this.#options
    try {
      await this.#window.append(topic, partition, records)
      busHealth.succeeded()
    } catch (error) {
      log.error('receiver.append_failed', error, { topic, partition })
      throw error
    }
  }
}

/** Winnow keeps traces. A request for metrics is answered, so that an exporter of all three signals goes on. */
function metricsResult({ transport, body }: ExportRequest): ExportResult {
  const count = isJson(transport) ? countDataPointsInJson(body.bytes) : countDataPoints(body.bytes)
  if (count === 0) return fullSuccess
  const errorMessage = `${count} data points refused: no metrics are kept here; send them to a metrics backend`
  return { rejected: count, errorMessage }
}

function isJson(transport: Transport): boolean {
  return transport === 'http/json' || transport === 'kafka/json'
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
