import { type NewRecord, partitionOf } from '@winnow/bus'
import { encodeTenantRuns, type OutcomeMap } from '@winnow/model'
import {
  ByteSink,
  Composer,
  noInterest,
  type Rejection,
  SpanTable,
  scanTraces,
  tenantRunsOf,
} from '@winnow/otlp'
import type { Clock } from '@winnow/runtime'
import { type Carried, carriedOutcomes, nothingCarried } from './carrier-evaluations.ts'
import type { ReceiverConfig } from './config.ts'
import { inspectRows, RowFindings } from './grouping.ts'
import { Pending } from './pending.ts'
import { reportSpans, type SpanReport } from './span-report.ts'

export interface GatherOptions {
  /** Resolves once the records are durable. Their bytes are used again only after it has resolved. */
  readonly append: (partition: number, records: readonly NewRecord[]) => Promise<unknown>
  readonly partitions: number
  readonly config: ReceiverConfig
  readonly outcomes: OutcomeMap
  readonly clock: Clock
  /** An integer that senders do not know. */
  readonly hashSeed: number
}

export interface TraceRequest {
  readonly tenant: string
  /** `TracesData`; it stays as it is until `composed`. */
  readonly bytes: Buffer
  /** Something was taken out of what was sent: a length is not the sender's. */
  readonly isRedacted?: boolean
  /** What was refused before these bytes were made. */
  readonly rejections: readonly Rejection[]
  /** More bytes will be held than `bytes` has. */
  readonly charge: (bytes: number) => void
  /** `bytes` is no longer looked at. */
  readonly composed: () => void
  /** Nothing of the request is in memory any more. Comes after `durable` too. */
  readonly settled: () => void
}

export interface Gathered {
  readonly report: SpanReport
  /** Rejects with what the bus says, or BUS_UNAVAILABLE after `appendWaitMax`: it may still land. */
  readonly durable: Promise<void>
  /** Outcomes of other traces that its spans brought; the caller makes them durable too. */
  readonly carried: Carried
}

/** The span bytes that a batch gathers before it leaves although another is under way. */
const batchBytesMax = 8 * 1024 * 1024

/** Memory of a batch that is kept for the next one. */
const keptSinkBytesMax = 16 * 1024 * 1024
const keptSinksMax = 4

/**
 * Gathers requests into batches, and a batch into records of the bus: what arrives while an append
 * is under way leaves with the next one, so that load makes records larger and an idle receiver
 * waits for nothing.
 *
 *     request ─scan─▶ ┌ open batch ┐   append under way ends, batch is large enough, or linger is over
 *     request ─scan─▶ │ table,     │ ──▶ compose ──▶ records of partition 0 ─▶ append ─▶ ┐ each request
 *     request ─scan─▶ └ composer   ┘                 records of partition 1 ─▶ append ─▶ ┘ waits for its own
 */
export class Gather {
  readonly #options: GatherOptions
  readonly #table = new SpanTable()
  readonly #composer: Composer
  readonly #findings = new RowFindings()
  readonly #partitionOf: (bytes: Uint8Array, start: number) => number
  readonly #batchBytes: number
  readonly #tenants = new Map<string, number>()
  readonly #sinks: ByteSink[] = []
  readonly #idle = new Set<() => void>()
  #open: Pending[] = []
  #lateInOpen = 0
  #underWay = 0
  #scheduled: NodeJS.Immediate | undefined
  #linger: NodeJS.Timeout | undefined

