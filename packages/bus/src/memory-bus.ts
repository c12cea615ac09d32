import { randomUUID } from 'node:crypto'
import { type Clock, PipelineError } from '@winnow/runtime'
import { checkAppend, checkPartition, specOf } from './append-check.ts'
import type {
  Batch,
  Bus,
  BusRecord,
  Lease,
  Membership,
  NewRecord,
  Position,
  RangeRead,
  RecordHead,
  ValueRange,
} from './bus.ts'
import { Groups } from './groups.ts'
import type { TopicSpec } from './topics.ts'
import { checkRanges, fetchRangesOneByOne } from './value-ranges.ts'
import { Waiters } from './waiters.ts'

interface MemoryLog {
  readonly spec: TopicSpec
  /** Retained records by rising offset; a keyed topic has holes. */
  records: BusRecord[]
  first: number
  end: number
  lastAtMs: number
  readonly waiters: Waiters
}

/**
 * The bus within one process, for tests and simulation: nothing survives it. Time, and with it
 * retention, is the caller's clock, looked at whenever the log is touched.
 */
export class MemoryBus implements Bus {
  readonly #clock: Clock
  readonly #specs: ReadonlyMap<string, TopicSpec>
  readonly #logs = new Map<string, readonly MemoryLog[]>()
  readonly #logIds = new Map<string, string>()
  readonly #positions = new Map<string, Position>()
  readonly #groups: Groups
  #isClosed = false

