import { type Clock, type HeldMemory, PipelineError, systemClock } from '@winnow/runtime'
import type { PartitionBatch, PartitionOutcome } from './kafka-appender.ts'
import { type EncodedBatch, encodeBatch, encodeRecords, writtenCodec } from './kafka-batches.ts'
import type { KafkaClients } from './kafka-client.ts'
import { fromKafka, refusalOf } from './kafka-errors.ts'
import { KafkaLink } from './kafka-link.ts'
import { batchMemory } from './kafka-memory.ts'
import type { KafkaLimits } from './kafka-options.ts'
import type { WrittenBatch } from './kafka-recent.ts'
import { produceRequest } from './kafka-requests.ts'
import { compressFrame } from './kafka-zstd.ts'

/** A batch on its way, written once and sent as often as it takes. */
interface Outgoing {
  readonly partition: number
  readonly encoded: EncodedBatch
  readonly untilMs: number
  /**
   * Where it lies. It goes back where the broker has taken it at the first attempt: what has failed before
   * may still be on its way out.
   */
  readonly memory: readonly HeldMemory[]
  /** Why the last attempt failed: what its callers are told when time runs out. None was made yet. */
  error: PipelineError | undefined
}

const firstPauseMs = 100
const pauseMsMax = 3_000

/**
 * Produce requests for one topic, over a link of its own. Written here rather than by kafkajs'
 * producer, which takes every record through half a dozen objects and copies, and repeats a whole
 * request where one partition was refused, so that the others land twice.
 */
export class KafkaProducer {
  readonly #topic: string
  readonly #limits: KafkaLimits
  readonly #clock: Clock
  readonly #link: KafkaLink
  readonly #onSend: (partition: number, batch: WrittenBatch) => void
  readonly #closing = new AbortController()

  constructor(
    clients: KafkaClients,
    topic: string,
    limits: KafkaLimits,
    clock: Clock,
    onSend: (partition: number, batch: WrittenBatch) => void,
  ) {
    this.#onSend = onSend
    this.#topic = topic
    this.#limits = limits
    this.#clock = clock
    this.#link = new KafkaLink(clients, topic)
  }

  /**
   * One batch per partition, on disk at every replica in sync before it counts. What a partition
   * refuses for now is sent again, to whoever leads it by then, until the batch's time is over. The
   * records are read before this returns and never again.
   */
  send(batches: readonly PartitionBatch[]): Promise<ReadonlyMap<number, PartitionOutcome>> {
    return this.#deliver(batches.map(batch => this.#encode(batch)))
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#link.close()
  }

  #encode({ partition, records, bytesMax, untilMs }: PartitionBatch): Promise<Outgoing> {
    const plainMemory = batchMemory.take(bytesMax)
    const plain = plainMemory.bytes.subarray(0, encodeRecords(records, plainMemory.bytes))
    const memory = [plainMemory]
    const take = (bytes: number): Buffer => {
      const packedMemory = batchMemory.take(bytes)
      memory.push(packedMemory)
      return packedMemory.bytes
    }
    return compressFrame(plain, take).then(packed => {
      const [stored, codec] =
        packed.length < plain.length ? [packed, writtenCodec.zstd] : [plain, writtenCodec.none]
      const encoded = encodeBatch(stored, codec, records.length, this.#clock.nowMs())
      const packedMemory = memory[1]
      if (codec === writtenCodec.zstd && packedMemory !== undefined) {
        const both = { stored: packedMemory, plain: plainMemory }
        this.#onSend(partition, { codec, stored, plain, memory: both })
      }
      return { partition, encoded, memory, untilMs, error: undefined }
    })
  }

  async #deliver(
    encoding: readonly Promise<Outgoing>[],
  ): Promise<ReadonlyMap<number, PartitionOutcome>> {
    const outcomes = new Map<number, PartitionOutcome>()
    let left: readonly Outgoing[] = await Promise.all(encoding)
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMsMax, 2 * pauseMs)) {
      left = await this.#attempt(left, outcomes)
      const nextMs = this.#clock.nowMs() + pauseMs
      const isOver = this.#closing.signal.aborted
      for (const one of left) {
        if (isOver || nextMs >= one.untilMs) outcomes.set(one.partition, this.#whyOf(one))
      }
      left = left.filter(one => !outcomes.has(one.partition))
      if (left.length === 0) return outcomes
      await systemClock.sleep(pauseMs, this.#closing.signal)
    }
  }

  #whyOf({ error, partition }: Outgoing): PipelineError {
    const what = `${this.#topic}/${partition}: not sent yet`
    return error ?? new PipelineError('BUS_UNAVAILABLE', what)
  }

  /** Asks every leader once; returns what may be tried again. */
  async #attempt(
    batches: readonly Outgoing[],
    outcomes: Map<number, PartitionOutcome>,
  ): Promise<Outgoing[]> {
    const again: Outgoing[] = []
    const failed = (one: Outgoing, cause: unknown, mayRepeat = true): void => {
      one.error = fromKafka(cause, `appending to ${this.#topic}`)
      if (mayRepeat && one.error.retryable) again.push(one)
      else outcomes.set(one.partition, one.error)
    }
    const byLeader = new Map<number, Outgoing[]>()
    for (const one of batches) {
      try {
        const leader = await this.#link.leaderOf(one.partition)
        byLeader.set(leader, [...(byLeader.get(leader) ?? []), one])
      } catch (cause) {
        failed(one, cause)
      }
    }
    await Promise.all(
      [...byLeader].map(async ([leader, ofLeader]) => {
        try {
          const request = produceRequest(this.#topic, ofLeader, this.#limits.requestWaitMs)
          const answers = await this.#link.produce(leader, request, this.#limits.requestWaitMs)
          for (const one of ofLeader) {
            const answer = answers.find(({ partition }) => partition === one.partition)
            if (answer?.errorCode === 0) {
              outcomes.set(one.partition, answer.first)
              if (one.error === undefined) for (const memory of one.memory) memory.release()
            } else {
              const refusal = refusalOf(answer?.errorCode ?? -1)
              failed(one, refusal, refusal.retriable)
            }
          }
        } catch (cause) {
          for (const one of ofLeader) failed(one, cause)
        }
      }),
    )
    // Refused for now: by one who leads no more, or for want of replicas. Look again who leads.
    if (again.length > 0) this.#link.drop()
    return again
  }
}
