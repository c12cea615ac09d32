import { type HeldMemory, PipelineError } from '@winnow/runtime'
import { type Batch, type Lease, noteBytesMax, type Position } from './bus.ts'
import { fromKafka, kafkaType } from './kafka-errors.ts'
import type { KafkaReader } from './kafka-reader.ts'

/** Who commits: refused by the broker once the group has moved on without it. */
export interface GroupMembership {
  readonly memberId: string
  readonly generation: number
}

/** What a lease needs of the topic: its records, and the broker that keeps its group's positions. */
export interface LeaseReader extends Pick<KafkaReader, 'read'> {
  readonly link: Pick<KafkaReader['link'], 'onCoordinator'>
}

const retryMs = 200

/** One partition in the hands of one member, from an assignment until it is lost. */
export class KafkaLease implements Lease {
  readonly partition: number
  readonly committed: Position | undefined
  readonly lost: AbortSignal
  /** Moves on with the group for as long as the partition stays here without a generation missed. */
  readonly #member: () => GroupMembership
  readonly #groupId: string
  readonly #reader: LeaseReader
  readonly #topic: string
  /** Resolves at once, or when the rebalance under way has said who owns the partition. */
  readonly #settled: () => Promise<void>
  #next: number
  /** Where the records of the last batch lie: its reader has them until it reads on. */
  #lent: readonly HeldMemory[] = []

  constructor(options: {
    readonly topic: string
    readonly groupId: string
    readonly partition: number
    readonly committed: Position | undefined
    readonly start: number
    readonly lost: AbortSignal
    readonly reader: LeaseReader
    readonly member: () => GroupMembership
    readonly settled: () => Promise<void>
  }) {
    this.#topic = options.topic
    this.#groupId = options.groupId
    this.partition = options.partition
    this.committed = options.committed
    this.#next = options.start
    this.lost = options.lost
    this.#reader = options.reader
    this.#member = options.member
    this.#settled = options.settled
  }

  /**
   * While the brokers do not answer it waits on, longer than `waitMs`: an empty batch says that the
   * end of the log was reached, and folds close traces on it. During a rebalance it waits too, so
   * that no two members are handed the same records at the same time.
   */
  async read(bytesMax: number, waitMs: number): Promise<Batch> {
    for (const memory of this.#lent) memory.release()
    this.#lent = []
    while (!this.lost.aborted) {
      try {
        await this.#unlessLost(this.#settled())
        const batch = await this.#unlessLost(
          this.#reader.read(this.partition, this.#next, bytesMax, waitMs, this.lost),
        )
        await this.#unlessLost(this.#settled())
        if (batch === undefined || this.lost.aborted) break
        this.#next = batch.next
        this.#lent = batch.held ?? []
        return { records: batch.records, ...(batch.gap && { gap: batch.gap }) }
      } catch (error) {
        if (!(error instanceof PipelineError) || !error.retryable) throw error
        await this.#unlessLost(new Promise(resolve => setTimeout(resolve, retryMs)))
      }
    }
    return { records: [] }
  }

  /**
   * Sent with the generation this lease belongs to, so that the broker itself refuses a former
   * owner. kafkajs' `consumer.commitOffsets` is not used: it repeats a commit after a rebalance
   * under the new generation, which lets a former owner overwrite the new one's position.
   */
  async commit(position: Position): Promise<void> {
    const what = `committing ${this.#topic}/${this.partition} at ${position.offset}`
    if (!Number.isSafeInteger(position.offset) || position.offset < 0) {
      throw new PipelineError('CONFIG_INVALID', `${what}: not an offset; use one that was read`)
    }
    const noteBytes = Buffer.byteLength(position.note)
    if (noteBytes > noteBytesMax) {
      throw new PipelineError(
        'PAYLOAD_TOO_LARGE',
        `${what}: a note of ${noteBytes} bytes; \`noteBytesMax\` is ${noteBytesMax}: shorten it`,
      )
    }
    this.#refuseIfLost(what)
    const { memberId, generation } = this.#member()
    const { partition } = this
    const one = { partition, offset: `${position.offset}`, metadata: position.note }
    try {
      await this.#reader.link.onCoordinator(this.#groupId, broker =>
        broker.offsetCommit({
          groupId: this.#groupId,
          groupGenerationId: generation,
          memberId,
          topics: [{ topic: this.#topic, partitions: [one] }],
        }),
      )
    } catch (error) {
      // The generation is over. Whether the partition stays here is what the rebalance will say.
      if (kafkaType(error) === 'ILLEGAL_GENERATION') this.#refuseIfLost(what)
      throw fromKafka(error, what)
    }
  }

  #refuseIfLost(what: string): void {
    if (!this.lost.aborted) return
    throw new PipelineError('STALE_OWNER', `${what}: the partition has another owner`)
  }

  /** Undefined once the lease is lost, however long `waited` still takes. */
  #unlessLost<T>(waited: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const lost = (): void => resolve(undefined)
      this.lost.addEventListener('abort', lost, { once: true })
      waited.then(resolve, reject).finally(() => this.lost.removeEventListener('abort', lost))
      if (this.lost.aborted) lost()
    })
  }
}
