import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { BusRecord, Membership, Source, SourceLease } from '@winnow/bus'
import { type HealthPart, type Log, type Metrics, PipelineError } from '@winnow/runtime'
import type { Admission, Ticket } from './admission.ts'
import { tooLarge } from './body.ts'
import type { Intake, Transport } from './intake.ts'
import type { KafkaSourceConfig } from './kafka-source-config.ts'
import { SetAside, type SetAsideReason } from './set-aside.ts'
import { isJsonMessage, tenantOf } from './source-message.ts'

export interface SourceIntakeOptions {
  readonly source: Source
  readonly config: KafkaSourceConfig
  /** A larger message is set aside, as a larger request is refused. */
  readonly requestBytesMax: number
  readonly admission: Admission
  readonly intake: Intake
  readonly log: Log
  readonly metrics: Metrics
}

/** One message where it stands. */
interface Message {
  readonly topic: string
  readonly partition: number
  readonly record: BusRecord
}

/** Parsed before the event loop is given to others. */
const yieldBytes = 256 * 1024
const readWaitMs = 500
const lagEveryMs = 10_000
/** Between two attempts to find room; a request would be told to come again. */
const roomWaitMs = 20

/**
 * Takes OTLP from topics that others write, by the same intake as a request.
 *
 *   read ─▶ each message: room ─▶ intake ─▶ durable, or set aside ─▶ commit behind all of them ─▶ read
 *
 * A position is committed only when every message before it is on the bus or set aside: what a crash
 * or a hand-over interrupts is read again, and its spans are duplicates to who counts them. While there
 * is no room nothing is read, so that what waits is bounded and the topic is the queue.
 */
export class SourceIntake {
  readonly #options: SourceIntakeOptions
  readonly #setAside: SetAside
  /** Partitions that cannot go on, with the reason. */
  readonly #held = new Map<string, string>()
  readonly #stopping = new AbortController()
  readonly #folds = new Set<Promise<void>>()
  readonly #failure = Promise.withResolvers<never>()
  /** Messages after a defect, one at a time: what shares a batch with them must not share their end. */
  #alone: Promise<unknown> = Promise.resolve()
  #membership: Membership | undefined
  #measuring: Promise<void> = Promise.resolve()
  #unanswered: string | undefined

  constructor(options: SourceIntakeOptions) {
    this.#options = options
    this.#setAside = new SetAside(options.log, options.metrics)
    this.#failure.promise.catch(() => {})
  }

  /** Rejects when it cannot go on: what is committed is on the bus, so the process ends. */
  get failed(): Promise<never> {
    return this.#failure.promise
  }

