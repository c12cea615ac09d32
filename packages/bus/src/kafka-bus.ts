import { randomUUID } from 'node:crypto'
import { type Clock, PipelineError, systemClock } from '@winnow/runtime'
import { checkAppend, checkPartition } from './append-check.ts'
import type {
  Batch,
  BusRecord,
  Lease,
  Membership,
  NewRecord,
  Position,
  RangeRead,
  ReadMemory,
  ValueRange,
} from './bus.ts'
import { groupIdOf } from './group-id.ts'
import { KafkaAppender } from './kafka-appender.ts'
import { type KafkaClients, kafkaClients } from './kafka-client.ts'
import { fromKafka, noBroker } from './kafka-errors.ts'
import { KafkaLink } from './kafka-link.ts'
import { KafkaMembership } from './kafka-membership.ts'
import {
  checkKafkaOptions,
  type KafkaBusEvent,
  type KafkaBusOptions,
  type KafkaLimits,
} from './kafka-options.ts'
import { committedIn } from './kafka-positions.ts'
import { KafkaProducer } from './kafka-producer.ts'
import { copyOf, KafkaReader } from './kafka-reader.ts'
import { KafkaTail } from './kafka-tail.ts'
import { type KnownTopic, openTopics } from './kafka-topics.ts'
import type { SharingBus } from './shared-bus.ts'
import type { SharedTail } from './tail-index.ts'
import { checkRanges } from './value-ranges.ts'

/** What one topic needs once it is used. Made at first use: a target uses two or three of them. */
interface TopicParts {
  readonly reader: KafkaReader
  readonly producer: KafkaProducer
  readonly appender: KafkaAppender
}

/**
 * The bus on Apache Kafka 3.1 or newer, through kafkajs. Appends are one zstd batch per partition
 * with acks from every replica in sync; reads pull; a consumer group assigns partitions and keeps
 * positions, and nothing else. At least once: an append whose answer was lost lands twice.
 */
export class KafkaBus implements SharingBus {
  readonly #clients: KafkaClients
  readonly #limits: KafkaLimits
  readonly #clock: Clock
  readonly #instanceId: string
  readonly #onEvent: (event: KafkaBusEvent) => void
  readonly #topics: ReadonlyMap<string, KnownTopic>
  readonly #tails = new Map<string, KafkaTail>()
  readonly #parts = new Map<string, TopicParts>()
  readonly #memberships = new Set<KafkaMembership>()
  #closed = false

  private constructor(
    clients: KafkaClients,
    limits: KafkaLimits,
    options: KafkaBusOptions,
    topics: ReadonlyMap<string, KnownTopic>,
  ) {
    this.#clients = clients
    this.#limits = limits
    this.#clock = options.clock ?? systemClock
    this.#instanceId = options.instanceId ?? randomUUID()
    this.#onEvent = options.onEvent ?? (() => {})
    this.#topics = topics
    for (const [topic, bytes] of Object.entries(options.tails ?? {})) {
      const { spec } = this.#known(topic)
      if (!spec.keyed) this.#tails.set(topic, new KafkaTail(topic, spec.partitions, bytes))
    }
  }

  /**
   * Makes the topics that are missing and checks those that are there. CONFIG_INVALID names what is
   * wrong and its remedy; BUS_UNAVAILABLE when no broker answered for `openWaitMs`.
   */
  static async open(options: KafkaBusOptions): Promise<KafkaBus> {
    const limits = checkKafkaOptions(options)
    let isOpen = false
    // What kafkajs says meanwhile is in the error that this ends with, or in `retrying`.
    const onEvent = (event: KafkaBusEvent): void => {
      if (isOpen || event.kind !== 'client') options.onEvent?.(event)
    }
    const clients = kafkaClients({ ...options, onEvent }, limits)
    const deadline = AbortSignal.timeout(limits.openWaitMs)
    for (;;) {
      try {
        const topics = await openTopics(clients, options, limits)
        isOpen = true
        return new KafkaBus(clients, limits, options, topics)
      } catch (cause) {
        const error = fromKafka(cause, 'opening the bus')
        if (!error.retryable) throw error
        options.onEvent?.({ kind: 'retrying', what: 'opening the bus', error })
        if (deadline.aborted) throw noBroker(error)
        await new Promise(resolve => setTimeout(resolve, 250))
      }
    }
  }

