import { type Clock, PipelineError } from '@winnow/runtime'
import type { NewRecord } from './bus.ts'
import { fromKafka } from './kafka-errors.ts'
import type { KafkaLimits } from './kafka-options.ts'
import { recordHeaderName } from './kafka-records.ts'

/** One record as kafkajs takes it. Not readonly: its bytes are replaced when its caller stops waiting. */
export interface Message {
  key?: Buffer
  value: Buffer
  headers?: Record<string, Buffer>
  readonly partition: number
}

/** Sends one batch per partition, durably, and says the offset of each one's first record. */
export type SendBatches = (messages: readonly Message[]) => Promise<ReadonlyMap<number, number>>

interface Append {
  readonly partition: number
  readonly messages: readonly Message[]
  readonly bytes: number
  readonly resolve: (offset: number) => void
  readonly reject: (error: PipelineError) => void
  timer: NodeJS.Timeout
  settled: boolean
}

/** More than a record's own lengths, deltas and header name ever take. */
const recordOverheadBytes = 64

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
    const messages = records.map(record => toMessage(record, partition))
    const bytes = messages.reduce((sum, message) => sum + messageBytes(message), 0)
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
        messages,
        bytes,
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
   * A refusal for good of a request with several appends does not say whose fault it was: each is
   * then sent by itself. One that had landed lands twice, as it may after any lost answer.
   */
  async #deliver(appends: readonly Append[]): Promise<void> {
    try {
      const firsts = await this.#send(appends.flatMap(one => one.messages))
      const next = new Map(firsts)
      for (const one of appends) {
        const offset = next.get(one.partition)
        if (offset === undefined) throw new Error(`no offset for ${this.#topic}/${one.partition}`)
        this.#settle(one, offset)
        next.set(one.partition, offset + one.messages.length)
      }
    } catch (cause) {
      const error = fromKafka(cause, `appending to ${this.#topic}`)
      if (error.retryable || appends.length === 1) {
        for (const one of appends) this.#settle(one, error)
        return
      }
      for (const one of appends) await this.#deliver([one])
    }
  }

  /** Its caller may use the bytes again, and kafkajs, still repeating, reads them at every attempt. */
  #giveUp(one: Append, startedAtMs: number): void {
    const queue = this.#queues.get(one.partition)
    const at = queue?.indexOf(one) ?? -1
    if (at >= 0) {
      queue?.splice(at, 1)
      this.#queuedBytes -= one.bytes
    } else {
      for (const message of one.messages) ownBytes(message)
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

function toMessage(record: NewRecord, partition: number): Message {
  return {
    value: view(record.value),
    ...(record.key === undefined ? undefined : { key: view(record.key) }),
    ...(record.header === undefined
      ? undefined
      : { headers: { [recordHeaderName]: view(record.header) } }),
    partition,
  }
}

/** kafkajs writes anything but a Buffer as text. */
function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function messageBytes(message: Message): number {
  const header = message.headers?.[recordHeaderName]?.length ?? 0
  return message.value.length + (message.key?.length ?? 0) + header + recordOverheadBytes
}

function ownBytes(message: Message): void {
  message.value = Buffer.from(message.value)
  if (message.key !== undefined) message.key = Buffer.from(message.key)
  const header = message.headers?.[recordHeaderName]
  if (header !== undefined) message.headers = { [recordHeaderName]: Buffer.from(header) }
}
