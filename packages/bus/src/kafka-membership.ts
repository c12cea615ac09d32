import { type Clock, PipelineError, systemClock } from '@winnow/runtime'
import type { Lease, Membership, Position } from './bus.ts'
import {
  assignByNumber,
  assignedPartitions,
  assignerName,
  memberMetadata,
} from './kafka-assigner.ts'
import { fromKafka, kafkaType } from './kafka-errors.ts'
import { type GroupMembership, KafkaLease, type LeaseReader } from './kafka-lease.ts'
import type { KafkaLink } from './kafka-link.ts'
import type { KafkaBusEvent, KafkaLimits } from './kafka-options.ts'
import type { KafkaReader } from './kafka-reader.ts'

export interface KafkaMembershipOptions {
  readonly topic: string
  readonly group: string
  readonly groupId: string
  readonly partitions: number
  /** Orders this member among the others, in every topic alike. */
  readonly instance: string
  readonly fold: (lease: Lease) => Promise<void>
  /** For the group alone: a broker holds the answer to a join back until everybody has joined. */
  readonly link: Pick<KafkaLink, 'onCoordinator' | 'close'>
  readonly reader: LeaseReader & Pick<KafkaReader, 'bounds'>
  readonly limits: KafkaLimits
  readonly clock: Clock
  readonly committed: (partition: number) => Promise<Position | undefined>
  /** Where a partition begins that the group has no position in. */
  readonly startFrom?: StartFrom
  /** What to do about a position beyond the end of its log. */
  readonly aheadRemedy?: string
  readonly onEvent: (event: KafkaBusEvent) => void
}

/** The first record that is held, or the next that comes. */
export type StartFrom = 'earliest' | 'latest'

/** A partition this member owns, or owned and whose fold has not returned yet. */
interface Owned {
  readonly lost: AbortController
  /** Resolves when the fold has returned, whichever way. */
  done: Promise<void>
}

/** Out of the group: others may have owned what this member thinks it owns. */
const expelled = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'])

/**
 * One member of one consumer group of one topic, over Kafka's own group protocol:
 *
 *   join ─▶ sync ─▶ heartbeat ─┬─ REBALANCE_IN_PROGRESS ─▶ join (reads pause, leases stay)
 *     ▲                        ├─ expelled ─▶ every lease is lost ─▶ join as a new member
 *     └────────────────────────┴─ no answer ─▶ heartbeat again, in the same generation
 *
 * kafkajs' consumer is not used for it. It does not say which generation it is in, so that a commit
 * could not be bound to one; it announces a rebalance after joining again; and its reads are pushed.
 * Here the group only assigns, and a lease reads when it is asked to: what a fold does not ask for
 * is not fetched, so nothing has to be paused.
 */
export class KafkaMembership implements Membership {
  readonly failed: Promise<never>
  readonly #options: KafkaMembershipOptions
  readonly #owned = new Map<number, Owned>()
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  readonly #fail: (error: unknown) => void
  /** What the group calls this member; empty until it has said so. */
  #memberId = ''
  /** The membership under which the leases are held: that of the last assignment. */
  #held: GroupMembership = { memberId: '', generation: -1 }
  #joined = false
  #settled: Promise<void> = Promise.resolve()
  #settle: () => void = noop
  #heartbeatAtMs: number
  #stalled: PipelineError | undefined

