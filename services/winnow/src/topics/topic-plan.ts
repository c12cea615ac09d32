import {
  defaultKafkaLimits,
  groupIdOf,
  madeWith,
  type TopicName,
  type TopicSpec,
  topicSpecs,
  topics as topicTable,
} from '@winnow/bus'
import { groupsOf } from '../bus-lag.ts'
import type { Config } from '../program-config.ts'
import { type StageName, stageNames } from '../stages/stage.ts'

/** Copies of a partition where nobody says how many: what a cluster of three brokers or more is given. */
export const defaultReplication = 3

export interface PlannedTopic {
  readonly name: string
  readonly partitions: number
  readonly replication: number
  readonly settings: Readonly<Record<string, string>>
}

export interface PlannedGroup {
  readonly id: string
  readonly topic: string
  readonly target: StageName
  /** Of the cluster, where it is another than that of `bus`. */
  readonly brokers?: string
}

/** What one target's user may do with some topics or groups, by Kafka's own words. */
export interface PlannedRight {
  readonly target: StageName
  readonly resource: 'topic' | 'group'
  readonly names: readonly string[]
  readonly operations: readonly ('Read' | 'Write' | 'Describe' | 'DescribeConfigs')[]
  /** Of the cluster, where it is another than that of `bus`. */
  readonly brokers?: string
}

/** All that a cluster needs for the pipeline where the program may not make it by itself. */
export interface TopicPlan {
  readonly v: 1
  readonly topics: readonly PlannedTopic[]
  /** Kafka makes them by itself as they are used. */
  readonly groups: readonly PlannedGroup[]
  readonly rights: readonly PlannedRight[]
}

type Specs = Readonly<Record<TopicName, TopicSpec>>

export function specsOf(config: Config): Specs {
  return topicSpecs({ ...config.topics, retentionMs: config.retention })
}

export function topicPlan(config: Config): TopicPlan {
  const specs = specsOf(config)
  const replication = config.topics.replication ?? defaultReplication
  return {
    v: 1,
    topics: Object.values(specs).map(spec => ({
      name: spec.name,
      partitions: spec.partitions,
      replication,
      settings: Object.fromEntries(
        madeWith(spec, defaultKafkaLimits, replication).map(({ name, value }) => [name, value]),
      ),
    })),
    groups: [...groupsIn(specs), ...sourceGroups(config)],
    rights: [...stageNames.flatMap(target => rightsOf(target, specs)), ...sourceRights(config)],
  }
}

export function groupsIn(specs: Specs): PlannedGroup[] {
  return stageNames.flatMap(target =>
    Object.entries(groupsOf[target]).map(([group, short]) => ({
      id: groupIdOf(specs[short].name, group),
      topic: specs[short].name,
      target,
    })),
  )
}

/** The groups in which receivers take from the topics of others. */
export function sourceGroups({ kafkaSource }: Config): PlannedGroup[] {
  const { topics, group, brokers } = kafkaSource
  return topics.map(topic => ({
    id: groupIdOf(topic, group),
    topic,
    target: 'receiver',
    ...(brokers !== undefined && { brokers }),
  }))
}

function sourceRights(config: Config): PlannedRight[] {
  const { topics, brokers } = config.kafkaSource
  if (topics.length === 0) return []
  const shared = { target: 'receiver', ...(brokers !== undefined && { brokers }) } as const
  const groups = sourceGroups(config).map(({ id }) => id)
  return [
    { ...shared, resource: 'topic', names: topics, operations: ['Read', 'Describe'] },
    { ...shared, resource: 'group', names: groups, operations: ['Read'] },
  ]
}

/** Beyond what the table of topics says: `winnow verify` counts what was received against decisions. */
const readsToVerify: readonly TopicName[] = ['spans', 'evidence']

/** Every target looks at all topics as it starts: with other settings it would not. */
function rightsOf(target: StageName, specs: Specs): PlannedRight[] {
  const shorts = Object.keys(specs) as TopicName[]
  const isOf = (list: readonly string[]): boolean => list.includes(target)
  const reads = shorts.filter(
    short =>
      isOf(topicTable[short].readers) || (target === 'query' && readsToVerify.includes(short)),
  )
  const writes = shorts.filter(short => isOf(topicTable[short].writers))
  const names = (list: readonly TopicName[]): string[] => list.map(short => specs[short].name)
  const groups = groupsIn(specs)
  const own = groups.filter(group => group.target === target).map(group => group.id)
  const verified = groups
    .filter(group => group.target === 'assembler' || group.target === 'sampler')
    .map(group => group.id)
  const rights: PlannedRight[] = [
    {
      target,
      resource: 'topic',
      names: names(shorts),
      operations: ['Describe', 'DescribeConfigs'],
    },
    { target, resource: 'topic', names: names(reads), operations: ['Read'] },
    { target, resource: 'topic', names: names(writes), operations: ['Write'] },
    { target, resource: 'group', names: own, operations: ['Read'] },
    ...(target === 'query'
      ? [{ target, resource: 'group', names: verified, operations: ['Describe'] } as const]
      : []),
  ]
  return rights.filter(right => right.names.length > 0)
}
