import { type Clock, PipelineError } from '@winnow/runtime'
import { checkAppend, checkPartition } from './append-check.ts'
import type { Batch, BusRecord, NewRecord, RangeRead, ReadMemory, ValueRange } from './bus.ts'
import { probeDirectWrites } from './direct-io.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { LogEvent } from './file-bus-events.ts'
import { checkLogLimits, type FileLogLimits } from './file-bus-limits.ts'
import { blockBytes } from './file-format.ts'
import type { LeaseReader } from './groups.ts'
import { compactLog } from './log-compaction.ts'
import type { LogIo } from './log-io.ts'
import { LogReader } from './log-reader.ts'
import { firstsOf, type LogState, recoverLog } from './log-recovery.ts'
import { bytesOf, countOverSize, isExpired, neededFrom } from './log-retention.ts'
import { LogWriter } from './log-writer.ts'
import { reusedMemory } from './read-memory.ts'
import { Ring } from './ring.ts'
import type { Segment } from './segment.ts'
import { type SharedTail, TailIndex } from './tail-index.ts'
import type { TopicSpec } from './topics.ts'
import { checkRanges, fetchRangesOneByOne, filled } from './value-ranges.ts'

export interface FileLogOptions {
  readonly spec: TopicSpec
  readonly folder: string
  readonly limits: FileLogLimits
  readonly clock: Clock
  readonly io: LogIo
  readonly guard: DiskGuard
  /** Whether writes may bypass the page cache where the disk takes that. */
  readonly isDirect: boolean
  readonly newLogId: () => string
  readonly onEvent: (event: LogEvent) => void
  readonly onFailure: (error: PipelineError) => void
  /** The smallest durable position of any group in each partition; undefined where there is no group. */
  readonly lowestPositions: (logId: string) => Float64Array | undefined
}

/** The log of one topic: one set of files and one sync for all its partitions. */
export class FileLog {
  readonly #options: FileLogOptions
  readonly #state: LogState
  readonly #ring: Ring
  readonly #tail: TailIndex
  readonly #reader: LogReader
  readonly #writer: LogWriter
  #isFull = false
  #isClosed = false

  private constructor(
    options: FileLogOptions,
    state: LogState,
    ring: Ring,
    tail: TailIndex,
    openWriter: LogWriter,
  ) {
    this.#options = options
    this.#state = state
    this.#ring = ring
    this.#tail = tail
    this.#reader = new LogReader(state, ring, options.onEvent)
    this.#writer = openWriter
  }

