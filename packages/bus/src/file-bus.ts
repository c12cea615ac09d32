import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Clock, PipelineError } from '@winnow/runtime'
import { checkPartition, specOf } from './append-check.ts'
import type {
  Batch,
  BusRecord,
  Lease,
  Membership,
  NewRecord,
  Position,
  RangeRead,
  ReadMemory,
  ValueRange,
} from './bus.ts'
import { DiskGuard } from './disk-guard.ts'
import type { LogEvent } from './file-bus-events.ts'
import {
  type FileBusLimits,
  type FileLogLimits,
  fileBusLimits,
  fileLogLimits,
} from './file-bus-limits.ts'
import { FileLog } from './file-log.ts'
import { FolderLock } from './folder-lock.ts'
import { Groups } from './groups.ts'
import { diskIo, type LogIo } from './log-io.ts'
import { PositionStore } from './position-store.ts'
import type { SharingBus } from './shared-bus.ts'
import type { SharedTail } from './tail-index.ts'
import type { TopicSpec } from './topics.ts'

export interface FileBusOptions {
  /** Made if absent; held by one bus at a time. A topic lies in a folder of its name. */
  readonly folder: string
  readonly specs: readonly TopicSpec[]
  readonly clock: Clock
  readonly limits?: Partial<FileBusLimits>
  /** Of every topic's log. */
  readonly logLimits?: Partial<FileLogLimits>
  /** Of one topic's log, by its name. */
  readonly topicLimits?: Readonly<Record<string, Partial<FileLogLimits>>>
  readonly onEvent?: (event: LogEvent) => void
  /** Writes bypass the page cache where the disk takes it; false for tests of the other way. */
  readonly isDirect?: boolean
  readonly io?: LogIo
  readonly newLogId?: () => string
}

/**
 * The bus in files, for one process: the truth of an installation without Kafka. What `append` has
 * acknowledged survives kill -9 and a power cut. Groups live in this process; their positions are
 * durable with their notes.
 *
 *   folder/lock, owner.json       held while the bus is open
 *   folder/positions.log          where groups stand
 *   folder/<topic>/0…01.log .idx  segments (see file-format.ts) and their derived indexes
 */
export class FileBus implements SharingBus {
  readonly #lock: FolderLock
  readonly #specs: ReadonlyMap<string, TopicSpec>
  readonly #logs: ReadonlyMap<string, FileLog>
  readonly #positions: PositionStore
  readonly #groups: Groups
  readonly #sweeper: NodeJS.Timeout
  #isClosed = false