  constructor(options: GatherOptions) {
    const { config, partitions, hashSeed } = options
    this.#options = options
    this.#partitionOf = (bytes, start) => partitionOf(bytes, start, 16, partitions)
    this.#batchBytes = Math.min(batchBytesMax, config.recordBytesTarget * partitions)
    this.#composer = new Composer(this.#table, {
      limits: { ...config, recordFillBytes: config.recordBytesTarget, recordTenantsMax: 256 },
      partitionOf: this.#partitionOf,
      hashSeed,
    })
  }

  /** Throws what the scan throws; then nothing of the request was taken, and it is the caller's. */
  add(request: TraceRequest): Gathered {
    const table = this.#table
    const from = table.length
    const links = table.links
    scanTraces(request.bytes, 0, request.bytes.length, table, noInterest)
    const boundBefore = this.#composer.boundBytes
    try {
      this.#composer.add(from, table.length, this.#tenantNumber(request.tenant))
    } catch (error) {
      table.rollback()
      throw error
    }
    const marks = this.#inspect(request, from)
    const { config } = this.#options
    const report = reportSpans(
      table,
      from,
      table.length,
      request.rejections,
      this.#findings,
      config,
      request.isRedacted,
    )
    if (report.accepted === 0) {
      table.rollback()
      request.composed()
      request.settled()
      return { report, durable: Promise.resolve(), carried: nothingCarried }
    }
    const carried = table.links > links ? this.#carried(request, from) : nothingCarried
    request.charge(Math.max(0, this.#composer.boundBytes - boundBefore - request.bytes.length))
    const pending = new Pending(request, marks, config.appendWaitMax, () => this.#onLate(pending))
    this.#open.push(pending)
    this.#schedule()
    return { report, durable: pending.durable, carried }
  }

  #carried({ bytes, tenant }: TraceRequest, from: number): Carried {
    const { config, outcomes } = this.#options
    const { evaluationsMax, evaluationCommentBytesMax } = config
    const limits = { evaluationsMax, commentBytesMax: evaluationCommentBytesMax }
    return carriedOutcomes(this.#table, bytes, from, tenant, { limits, outcomes })
  }

  /** Sends what is gathered and resolves once nothing is under way. */
  async drain(): Promise<void> {
    if (this.#open.length > 0) this.#flush()
    if (this.#underWay > 0) await new Promise<void>(resolve => this.#idle.add(resolve))
  }

  #inspect(request: TraceRequest, from: number): Uint8Array {
    const { clock, config, partitions } = this.#options
    const marks = new Uint8Array(partitions)
    const limitNs = BigInt(Math.ceil(clock.nowMs() + config.clockSkewMax)) * 1_000_000n
    this.#findings.clear()
    inspectRows(
      this.#table,
      request.bytes,
      from,
      this.#table.length,
      this.#partitionOf,
      marks,
      Number(limitNs >> 32n),
      Number(limitNs & 0xffff_ffffn),
      this.#findings,
    )
    return marks
  }

  #tenantNumber(tenant: string): number {
    const known = this.#tenants.get(tenant)
    if (known !== undefined) return known
    this.#tenants.set(tenant, this.#tenants.size)
    return this.#tenants.size - 1
  }

  #schedule(): void {
    if (this.#underWay === 0 || this.#composer.boundBytes >= this.#batchBytes) {
      // All requests of this turn of the event loop share the batch.
      this.#scheduled ??= setImmediate(() => this.#flush())
    } else if (this.#options.config.linger > 0) {
      this.#linger ??= setTimeout(() => this.#flush(), this.#options.config.linger)
    }
  }

  #flush(): void {
    clearImmediate(this.#scheduled)
    clearTimeout(this.#linger)
    this.#scheduled = undefined
    this.#linger = undefined
    if (this.#open.length === 0) return
    const sink = this.#sinks.pop() ?? new ByteSink(0)
    sink.length = 0
    sink.reserve(this.#composer.boundBytes)
    let records: Map<number, NewRecord[]>
    try {
      this.#composer.compose(sink)
      records = this.#recordsOf(sink)
    } catch (error) {
      // A defect, and the table may be broken with it: whoever waits is told, and the next batch is new.
      for (const pending of this.#takeOpen()) {
        pending.fail(error)
        pending.settled()
      }
      return
    }
    this.#send(records, this.#takeOpen(), sink)
  }

  /** Ends the open batch: from here on its requests' own bytes are not needed. */
  #takeOpen(): Pending[] {
    const taken = this.#open
    this.#open = []
    this.#lateInOpen = 0
    this.#composer.clear()
    this.#table.clear()
    this.#tenants.clear()
    for (const pending of taken) pending.composed()
    return taken
  }

  /** The records of each partition. */
  #recordsOf(sink: ByteSink): Map<number, NewRecord[]> {
    const { layout } = this.#composer
    const names = [...this.#tenants.keys()]
    const byPartition = new Map<number, NewRecord[]>()
    for (let record = 0; record < layout.records; record++) {
      const partition = layout.recordPartition[record] as number
      const start = layout.recordStart[record] as number
      const value = sink.bytes.subarray(start, start + (layout.recordLength[record] as number))
      const runs = tenantRunsOf(layout, record, tenant => names[tenant] as string)
      const records = byPartition.get(partition) ?? []
      byPartition.set(partition, records)
      records.push({ value, header: encodeTenantRuns(runs) })
    }
    return byPartition
  }

  #send(
    byPartition: ReadonlyMap<number, readonly NewRecord[]>,
    pendings: readonly Pending[],
    sink: ByteSink,
  ): void {
    this.#underWay++
    let failures = 0
    const sent = Array.from(byPartition, ([partition, records]) =>
      this.#options.append(partition, records).then(
        () => {
          for (const pending of pendings) pending.landed(partition)
        },
        (error: unknown) => {
          failures++
          for (const pending of pendings) pending.failed(partition, error)
        },
      ),
    )
    Promise.all(sent).then(() => {
      for (const pending of pendings) pending.settled()
      // What failed may still be read by a bus that tries again: its memory is the collector's.
      const isSmall = sink.bytes.length <= keptSinkBytesMax && this.#sinks.length < keptSinksMax
      if (failures === 0 && isSmall) this.#sinks.push(sink)
      this.#underWay--
      if (this.#underWay > 0) return
      if (this.#open.length > 0) {
        this.#flush()
        return
      }
      for (const resolve of this.#idle) resolve()
      this.#idle.clear()
    }, rethrow)
  }

  /** A batch for which nobody waits any more is forgotten before it is sent: its clients send it again. */
  #onLate(pending: Pending): void {
    if (!this.#open.includes(pending)) return
    this.#lateInOpen++
    if (this.#lateInOpen < this.#open.length) return
    for (const one of this.#takeOpen()) one.settled()
  }
}

/** Every append above has its own handler: what comes here is a defect, and ends the process. */
function rethrow(error: unknown): never {
  throw error
}
