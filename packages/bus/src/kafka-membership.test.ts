import { ManualClock } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import type { Lease } from './bus.ts'
import type { PrivateBroker } from './kafka-client.ts'
import { kafkaJs } from './kafka-js.ts'
import { KafkaMembership, type KafkaMembershipOptions } from './kafka-membership.ts'
import { defaultKafkaLimits, type KafkaBusEvent } from './kafka-options.ts'

const refusal = (type: string): Error => Object.assign(new Error(type), { type })

/** The coordinator of one group whose only real member is the one under test: the test is the rest. */
class FakeGroup {
  generation = 0
  /** What this member is given next. */
  assigns: number[] = [0, 1]
  /** Thrown by the next request of that kind, once. */
  readonly refuse: Partial<Record<'join' | 'sync' | 'heartbeat' | 'commit', Error>> = {}
  readonly joins: string[] = []
  readonly commits: { readonly generation: number; readonly memberId: string }[] = []
  left = 0

  readonly broker = {
    joinGroup: async ({ memberId }: { memberId: string }) => {
      this.joins.push(memberId)
      this.#maybeRefuse('join')
      this.generation++
      const name = memberId === '' ? `m${this.joins.length}` : memberId
      return { generationId: this.generation, leaderId: 'x', memberId: name, members: [] }
    },
    syncGroup: async () => {
      this.#maybeRefuse('sync')
      const assignment = { t: [...this.assigns] }
      const userData = Buffer.alloc(0)
      const { MemberAssignment } = kafkaJs().AssignerProtocol
      return { memberAssignment: MemberAssignment.encode({ version: 0, assignment, userData }) }
    },
    heartbeat: async () => this.#maybeRefuse('heartbeat'),
    leaveGroup: async () => {
      this.left++
    },
    offsetCommit: async (one: { groupGenerationId: number; memberId: string }) => {
      this.commits.push({ generation: one.groupGenerationId, memberId: one.memberId })
      this.#maybeRefuse('commit')
    },
  }

  readonly link = {
    onCoordinator: async <T>(
      _group: string,
      ask: (broker: PrivateBroker) => Promise<T>,
    ): Promise<T> => ask(this.broker as unknown as PrivateBroker),
    close: async (): Promise<void> => {},
  }

  #maybeRefuse(kind: keyof FakeGroup['refuse']): void {
    const error = this.refuse[kind]
    delete this.refuse[kind]
    if (error !== undefined) throw error
  }
}

interface Member {
  readonly group: FakeGroup
  readonly membership: KafkaMembership
  readonly leases: Lease[]
  readonly clock: ManualClock
  readonly events: KafkaBusEvent[]
}

function member(change: Partial<KafkaMembershipOptions> = {}, group = new FakeGroup()): Member {
  const leases: Lease[] = []
  const clock = new ManualClock()
  const events: KafkaBusEvent[] = []
  const membership = new KafkaMembership({
    topic: 't',
    group: 'g',
    groupId: 't.g',
    partitions: 4,
    instance: 'i',
    fold: async lease => {
      leases.push(lease)
      await new Promise(resolve => lease.lost.addEventListener('abort', resolve))
    },
    link: group.link,
    reader: {
      link: group.link,
      bounds: async () => ({ first: 0, end: 100 }),
      read: async (_partition, from) => ({ records: [], next: from }),
    },
    limits: { ...defaultKafkaLimits, heartbeatMs: 5 },
    clock,
    committed: async () => undefined,
    onEvent: event => events.push(event),
    ...change,
  })
  onTestFinished(() => membership.close())
  return { group, membership, leases, clock, events }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 1))
}

const owned = (leases: readonly Lease[]): number[] =>
  leases.filter(lease => !lease.lost.aborted).map(lease => lease.partition)

test('a lease whose partition stays lives on into the next generation, and commits in it', async () => {
  const { group, leases } = member()
  await until(() => leases.length === 2)
  group.assigns = [1, 2]
  group.refuse.heartbeat = refusal('REBALANCE_IN_PROGRESS')
  await until(() => leases.length === 3)
  expect(leases.map(lease => lease.partition)).toEqual([0, 1, 2])
  expect(owned(leases)).toEqual([1, 2])
  await leases[1]?.commit({ offset: 5, note: '' })
  expect(group.commits).toEqual([{ generation: 2, memberId: 'm1' }])
  expect(group.joins).toEqual(['', 'm1'])
})

test('a generation that was missed ends every lease, also of a partition that comes back', async () => {
  const { group, leases } = member()
  await until(() => leases.length === 2)
  group.refuse.sync = refusal('REBALANCE_IN_PROGRESS')
  group.refuse.heartbeat = refusal('REBALANCE_IN_PROGRESS')
  await until(() => leases.length === 4)
  expect(leases.map(lease => lease.lost.aborted)).toEqual([true, true, false, false])
  expect(group.generation).toBe(3)
})

