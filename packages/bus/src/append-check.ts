import { PipelineError } from '@winnow/runtime'
import { headerBytesMax, type NewRecord } from './bus.ts'
import type { TopicSpec } from './topics.ts'

/**
 * Refuses what no adapter takes: nothing at all, a header over its limit, a record without key where
 * the key decides what is kept. One file, so that all adapters refuse alike.
 */
export function checkAppend(spec: TopicSpec, records: readonly NewRecord[]): void {
  if (records.length === 0) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `append of 0 records to ${spec.name}; give one or more`,
    )
  }
  for (const { header, key } of records) {
    if (header !== undefined && header.length > headerBytesMax) {
      throw new PipelineError(
        'PAYLOAD_TOO_LARGE',
        `header of ${header.length} bytes for ${spec.name}; at most ${headerBytesMax}`,
      )
    }
    if (spec.keyed && key === undefined) {
      throw new PipelineError(
        'PAYLOAD_INVALID',
        `record without key for ${spec.name}, which keeps the last record of every key; give one`,
      )
    }
  }
}

/** Refuses a partition that the topic does not have. */
export function checkPartition(spec: TopicSpec, partition: number): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < spec.partitions) return
  throw new PipelineError(
    'CONFIG_INVALID',
    `partition ${partition} of ${spec.name}; it has 0 to ${spec.partitions - 1}`,
  )
}

/** The spec of a topic among those that the adapter was made with. */
export function specOf(specs: ReadonlyMap<string, TopicSpec>, topic: string): TopicSpec {
  const spec = specs.get(topic)
  if (spec !== undefined) return spec
  const names = [...specs.keys()].join(', ')
  throw new PipelineError('CONFIG_INVALID', `topic ${topic} is unknown; there are: ${names}`)
}
