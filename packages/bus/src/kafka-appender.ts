import { type Clock, PipelineError } from '@winnow/runtime'
import type { NewRecord } from './bus.ts'
import { recordBytesMax } from './kafka-batches.ts'
import { fromKafka } from './kafka-errors.ts'
import type { KafkaLimits } from './kafka-options.ts'

/** What leaves for one partition at a time. */
export interface PartitionBatch {
  readonly partition: number
  readonly records: readonly NewRecord[]
  /** At least what the records take. */
  readonly bytesMax: number
  /** Nobody waits for it any more from here on. */
  readonly untilMs: number
}

/** The offset of a batch's first record, or why it was not taken. */
export type PartitionOutcome = number | PipelineError

/**
 * Sends one batch per partition, durably. The records are read before it returns, and never again:
 * their owner may use the memory again once it is told that they failed.
 */
export type SendBatches = (
  batches: readonly PartitionBatch[],
) => Promise<ReadonlyMap<number, PartitionOutcome>>

interface Append {
  readonly partition: number
  readonly records: readonly NewRecord[]
  readonly bytes: number
  readonly untilMs: number
  readonly resolve: (offset: number) => void
  readonly reject: (error: PipelineError) => void
  timer: NodeJS.Timeout
  settled: boolean
}

/**
 * The appends of one topic on their way to the brokers. A partition has at most one request under
 * way, which keeps its order; whatever comes meanwhile gathers and leaves as its next batch, so that
 * load makes batches larger and an idle topic waits for nothing:
 *
 *   append p0 ─▶ ┌ p0: a b ┐                          ┌ batch p0: a b ┐
 *   append p1 ─▶ │ p1: c   │ ─ nothing of p0, p1 ───▶ │ batch p1: c   │ one produce request
 *   append p2 ─▶ └ p2: d   ┘    under way             └───────────────┘ (p2's last is still out)
 */
export class KafkaAppender {
  readonly #topic: string
  readonly #limits: KafkaLimits
  readonly #clock: Clock
  readonly #send: SendBatches
  readonly #queues = new Map<number, Append[]>()
  readonly #underWay = new Set<number>()
  #requests = 0
  #queuedBytes = 0
  #scheduled = false

  constructor(topic: string, limits: KafkaLimits, clock: Clock, send: SendBatches) {
    this.#topic = topic
    this.#limits = limits
    this.#clock = clock
    this.#send = send
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  append(partition: number, records: readonly NewRecord[]): Promise<number> {
    const bytes = records.reduce((sum, record) => sum + recordBytesMax(record), 0)
    const { producerBatchBytesMax, queuedBytesMax, appendWaitMs } = this.#limits
    if (bytes > producerBatchBytesMax) {
      return this.#refuse(
        'PAYLOAD_TOO_LARGE',
        `an append of ${bytes} bytes; \`producerBatchBytesMax\` is ${producerBatchBytesMax}: split it`,
      )
    }
    if (this.#queuedBytes + bytes > queuedBytesMax) {
      return this.#refuse(
        'BUS_UNAVAILABLE',
        `${this.#queuedBytes} bytes wait for the brokers; \`queuedBytesMax\` is ${queuedBytesMax}`,
      )
    }
    this.#queuedBytes += bytes
    return new Promise((resolve, reject) => {
      const startedAtMs = this.#clock.nowMs()
      const one: Append = {
        partition,
        records,
        bytes,
        untilMs: startedAtMs + appendWaitMs,
        resolve,
        reject,
        settled: false,
        timer: setTimeout(() => this.#giveUp(one, startedAtMs), appendWaitMs),
      }
      const queue = this.#queues.get(partition) ?? []
      this.#queues.set(partition, queue)
      queue.push(one)
      this.#schedule()
    })
  }

  /** Refuses what has not left yet. What is under way settles by itself. */
  close(): void {
    for (const queue of this.#queues.values()) {
      for (const one of queue.splice(0)) {
        this.#settle(one, new PipelineError('BUS_UNAVAILABLE', `${this.#topic}: the bus is closed`))
        this.#queuedBytes -= one.bytes
      }
    }
  }

