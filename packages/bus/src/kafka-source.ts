import { randomUUID } from 'node:crypto'
import { type Clock, PipelineError, systemClock } from '@winnow/runtime'
import type { Membership } from './bus.ts'
import { groupIdOf } from './group-id.ts'
import { InflateRoom } from './inflate-room.ts'
import { type KafkaClients, kafkaClients } from './kafka-client.ts'
import { fromKafka } from './kafka-errors.ts'
import { KafkaLink } from './kafka-link.ts'
import { KafkaMembership, type StartFrom } from './kafka-membership.ts'
import {
  checkKafkaOptions,
  type KafkaBusEvent,
  type KafkaBusOptions,
  type KafkaLimits,
} from './kafka-options.ts'
import { committedIn } from './kafka-positions.ts'
import { KafkaSourceReader } from './kafka-source-reader.ts'
import { describeTopics } from './kafka-topics.ts'
import { joined, lagOf, type Source, type SourceLease, withTopic } from './source.ts'
import type { TopicSpec } from './topics.ts'

export interface KafkaSourceOptions
  extends Pick<
    KafkaBusOptions,
    'brokers' | 'clientId' | 'tls' | 'sasl' | 'clock' | 'limits' | 'onEvent' | 'instanceId'
  > {
  readonly topics: readonly string[]
  /** Kafka's name of the group of a topic is `<topic>.<group>`, as on the bus. */
  readonly group: string
  readonly startFrom: StartFrom
  /** The Kafka header whose content is a record's `header`. */
  readonly headerName?: string
  /** Inflated and not yet done with, over all partitions; over it by one batch. */
  readonly bytesMax: number
  /** How often it is asked whether a topic has more partitions. */
  readonly metadataMs?: number
}

/** What one topic needs. */
interface TopicParts {
  readonly name: string
  readonly reader: KafkaSourceReader
  partitions: number
}

const metadataMsDefault = 60_000

/**
 * Topics of somebody else's on Apache Kafka 3.1 or newer, by the same membership, leases and polls as
 * the bus: a commit carries the generation it belongs to, and nothing is fetched that nobody asked for.
 * It makes, alters and deletes nothing.
 */
export class KafkaSource implements Source {
  readonly topics: readonly string[]
  readonly #clients: KafkaClients
  readonly #limits: KafkaLimits
  readonly #clock: Clock
  readonly #options: KafkaSourceOptions
  readonly #parts: ReadonlyMap<string, TopicParts>
  readonly #instanceId: string

  private constructor(
    clients: KafkaClients,
    limits: KafkaLimits,
    options: KafkaSourceOptions,
    partitions: ReadonlyMap<string, number>,
  ) {
    this.topics = options.topics
    this.#clients = clients
    this.#limits = limits
    this.#clock = options.clock ?? systemClock
    this.#options = options
    this.#instanceId = options.instanceId ?? randomUUID()
    const room = new InflateRoom(options.bytesMax)
    const onEvent = (event: KafkaBusEvent): void => options.onEvent?.(event)
    this.#parts = new Map(
      Array.from(partitions, ([name, count]) => {
        const shared = { clients, limits, clock: this.#clock, room, onEvent }
        const reader = new KafkaSourceReader({
          ...shared,
          topic: name,
          headerName: options.headerName,
        })
        return [name, { name, reader, partitions: count }]
      }),
    )
  }

  /** CONFIG_INVALID names a topic that is not there; BUS_UNAVAILABLE when no broker answered for `openWaitMs`. */
  static async open(options: KafkaSourceOptions): Promise<KafkaSource> {
    const withSpecs = { ...options, specs: options.topics.map(sourceTopicSpec) }
    const limits = checkKafkaOptions(withSpecs)
    const clients = kafkaClients(withSpecs, limits)
    const deadline = AbortSignal.timeout(limits.openWaitMs)
    for (;;) {
      try {
        const partitions = await partitionsOf(clients, options.topics)
        return new KafkaSource(clients, limits, options, partitions)
      } catch (cause) {
        const what = `opening the source at ${options.brokers.join(', ')}`
        const error = fromKafka(cause, what)
        if (!error.retryable) throw error
        options.onEvent?.({ kind: 'retrying', what, error })
        if (deadline.aborted) {
          const remedy = 'start a broker there, or correct brokers, tls and sasl of kafkaSource'
          throw new PipelineError('BUS_UNAVAILABLE', `${error.message}; ${remedy}`, { cause })
        }
        await new Promise(resolve => setTimeout(resolve, 250))
      }
    }
  }

