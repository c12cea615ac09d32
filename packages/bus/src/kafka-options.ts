import type { ConnectionOptions } from 'node:tls'
import { type Clock, PipelineError } from '@winnow/runtime'
import { blockBytes } from './file-format.ts'
import type { TopicSpec } from './topics.ts'

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

/** Waits, sizes and counts. Every one has a default; tests shorten them. */
export interface KafkaLimits {
  /** What the broker must accept in one batch: `max.message.bytes` of every topic. */
  readonly messageBytesMax: number
  /** One append is one batch; below `messageBytesMax` by what the batch's own fields may need. */
  readonly producerBatchBytesMax: number
  /** One produce request over all its partitions, under the broker's socket.request.max.bytes. */
  readonly requestBytesMax: number
  /** Produce requests of one topic under way; what comes meanwhile gathers. */
  readonly requestsInFlightMax: number
  /** Bytes of one topic handed to `append` and not yet durable. Past it: BUS_UNAVAILABLE at once. */
  readonly queuedBytesMax: number
  /** From `append` to BUS_UNAVAILABLE. */
  readonly appendWaitMs: number
  /** How long `open` waits for a broker. */
  readonly openWaitMs: number
  readonly connectionWaitMs: number
  /** Without an answer for so long, a connection is given up. */
  readonly requestWaitMs: number
  /** Answers about the log (fetch, bounds, committed, read without a lease) are given up after it. */
  readonly answerWaitMs: number
  /** One long poll. A reader that comes during one waits at most this long for the next. */
  readonly pollMs: number
  /** Compressed bytes asked for in one poll, all partitions. */
  readonly pollBytesMax: number
  /** Decoded batches kept for `fetch`, per topic. */
  readonly cacheBytesMax: number
  readonly cacheBatchesMax: number
  /** Decoded batches kept for who reads the same in order, per topic. */
  readonly recentBytesMax: number
  /** Batches sent from here that no reader here has met yet, per topic, plain and compressed. */
  readonly writtenBytesMax: number
  /** A member that is silent for so long is out of its group. Brokers refuse less than 6 s. */
  readonly sessionMs: number
  readonly heartbeatMs: number
  /** How long a group waits for a member to take part in a rebalance. */
  readonly rebalanceMs: number
  /** A member without a heartbeat for so long may append no more: the process has to end. */
  readonly stallMsMax: number
}

export const defaultKafkaLimits: KafkaLimits = {
  messageBytesMax: 8 * 1024 * 1024,
  producerBatchBytesMax: 8 * 1024 * 1024 - 64 * 1024,
  requestBytesMax: 16 * 1024 * 1024,
  requestsInFlightMax: 4,
  queuedBytesMax: 64 * 1024 * 1024,
  appendWaitMs: 30_000,
  openWaitMs: 30_000,
  connectionWaitMs: 3_000,
  requestWaitMs: 30_000,
  answerWaitMs: 10_000,
  pollMs: 100,
  pollBytesMax: 16 * 1024 * 1024,
  cacheBytesMax: 32 * 1024 * 1024,
  cacheBatchesMax: 1024,
  recentBytesMax: 16 * 1024 * 1024,
  writtenBytesMax: 32 * 1024 * 1024,
  sessionMs: 10_000,
  heartbeatMs: 1_000,
  rebalanceMs: 30_000,
  stallMsMax: 10 * 60_000,
}

/** What an operator may want to know. Never carries a record's content. */
export type KafkaBusEvent =
  | {
      readonly kind: 'joined'
      readonly topic: string
      readonly group: string
      readonly generation: number
      readonly partitions: readonly number[]
    }
  /** Something did not answer and is being asked again. */
  | { readonly kind: 'retrying'; readonly what: string; readonly error: PipelineError }
  /** A batch of a source that cannot be read: it is left out. */
  | {
      readonly kind: 'damaged'
      readonly topic: string
      readonly partition: number
      readonly from: number
      readonly to: number
      readonly error: PipelineError
    }
  /** kafkajs' own words, warnings and worse. */
  | { readonly kind: 'client'; readonly message: string }