  constructor(specs: readonly TopicSpec[], clock: Clock, newLogId: () => string = randomUUID) {
    this.#clock = clock
    this.#specs = new Map(specs.map(spec => [spec.name, spec]))
    for (const spec of specs) {
      this.#logs.set(
        spec.name,
        Array.from({ length: spec.partitions }, () => emptyLog(spec)),
      )
      this.#logIds.set(spec.name, newLogId())
    }
    this.#groups = new Groups({
      partitionCountOf: topic => specOf(this.#specs, topic).partitions,
      firstOf: (topic, partition) => this.#log(topic, partition).first,
      readerOf: (topic, partition) => (from, bytesMax, waitMs, lost) =>
        this.#read(this.#log(topic, partition), from, bytesMax, waitMs, lost),
      position: (topic, group, partition) => this.#positions.get(idOf(topic, group, partition)),
      setPosition: async (topic, group, partition, position) => {
        this.#positions.set(idOf(topic, group, partition), position)
      },
    })
  }

  async partitionCount(topic: string): Promise<number> {
    return specOf(this.#specs, topic).partitions
  }

  async logId(topic: string): Promise<string> {
    specOf(this.#specs, topic)
    return this.#logIds.get(topic) as string
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const log = this.#log(topic, partition)
    checkAppend(log.spec, records)
    const first = log.end
    log.lastAtMs = Math.max(log.lastAtMs, this.#clock.nowMs())
    for (const record of records) {
      if (record.key !== undefined && log.spec.keyed) forget(log, record.key)
      log.records.push(copied(record, log.end++, log.lastAtMs))
    }
    log.waiters.wake()
    return first
  }

  async fetch(topic: string, partition: number, offset: number): Promise<BusRecord> {
    const log = this.#log(topic, partition)
    const record = log.records[indexOf(log, offset)]
    if (record?.offset === offset) return record
    const code = offset >= log.end ? 'OFFSET_AHEAD' : 'OFFSET_GONE'
    const bounds = `it holds ${log.first} to ${log.end - 1}`
    throw new PipelineError(code, `${topic}/${partition} has no record ${offset}; ${bounds}`)
  }

  async fetchRanges(
    topic: string,
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    this.#log(topic, partition)
    checkRanges(topic, ranges)
    return fetchRangesOneByOne(ranges, offset => this.fetch(topic, partition, offset))
  }

  async read(
    topic: string,
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
  ): Promise<Batch> {
    return this.#read(this.#log(topic, partition), from, bytesMax, waitMs)
  }

  heads(topic: string, partition: number, from: number): readonly RecordHead[] {
    const log = this.#log(topic, partition)
    if (from < log.first) return []
    return log.records.slice(indexOf(log, from)).map(({ offset, appendedAtMs, header, value }) => ({
      offset,
      appendedAtMs,
      ...(header && { header: new Uint8Array(header) }),
      valueBytes: value.length,
    }))
  }

  async bounds(topic: string, partition: number): Promise<{ first: number; end: number }> {
    const { first, end } = this.#log(topic, partition)
    return { first, end }
  }

  async committed(topic: string, group: string, partition: number): Promise<Position | undefined> {
    checkPartition(specOf(this.#specs, topic), partition)
    return this.#positions.get(idOf(topic, group, partition))
  }

  join(topic: string, group: string, fold: (lease: Lease) => Promise<void>): Membership {
    return this.#groups.join(topic, group, fold)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const logs of this.#logs.values()) for (const log of logs) log.waiters.wake()
  }

  /** What retention would do in its time, now: everything before `offset` is gone. */
  expire(topic: string, partition: number, offset: number): void {
    expireBefore(this.#log(topic, partition), offset)
  }

  async #read(
    log: MemoryLog,
    from: number,
    bytesMax: number,
    waitMs: number,
    lost?: AbortSignal,
  ): Promise<Batch> {
    if (from > log.end) {
      throw new PipelineError('OFFSET_AHEAD', `${log.spec.name} ends at ${log.end}, not ${from}`)
    }
    const isEmpty = indexOf(log, from) >= log.records.length
    if (isEmpty && from >= log.first) await log.waiters.wait(waitMs, lost)
    const start = Math.max(from, log.first)
    const records: BusRecord[] = []
    let bytes = 0
    for (let at = indexOf(log, start); at < log.records.length; at++) {
      const record = log.records[at] as BusRecord
      bytes += record.value.length
      if (records.length > 0 && bytes > bytesMax) break
      records.push(record)
    }
    return from < start ? { records, gap: { from, to: start } } : { records }
  }

  #log(topic: string, partition: number): MemoryLog {
    const spec = specOf(this.#specs, topic)
    checkPartition(spec, partition)
    if (this.#isClosed) throw new PipelineError('BUS_UNAVAILABLE', 'the bus is closed')
    const log = (this.#logs.get(topic) as readonly MemoryLog[])[partition] as MemoryLog
    if (spec.retentionMs > 0) {
      const dueMs = this.#clock.nowMs() - spec.retentionMs
      const kept = log.records.find(record => record.appendedAtMs >= dueMs)
      expireBefore(log, kept?.offset ?? log.end)
    }
    return log
  }
}

function emptyLog(spec: TopicSpec): MemoryLog {
  return { spec, records: [], first: 0, end: 0, lastAtMs: 0, waiters: new Waiters() }
}

/** Index of the first retained record at or after `offset`. */
function indexOf(log: MemoryLog, offset: number): number {
  let low = 0
  let high = log.records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((log.records[middle] as BusRecord).offset < offset) low = middle + 1
    else high = middle
  }
  return low
}

function expireBefore(log: MemoryLog, offset: number): void {
  if (offset <= log.first) return
  log.records = log.records.slice(indexOf(log, offset))
  log.first = Math.min(offset, log.end)
}

function forget(log: MemoryLog, key: Uint8Array): void {
  log.records = log.records.filter(({ key: k }) => k === undefined || Buffer.compare(k, key) !== 0)
}

function copied(record: NewRecord, offset: number, appendedAtMs: number): BusRecord {
  return {
    offset,
    appendedAtMs,
    // Never `slice`: of a Buffer it is a view, and the caller may use the bytes again.
    value: new Uint8Array(record.value),
    ...(record.key && { key: new Uint8Array(record.key) }),
    ...(record.header && { header: new Uint8Array(record.header) }),
  }
}

const idOf = (topic: string, group: string, partition: number): string =>
  JSON.stringify([topic, group, partition])