test('a member that the group does not know loses all and joins as a new one', async () => {
  const { group, leases } = member()
  await until(() => leases.length === 2)
  group.refuse.heartbeat = refusal('UNKNOWN_MEMBER_ID')
  await until(() => leases.length === 4)
  expect(leases.map(lease => lease.lost.aborted)).toEqual([true, true, false, false])
  expect(group.joins).toEqual(['', ''])
})

test('heartbeats without an answer are repeated in the same generation, and nothing is lost', async () => {
  const { group, leases, events } = member()
  await until(() => leases.length === 2)
  group.refuse.heartbeat = new Error('connection closed')
  await until(() => events.some(event => event.kind === 'retrying'))
  group.refuse.heartbeat = new Error('connection refused')
  await until(() => events.filter(event => event.kind === 'retrying').length === 2)
  expect([owned(leases), group.joins.length]).toEqual([[0, 1], 1])
})

test('a lost lease refuses to commit by itself, under whatever generation its member is now', async () => {
  const { group, leases } = member()
  await until(() => leases.length === 2)
  group.assigns = [1]
  group.refuse.heartbeat = refusal('REBALANCE_IN_PROGRESS')
  await until(() => leases[0]?.lost.aborted === true)
  const commit = leases[0]?.commit({ offset: 1, note: '' })
  await expect(commit).rejects.toMatchObject({ code: 'STALE_OWNER' })
  expect(group.commits).toEqual([])
})

test('what the broker says to a commit: expelled is STALE_OWNER, a rebalance is ask again', async () => {
  const { group, leases } = member()
  await until(() => leases.length === 2)
  for (const [type, code] of [
    ['UNKNOWN_MEMBER_ID', 'STALE_OWNER'],
    ['ILLEGAL_GENERATION', 'BUS_UNAVAILABLE'],
    ['REBALANCE_IN_PROGRESS', 'BUS_UNAVAILABLE'],
    ['NOT_COORDINATOR_FOR_GROUP', 'BUS_UNAVAILABLE'],
  ] as const) {
    group.refuse.commit = refusal(type)
    const commit = leases[1]?.commit({ offset: 1, note: '' })
    await expect(commit, type).rejects.toMatchObject({ code })
  }
})

test('a fold of a partition that returns begins only when the former one has ended', async () => {
  let running = 0
  const most: number[] = []
  const ends: (() => void)[] = []
  const { group } = member({
    fold: async lease => {
      if (lease.partition !== 0) return
      most.push(++running)
      await new Promise<void>(resolve => ends.push(resolve))
      running--
    },
  })
  await until(() => ends.length === 1)
  group.refuse.heartbeat = refusal('UNKNOWN_MEMBER_ID')
  await until(() => group.joins.length === 2)
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(ends.length).toBe(1)
  ends[0]?.()
  await until(() => ends.length === 2)
  ends[1]?.()
  expect(most).toEqual([1, 1])
})

test('silent for stallMsMax it may append, a millisecond longer it may never again', async () => {
  const group = new FakeGroup()
  const { membership, clock, leases } = member(
    { limits: { ...defaultKafkaLimits, stallMsMax: 600_000 } },
    group,
  )
  await until(() => leases.length === 2)
  clock.advanceMs(600_000)
  membership.assertAlive()
  clock.advanceMs(1)
  expect(() => membership.assertAlive()).toThrow(/STALE_OWNER.*600001 ms/)
  await expect(membership.failed).rejects.toMatchObject({ code: 'STALE_OWNER' })
  await until(() => leases.every(lease => lease.lost.aborted))
  expect(() => membership.assertAlive()).toThrow(/STALE_OWNER/)
})

test('a refusal for good rejects failed with its remedy: the process has to end', async () => {
  const group = new FakeGroup()
  group.refuse.join = refusal('GROUP_AUTHORIZATION_FAILED')
  const { membership } = member({}, group)
  await expect(membership.failed).rejects.toThrow(
    /CONFIG_INVALID.*GROUP_AUTHORIZATION_FAILED; grant/,
  )
})

test('a position beyond the end of its log is another log’s, and fails', async () => {
  const { membership } = member({ committed: async () => ({ offset: 101, note: '' }) })
  await expect(membership.failed).rejects.toThrow(/DATA_CORRUPT.*101.*ends at 100.*`generation`/)
})

test('leaving waits for the folds', async () => {
  let end: (() => void) | undefined
  const { group, membership } = member({
    fold: async lease => {
      if (lease.partition === 0) await new Promise<void>(resolve => (end = resolve))
    },
  })
  await until(() => end !== undefined)
  const closed = membership.close()
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(group.left).toBe(0)
  end?.()
  await closed
  expect(group.left).toBe(1)
})
