import { performance } from 'node:perf_hooks'
import type { PipelineError } from '@winnow/runtime'
import { groupIdOf } from './group-id.ts'
import { kafkaClients, type PrivateCluster } from './kafka-client.ts'
import { fromKafka, noBroker, refusalOf } from './kafka-errors.ts'
import { type KafkaJs, kafkaJs } from './kafka-js.ts'
import { checkKafkaOptions, type KafkaBusOptions, type KafkaLimits } from './kafka-options.ts'
import { describeGroupRequest, type TopicMetadata } from './kafka-requests.ts'
import {
  alterCommand,
  fits,
  madeWith,
  partitionRemedy,
  settingsOf,
} from './kafka-topic-settings.ts'
import { describeTopics, logIdOf, topicRefused, unknownTopic } from './kafka-topics.ts'
import type { TopicSpec } from './topics.ts'

/** Operations by Kafka's numbers, as `kafka-acls` names them; those that matter to a pipeline. */
const operations = {
  Read: 3,
  Write: 4,
  Describe: 8,
  DescribeConfigs: 10,
} as const

export type KafkaRight = keyof typeof operations

/** What a cluster has of one topic. */
export type TopicSurvey =
  | { readonly kind: 'missing'; readonly spec: TopicSpec }
  /** This user may not even know whether it is there. */
  | { readonly kind: 'hidden'; readonly spec: TopicSpec }
  | {
      readonly kind: 'found'
      readonly spec: TopicSpec
      readonly logId: string
      readonly partitions: number
      /** Brokers that hold a partition, the fewest of all. */
      readonly copies: number
      readonly led: boolean
      /** Undefined where this user may not read them. */
      readonly settings: ReadonlyMap<string, string> | undefined
      readonly rights: readonly KafkaRight[]
    }

export interface GroupSurvey {
  readonly topic: string
  readonly group: string
  /** As the broker knows it. */
  readonly groupId: string
  readonly members: number
  /** Undefined where nobody coordinates groups yet, as before the first has joined one. */
  readonly rights: readonly KafkaRight[] | undefined
}

export interface KafkaSurvey {
  readonly brokers: number
  /** Of one question to a connected broker. */
  readonly latencyMs: number
  /** In the order of the specs. */
  readonly topics: readonly TopicSurvey[]
  readonly groups: readonly GroupSurvey[]
  /** Whether the missing topics would be made; undefined where none is missing. */
  readonly mayCreate: true | PipelineError | undefined
}

export interface KafkaSurveyOptions extends KafkaBusOptions {
  /** By the full name of their topic. */
  readonly groups: readonly { readonly topic: string; readonly group: string }[]
  /** Whose keys say where the brokers are; absent: `kafka`. */
  readonly section?: 'kafka' | 'kafkaSource'
}

/**
 * What a cluster has, and what this user may do there, without changing anything: also the question
 * whether topics may be made only asks. Every broker is tried once. CONFIG_INVALID where the broker
 * refuses who asks, BUS_UNAVAILABLE where none answers.
 */
export async function surveyKafka(options: KafkaSurveyOptions): Promise<KafkaSurvey> {
  const limits = checkKafkaOptions(options)
  const clients = kafkaClients(options, limits)
  const cluster = clients.cluster()
  const { section = 'kafka' } = options
  const key = section === 'kafka' ? 'bus' : 'kafkaSource.brokers'
  const where = `asking \`${key}\` ${options.brokers.join(', ')}`
  try {
    await cluster.connect()
    await cluster.refreshMetadata()
    await describeTopics(cluster, options.specs, true)
    const askedAtMs = performance.now()
    const described = await describeTopics(cluster, options.specs, true)
    const latencyMs = performance.now() - askedAtMs
    const topics: TopicSurvey[] = []
    for (const spec of options.specs) {
      const topic = described.topics.find(one => one.name === spec.name)
      topics.push(await surveyTopic(clients.brisk, spec, topic))
    }
    const groups: GroupSurvey[] = []
    for (const group of options.groups) groups.push(await surveyGroup(cluster, group))
    const missing = topics.flatMap(topic => (topic.kind === 'missing' ? [topic.spec] : []))
    const copies = options.replication ?? Math.min(3, described.brokers)
    const mayCreate =
      missing.length === 0 ? undefined : await askToCreate(clients.brisk, missing, copies, limits)
    return { brokers: described.brokers, latencyMs, topics, groups, mayCreate }
  } catch (cause) {
    const error = fromKafka(cause, where)
    throw error.retryable ? noBroker(error, section) : error
  } finally {
    await cluster.disconnect().catch(() => {})
  }
}

