import { PipelineError, systemClock } from '@winnow/runtime'
import type { KafkaClients, PrivateCluster } from './kafka-client.ts'
import { fromKafka } from './kafka-errors.ts'
import { type Admin, ConfigResourceTypes } from './kafka-js.ts'
import type { KafkaBusOptions, KafkaLimits } from './kafka-options.ts'
import { KafkaReader } from './kafka-reader.ts'
import { metadataApi, metadataRequest, type TopicMetadata } from './kafka-requests.ts'
import type { TopicSpec } from './topics.ts'

/** What a bus must know of a topic before it may name it. */
export interface KnownTopic {
  readonly spec: TopicSpec
  readonly logId: string
}

const minuteMs = 60_000
const unknownTopic = 3
const alreadyExists = 'TOPIC_ALREADY_EXISTS'

/** Makes the missing topics, checks all, and never deletes or alters one. Retried by its caller. */
export async function openTopics(
  clients: KafkaClients,
  options: KafkaBusOptions,
  limits: KafkaLimits,
): Promise<ReadonlyMap<string, KnownTopic>> {
  const cluster = clients.cluster()
  const admin = clients.patient.admin()
  try {
    await cluster.connect()
    await cluster.refreshMetadata()
    const before = await describe(cluster, options.specs)
    const missing = options.specs.filter(spec => found(before, spec)?.errorCode === unknownTopic)
    if (missing.length > 0 && options.mayCreate === false) {
      const names = missing.map(spec => spec.name).join(', ')
      const remedy = 'correct topics.prefix and topics.generation, or start what makes them'
      throw new PipelineError('CONFIG_INVALID', `the broker has no topic ${names}; ${remedy}`)
    }
    await admin.connect()
    if (missing.length > 0) {
      await create(admin, missing, options.replication ?? Math.min(3, before.brokers), limits)
    }
    const topics = await led(cluster, options.specs)
    await Promise.all(missing.map(spec => answering(clients, spec, limits)))
    const wrong = [
      ...options.specs.flatMap(spec => wrongCount(spec, found(topics, spec))),
      ...(await wrongSettings(admin, options.specs, limits)),
    ]
    if (wrong.length > 0) throw new PipelineError('CONFIG_INVALID', wrong.join('; '))
    return new Map(options.specs.map(spec => [spec.name, { spec, logId: logIdOf(spec, topics) }]))
  } catch (error) {
    throw fromKafka(error, `opening the topics at \`brokers\` ${options.brokers.join(', ')}`)
  } finally {
    await Promise.all([cluster.disconnect(), admin.disconnect()]).catch(() => {})
  }
}

interface Described {
  readonly brokers: number
  readonly topics: readonly TopicMetadata[]
}

const found = (described: Described, spec: TopicSpec): TopicMetadata | undefined =>
  described.topics.find(topic => topic.name === spec.name)

async function describe(cluster: PrivateCluster, specs: readonly TopicSpec[]): Promise<Described> {
  const broker = await cluster.findControllerBroker()
  const version = broker.versions[metadataApi.apiKey]?.maxVersion ?? 0
  if (version < metadataApi.apiVersion) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `the broker answers Metadata up to version ${version}, which has no topic ids; run Kafka 3.1 or newer`,
    )
  }
  return broker.connectionPool.send(metadataRequest(specs.map(spec => spec.name)))
}

/** A topic just made is known a moment before its partitions have leaders, or the other way round. */
async function led(cluster: PrivateCluster, specs: readonly TopicSpec[]): Promise<Described> {
  let described = await describe(cluster, specs)
  for (let left = 100; left > 0; left--) {
    if (described.topics.every(topic => topic.errorCode === 0 && topic.led)) return described
    await new Promise(resolve => setTimeout(resolve, 100))
    described = await describe(cluster, specs)
  }
  const without = described.topics.filter(topic => topic.errorCode !== 0 || !topic.led)
  throw new PipelineError(
    'BUS_UNAVAILABLE',
    `without a leader for every partition: ${without.map(topic => topic.name).join(', ')}`,
  )
}

/**
 * A leader that was just named refuses for a moment. Better met here than by somebody's first append.
 */
async function answering(
  clients: KafkaClients,
  spec: TopicSpec,
  limits: KafkaLimits,
): Promise<void> {
  const reader = new KafkaReader(clients, spec.name, limits, systemClock)
  try {
    for (let partition = 0; partition < spec.partitions; partition++) await reader.bounds(partition)
  } finally {
    await reader.close()
  }
}

