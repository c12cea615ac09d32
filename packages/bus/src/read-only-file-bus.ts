import { open, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { PipelineError } from '@winnow/runtime'
import { checkPartition, specOf } from './append-check.ts'
import type { Batch, Bus, BusRecord, Membership, Position, RangeRead, ValueRange } from './bus.ts'
import { seedOf } from './file-format.ts'
import { LogReader } from './log-reader.ts'
import { type LogState, listHeaders } from './log-recovery.ts'
import { type PositionOwner, readPositions } from './position-store.ts'
import { Ring } from './ring.ts'
import { Segment } from './segment.ts'
import { indexSegment } from './segment-scan.ts'
import type { TopicSpec } from './topics.ts'
import { checkRanges, fetchRangesOneByOne } from './value-ranges.ts'
import { Waiters } from './waiters.ts'

export interface ReadOnlyFileBusOptions {
  /** As a FileBus made it. */
  readonly folder: string
  /** In flow order: a record in one of them never follows from what the ones after it lack. */
  readonly specs: readonly TopicSpec[]
}

/**
 * What a folder of a FileBus held when it was opened, for whoever only looks: it takes no lock, and
 * neither makes, repairs nor deletes anything, so that a process may hold the folder at the same time or
 * may have died in it. The positions are read first and the topics from the last to the first, so that
 * whatever a record or a position follows from can be seen too. Appending and joining are CONFIG_INVALID.
 */
export class ReadOnlyFileBus implements Bus {
  readonly #specs: ReadonlyMap<string, TopicSpec>
  readonly #logs: ReadonlyMap<string, { readonly state: LogState; readonly reader: LogReader }>
  readonly #positionOf: (owner: PositionOwner) => Position | undefined

  private constructor(
    specs: ReadonlyMap<string, TopicSpec>,
    logs: ReadonlyMap<string, { readonly state: LogState; readonly reader: LogReader }>,
    positionOf: (owner: PositionOwner) => Position | undefined,
  ) {
    this.#specs = specs
    this.#logs = logs
    this.#positionOf = positionOf
  }

  /** CONFIG_INVALID where no FileBus ever was, or for other partitions than the specs have. */
  static async open(options: ReadOnlyFileBusOptions): Promise<ReadOnlyFileBus> {
    const folder = resolve(options.folder)
    for (let triesLeft = 3; ; triesLeft--) {
      try {
        return await ReadOnlyFileBus.#open(folder, options.specs)
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
        // Its holder may have deleted an expired segment a moment ago.
        if (triesLeft > 0) continue
        const remedy = 'name the folder of a pipeline that ran on files'
        throw new PipelineError('CONFIG_INVALID', `${folder} holds no such bus; ${remedy}`, {
          cause,
        })
      }
    }
  }

  static async #open(folder: string, specs: readonly TopicSpec[]): Promise<ReadOnlyFileBus> {
    const positionOf = await readPositions(folder)
    const logs = new Map<string, { state: LogState; reader: LogReader }>()
    for (const spec of specs.toReversed()) {
      const state = await readLog(join(folder, spec.name), spec)
      const ring = new Ring(Buffer.alloc(0), 0, 0)
      logs.set(spec.name, { state, reader: new LogReader(state, ring, () => undefined) })
    }
    return new ReadOnlyFileBus(new Map(specs.map(spec => [spec.name, spec])), logs, positionOf)
  }

  async partitionCount(topic: string): Promise<number> {
    return specOf(this.#specs, topic).partitions
  }

  async logId(topic: string): Promise<string> {
    specOf(this.#specs, topic)
    return this.#logs.get(topic)?.state.logId ?? ''
  }

  async append(topic: string): Promise<number> {
    throw readOnly(topic)
  }

  async fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    return this.#reader(topic, partition).fetch(partition, offset)
  }

  async fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    checkRanges(topic, ranges)
    return fetchRangesOneByOne(ranges, offset => this.fetch(topic, partition, offset))
  }

  async read(topic: string, partition: number, from: number, bytesMax: number): Promise<Batch> {
    return this.#reader(topic, partition).read(partition, from, bytesMax, 0)
  }

  async bounds(topic: string, partition: number): Promise<{ first: number; end: number }> {
    const reader = this.#reader(topic, partition)
    return { first: reader.firstOf(partition), end: reader.endOf(partition) }
  }

  async committed(topic: string, group: string, partition: number): Promise<Position | undefined> {
    checkPartition(specOf(this.#specs, topic), partition)
    return this.#positionOf({ logId: await this.logId(topic), group, partition })
  }

  join(topic: string): Membership {
    throw readOnly(topic)
  }

  async close(): Promise<void> {
    for (const { state } of this.#logs.values()) {
      for (const segment of state.segments) await segment.close()
    }
  }

  #reader(topic: string, partition: number): LogReader {
    checkPartition(specOf(this.#specs, topic), partition)
    return (this.#logs.get(topic) as { readonly reader: LogReader }).reader
  }
}

/** Nothing behind the first bad frame is shown: it may be a commit that is being written. */
async function readLog(folder: string, spec: TopicSpec): Promise<LogState> {
  const { live } = await listHeaders(folder, spec)
  const segments: Segment[] = []
  for (const header of live) {
    const segment = new Segment(folder, header)
    const { size } = await stat(segment.path)
    // Opened now: what is deleted from now on can be read to the end.
    await segment.read(Buffer.alloc(1), 1, 0)
    if (header === live.at(-1) || !(await segment.load(size))) await index(segment, size)
    segments.push(segment)
  }
  const last = segments.at(-1)
  if (last === undefined) {
    throw new PipelineError('CONFIG_INVALID', `${folder} has no segment of a log`)
  }
  const { logId } = last.header
  return {
    spec,
    folder,
    logId,
    seed: seedOf(logId),
    segments,
    ends: last.ends.slice(),
    lastAtMs: last.lastAtMs.slice(),
    waiters: Array.from({ length: spec.partitions }, () => new Waiters()),
  }
}

async function index(segment: Segment, size: number): Promise<void> {
  const file = await open(segment.path, 'r')
  try {
    await indexSegment(segment, file, size, seedOf(segment.header.logId))
  } finally {
    await file.close()
  }
}

function readOnly(topic: string): PipelineError {
  return new PipelineError('CONFIG_INVALID', `${topic} is open for reading alone`)
}