/** A setting of a topic, or a property, that is not what this pipeline would make. */
export interface TopicDifference {
  readonly topic: string
  readonly what: string
  readonly found: string
  readonly wanted: string
  readonly remedy: string
  /** With it no stage starts; else something is only later, or less safe. */
  readonly matters: boolean
}

/** How a topic differs from what a bus would make of its spec, the worst first. */
export function topicDifferences(
  survey: TopicSurvey,
  limits: Pick<KafkaLimits, 'messageBytesMax'>,
  copies: number,
): TopicDifference[] {
  const { spec } = survey
  if (survey.kind !== 'found') return []
  const topic = spec.name
  const differences: TopicDifference[] = []
  if (survey.partitions !== spec.partitions) {
    differences.push({
      topic,
      what: 'partitions',
      found: `${survey.partitions}`,
      wanted: `${spec.partitions}`,
      remedy: partitionRemedy(survey.partitions),
      matters: true,
    })
  }
  const must = new Set(settingsOf(spec, limits).map(setting => setting.name))
  for (const setting of madeWith(spec, limits, copies)) {
    const found = survey.settings?.get(setting.name)
    if (found === undefined || fits(setting, found)) continue
    differences.push({
      topic,
      what: setting.name,
      found,
      wanted: setting.value,
      remedy: `${alterCommand(topic, setting)} (${setting.why})`,
      matters: must.has(setting.name),
    })
  }
  if (survey.copies < copies) {
    differences.push({
      topic,
      what: 'copies',
      found: `${survey.copies}`,
      wanted: `${copies}`,
      remedy: 'kafka-reassign-partitions adds brokers to a partition',
      matters: false,
    })
  }
  return differences.toSorted((a, b) => Number(b.matters) - Number(a.matters))
}

async function surveyTopic(
  kafka: KafkaJs,
  spec: TopicSpec,
  topic: TopicMetadata | undefined,
): Promise<TopicSurvey> {
  if (topic === undefined || topic.errorCode === unknownTopic) return { kind: 'missing', spec }
  if (topic.errorCode === topicRefused) return { kind: 'hidden', spec }
  const rights = rightsOf(topic.rights)
  const settings = rights.includes('DescribeConfigs')
    ? await settingsThere(kafka, spec.name)
    : undefined
  const { partitions, copies, led } = topic
  const logId = logIdOf(spec, topic.id)
  return { kind: 'found', spec, logId, partitions, copies, led, settings, rights }
}

async function settingsThere(kafka: KafkaJs, name: string): Promise<ReadonlyMap<string, string>> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    const resources = [{ type: kafkaJs().ConfigResourceTypes.TOPIC, name }]
    const answer = await admin.describeConfigs({ includeSynonyms: false, resources })
    const entries = answer.resources[0]?.configEntries ?? []
    return new Map(entries.map(entry => [entry.configName, entry.configValue]))
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

async function surveyGroup(
  cluster: PrivateCluster,
  { topic, group }: { readonly topic: string; readonly group: string },
): Promise<GroupSurvey> {
  const groupId = groupIdOf(topic, group)
  try {
    const broker = await cluster.findGroupCoordinator({ groupId })
    const found = await broker.connectionPool.send(describeGroupRequest(groupId))
    if (found.errorCode !== 0) throw refusalOf(found.errorCode)
    return { topic, group, groupId, members: found.members, rights: rightsOf(found.rights) }
  } catch (error) {
    const { retryable } = fromKafka(error, `describing the group ${groupId}`)
    return { topic, group, groupId, members: 0, rights: retryable ? undefined : [] }
  }
}

/** The broker checks everything and makes nothing. */
async function askToCreate(
  kafka: KafkaJs,
  specs: readonly TopicSpec[],
  copies: number,
  limits: KafkaLimits,
): Promise<true | PipelineError> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    await admin.createTopics({
      validateOnly: true,
      waitForLeaders: false,
      topics: specs.map(spec => ({
        topic: spec.name,
        numPartitions: spec.partitions,
        replicationFactor: copies,
        configEntries: madeWith(spec, limits, copies).map(({ name, value }) => ({ name, value })),
      })),
    })
    return true
  } catch (error) {
    const known = fromKafka(error, `making ${specs.map(spec => spec.name).join(', ')}`)
    if (known.retryable) throw known
    return known
  } finally {
    await admin.disconnect().catch(() => {})
  }
}

function rightsOf(bits: number): KafkaRight[] {
  const names = Object.keys(operations) as KafkaRight[]
  return names.filter(name => (bits & (1 << operations[name])) !== 0)
}