  static async open(options: FileLogOptions): Promise<FileLog> {
    const { spec, folder, limits, clock, io } = options
    checkLogLimits(spec.name, limits)
    const state = await recoverLog({ ...options, nowMs: clock.nowMs() })
    const memory = Buffer.from(new SharedArrayBuffer(limits.ringBytes + blockBytes))
    const direct = options.isDirect ? await probeDirectWrites(folder, memory) : undefined
    const ring = new Ring(memory, direct?.base ?? 0, limits.ringBytes)
    const tail = new TailIndex(firstsOf(state), state.ends)
    let log: FileLog | undefined
    const writer = await LogWriter.open(state, ring, tail, {
      limits,
      clock,
      io,
      openFlags: direct?.openFlags ?? 0,
      makeRoom: bytes => (log === undefined ? undefined : log.#makeRoom(bytes)),
      onRoll: async () => (log === undefined ? undefined : log.#compactIfDue()),
      onFailure: error => {
        options.onEvent({ kind: 'failed', topic: spec.name, error })
        options.onFailure(error)
      },
    })
    log = new FileLog(options, state, ring, tail, writer)
    return log
  }

  get spec(): TopicSpec {
    return this.#state.spec
  }

  get logId(): string {
    return this.#state.logId
  }

  get tail(): SharedTail {
    const { name: topic, partitions } = this.#state.spec
    return { topic, partitions, isLog: true, ...this.#ring.shared, index: this.#tail.memory }
  }

  append(partition: number, records: readonly NewRecord[]): Promise<number> {
    this.#check(partition)
    checkAppend(this.#state.spec, records)
    return this.#writer.append(partition, records)
  }

  fetch(partition: number, offset: number): Promise<BusRecord> {
    this.#check(partition)
    return this.#reader.fetch(partition, offset)
  }

  /** What lies in the ring is copied at once; the rest comes out of the files, record by record. */
  async fetchRanges(
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    this.#check(partition)
    checkRanges(this.#state.spec.name, ranges)
    const { reads, missing } = this.#reader.rangesInRing(partition, ranges)
    if (missing.length === 0) return reads
    const rest = missing.map(at => ranges[at] as ValueRange)
    const late = await fetchRangesOneByOne(rest, offset => this.#reader.fetch(partition, offset))
    return filled(reads, missing, late)
  }

  read(
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    memory?: ReadMemory,
  ): Promise<Batch> {
    this.#check(partition)
    return this.#reader.read(partition, from, bytesMax, waitMs, undefined, memory)
  }

  /** A reader of one lease: its batches share memory. */
  leaseReader(partition: number): LeaseReader {
    const take = reusedMemory()
    return async (from, bytesMax, waitMs, lost) => {
      this.#check(partition)
      return this.#reader.read(partition, from, bytesMax, waitMs, lost, take)
    }
  }

  bounds(partition: number): { first: number; end: number } {
    this.#check(partition)
    return { first: this.#reader.firstOf(partition), end: this.#reader.endOf(partition) }
  }

  /** Deletes the segments whose time is over. */
  sweep(): Promise<void> {
    const { spec } = this.#state
    if (spec.keyed) return Promise.resolve()
    return this.#writer.exclusive(async () => {
      const { lagGraceMs } = this.#options.limits
      const nowMs = this.#options.clock.nowMs()
      const isNeeded = neededFrom(this.#options.lowestPositions(this.logId))
      const isOver = (segment: Segment): boolean =>
        isExpired(segment, nowMs, spec.retentionMs, lagGraceMs, isNeeded)
      const active = this.#state.segments.at(-1) as Segment
      if (!active.isEmpty && isOver(active)) await this.#writer.roll()
      const sealed = this.#state.segments.slice(0, -1)
      const kept = sealed.findIndex(segment => !isOver(segment))
      await this.#drop(kept < 0 ? sealed.length : kept, 'age')
    })
  }

  /** Seals what is written and keeps the last record of every key; nothing for a topic without keys. */
  compact(): Promise<void> {
    if (!this.#state.spec.keyed) return Promise.resolve()
    return this.#writer.exclusive(async () => {
      const active = this.#state.segments.at(-1) as Segment
      if (!active.isEmpty) await this.#writer.roll()
      await this.#compact()
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#writer.close()
    for (const waiters of this.#state.waiters) waiters.wake()
    for (const segment of this.#state.segments) await segment.close()
  }

  #check(partition: number): void {
    checkPartition(this.#state.spec, partition)
    if (this.#isClosed) {
      throw new PipelineError('BUS_UNAVAILABLE', `${this.#state.spec.name} is closed`)
    }
  }

  /** Undefined when there is plenty of room, so that a commit waits for nothing. */
  #makeRoom(bytes: number): Promise<void> | undefined {
    const { logBytesMax } = this.#options.limits
    const isOverSize = bytesOf(this.#state.segments) + bytes > logBytesMax
    if (isOverSize) return this.#tellFull(this.#shrink(bytes))
    const looking = this.#options.guard.take(bytes)
    return looking === undefined ? undefined : this.#tellFull(looking)
  }

  /** Deletes the oldest segments that every group has read until `bytes` more have room. */
  async #shrink(bytes: number): Promise<void> {
    const { limits, guard } = this.#options
    const room = limits.logBytesMax - bytes
    const isNeeded = neededFrom(this.#options.lowestPositions(this.logId))
    const active = this.#state.segments.at(-1) as Segment
    if (!active.isEmpty && active.bytes > room) await this.#writer.roll()
    if (!this.#state.spec.keyed) {
      await this.#drop(countOverSize(this.#state.segments, room, isNeeded), 'size')
    }
    const held = bytesOf(this.#state.segments)
    if (held > room) {
      throw new PipelineError(
        'QUOTA_EXCEEDED',
        `${this.#state.spec.name} holds ${held} bytes that a group has not read or a key needs, and ` +
          `logBytesMax is ${limits.logBytesMax}; let the group catch up, or raise the limit`,
      )
    }
    await guard.take(bytes)
  }

  async #tellFull(room: Promise<void>): Promise<void> {
    let isFull = true
    try {
      await room
      isFull = false
    } finally {
      if (isFull !== this.#isFull) {
        this.#isFull = isFull
        this.#options.onEvent({ kind: 'full', topic: this.#state.spec.name, isFull })
      }
    }
  }

  async #drop(count: number, cause: 'age' | 'size'): Promise<void> {
    const dropped = this.#state.segments.slice(0, count)
    this.#state.segments = this.#state.segments.slice(count)
    if (count > 0) this.#tail.setFirsts(firstsOf(this.#state))
    const topic = this.#state.spec.name
    for (const segment of dropped) {
      const { path, bytes } = segment
      await segment.remove()
      if (!segment.isEmpty) this.#options.onEvent({ kind: 'expired', topic, path, bytes, cause })
    }
  }

  /** Once what is not yet compacted is as much as what is: the work stays in proportion. */
  async #compactIfDue(): Promise<void> {
    if (!this.#state.spec.keyed) return
    const sealed = this.#state.segments.slice(0, -1)
    const compacted = sealed.filter(segment => segment.header.compacted)
    if (bytesOf(sealed) >= 2 * bytesOf(compacted)) await this.#compact()
  }

  async #compact(): Promise<void> {
    const topic = this.#state.spec.name
    const bytesBefore = bytesOf(this.#state.segments)
    try {
      await compactLog(this.#state)
      const bytesAfter = bytesOf(this.#state.segments)
      this.#options.onEvent({ kind: 'compacted', topic, bytesBefore, bytesAfter })
    } catch (error) {
      this.#options.onEvent({ kind: 'uncompacted', topic, error })
    }
  }
}