  start(): void {
    this.#membership = this.#options.source.join(lease => {
      const folded = this.#fold(lease).finally(() => this.#folds.delete(folded))
      this.#folds.add(folded)
      return folded
    })
    this.#membership.failed.catch(this.#failure.reject)
    this.#measuring = this.#measure()
  }

  /** Takes nothing new, finishes and commits what it has in hand, for `waitMs` at most. */
  async stop(waitMs: number): Promise<void> {
    this.#stopping.abort()
    const finished = Promise.allSettled(this.#folds)
    const timer = new AbortController()
    await Promise.race([finished, sleep(waitMs, undefined, { signal: timer.signal }).catch(noop)])
    timer.abort()
    await this.#membership?.close()
    await this.#measuring
    await this.#options.source.close()
  }

  health(): HealthPart {
    const [held] = this.#held.values()
    const detail = held ?? this.#unanswered
    return detail === undefined ? { ready: true } : { ready: false, detail }
  }

  async #fold(lease: SourceLease): Promise<void> {
    const { topic, partition } = lease
    const where = `${topic}/${partition}`
    try {
      while (this.#goesOn(lease)) {
        const read = await this.#read(lease, where)
        if (read === undefined) continue
        const { records, gap } = read
        if (gap !== undefined) this.#setAside.gap(topic, partition, gap)
        if (!(await this.#takeAll(lease, records))) return
        const next = (records.at(-1)?.offset ?? (gap?.to ?? 0) - 1) + 1
        if (next > 0 && !(await this.#commit(lease, next))) return
      }
    } finally {
      this.#held.delete(where)
    }
  }

  #goesOn(lease: SourceLease): boolean {
    return !lease.lost.aborted && !this.#stopping.signal.aborted
  }

  /** Undefined: nothing came, or what is there cannot be read; then the partition waits, and says so. */
  async #read(lease: SourceLease, where: string): ReturnType<SourceLease['read']> {
    const { config, log } = this.#options
    try {
      const read = await lease.read(config.readBytesMax, readWaitMs)
      this.#held.delete(where)
      return read
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code === 'STALE_OWNER') throw error
      this.#held.set(where, error.message)
      const { topic, partition } = lease
      log.error('receiver.source_held', error, { topic, partition })
      await this.#pause(lease, config.retryDelay)
      return { records: [] }
    }
  }

  /** False: the partition is another's before all of them were through. */
  async #takeAll(lease: SourceLease, records: readonly BusRecord[]): Promise<boolean> {
    const { topic, partition } = lease
    const taken: Promise<boolean>[] = []
    let bytes = 0
    for (const record of records) {
      if (lease.lost.aborted) break
      taken.push(this.#take(lease, { topic, partition, record }))
      bytes += record.value.length
      if (bytes < yieldBytes) continue
      bytes = 0
      await setImmediate()
    }
    const outcomes = await Promise.all(taken)
    return outcomes.length === records.length && outcomes.every(Boolean)
  }

  /** Until the message is on the bus or set aside: true; or until the partition is lost. */
  async #take(lease: SourceLease, message: Message): Promise<boolean> {
    const { config, requestBytesMax } = this.#options
    const tenant = tenantOf(message.record, config)
    if (tenant === undefined) {
      const header = config.tenantHeader ?? ''
      this.#setAside.message(
        message,
        'tenant',
        `no header ${header} of 1 to 64 letters names a tenant`,
      )
      return true
    }
    if (message.record.value.length > requestBytesMax) {
      const limits = { bytesMax: requestBytesMax, limitName: 'receiver.requestBytesMax' }
      this.#setAside.message(message, 'too_large', tooLarge(limits).message)
      return true
    }
    for (let defects = 0; !lease.lost.aborted; ) {
      try {
        await (defects === 0
          ? this.#export(lease, message, tenant)
          : this.#byItself(lease, message, tenant))
        return true
      } catch (error) {
        if (error instanceof PipelineError && error.retryable) {
          await this.#pause(lease, config.retryDelay)
          continue
        }
        const reason = reasonOf(error)
        if (reason === undefined) throw error
        if (reason === 'defect' && defects++ === 0) continue
        this.#setAside.message(message, reason, String(error), error)
        return true
      }
    }
    return false
  }

  #byItself(lease: SourceLease, message: Message, tenant: string): Promise<void> {
    const mine = this.#alone.then(() => this.#export(lease, message, tenant))
    this.#alone = mine.catch(noop)
    return mine
  }

  /** Resolves once its spans are durable. */
  async #export(lease: SourceLease, message: Message, tenant: string): Promise<void> {
    const { intake, config, log, metrics } = this.#options
    const { topic, partition, record } = message
    const { value, offset } = record
    const ticket = await this.#room(lease, tenant, value.length)
    if (ticket === undefined) throw lost
    const isJson = isJsonMessage(value, config.encoding)
    const transport: Transport = isJson ? 'kafka/json' : 'kafka/protobuf'
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
    const body = { bytes, release: noop }
    const result = await intake.export({ signal: 'traces', transport, tenant, body, ticket })
    metrics.sourceMessages.inc({ topic, result: 'taken' })
    if (result.rejected === 0) return
    const fields = { topic, partition, offset, rejected: result.rejected }
    log.warn('receiver.source_spans_rejected', { ...fields, reason: result.errorMessage })
  }

  /** Waits for it: a topic needs no refusal, it keeps what is not read. Undefined: the partition is lost. */
  async #room(lease: SourceLease, tenant: string, bytes: number): Promise<Ticket | undefined> {
    while (!lease.lost.aborted) {
      try {
        const ticket = this.#options.admission.open(tenant, bytes)
        ticket.take(bytes)
        return ticket
      } catch (error) {
        if (!(error instanceof PipelineError && error.code === 'QUOTA_EXCEEDED')) throw error
        await this.#pause(lease, roomWaitMs)
      }
    }
    return undefined
  }

  /** False: the partition is another's. */
  async #commit(lease: SourceLease, offset: number): Promise<boolean> {
    while (!lease.lost.aborted) {
      try {
        await lease.commit({ offset, note: '' })
        return true
      } catch (error) {
        if (!(error instanceof PipelineError)) throw error
        if (error.code === 'STALE_OWNER') return false
        if (!error.retryable) throw error
        await this.#pause(lease, roomWaitMs)
      }
    }
    return false
  }

  /** Not cut short by a stop: what is in hand is finished. */
  async #pause(lease: SourceLease, ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: lease.lost }).catch(noop)
  }

  async #measure(): Promise<void> {
    const { source, metrics } = this.#options
    while (!this.#stopping.signal.aborted) {
      try {
        for (const topic of source.topics) {
          metrics.sourceLag.set({ topic }, await source.lag(topic))
        }
        this.#unanswered = undefined
      } catch (error) {
        this.#unanswered = `the brokers of the source do not answer: ${String(error)}`
      }
      await sleep(lagEveryMs, undefined, { signal: this.#stopping.signal }).catch(noop)
    }
  }
}

/** Undefined: it is not the message's fault, and nobody may pass over it. */
function reasonOf(error: unknown): SetAsideReason | undefined {
  if (!(error instanceof PipelineError)) return 'defect'
  if (error.code === 'PAYLOAD_INVALID') return 'invalid'
  return error.code === 'PAYLOAD_TOO_LARGE' ? 'too_large' : undefined
}

const lost = new PipelineError('BUS_UNAVAILABLE', 'the partition has another owner')

function noop(): void {}
