import type { Bus } from '@winnow/bus'

/** The groups of the pipeline in flow order, each with the topic that it folds. */
const topicOf = {
  assembler: 'spans',
  sampler: 'evidence',
  'writer-hot': 'decisions',
  'writer-segments': 'decisions',
} as const

export type GroupName = keyof typeof topicOf

/** The partitions in which a group has not committed all that lies there, as text for people. */
export async function groupLag(
  bus: Bus,
  topics: Readonly<Record<'spans' | 'evidence' | 'decisions', string>>,
  group: GroupName,
): Promise<string[]> {
  const topic = topics[topicOf[group]]
  const partitions = await bus.partitionCount(topic)
  const states = await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { first, end } = await bus.bounds(topic, partition)
      const offset = (await bus.committed(topic, group, partition))?.offset ?? first
      if (offset >= end) return undefined
      // A claim alone makes no segment: it waits for the next decision, however long that takes.
      const isClaim =
        group === 'writer-segments' && (await onlyClaims(bus, topic, partition, offset))
      return isClaim ? undefined : `${topic}/${partition} is at ${offset} of ${end}`
    }),
  )
  return states.filter(state => state !== undefined)
}

async function onlyClaims(
  bus: Bus,
  topic: string,
  partition: number,
  from: number,
): Promise<boolean> {
  const { records } = await bus.read(topic, partition, from, 1024, 0)
  return records.every(({ value }) => JSON.parse(Buffer.from(value).toString()).kind === 'claim')
}