  async partitionCount(topic: string): Promise<number> {
    return this.#known(topic).spec.partitions
  }

  async logId(topic: string): Promise<string> {
    return this.#known(topic).logId
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const { appender } = this.#at(topic, partition)
    checkAppend(this.#known(topic).spec, records)
    for (const membership of this.#memberships) membership.assertAlive()
    return appender.append(partition, records)
  }

  async fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    return this.#at(topic, partition).reader.fetch(partition, offset)
  }

  async fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    const { reader } = this.#at(topic, partition)
    checkRanges(topic, ranges)
    return reader.fetchRanges(partition, ranges)
  }

  async read(
    topic: string,
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    memory?: ReadMemory,
  ): Promise<Batch> {
    const { reader } = this.#at(topic, partition)
    const { records, gap, held } = await reader.read(partition, from, bytesMax, waitMs)
    if (memory === undefined) return { records, ...(gap && { gap }) }
    const copies = copyOf(records, memory)
    for (const one of held ?? []) one.release()
    return { records: copies, ...(gap && { gap }) }
  }

  async bounds(
    topic: string,
    partition: number,
  ): Promise<{ readonly first: number; readonly end: number }> {
    return this.#at(topic, partition).reader.bounds(partition)
  }

  async committed(topic: string, group: string, partition: number): Promise<Position | undefined> {
    const { reader } = this.#at(topic, partition)
    return committedIn(reader.link, topic, groupIdOf(topic, group), partition)
  }

  join(topic: string, group: string, fold: (lease: Lease) => Promise<void>): Membership {
    const { spec } = this.#known(topic)
    const others = [...this.#memberships].filter(one => one.topic === topic && one.group === group)
    const membership = new KafkaMembership({
      topic,
      group,
      groupId: groupIdOf(topic, group),
      partitions: spec.partitions,
      instance: `${this.#instanceId}/${others.length}`,
      fold,
      link: new KafkaLink(this.#clients, topic),
      reader: this.#partsOf(topic).reader,
      limits: this.#limits,
      clock: this.#clock,
      committed: partition => this.committed(topic, group, partition),
      onEvent: this.#onEvent,
    })
    this.#memberships.add(membership)
    return {
      failed: membership.failed,
      close: async () => {
        await membership.close()
        this.#memberships.delete(membership)
      },
    }
  }

  get tails(): readonly SharedTail[] {
    return Array.from(this.#tails.values(), tail => tail.shared)
  }

  readonly placesRecords = false

  async close(): Promise<void> {
    this.#closed = true
    const parts = [...this.#parts.values()]
    for (const { appender } of parts) appender.close()
    await Promise.all(parts.flatMap(({ reader, producer }) => [reader.close(), producer.close()]))
  }

  #known(topic: string): KnownTopic {
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    const names = [...this.#topics.keys()].join(', ')
    throw new PipelineError('CONFIG_INVALID', `topic ${topic} is not in \`specs\`: ${names}`)
  }

  #at(topic: string, partition: number): TopicParts {
    checkPartition(this.#known(topic).spec, partition)
    return this.#partsOf(topic)
  }

  #partsOf(topic: string): TopicParts {
    if (this.#closed) throw new PipelineError('BUS_UNAVAILABLE', `${topic}: the bus is closed`)
    const known = this.#parts.get(topic)
    if (known !== undefined) return known
    const tail = this.#tails.get(topic)
    const reader = new KafkaReader(this.#clients, topic, this.#limits, this.#clock, tail)
    const sends = reader.sends.bind(reader)
    const producer = new KafkaProducer(this.#clients, topic, this.#limits, this.#clock, sends)
    const send = producer.send.bind(producer)
    const parts = {
      reader,
      producer,
      appender: new KafkaAppender(topic, this.#limits, this.#clock, send),
    }
    this.#parts.set(topic, parts)
    return parts
  }
}
