import type { Position } from './bus.ts'
import { fromKafka } from './kafka-errors.ts'
import type { KafkaLink } from './kafka-link.ts'

/** Where a group stands in a partition. Undefined: it has not committed there. */
export async function committedIn(
  link: Pick<KafkaLink, 'onCoordinator'>,
  topic: string,
  groupId: string,
  partition: number,
): Promise<Position | undefined> {
  try {
    const { responses } = await link.onCoordinator(groupId, broker =>
      broker.offsetFetch({ groupId, topics: [{ topic, partitions: [{ partition }] }] }),
    )
    const found = responses[0]?.partitions[0]
    const offset = Number(found?.offset ?? -1)
    return offset < 0 ? undefined : { offset, note: found?.metadata ?? '' }
  } catch (error) {
    throw fromKafka(error, `asking for the position of ${groupId}/${partition}`)
  }
}
