import type { Writable } from 'node:stream'
import { PipelineError } from '@winnow/runtime'
import {
  type KafkaConfig,
  type KafkaJs,
  kafkaJs,
  kafkaJsPart,
  type SASLOptions,
} from './kafka-js.ts'
import type { KafkaBusOptions, KafkaLimits } from './kafka-options.ts'
import type { RawRequest } from './kafka-requests.ts'

/** The part of kafkajs' broker, private to it, that fetches and group membership are built on. */
export interface PrivateBroker {
  readonly versions: Readonly<Record<number, { readonly maxVersion: number } | undefined>>
  readonly connectionPool: {
    /** Two: one for Fetch, the other for everything else. */
    readonly pool: readonly PrivateConnection[]
    send<T>(request: RawRequest<T>): Promise<T>
  }
  joinGroup(request: {
    readonly groupId: string
    readonly sessionTimeout: number
    readonly rebalanceTimeout: number
    readonly memberId: string
    readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[]
  }): Promise<{
    readonly generationId: number
    readonly leaderId: string
    readonly memberId: string
    readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
  }>
  syncGroup(request: {
    readonly groupId: string
    readonly generationId: number
    readonly memberId: string
    readonly groupAssignment: readonly {
      readonly memberId: string
      readonly memberAssignment: Buffer
    }[]
  }): Promise<{ readonly memberAssignment: Buffer }>
  heartbeat(request: {
    readonly groupId: string
    readonly groupGenerationId: number
    readonly memberId: string
  }): Promise<unknown>
  leaveGroup(request: { readonly groupId: string; readonly memberId: string }): Promise<unknown>
  offsetCommit(request: {
    readonly groupId: string
    readonly groupGenerationId: number
    readonly memberId: string
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly {
        readonly partition: number
        readonly offset: string
        readonly metadata: string
      }[]
    }[]
  }): Promise<unknown>
  offsetFetch(request: {
    readonly groupId: string
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number }[]
    }[]
  }): Promise<{
    readonly responses: readonly {
      readonly partitions: readonly {
        readonly partition: number
        readonly offset: string
        readonly metadata: string | null
      }[]
    }[]
  }>
  listOffsets(request: {
    readonly isolationLevel: number
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[]
    }[]
  }): Promise<{
    readonly responses: readonly { readonly partitions: readonly { readonly offset: string }[] }[]
  }>
}

export interface PrivateConnection {
  readonly clientId: string
  readonly socket: Writable
  readonly requestQueue: {
    push(request: {
      readonly entry: {
        readonly apiKey: number
        readonly apiVersion: number
        readonly apiName: string
        readonly correlationId: number
        readonly resolve: (answered: { readonly payload: Buffer }) => void
        readonly reject: (error: unknown) => void
      }
      readonly expectResponse: boolean
      readonly requestTimeout: number
      readonly sendRequest: () => void
    }): void
  }
  isConnected(): boolean
  connect(): Promise<unknown>
  /** Does nothing where it is authenticated still, or needs not be. */
  authenticate(): Promise<void>
  nextCorrelationId(): number
}

export interface PrivateCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  findTopicPartitionMetadata(
    topic: string,
  ): readonly { readonly partitionId: number; readonly leader: number }[]
  findBroker(node: { readonly nodeId: number }): Promise<PrivateBroker>
  findControllerBroker(): Promise<PrivateBroker>
  findGroupCoordinator(group: { readonly groupId: string }): Promise<PrivateBroker>
  refreshMetadata(): Promise<void>
}

export interface KafkaClients {
  /** Rides over an outage by itself: topics. */
  readonly patient: KafkaJs
  /** Tries each broker once: for who wants to know what is wrong, and soon. */
  readonly brisk: KafkaJs
  /** A connection set of its own for one purpose; gives up soon, its callers ask again. */
  cluster(): PrivateCluster
}

/** The one release whose private parts are as declared here. `kafka-client.test.ts` compares. */
export const kafkajsVersion = '2.2.4'

const createCluster = 'private:Kafka:createCluster'

export function kafkaClients(options: KafkaBusOptions, limits: KafkaLimits): KafkaClients {
  mendRequestQueue()
  const { Kafka, logLevel } = kafkaJs()
  const config = (): KafkaConfig => ({
    clientId: options.clientId,
    brokers: [...options.brokers],
    connectionTimeout: limits.connectionWaitMs,
    requestTimeout: limits.requestWaitMs,
    ...(options.tls === undefined ? undefined : { ssl: options.tls }),
    // kafkajs writes into it.
    ...(options.sasl === undefined ? undefined : { sasl: { ...options.sasl } as SASLOptions }),
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ log, namespace }) => {
        options.onEvent?.({ kind: 'client', message: `${namespace}: ${log.message}` })
      },
  })
  // About 50 s in all; kafkajs' own default gives up after 7 s.
  const patient = new Kafka({
    ...config(),
    retry: { initialRetryTime: 100, maxRetryTime: 3000, retries: 20, factor: 0.2, multiplier: 2 },
  })
  // Each named broker is tried once; kafkajs rotates through them by retrying.
  const brisk = new Kafka({
    ...config(),
    retry: { initialRetryTime: 50, maxRetryTime: 200, retries: options.brokers.length, factor: 0 },
  })
  return { patient, brisk, cluster: () => privateCluster(brisk) }
}

/** Past kafkajs' public surface, which has neither a fetch by offset nor a commit of a generation. */
export function privateCluster(kafka: KafkaJs): PrivateCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(one => one.description === createCluster)
  const create: unknown = symbol === undefined ? undefined : Reflect.get(kafka, symbol)
  if (typeof create !== 'function') throw wrongRelease(createCluster)
  return create.call(kafka, { allowAutoTopicCreation: false, metadataMaxAge: 300_000 })
}

/** The request queue of a connection, as far as it is mended. */
interface RequestQueue {
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests(): void
}

let isMended = false

/**
 * kafkajs looks for throttled requests again and again, also where there is none: a timer of one
 * millisecond on every connection for ever (kafkajs issue 1704), measured here as half of an idle
 * process' time. Its delay, "now minus now", is also what Node 24 warns of as negative. Looking only
 * while a request waits ends both.
 */
function mendRequestQueue(): void {
  if (isMended) return
  isMended = true
  const { prototype: queue } = kafkaJsPart<{ prototype?: RequestQueue }>('network/requestQueue')
  const look = queue?.scheduleCheckPendingRequests
  if (queue === undefined || typeof look !== 'function') throw wrongRelease('RequestQueue')
  queue.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) look.call(this)
  }
}

function wrongRelease(lacks: string): PipelineError {
  return new PipelineError(
    'CONFIG_INVALID',
    `kafkajs lacks ${lacks}; install exactly kafkajs@${kafkajsVersion}`,
  )
}
