import type { Bus, Lease, Membership } from './bus.ts'

/** One partition of a source in the hands of one member; what it returns has the header asked for. */
export interface SourceLease extends Lease {
  readonly topic: string
}

/**
 * Topics that others write, read once by one group: what comes from them goes on to the bus. It has
 * the leases of a bus and nothing else, because nobody may append to what is another's. At least once:
 * what a member has read and not committed is read again by whoever has the partition next.
 */
export interface Source {
  readonly topics: readonly string[]
  /** Runs `fold` once for every partition of every topic while this member owns it. */
  join(fold: (lease: SourceLease) => Promise<void>): Membership
  /** Messages of a topic that the group has not committed. BUS_UNAVAILABLE while nobody answers. */
  lag(topic: string): Promise<number>
  /** Closes the connections. The membership is closed by its owner, before. */
  close(): Promise<void>
}

/** Topics of a bus as a source: what a test reads from memory. */
export function sourceOnBus(bus: Bus, topics: readonly string[], group: string): Source {
  return {
    topics,
    join: fold =>
      joined(topics.map(topic => bus.join(topic, group, lease => fold(withTopic(lease, topic))))),
    lag: topic =>
      lagOf(
        bus.partitionCount(topic),
        partition => bus.bounds(topic, partition),
        partition => bus.committed(topic, group, partition),
      ),
    close: async () => {},
  }
}

export function withTopic(lease: Lease, topic: string): SourceLease {
  const { partition, committed, lost } = lease
  return {
    topic,
    partition,
    committed,
    lost,
    read: (bytesMax, waitMs) => lease.read(bytesMax, waitMs),
    commit: position => lease.commit(position),
  }
}

/** Several memberships as one. */
export function joined(memberships: readonly Membership[]): Membership {
  const failed = Promise.race(memberships.map(one => one.failed))
  failed.catch(() => {})
  return {
    failed,
    close: async () => {
      await Promise.all(memberships.map(one => one.close()))
    },
  }
}

/** Over all partitions; what retention has passed is no lag. */
export async function lagOf(
  partitions: number | Promise<number>,
  bounds: (partition: number) => ReturnType<Bus['bounds']>,
  committed: (partition: number) => ReturnType<Bus['committed']>,
): Promise<number> {
  const count = await partitions
  let messages = 0
  for (let partition = 0; partition < count; partition++) {
    const { first, end } = await bounds(partition)
    messages += Math.max(0, end - Math.max(first, (await committed(partition))?.offset ?? first))
  }
  return messages
}