  join(fold: (lease: SourceLease) => Promise<void>): Membership {
    return joined([...this.#parts.values()].map(parts => this.#joinTopic(parts, fold)))
  }

  async lag(topic: string): Promise<number> {
    const parts = this.#known(topic)
    return lagOf(
      parts.partitions,
      partition => parts.reader.bounds(partition),
      partition => this.#committed(parts, partition),
    )
  }

  async close(): Promise<void> {
    await Promise.all([...this.#parts.values()].map(({ reader }) => reader.close()))
  }

  /**
   * The member that divides a topic's partitions knows their count from when it joined. Where a topic
   * gets more, every member joins anew within `metadataMs`, so that the new ones find an owner.
   */
  #joinTopic(parts: TopicParts, fold: (lease: SourceLease) => Promise<void>): Membership {
    const closing = new AbortController()
    const failed = Promise.withResolvers<never>()
    failed.promise.catch(() => {})
    const member = (): KafkaMembership => {
      const membership = this.#membership(parts, fold)
      membership.failed.catch(failed.reject)
      return membership
    }
    let membership = member()
    const watching = this.#untilGrown(parts, closing.signal, async () => {
      await membership.close()
      if (!closing.signal.aborted) membership = member()
    })
    return {
      failed: failed.promise,
      close: async () => {
        closing.abort()
        await watching
        await membership.close()
      },
    }
  }

  async #untilGrown(
    parts: TopicParts,
    signal: AbortSignal,
    onGrown: () => Promise<void>,
  ): Promise<void> {
    const { metadataMs = metadataMsDefault } = this.#options
    while (!signal.aborted) {
      await systemClock.sleep(metadataMs, signal)
      if (signal.aborted) return
      try {
        const count = (await partitionsOf(this.#clients, [parts.name])).get(parts.name) ?? 0
        if (count <= parts.partitions) continue
        parts.partitions = count
        await onGrown()
      } catch (cause) {
        const what = `asking for the partitions of ${parts.name}`
        this.#options.onEvent?.({ kind: 'retrying', what, error: fromKafka(cause, what) })
      }
    }
  }

  #membership(parts: TopicParts, fold: (lease: SourceLease) => Promise<void>): KafkaMembership {
    const { name: topic, reader, partitions } = parts
    const { group, startFrom, onEvent } = this.#options
    return new KafkaMembership({
      topic,
      group,
      groupId: groupIdOf(topic, group),
      partitions,
      instance: this.#instanceId,
      fold: lease => fold(withTopic(lease, topic)),
      link: new KafkaLink(this.#clients, topic),
      reader,
      limits: this.#limits,
      clock: this.#clock,
      committed: partition => this.#committed(parts, partition),
      startFrom,
      aheadRemedy: 'give kafkaSource.group another name, which begins where startFrom says',
      onEvent: event => onEvent?.(event),
    })
  }

  #committed({ name, reader }: TopicParts, partition: number) {
    return committedIn(reader.link, name, groupIdOf(name, this.#options.group), partition)
  }

  #known(topic: string): TopicParts {
    const parts = this.#parts.get(topic)
    if (parts !== undefined) return parts
    throw new PipelineError('CONFIG_INVALID', `${topic} is no topic of this source`)
  }
}

async function partitionsOf(
  clients: KafkaClients,
  names: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const cluster = clients.cluster()
  try {
    await cluster.connect()
    await cluster.refreshMetadata()
    const { topics } = await describeTopics(cluster, names.map(sourceTopicSpec))
    const missing = names.filter(
      name => !topics.some(one => one.name === name && one.partitions > 0),
    )
    if (missing.length === 0) return new Map(topics.map(topic => [topic.name, topic.partitions]))
    const what = `kafkaSource.topics: the broker has no topic ${missing.join(', ')}`
    const remedy =
      'correct the name, make the topic or start what writes it, or let this user describe and read it'
    throw new PipelineError('CONFIG_INVALID', `${what}; ${remedy}`)
  } finally {
    cluster.disconnect().catch(() => {})
  }
}

/** What is known beforehand of a topic that others make. */
export function sourceTopicSpec(name: string): TopicSpec {
  return { name, partitions: 1, retentionMs: 0, keyed: false }
}
