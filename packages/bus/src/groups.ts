import { PipelineError } from '@winnow/runtime'
import { type Batch, type Lease, type Membership, noteBytesMax, type Position } from './bus.ts'

/** As `Bus.read` of one partition; ends once `lost` aborts. */
export type LeaseReader = (
  from: number,
  bytesMax: number,
  waitMs: number,
  lost: AbortSignal,
) => Promise<Batch>

/** What the groups of one process need of the log they read and of the place where they stand. */
export interface GroupSource {
  partitionCountOf(topic: string): number
  /** The first retained offset. */
  firstOf(topic: string, partition: number): number
  /** One a lease: it may reuse its memory from read to read. */
  readerOf(topic: string, partition: number): LeaseReader
  position(topic: string, group: string, partition: number): Position | undefined
  setPosition(topic: string, group: string, partition: number, position: Position): Promise<void>
}

interface Held {
  readonly lose: () => void
  readonly done: Promise<void>
}

interface Member {
  readonly fold: (lease: Lease) => Promise<void>
  readonly held: Map<number, Held>
  /** Folds that were told to end; `close` waits for them too. */
  readonly ending: Set<Promise<void>>
  readonly fail: (error: unknown) => void
}

interface Group {
  readonly topic: string
  readonly name: string
  readonly members: Member[]
}

/**
 * Group membership for a log that lives in one process: partition p belongs to member p mod n, in
 * the order in which members joined, so equal partitions of different topics meet on one member.
 * A new owner does not wait for the old one's fold: as on Kafka, a former owner may run on for a
 * while, and only its commits are refused.
 */
export class Groups {
  readonly #source: GroupSource
  readonly #groups = new Map<string, Group>()

  constructor(source: GroupSource) {
    this.#source = source
  }

  /** Names of the groups that have a member on this topic now. */
  namesOf(topic: string): string[] {
    const groups = [...this.#groups.values()]
    return groups.filter(group => group.topic === topic).map(group => group.name)
  }

  join(topic: string, name: string, fold: (lease: Lease) => Promise<void>): Membership {
    this.#source.partitionCountOf(topic)
    const id = JSON.stringify([topic, name])
    const group: Group = this.#groups.get(id) ?? { topic, name, members: [] }
    this.#groups.set(id, group)
    const failed = Promise.withResolvers<never>()
    const fail = failed.reject
    const member: Member = { fold, held: new Map(), ending: new Set(), fail }
    group.members.push(member)
    this.#assign(group)
    return {
      failed: failed.promise,
      close: async () => {
        const at = group.members.indexOf(member)
        if (at >= 0) {
          group.members.splice(at, 1)
          for (const partition of [...member.held.keys()]) lose(member, partition)
          this.#assign(group)
          if (group.members.length === 0) this.#groups.delete(id)
        }
        await Promise.all(member.ending)
      },
    }
  }

  /** The log is broken for good: every member has to end with its process. */
  giveUp(error: PipelineError): void {
    for (const group of this.#groups.values()) {
      for (const member of group.members) member.fail(error)
    }
  }

  #assign(group: Group): void {
    const { members } = group
    const count = this.#source.partitionCountOf(group.topic)
    for (let partition = 0; partition < count; partition++) {
      const owner = members[partition % members.length]
      for (const member of members) if (member !== owner) lose(member, partition)
      if (owner !== undefined && !owner.held.has(partition)) this.#give(group, owner, partition)
    }
  }

  #give(group: Group, member: Member, partition: number): void {
    const ended = new AbortController()
    const reader = this.#source.readerOf(group.topic, partition)
    const lease = this.#lease(group, partition, reader, ended.signal)
    // The fold starts in a later microtask, so that `join` has returned before it runs.
    const done = Promise.resolve()
      .then(() => (ended.signal.aborted ? undefined : member.fold(lease)))
      .catch((error: unknown) => {
        const isFarewell = error instanceof PipelineError && error.code === 'STALE_OWNER'
        if (isFarewell && ended.signal.aborted) return
        ended.abort()
        member.fail(error)
      })
    member.held.set(partition, { lose: () => ended.abort(), done })
  }

  #lease(group: Group, partition: number, reader: LeaseReader, lost: AbortSignal): Lease {
    const source = this.#source
    const { topic, name } = group
    const committed = source.position(topic, name, partition)
    // Once and for all: what retention takes from now on, though nothing was read yet, is a gap.
    let next = committed?.offset ?? source.firstOf(topic, partition)
    return {
      partition,
      committed,
      lost,
      read: async (bytesMax, waitMs) => {
        if (lost.aborted) return { records: [] }
        const batch = await reader(next, bytesMax, waitMs, lost)
        if (lost.aborted) return { records: [] }
        const last = batch.records.at(-1)
        next = last === undefined ? (batch.gap?.to ?? next) : last.offset + 1
        return batch
      },
      commit: async position => {
        checkPosition(position)
        if (lost.aborted) {
          throw new PipelineError('STALE_OWNER', `${name} no longer owns ${topic}/${partition}`)
        }
        await source.setPosition(topic, name, partition, { ...position })
      },
    }
  }
}

function lose(member: Member, partition: number): void {
  const held = member.held.get(partition)
  if (held === undefined) return
  member.held.delete(partition)
  held.lose()
  const ending = held.done.finally(() => member.ending.delete(ending))
  member.ending.add(ending)
}

/** Refuses a note over its limit and an offset that is none. */
export function checkPosition(position: Position): void {
  const bytes = Buffer.byteLength(position.note)
  if (bytes > noteBytesMax) {
    throw new PipelineError(
      'PAYLOAD_TOO_LARGE',
      `note has ${bytes} bytes; at most ${noteBytesMax} are stored with a position`,
    )
  }
  if (!Number.isSafeInteger(position.offset) || position.offset < 0) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `offset ${position.offset} of a position; give the next offset to read, 0 or more`,
    )
  }
}