/** The UUID Kafka made with the topic, and the generation, by which operators know it. */
function logIdOf(spec: TopicSpec, described: Described): string {
  const generation = spec.name.slice(spec.name.lastIndexOf('.') + 1)
  return `${generation}-${found(described, spec)?.id}`
}

async function create(
  admin: Admin,
  specs: readonly TopicSpec[],
  replication: number,
  limits: KafkaLimits,
): Promise<void> {
  try {
    await admin.createTopics({
      topics: specs.map(spec => ({
        topic: spec.name,
        numPartitions: spec.partitions,
        replicationFactor: replication,
        configEntries: [
          ...settings(spec, limits).map(({ name, value }) => ({ name, value })),
          { name: 'segment.ms', value: `${segmentMs(spec)}` },
          { name: 'min.insync.replicas', value: `${Math.max(1, replication - 1)}` },
        ],
      })),
      waitForLeaders: false,
    })
  } catch (error) {
    // Another instance that starts at the same moment may have been faster, for some or for all.
    const errors = Reflect.get(Object(error), 'errors')
    const raced = Array.isArray(errors) && errors.every(one => one?.type === alreadyExists)
    if (!raced) throw fromKafka(error, `creating ${specs.map(spec => spec.name).join(', ')}`)
  }
}

/**
 * Retention and compaction leave the segment being written alone, so it must not stay open for
 * Kafka's seven days: a ninety-sixth of the retention, which is 15 min of the 24 h of `spans`.
 */
function segmentMs(spec: TopicSpec): number {
  return spec.keyed ? 15 * minuteMs : Math.max(minuteMs, Math.ceil(spec.retentionMs / 96))
}

interface Setting {
  readonly name: string
  readonly value: string
  /** Absent: must be equal. */
  readonly accepts?: (value: string) => boolean
  readonly why: string
}

/** What every topic is made with and must still have. */
function settings(spec: TopicSpec, limits: KafkaLimits): Setting[] {
  const messageBytes = limits.messageBytesMax
  return [
    {
      name: 'cleanup.policy',
      value: spec.keyed ? 'compact' : 'delete',
      why: spec.keyed ? 'its readers need the last record of every key' : 'it has no keys',
    },
    ...(spec.keyed
      ? []
      : [
          {
            name: 'retention.ms',
            value: `${spec.retentionMs}`,
            why: 'what is readable for how long is told from the configuration (`retention`)',
          },
          {
            name: 'retention.bytes',
            value: '-1',
            why: 'a size limit would remove records before their time',
          },
        ]),
    {
      name: 'max.message.bytes',
      value: `${messageBytes}`,
      accepts: value => Number(value) >= messageBytes,
      why: 'a batch may be that large',
    },
    {
      name: 'message.timestamp.type',
      value: 'LogAppendTime',
      why: 'folds run on the log’s own time, never on a producer’s clock',
    },
    {
      name: 'unclean.leader.election.enable',
      value: 'false',
      why: 'an unclean leader forgets acknowledged records',
    },
  ]
}

function wrongCount(spec: TopicSpec, topic: TopicMetadata | undefined): string[] {
  if (topic === undefined || topic.partitions === spec.partitions) return []
  return [
    `topic ${spec.name} has ${topic.partitions} partitions, \`partitions\` is ${spec.partitions}: ` +
      `set \`partitions\` to ${topic.partitions}, or raise \`generation\` by one to have new topics ` +
      'made beside the old ones, which are then read until their retention ends',
  ]
}

async function wrongSettings(
  admin: Admin,
  specs: readonly TopicSpec[],
  limits: KafkaLimits,
): Promise<string[]> {
  const answer = await admin.describeConfigs({
    includeSynonyms: false,
    resources: specs.map(spec => ({ type: ConfigResourceTypes.TOPIC, name: spec.name })),
  })
  return specs.flatMap(spec => {
    const entries = answer.resources.find(one => one.resourceName === spec.name)?.configEntries
    return settings(spec, limits).flatMap(setting => {
      const value = entries?.find(entry => entry.configName === setting.name)?.configValue
      if (value === undefined || value === null) return []
      if (setting.accepts?.(value) ?? value === setting.value) return []
      return [
        `topic ${spec.name} has ${setting.name}=${value}, wanted ${setting.value}, because ` +
          `${setting.why}: kafka-configs --alter --topic ${spec.name} ` +
          `--add-config ${setting.name}=${setting.value}`,
      ]
    })
  })
}
