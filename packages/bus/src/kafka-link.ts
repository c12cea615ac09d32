import { PipelineError } from '@winnow/runtime'
import type {
  KafkaClients,
  PrivateBroker,
  PrivateCluster,
  PrivateConnection,
} from './kafka-client.ts'
import { fromKafka, kafkaType } from './kafka-errors.ts'
import { sendPieces } from './kafka-pieces.ts'
import type { PiecedRequest, RawRequest } from './kafka-requests.ts'

/** Refusals that say nothing about the connection or about who leads: the link is as good as before. */
const sound = new Set([
  'ILLEGAL_GENERATION',
  'INVALID_COMMIT_OFFSET_SIZE',
  'OFFSET_METADATA_TOO_LARGE',
  'OFFSET_OUT_OF_RANGE',
  'REBALANCE_IN_PROGRESS',
  'UNKNOWN_MEMBER_ID',
])

const channels = { other: 0, fetch: 1 } as const

/**
 * The connections of one purpose to the brokers of one topic. After any failure they are all thrown
 * away and made anew by the next use: that is the whole treatment of moved leaders, moved
 * coordinators, restarted brokers and idle connections that a broker closed.
 *
 * One topic each, because kafkajs asks for the metadata of all topics of a client at once and fails
 * for all of them when one was deleted: here a deleted topic harms only itself.
 */
export class KafkaLink {
  readonly topic: string
  readonly #clients: KafkaClients
  #opened: Promise<PrivateCluster> | undefined
  /** kafkajs opens a second socket when asked twice at once, and loses the first: ask once. */
  readonly #connecting = new WeakMap<PrivateConnection, Promise<unknown>>()
  /** Found once: whoever no longer coordinates says so, and then the link is made anew. */
  readonly #coordinators = new WeakMap<PrivateCluster, Map<string, PrivateBroker>>()
  #closed = false

  constructor(clients: KafkaClients, topic: string) {
    this.#clients = clients
    this.topic = topic
  }

  /** The broker that may answer for a partition now. */
  async leaderOf(partition: number): Promise<number> {
    return this.#use(async cluster => {
      const partitions = cluster.findTopicPartitionMetadata(this.topic)
      const leader = partitions.find(one => one.partitionId === partition)?.leader ?? -1
      if (leader >= 0) return leader
      throw new PipelineError('BUS_UNAVAILABLE', `${this.topic}/${partition} has no leader`)
    })
  }

  /** Runs `ask` on the broker of that number. */
  async onNode<T>(nodeId: number, ask: (broker: PrivateBroker) => Promise<T>): Promise<T> {
    return this.#use(async cluster => {
      const broker = await cluster.findBroker({ nodeId })
      await this.#connected(broker, channels.other)
      return ask(broker)
    })
  }

  /** Fetches travel on a connection of their own; a broker answers them one after the other. */
  async fetch<T>(nodeId: number, request: RawRequest<T>): Promise<T> {
    return this.#use(async cluster => {
      const broker = await cluster.findBroker({ nodeId })
      await this.#connected(broker, channels.fetch)
      return broker.connectionPool.send(request)
    })
  }

  /** Sends a large request as it is; kafkajs would copy it twice. */
  async produce<T>(nodeId: number, request: PiecedRequest<T>, waitMs: number): Promise<T> {
    return this.#use(async cluster => {
      const broker = await cluster.findBroker({ nodeId })
      await this.#connected(broker, channels.other)
      const connection = broker.connectionPool.pool[channels.other] as PrivateConnection
      return sendPieces(connection, request, waitMs)
    })
  }

  /** Runs `ask` on the broker that coordinates a group. */
  async onCoordinator<T>(groupId: string, ask: (broker: PrivateBroker) => Promise<T>): Promise<T> {
    return this.#use(async cluster => {
      const known = this.#coordinators.get(cluster)?.get(groupId)
      const broker = known ?? (await cluster.findGroupCoordinator({ groupId }))
      const ofCluster = this.#coordinators.get(cluster) ?? new Map()
      this.#coordinators.set(cluster, ofCluster.set(groupId, broker))
      await this.#connected(broker, channels.other)
      return ask(broker)
    })
  }

  /** Forgets leaders and connections; what is under way fails. */
  drop(): void {
    const opened = this.#opened
    this.#opened = undefined
    opened?.then(cluster => cluster.disconnect()).catch(() => {})
  }

  async close(): Promise<void> {
    this.#closed = true
    const opened = this.#opened
    this.#opened = undefined
    await opened?.then(cluster => cluster.disconnect()).catch(() => {})
  }

  async #use<T>(ask: (cluster: PrivateCluster) => Promise<T>): Promise<T> {
    if (this.#closed) throw new PipelineError('BUS_UNAVAILABLE', `${this.topic}: the bus is closed`)
    this.#opened ??= this.#open()
    const opened = this.#opened
    try {
      return await ask(await opened)
    } catch (error) {
      const type = kafkaType(error)
      if (this.#opened === opened && (type === undefined || !sound.has(type))) this.drop()
      throw error
    }
  }

  async #open(): Promise<PrivateCluster> {
    const cluster = this.#clients.cluster()
    try {
      await cluster.connect()
      await cluster.addTargetTopic(this.topic)
      return cluster
    } catch (error) {
      cluster.disconnect().catch(() => {})
      throw fromKafka(error, `connecting for ${this.topic}`)
    }
  }

  async #connected(broker: PrivateBroker, channel: number): Promise<void> {
    const connection = broker.connectionPool.pool[channel]
    if (connection === undefined || connection.isConnected()) return
    const connecting = this.#connecting.get(connection) ?? connection.connect()
    this.#connecting.set(connection, connecting)
    await connecting.finally(() => this.#connecting.delete(connection))
  }
}