  constructor(options: KafkaMembershipOptions) {
    this.#options = options
    this.#heartbeatAtMs = options.clock.nowMs()
    const failed = Promise.withResolvers<never>()
    this.failed = failed.promise
    this.failed.catch(() => {})
    this.#fail = error => {
      failed.reject(error)
      this.#closing.abort()
    }
    this.#running = this.#run()
  }

  get topic(): string {
    return this.#options.topic
  }

  get group(): string {
    return this.#options.group
  }

  /** Throws STALE_OWNER, and fails, once the last heartbeat is `stallMsMax` ago: a zombie must end. */
  assertAlive(): void {
    const silentMs = this.#options.clock.nowMs() - this.#heartbeatAtMs
    const late = !this.#closing.signal.aborted && silentMs > this.#options.limits.stallMsMax
    if (late) {
      this.#stalled = new PipelineError(
        'STALE_OWNER',
        `${this.#options.groupId}: no heartbeat for ${silentMs} ms, over \`stallMsMax\`: end the process`,
      )
      this.#fail(this.#stalled)
    }
    if (this.#stalled !== undefined) throw this.#stalled
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    let pauseMs = 0
    while (!this.#closing.signal.aborted) {
      try {
        if (!this.#joined) await this.#join()
        pauseMs = 0
        await this.#beatUntilRebalance()
      } catch (error) {
        pauseMs = Math.min(1000, pauseMs + 100)
        if (this.#afterError(error)) await systemClock.sleep(pauseMs, this.#closing.signal)
      }
    }
    await this.#leave()
  }

  /** Whether to wait before going on. */
  #afterError(error: unknown): boolean {
    const type = kafkaType(error)
    if (type === 'REBALANCE_IN_PROGRESS') {
      this.#joined = false
      return false
    }
    if (type !== undefined && expelled.has(type)) {
      this.#joined = false
      this.#loseAll()
      if (type !== 'ILLEGAL_GENERATION') this.#memberId = ''
      return false
    }
    const what = `membership of ${this.#options.groupId}`
    const known = fromKafka(error, what)
    if (!known.retryable) this.#fail(known)
    else this.#options.onEvent({ kind: 'retrying', what, error: known })
    return true
  }

  async #join(): Promise<void> {
    const { groupId, topic, limits, link, instance } = this.#options
    this.#pauseReads()
    const joined = await link.onCoordinator(groupId, broker =>
      broker.joinGroup({
        groupId,
        sessionTimeout: limits.sessionMs,
        rebalanceTimeout: limits.rebalanceMs,
        memberId: this.#memberId,
        groupProtocols: [{ name: assignerName, metadata: memberMetadata(topic, instance) }],
      }),
    )
    const member = { memberId: joined.memberId, generation: joined.generationId }
    this.#memberId = member.memberId
    const leads = joined.leaderId === joined.memberId
    const { memberAssignment } = await link.onCoordinator(groupId, broker =>
      broker.syncGroup({
        groupId,
        generationId: member.generation,
        memberId: member.memberId,
        groupAssignment: leads
          ? assignByNumber(topic, this.#options.partitions, joined.members)
          : [],
      }),
    )
    this.#heartbeatAtMs = this.#options.clock.nowMs()
    this.#assigned(member, assignedPartitions(topic, memberAssignment))
  }

  /**
   * A lease lives on only from one generation to the very next: in a generation that this member
   * missed, another one may have owned the partition, committed, and gone again.
   */
  #assigned(member: GroupMembership, partitions: readonly number[]): void {
    const { topic, group, onEvent } = this.#options
    const consecutive =
      member.memberId === this.#held.memberId && member.generation === this.#held.generation + 1
    for (const [partition, owned] of this.#owned) {
      if (!consecutive || !partitions.includes(partition)) owned.lost.abort()
    }
    this.#held = member
    this.#joined = true
    this.#settle()
    this.#settle = noop
    onEvent({ kind: 'joined', topic, group, generation: member.generation, partitions })
    if (this.#closing.signal.aborted) return
    for (const partition of partitions) {
      const before = this.#owned.get(partition)
      if (before !== undefined && !before.lost.signal.aborted) continue
      const lost = new AbortController()
      const owned: Owned = { lost, done: Promise.resolve() }
      this.#owned.set(partition, owned)
      // Never two folds of one partition at a time, also not when it comes back to where it was.
      owned.done = (before?.done ?? Promise.resolve())
        .then(() => this.#fold(partition, lost.signal))
        .catch(error => this.#fail(error))
    }
  }

  async #fold(partition: number, lost: AbortSignal): Promise<void> {
    const { topic, groupId, reader, fold } = this.#options
    const begin = await this.#begin(partition, lost)
    if (begin === undefined) return
    const lease = new KafkaLease({
      topic,
      groupId,
      partition,
      ...begin,
      lost,
      reader,
      member: () => this.#held,
      settled: () => this.#settled,
    })
    try {
      if (begin.committed === undefined && this.#options.startFrom === 'latest') {
        await commitStart(lease, begin.start)
      }
      await fold(lease)
    } catch (error) {
      // How a fold hears of its loss when it was about to commit: an end like any other.
      const told = error instanceof PipelineError && error.code === 'STALE_OWNER'
      if (!(told && lost.aborted)) throw error
    }
  }

  /** Where to begin, asked for until it is answered. Undefined: lost before it was. */
  async #begin(
    partition: number,
    lost: AbortSignal,
  ): Promise<{ readonly committed: Position | undefined; readonly start: number } | undefined> {
    const { startFrom, aheadRemedy = 'raise `generation` by one' } = this.#options
    while (!lost.aborted) {
      try {
        const committed = await this.#options.committed(partition)
        const { first, end } = await this.#options.reader.bounds(partition)
        if (committed !== undefined && committed.offset > end) {
          throw new PipelineError(
            'DATA_CORRUPT',
            `${this.#options.groupId}/${partition} is committed at ${committed.offset}, its log ends at ` +
              `${end}: the topic was made anew or truncated; ${aheadRemedy}`,
          )
        }
        return { committed, start: committed?.offset ?? (startFrom === 'latest' ? end : first) }
      } catch (error) {
        const what = `beginning ${this.#options.groupId}/${partition}`
        const known = fromKafka(error, what)
        if (!known.retryable) throw known
        this.#options.onEvent({ kind: 'retrying', what, error: known })
        await systemClock.sleep(200, this.#closing.signal)
      }
    }
    return undefined
  }

  async #beatUntilRebalance(): Promise<void> {
    const { groupId, link, limits, clock } = this.#options
    while (!this.#closing.signal.aborted) {
      await systemClock.sleep(limits.heartbeatMs, this.#closing.signal)
      if (this.#closing.signal.aborted) return
      const { memberId, generation } = this.#held
      await link.onCoordinator(groupId, broker =>
        broker.heartbeat({ groupId, groupGenerationId: generation, memberId }),
      )
      this.#heartbeatAtMs = clock.nowMs()
    }
  }

  #pauseReads(): void {
    if (this.#settle !== noop) return
    const settled = Promise.withResolvers<void>()
    this.#settled = settled.promise
    this.#settle = settled.resolve
  }

  #loseAll(): void {
    for (const owned of this.#owned.values()) owned.lost.abort()
  }

  /** Folds end before the group is left, so that the next owner meets none of them. */
  async #leave(): Promise<void> {
    const { groupId, link } = this.#options
    this.#loseAll()
    this.#settle()
    await Promise.all([...this.#owned.values()].map(owned => owned.done))
    const memberId = this.#memberId
    if (memberId !== '') {
      await link
        .onCoordinator(groupId, broker => broker.leaveGroup({ groupId, memberId }))
        .catch(noop)
    }
    await link.close()
  }
}

/**
 * Without a position a start at the end would be another one after a restart, and what came meanwhile
 * would be passed over.
 */
async function commitStart(lease: Lease, start: number): Promise<void> {
  while (!lease.lost.aborted) {
    try {
      return await lease.commit({ offset: start, note: '' })
    } catch (error) {
      if (!(error instanceof PipelineError && error.retryable)) throw error
      await systemClock.sleep(200, lease.lost)
    }
  }
}

function noop(): void {}
