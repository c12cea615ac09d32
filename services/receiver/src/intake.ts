import { type Bus, type NewRecord, partitionOfHex } from '@winnow/bus'
import type { OutcomeMap, OutcomeRecord } from '@winnow/model'
import {
  countDataPoints,
  countDataPointsInJson,
  decodeLogs,
  type ExportResult,
  encodeLogs,
  encodeTraces,
  fullSuccess,
  type LogsData,
  logsFromJson,
  type Rejection,
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
import type { Redaction, TenantRedaction } from './redaction.ts'
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
  readonly redaction: Redaction
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
    const redaction = await this.#redactionFor(request)
    if (redaction === undefined) return this.#export(request, undefined)
    try {
      const result = await this.#export(request, redaction)
      const errorMessage = redaction.text(result.errorMessage)
      return errorMessage === result.errorMessage ? result : { ...result, errorMessage }
    } catch (error) {
      throw redaction.error(error)
    }
  }

  /** Of what a tenant sends that is no OTLP, and of what he is told; undefined: nothing is redacted. */
  async redactionOf(tenant: string): Promise<TenantRedaction | undefined> {
    return this.#options.redaction.of(tenant)
  }

  async #redactionFor({ tenant, body, ticket }: ExportRequest) {
    const redaction = this.#options.redaction.of(tenant)
    if (!(redaction instanceof Promise)) return redaction
    try {
      return await redaction
    } catch (error) {
      body.release()
      ticket.release()
      throw error
    }
  }

  async #export(
    request: ExportRequest,
    redaction: TenantRedaction | undefined,
  ): Promise<ExportResult> {
    const { signal, body, ticket } = request
    if (signal === 'traces') return this.#traces(request, redaction)
    try {
      return await (signal === 'logs' ? this.#logs(request, redaction) : metricsResult(request))
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

  async #traces(
    request: ExportRequest,
    redaction: TenantRedaction | undefined,
  ): Promise<ExportResult> {
    const { metrics } = this.#options
    const { transport, tenant } = request
    const { report, durable, carried } =
      redaction?.findsNames === true
        ? await this.#gatherNamed(request, redaction)
        : this.#gatherSpans(request, spansOf(request, redaction))
    const outcomes = carried.records.length === 0 ? undefined : this.evaluations(carried.records)
    await Promise.all([this.#noted(durable), outcomes])
    for (const [reason, count] of report.byReason) metrics.spansRejected.inc({ reason }, count)
    const labels = { tenant: metrics.capped('tenant', tenant), transport }
    if (report.accepted > 0) metrics.spansReceived.inc(labels, report.accepted)
    return resultOf(report, carried.leftOut)
  }

  /** Room is held while a detector is asked, and the body is not. */
  async #gatherNamed(request: ExportRequest, redaction: TenantRedaction): Promise<Gathered> {
    const spans = spansOf(request, redaction)
    let named: Buffer
    try {
      named = await withNames(request, redaction, spans.bytes)
    } catch (error) {
      request.body.release()
      request.ticket.release()
      throw error
    }
    return this.#gatherSpans(request, { ...spans, bytes: named })
  }

  #gatherSpans({ tenant, body, ticket }: ExportRequest, spans: Spans): Gathered {
    const { charge } = ticket
    const settled = (): void => ticket.release()
    try {
      const { bytes, given, rejections } = spans
      const request = { tenant, rejections, charge, settled, bytes }
      if (bytes === body.bytes) {
        return this.#gather.add({ ...request, composed: () => body.release() })
      }
      // The body is looked at no more, and goes back before its time.
      body.release()
      if (bytes === given) return this.#gather.add({ ...request, composed: nothing })
      // A token is longer than what it stands for.
      charge(Math.max(0, bytes.length - given.length))
      return this.#gather.add({ ...request, isRedacted: true, composed: nothing })
    } catch (error) {
      body.release()
      ticket.release()
      throw error
    }
  }

  async #logs(
    request: ExportRequest,
    redaction: TenantRedaction | undefined,
  ): Promise<ExportResult> {
    const { tenant } = request
    const { config, outcomes } = this.#options
    const { data, rejected } =
      redaction?.findsNames === true
        ? await namedLogsIn(request, redaction)
        : logsIn(request, redaction)
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

/** The spans of a request. */
interface Spans {
  /** `TracesData`, redacted. */
  readonly bytes: Buffer
  /** The same before it was. */
  readonly given: Buffer
  readonly rejections: readonly Rejection[]
}

/** Whatever it throws, body and ticket are given back. */
function spansOf(
  { transport, body, ticket }: ExportRequest,
  redaction: TenantRedaction | undefined,
): Spans {
  try {
    // Requests that were charged while this body came may have used up what is left.
    ticket.take(0)
    let given = body.bytes
    let rejections: readonly Rejection[] = []
    if (isJson(transport)) {
      const { data, rejected } = tracesFromJson(body.bytes)
      body.release()
      given = bufferOf(encodeTraces(data))
      rejections = rejected
    }
    return { bytes: redaction?.otlp(given, 'traces') ?? given, given, rejections }
  } catch (error) {
    body.release()
    ticket.release()
    throw error
  }
}

interface Logs {
  readonly data: LogsData
  readonly rejected: readonly Rejection[]
}

/** JSON takes the way of protobuf where it is redacted: there is one place that knows where text stands. */
function logsIn({ transport, body }: ExportRequest, redaction: TenantRedaction | undefined): Logs {
  const read = isJson(transport) ? logsFromJson(body.bytes) : { data: undefined, rejected: [] }
  if (redaction === undefined) return { ...read, data: read.data ?? decodeLogs(body.bytes) }
  const given = read.data === undefined ? body.bytes : bufferOf(encodeLogs(read.data))
  const redacted = redaction.otlp(given, 'logs')
  const isSame = redacted === given && read.data !== undefined
  return { ...read, data: isSame ? read.data : decodeLogs(redacted) }
}

/** While a detector is asked the bytes are held, and nothing that was made of them or that they were made of. */
async function namedLogsIn(request: ExportRequest, redaction: TenantRedaction): Promise<Logs> {
  const { bytes, rejected } = redactedLogsOf(request, redaction)
  return { data: decodeLogs(await withNames(request, redaction, bytes)), rejected }
}

function redactedLogsOf(
  { transport, body }: ExportRequest,
  redaction: TenantRedaction,
): { readonly bytes: Buffer; readonly rejected: Logs['rejected'] } {
  if (!isJson(transport)) {
    const bytes = redaction.otlp(body.bytes, 'logs')
    if (bytes !== body.bytes) body.release()
    return { bytes, rejected: [] }
  }
  const { data, rejected } = logsFromJson(body.bytes)
  body.release()
  return { bytes: redaction.otlp(bufferOf(encodeLogs(data)), 'logs'), rejected }
}

/** Room is held meanwhile: what is looked at is there twice, as it came and as texts. */
async function withNames(
  { signal, ticket }: ExportRequest,
  redaction: TenantRedaction,
  bytes: Buffer,
): Promise<Buffer> {
  ticket.hold(bytes.length)
  const named = await redaction.names(bytes, signal === 'logs' ? 'logs' : 'traces')
  ticket.hold(-bytes.length)
  return named
}

/** Winnow keeps traces. A request for metrics is answered, so that an exporter of all three signals goes on. */
function metricsResult({ transport, body }: ExportRequest): ExportResult {
  const count = isJson(transport) ? countDataPointsInJson(body.bytes) : countDataPoints(body.bytes)
  if (count === 0) return fullSuccess
  const errorMessage = `${count} data points refused: no metrics are kept here; send them to a metrics backend`
  return { rejected: count, errorMessage }
}

function nothing(): void {}

function isJson(transport: Transport): boolean {
  return transport === 'http/json' || transport === 'kafka/json'
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
