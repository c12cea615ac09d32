import { randomUUID } from 'node:crypto'
import { KafkaBus, type KafkaBusOptions, type TopicSpec } from '@winnow/bus'
// biome-ignore lint/correctness/noUnresolvedImports: CommonJS, whose exports Node gives as the default.
import kafkajs, { type Admin } from 'kafkajs'

export { kafkajs }

/** A bus as a service opens it, with what a test changes. */
export function openBus(
  broker: string,
  specs: readonly TopicSpec[],
  options: Partial<KafkaBusOptions> = {},
): Promise<KafkaBus> {
  return KafkaBus.open({ brokers: [broker], specs, clientId: 'winnow-test', ...options })
}

/** A topic that no other test names. */
export function newSpec(partitions = 4, change: Partial<TopicSpec> = {}): TopicSpec {
  const name = `winnow.${randomUUID().slice(0, 13)}.1`
  return { name, partitions, retentionMs: 24 * 3_600_000, keyed: false, ...change }
}

/** What operators do by hand: no part of the bus deletes anything. */
export async function adminOf<T>(broker: string, use: (admin: Admin) => Promise<T>): Promise<T> {
  const kafka = new kafkajs.Kafka({ brokers: [broker], logLevel: kafkajs.logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Removes the records of a partition before an offset, as retention does in its time. */
export function expire(
  broker: string,
  topic: string,
  partition: number,
  before: number,
): Promise<void> {
  return adminOf(broker, async admin => {
    for (let left = 50; ; left--) {
      try {
        // kafkajs deletes only where it knows the leader, and asking for offsets makes it look.
        await admin.fetchTopicOffsets(topic)
        await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: `${before}` }] })
        return
      } catch (error) {
        // A broker hears of a new topic's other partitions a moment later.
        if (left === 0) throw error
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
  })
}
