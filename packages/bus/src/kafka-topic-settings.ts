import type { KafkaLimits } from './kafka-options.ts'
import type { TopicSpec } from './topics.ts'

/** One setting of a topic: what it is made with, and what it has to have as long as it is used. */
export interface TopicSetting {
  readonly name: string
  readonly value: string
  /** Absent: must be equal. */
  readonly accepts?: (value: string) => boolean
  readonly why: string
}

const minuteMs = 60_000

/** What every topic is made with and must still have: with another value a bus refuses to start. */
export function settingsOf(
  spec: TopicSpec,
  limits: Pick<KafkaLimits, 'messageBytesMax'>,
): TopicSetting[] {
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

/** The same, and what only makes a topic behave better. */
export function madeWith(
  spec: TopicSpec,
  limits: Pick<KafkaLimits, 'messageBytesMax'>,
  replication: number,
): TopicSetting[] {
  return [...settingsOf(spec, limits), ...advised(spec, replication)]
}

/** Whether a topic may have this value of a setting. */
export function fits(setting: TopicSetting, value: string): boolean {
  return setting.accepts?.(value) ?? value === setting.value
}

export function alterCommand(topic: string, setting: TopicSetting): string {
  return `kafka-configs --alter --topic ${topic} --add-config ${setting.name}=${setting.value}`
}

export function partitionRemedy(found: number): string {
  return (
    `set \`topics.partitions\` to ${found}, or raise \`topics.generation\` by one to have new topics ` +
    'made beside the old ones, which are then read until their retention ends'
  )
}

/** What a topic may have another value of: nothing is lost, something is later or less safe. */
function advised(spec: TopicSpec, replication: number): TopicSetting[] {
  const segment = segmentMs(spec)
  const insync = Math.max(1, replication - 1)
  return [
    {
      name: 'segment.ms',
      value: `${segment}`,
      accepts: value => Number(value) <= segment,
      why: 'the segment being written is neither expired nor compacted',
    },
    {
      name: 'min.insync.replicas',
      value: `${insync}`,
      accepts: value => Number(value) >= insync,
      why: 'an acknowledged record has to be on so many brokers',
    },
  ]
}

/**
 * Retention and compaction leave the segment being written alone, so it must not stay open for
 * Kafka's seven days: a ninety-sixth of the retention, which is 15 min of the 24 h of `spans`.
 */
function segmentMs(spec: TopicSpec): number {
  return spec.keyed ? 15 * minuteMs : Math.max(minuteMs, Math.ceil(spec.retentionMs / 96))
}
