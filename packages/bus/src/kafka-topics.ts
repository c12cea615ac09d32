import { PipelineError, systemClock } from '@winnow/runtime'
import type { KafkaClients, PrivateCluster } from './kafka-client.ts'
import { fromKafka, refusalOf } from './kafka-errors.ts'
import { type Admin, kafkaJs } from './kafka-js.ts'
import type { KafkaBusOptions, KafkaLimits } from './kafka-options.ts'
import { KafkaReader } from './kafka-reader.ts'
import { metadataApi, metadataRequest, type TopicMetadata } from './kafka-requests.ts'
import {
  alterCommand,
  fits,
  madeWith,
  partitionRemedy,
  settingsOf,
} from './kafka-topic-settings.ts'
import type { TopicSpec } from './topics.ts'

/** What a bus must know of a topic before it may name it. */
export interface KnownTopic {
  readonly spec: TopicSpec
  readonly logId: string
}

/** Kafka's numbers of two refusals. */
export const unknownTopic = 3
export const topicRefused = 29
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
    const before = await describeTopics(cluster, options.specs)
    refuseHidden(before)
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
    const logId = (spec: TopicSpec) => logIdOf(spec, found(topics, spec)?.id ?? '')
    return new Map(options.specs.map(spec => [spec.name, { spec, logId: logId(spec) }]))
  } catch (error) {
    throw fromKafka(error, `opening the topics at \`bus\` ${options.brokers.join(', ')}`)
  } finally {
    await Promise.all([cluster.disconnect(), admin.disconnect()]).catch(() => {})
  }
}

/** A topic that this user may not even describe may be there or not: nothing else can be said of it. */
function refuseHidden({ topics }: Described): void {
  const hidden = topics.filter(topic => topic.errorCode === topicRefused)
  if (hidden.length === 0) return
  throw fromKafka(
    refusalOf(topicRefused),
    `describing the topics ${hidden.map(topic => topic.name).join(', ')}`,
  )
}

export interface Described {
  readonly brokers: number
  readonly topics: readonly TopicMetadata[]
}

const found = (described: Described, spec: TopicSpec): TopicMetadata | undefined =>
  described.topics.find(topic => topic.name === spec.name)

/** What the cluster says of topics, also of those it has not; `withRights`: and what this user may do. */
export async function describeTopics(
  cluster: PrivateCluster,
  specs: readonly TopicSpec[],
  withRights = false,
): Promise<Described> {
  const broker = await cluster.findControllerBroker()
  const version = broker.versions[metadataApi.apiKey]?.maxVersion ?? 0
  if (version < metadataApi.apiVersion) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `the broker answers Metadata up to version ${version}, which has no topic ids; run Kafka 3.1 or newer`,
    )
  }
  const names = specs.map(spec => spec.name)
  return broker.connectionPool.send(metadataRequest(names, withRights))
}

/** A topic just made is known a moment before its partitions have leaders, or the other way round. */
async function led(cluster: PrivateCluster, specs: readonly TopicSpec[]): Promise<Described> {
  let described = await describeTopics(cluster, specs)
  for (let left = 100; left > 0; left--) {
    if (described.topics.every(topic => topic.errorCode === 0 && topic.led)) return described
    await new Promise(resolve => setTimeout(resolve, 100))
    described = await describeTopics(cluster, specs)
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
export function logIdOf(spec: TopicSpec, id: string): string {
  const generation = spec.name.slice(spec.name.lastIndexOf('.') + 1)
  return `${generation}-${id}`
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
        configEntries: madeWith(spec, limits, replication).map(({ name, value }) => ({
          name,
          value,
        })),
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

function wrongCount(spec: TopicSpec, topic: TopicMetadata | undefined): string[] {
  if (topic === undefined || topic.partitions === spec.partitions) return []
  return [
    `topic ${spec.name} has ${topic.partitions} partitions, \`topics.partitions\` is ` +
      `${spec.partitions}: ${partitionRemedy(topic.partitions)}`,
  ]
}

async function wrongSettings(
  admin: Admin,
  specs: readonly TopicSpec[],
  limits: KafkaLimits,
): Promise<string[]> {
  const { TOPIC } = kafkaJs().ConfigResourceTypes
  const answer = await admin.describeConfigs({
    includeSynonyms: false,
    resources: specs.map(spec => ({ type: TOPIC, name: spec.name })),
  })
  return specs.flatMap(spec => {
    const entries = answer.resources.find(one => one.resourceName === spec.name)?.configEntries
    return settingsOf(spec, limits).flatMap(setting => {
      const value = entries?.find(entry => entry.configName === setting.name)?.configValue
      if (value === undefined || value === null) return []
      if (fits(setting, value)) return []
      return [
        `topic ${spec.name} has ${setting.name}=${value}, wanted ${setting.value}, because ` +
          `${setting.why}: ${alterCommand(spec.name, setting)}`,
      ]
    })
  })
}