  private constructor(parts: OpenParts, positions: PositionStore, sweepMs: number) {
    this.#lock = parts.lock
    this.#specs = parts.specs
    this.#logs = parts.logs
    this.#groups = parts.groups
    this.#positions = positions
    this.#sweeper = setInterval(() => {
      // A log that cannot be swept has said why by an event, and refuses appends by itself.
      this.sweep().catch(() => undefined)
    }, sweepMs).unref()
  }

  /**
   * Rejects with CONFIG_INVALID when another process holds the folder, when a topic there has other
   * partitions than its spec, or a newer format; with DATA_CORRUPT when a file's head is illegible.
   */
  static async open(options: FileBusOptions): Promise<FileBus> {
    const folder = resolve(options.folder)
    await mkdir(folder, { recursive: true })
    const lock = FolderLock.take(folder)
    const logs = new Map<string, FileLog>()
    let positions: PositionStore | undefined
    try {
      const limits = { ...fileBusLimits, ...options.limits }
      const io = options.io ?? diskIo
      const store = await PositionStore.open(folder, io, limits.positionsBytesMax)
      positions = store
      const specs = new Map(options.specs.map(spec => [spec.name, spec]))
      const groups = new Groups(groupSource(specs, logs, store))
      const guard = new DiskGuard(folder, limits.freeBytesMin, options.clock, io.freeBytes)
      for (const spec of options.specs) {
        const log = await FileLog.open({
          spec,
          folder: join(folder, folderNameOf(spec.name)),
          limits: logLimitsOf(spec, options),
          clock: options.clock,
          io,
          guard,
          isDirect: options.isDirect ?? true,
          newLogId: options.newLogId ?? randomUUID,
          onEvent: options.onEvent ?? (() => undefined),
          onFailure: error => groups.giveUp(error),
          lowestPositions: logId => lowestOf(spec, groups, store.durableOf(logId)),
        })
        logs.set(spec.name, log)
      }
      return new FileBus({ lock, specs, logs, groups }, store, limits.sweepMs)
    } catch (error) {
      for (const log of logs.values()) await log.close()
      await positions?.close()
      lock.release()
      throw error
    }
  }

  async partitionCount(topic: string): Promise<number> {
    return specOf(this.#specs, topic).partitions
  }

  async logId(topic: string): Promise<string> {
    return this.#log(topic).logId
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    return this.#log(topic).append(partition, records)
  }

  async fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    return this.#log(topic).fetch(partition, offset)
  }

  async fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    return this.#log(topic).fetchRanges(partition, ranges)
  }

  async read(
    topic: string,
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    memory?: ReadMemory,
  ): Promise<Batch> {
    return this.#log(topic).read(partition, from, bytesMax, waitMs, memory)
  }

  async bounds(topic: string, partition: number): Promise<{ first: number; end: number }> {
    return this.#log(topic).bounds(partition)
  }

  async committed(topic: string, group: string, partition: number): Promise<Position | undefined> {
    checkPartition(specOf(this.#specs, topic), partition)
    return this.#positions.get({ logId: this.#log(topic).logId, group, partition })
  }

  join(topic: string, group: string, fold: (lease: Lease) => Promise<void>): Membership {
    return this.#groups.join(topic, group, fold)
  }

  readonly placesRecords = true

  /** Compaction makes holes, which an index of the tail does not know: keyed topics are asked for. */
  get tails(): readonly SharedTail[] {
    const logs = Array.from(this.#logs.values()).filter(log => !log.spec.keyed)
    return logs.map(log => log.tail)
  }

  /** Applies retention now; it runs by itself every `sweepMs`. */
  async sweep(): Promise<void> {
    for (const log of this.#logs.values()) await log.sweep()
  }

  /** Compacts a keyed topic now; it happens by itself as the log grows. */
  compact(topic: string): Promise<void> {
    return this.#log(topic).compact()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#sweeper)
    for (const log of this.#logs.values()) await log.close()
    await this.#positions.close()
    this.#lock.release()
  }

  #log(topic: string): FileLog {
    specOf(this.#specs, topic)
    return this.#logs.get(topic) as FileLog
  }
}

interface OpenParts {
  readonly lock: FolderLock
  readonly specs: ReadonlyMap<string, TopicSpec>
  readonly logs: ReadonlyMap<string, FileLog>
  readonly groups: Groups
}

function groupSource(
  specs: ReadonlyMap<string, TopicSpec>,
  logs: ReadonlyMap<string, FileLog>,
  positions: PositionStore,
): ConstructorParameters<typeof Groups>[0] {
  const logOf = (topic: string): FileLog => {
    specOf(specs, topic)
    return logs.get(topic) as FileLog
  }
  return {
    partitionCountOf: topic => specOf(specs, topic).partitions,
    firstOf: (topic, partition) => logOf(topic).bounds(partition).first,
    readerOf: (topic, partition) => logOf(topic).leaseReader(partition),
    position: (topic, group, partition) =>
      positions.get({ logId: logOf(topic).logId, group, partition }),
    setPosition: (topic, group, partition, position) =>
      positions.set({ logId: logOf(topic).logId, group, partition }, position),
  }
}

/** A group that never committed in a partition needs it from its first record. */
function lowestOf(
  spec: TopicSpec,
  groups: Groups,
  durable: Map<string, Map<number, number>>,
): Float64Array | undefined {
  const names = new Set([...durable.keys(), ...groups.namesOf(spec.name)])
  if (names.size === 0) return undefined
  const lowest = new Float64Array(spec.partitions).fill(Number.POSITIVE_INFINITY)
  for (const name of names) {
    for (let p = 0; p < spec.partitions; p++) {
      lowest[p] = Math.min(lowest[p] as number, durable.get(name)?.get(p) ?? 0)
    }
  }
  return lowest
}

function logLimitsOf(spec: TopicSpec, options: FileBusOptions): FileLogLimits {
  const keyed = spec.keyed ? { segmentBytes: keyedSegmentBytes } : {}
  const { logLimits, topicLimits } = options
  return { ...fileLogLimits, ...keyed, ...logLimits, ...topicLimits?.[spec.name] }
}

/** A keyed log is compacted segment by segment, so its segments are small. */
const keyedSegmentBytes = 16 << 20

function folderNameOf(topic: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,248}$/.test(topic)) return topic
  throw new PipelineError(
    'CONFIG_INVALID',
    `topic name ${JSON.stringify(topic)} cannot name a folder; use letters, digits, '.', '_' and '-'`,
  )
}