  #refuse(code: 'PAYLOAD_TOO_LARGE' | 'BUS_UNAVAILABLE', message: string): Promise<never> {
    return Promise.reject(new PipelineError(code, `${this.#topic}: ${message}`))
  }

  /** Appends of the same turn of the event loop, for any partitions, share a request. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      while (this.#requests < this.#limits.requestsInFlightMax) {
        const gathered = this.#gather()
        if (gathered.length === 0) return
        this.#requests++
        for (const one of gathered) this.#underWay.add(one.partition)
        this.#deliver(gathered)
          .finally(() => {
            this.#requests--
            for (const one of gathered) {
              this.#underWay.delete(one.partition)
              this.#queuedBytes -= one.bytes
            }
            this.#schedule()
          })
          .catch(() => {})
      }
    })
  }

  /** The head of every idle partition's queue, up to a batch each and a request in all. */
  #gather(): Append[] {
    const gathered: Append[] = []
    let requestBytes = 0
    for (const [partition, queue] of [...this.#queues]) {
      if (this.#underWay.has(partition)) continue
      let count = 0
      for (let batchBytes = 0; count < queue.length; count++) {
        const { bytes } = queue[count] as Append
        const fits = batchBytes + bytes <= this.#limits.producerBatchBytesMax
        if (!fits || (requestBytes > 0 && requestBytes + bytes > this.#limits.requestBytesMax))
          break
        batchBytes += bytes
        requestBytes += bytes
      }
      gathered.push(...queue.splice(0, count))
      // Next time another partition is the first one.
      if (count > 0) this.#queues.delete(partition)
      if (queue.length > 0) this.#queues.set(partition, queue)
    }
    return gathered
  }

  /**
   * A refusal for good of a batch of several appends does not say whose fault it was: each is then
   * sent by itself. One that had landed lands twice, as it may after any lost answer.
   */
  async #deliver(appends: readonly Append[]): Promise<void> {
    const byPartition = new Map<number, Append[]>()
    for (const one of appends) {
      const others = byPartition.get(one.partition)
      if (others === undefined) byPartition.set(one.partition, [one])
      else others.push(one)
    }
    const outcomes = await this.#outcomes(byPartition)
    for (const [partition, ofPartition] of byPartition) {
      const outcome = outcomes.get(partition) ?? this.#unanswered(partition)
      if (typeof outcome === 'number') {
        let offset = outcome
        for (const one of ofPartition) {
          this.#settle(one, offset)
          offset += one.records.length
        }
      } else if (outcome.retryable || ofPartition.length === 1) {
        for (const one of ofPartition) this.#settle(one, outcome)
      } else {
        for (const one of ofPartition) if (!one.settled) await this.#deliver([one])
      }
    }
  }

  async #outcomes(
    appends: ReadonlyMap<number, readonly Append[]>,
  ): Promise<ReadonlyMap<number, PartitionOutcome>> {
    const batches = [...appends].map(([partition, ofPartition]) => ({
      partition,
      records: ofPartition.flatMap(one => one.records),
      bytesMax: ofPartition.reduce((sum, one) => sum + one.bytes, 0),
      untilMs: Math.max(...ofPartition.map(one => one.untilMs)),
    }))
    try {
      return await this.#send(batches)
    } catch (cause) {
      const error = fromKafka(cause, `appending to ${this.#topic}`)
      return new Map(batches.map(({ partition }) => [partition, error]))
    }
  }

  #unanswered(partition: number): PipelineError {
    return new PipelineError('BUS_UNAVAILABLE', `no offset for ${this.#topic}/${partition}`)
  }

  #giveUp(one: Append, startedAtMs: number): void {
    const queue = this.#queues.get(one.partition)
    const at = queue?.indexOf(one) ?? -1
    if (at >= 0) {
      queue?.splice(at, 1)
      this.#queuedBytes -= one.bytes
    }
    const waitedMs = this.#clock.nowMs() - startedAtMs
    const message = `${this.#topic}/${one.partition}: not durable after ${waitedMs} ms`
    this.#settle(one, new PipelineError('BUS_UNAVAILABLE', message))
  }

  #settle(one: Append, outcome: number | PipelineError): void {
    if (one.settled) return
    one.settled = true
    clearTimeout(one.timer)
    if (typeof outcome === 'number') one.resolve(outcome)
    else one.reject(outcome)
  }
}