export interface KafkaBusOptions {
  /** `host:port`, one or more of the cluster. */
  readonly brokers: readonly string[]
  /** Every topic this bus may name. Missing ones are made, none is ever deleted. */
  readonly specs: readonly TopicSpec[]
  readonly clientId: string
  /** Orders the members of a group, in every topic alike. Random when absent. */
  readonly instanceId?: string
  /** Copies of every partition of a topic that is made here. Absent: three, or one a broker if fewer. */
  readonly replication?: number
  /**
   * Bytes of memory by topic, over all its partitions, in which other threads of this process find what a
   * reader here has met last. Not of keyed topics: compaction makes holes.
   */
  readonly tails?: Readonly<Record<string, number>>
  /** False: a topic that is missing is CONFIG_INVALID, for who only looks. */
  readonly mayCreate?: boolean
  readonly tls?: boolean | ConnectionOptions
  readonly sasl?: KafkaSasl
  readonly clock?: Clock
  readonly limits?: Partial<KafkaLimits>
  readonly onEvent?: (event: KafkaBusEvent) => void
}

/** A batch of the largest records has room. */
export const tailBytesMin = 16 * 1024 * 1024

/** No address of IPv6: kafkajs takes what stands before the first colon for the host. */
const brokerShape = /^([A-Za-z0-9._-]+):([0-9]{1,5})$/
const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512']

/** All mistakes at once, each naming its key, the value and the remedy. */
export function checkKafkaOptions(options: KafkaBusOptions): KafkaLimits {
  const limits = { ...defaultKafkaLimits, ...options.limits }
  const wrong: string[] = []
  if (options.brokers.length === 0)
    wrong.push('`bus` names no broker; name at least one: kafka://HOST:PORT')
  for (const broker of options.brokers) {
    const port = Number(brokerShape.exec(broker)?.[2] ?? 0)
    if (port >= 1 && port <= 65535) continue
    const remedy = broker.startsWith('[') ? '; give a name for an address of IPv6' : ''
    wrong.push(`\`bus\`: ${broker} is not HOST:PORT${remedy}`)
  }
  if (options.specs.length === 0) wrong.push('`specs` names no topic')
  const sasl = options.sasl
  if (sasl !== undefined && !mechanisms.includes(sasl.mechanism)) {
    wrong.push(`\`kafka.saslMechanism\`: ${sasl.mechanism} is not one of ${mechanisms.join(', ')}`)
  }
  if (sasl !== undefined && (sasl.username === '' || sasl.password === '')) {
    wrong.push('`kafka.saslUsername` and `kafka.saslPassword` must not be empty')
  }
  const replication = options.replication ?? 1
  if (!Number.isInteger(replication) || replication < 1) {
    wrong.push(`\`topics.replication\`: ${replication} is not a whole number from 1 on`)
  }
  for (const [topic, bytes] of Object.entries(options.tails ?? {})) {
    if (Number.isInteger(bytes) && bytes >= tailBytesMin && bytes % blockBytes === 0) continue
    wrong.push(
      `\`tails\`: ${bytes} bytes of ${topic}; use ${tailBytesMin} or more, in steps of ${blockBytes}`,
    )
  }
  if (limits.heartbeatMs * 3 > limits.sessionMs) {
    wrong.push(`\`heartbeatMs\` ${limits.heartbeatMs} is over a third of \`sessionMs\``)
  }
  if (limits.producerBatchBytesMax + 4096 > limits.messageBytesMax) {
    wrong.push(`\`producerBatchBytesMax\` leaves no room in \`messageBytesMax\``)
  }
  if (wrong.length > 0) throw new PipelineError('CONFIG_INVALID', `Kafka: ${wrong.join('; ')}`)
  return limits
}
