// Hot file: one call a batch or record, never one a span; views into one buffer a read.
import { PipelineError } from '@winnow/runtime'
import type { Batch, BusRecord, RangeRead, ReadMemory, ValueRange } from './bus.ts'
import type { LogEvent } from './file-bus-events.ts'
import {
  frameBytesAt,
  frameOffsetAt,
  framePartitionAt,
  isIntact,
  recordAt,
  strideAt,
  valueBytesAt,
} from './file-format.ts'
import { firstsOf, type LogState } from './log-recovery.ts'
import { freshMemory } from './read-memory.ts'
import type { Ring } from './ring.ts'
import type { RunIndex } from './run-index.ts'
import type { Segment } from './segment.ts'
import { ownMemory, viewOf } from './value-ranges.ts'

const nothing = Buffer.alloc(0)

/** Other partitions' bytes are read along up to this, rather than one system call a small run. */
const windowBytesMax = 256 * 1024

/**
 * Reads durable records: out of the ring while they are there, else by one pread. What comes out of
 * the ring is copied, so a batch stays intact while the ring goes round.
 */
export class LogReader {
  readonly #state: LogState
  readonly #ring: Ring
  readonly #onEvent: (event: LogEvent) => void

  constructor(state: LogState, ring: Ring, onEvent: (event: LogEvent) => void) {
    this.#state = state
    this.#ring = ring
    this.#onEvent = onEvent
  }

  firstOf(partition: number): number {
    return firstsOf(this.#state)[partition] as number
  }

  endOf(partition: number): number {
    return this.#state.ends[partition] as number
  }

  async read(
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    lost?: AbortSignal,
    take = freshMemory,
  ): Promise<Batch> {
    const end = this.endOf(partition)
    if (from > end) throw this.#outside('OFFSET_AHEAD', partition, from)
    if (from === end) {
      // Who is told "nothing more" may take it that nothing comes that was stamped before it asked: so
      // what was on its way to the disk by then is waited for, however long that takes.
      const { stamped } = this.#state
      await this.#state.waiters[partition]?.wait(waitMs, lost)
      if (stamped !== undefined && this.endOf(partition) === end) await unlessLost(stamped, lost)
    }
    let at = from
    let lostTo = from
    while (at < this.endOf(partition)) {
      const held = this.#nextHeld(partition, at)
      if (held !== at && (!this.#state.spec.keyed || at < this.firstOf(partition))) lostTo = held
      at = held
      const segment = this.#segmentAt(partition, at)
      const runs = segment.runs[partition] as RunIndex
      const run = Math.max(0, runs.find(at))
      let records: BusRecord[] | undefined
      if (this.#ring.isLive(runs.ringAtOf(run))) {
        records = this.#fromRing(runs, run, at, bytesMax, take)
      } else records = await this.#fromFile(segment, partition, run, at, bytesMax, take)
      if (records !== undefined && records.length > 0) {
        return lostTo > from ? { records, gap: { from, to: lostTo } } : { records }
      }
      if (segment.isRemoved) continue
      const next = run + 1 < runs.count ? runs.firstOf(run + 1) : segment.ends[partition]
      at = next as number
      if (records === undefined) lostTo = at
    }
    return lostTo > from ? { records: [], gap: { from, to: lostTo } } : { records: [] }
  }

  async fetch(partition: number, offset: number): Promise<BusRecord> {
    while (offset >= this.firstOf(partition) && offset < this.endOf(partition)) {
      const segment = this.#segmentAt(partition, offset)
      const runs = segment.runs[partition] as RunIndex
      const run = runs.find(offset)
      if (run < 0 || offset >= (segment.ends[partition] as number)) break
      const records = this.#ring.isLive(runs.ringAtOf(run))
        ? this.#fromRing(runs, run, offset, 0, freshMemory)
        : await this.#fromFile(segment, partition, run, offset, 0, freshMemory)
      if (records?.[0]?.offset === offset) return records[0]
      if (segment.isRemoved) continue
      if (records !== undefined) break
      throw new PipelineError(
        'DATA_CORRUPT',
        `record ${offset} of ${this.#name(partition)} in ${segment.path} has a bad checksum`,
      )
    }
    const isAhead = !(offset < this.endOf(partition))
    throw this.#outside(isAhead ? 'OFFSET_AHEAD' : 'OFFSET_GONE', partition, offset)
  }

  /** Stretches of what lies in the ring, copied; `missing` has the places of those that do not. */
  rangesInRing(
    partition: number,
    ranges: readonly ValueRange[],
  ): { readonly reads: readonly RangeRead[]; readonly missing: readonly number[] } {
    const views: RangeRead[] = []
    const missing: number[] = []
    let value: Uint8Array | undefined
    let held = -1
    for (let at = 0; at < ranges.length; at++) {
      const range = ranges[at] as ValueRange
      if (range.offset !== held) value = this.#valueInRing(partition, range.offset)
      held = range.offset
      if (value === undefined) missing.push(at)
      views.push(value === undefined ? nothing : viewOf(value, range))
    }
    return { reads: ownMemory(views), missing }
  }

  #valueInRing(partition: number, offset: number): Uint8Array | undefined {
    if (!(offset >= this.firstOf(partition) && offset < this.endOf(partition))) return undefined
    const segment = this.#segmentAt(partition, offset)
    const runs = segment.runs[partition] as RunIndex
    const run = runs.find(offset)
    if (run < 0 || !this.#ring.isLive(runs.ringAtOf(run))) return undefined
    const { memory } = this.#ring
    const start = this.#ring.indexOf(runs.ringAtOf(run))
    for (let at = start; at < start + runs.bytesOf(run); at += strideAt(memory, at)) {
      if (frameOffsetAt(memory, at) !== offset) continue
      const end = at + frameBytesAt(memory, at)
      return memory.subarray(end - valueBytesAt(memory, at), end)
    }
    return undefined
  }

  /** `at`, or where the records after it begin, if retention, a lost piece or compaction took it. */
  #nextHeld(partition: number, at: number): number {
    const first = this.firstOf(partition)
    if (at < first) return first
    const { segments } = this.#state
    const index = this.#indexAt(partition, at)
    if (at < ((segments[index] as Segment).ends[partition] as number)) return at
    return (segments[index + 1] as Segment).header.bases[partition] as number
  }

  #segmentAt(partition: number, offset: number): Segment {
    return this.#state.segments[this.#indexAt(partition, offset)] as Segment
  }

  /** The last segment whose offsets of this partition begin at or before `offset`. */
  #indexAt(partition: number, offset: number): number {
    const { segments } = this.#state
    let low = 0
    let high = segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const base = (segments[middle] as Segment).header.bases[partition] as number
      if (base <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #fromRing(
    runs: RunIndex,
    firstRun: number,
    from: number,
    bytesMax: number,
    take: ReadMemory,
  ): BusRecord[] {
    const { memory } = this.#ring
    const starts: number[] = []
    let copyBytes = 0
    let valueBytes = 0
    scan: for (let run = firstRun; run < runs.count; run++) {
      const end = this.#ring.indexOf(runs.ringAtOf(run)) + runs.bytesOf(run)
      for (let at = end - runs.bytesOf(run); at < end; at += strideAt(memory, at)) {
        if (frameOffsetAt(memory, at) < from) continue
        valueBytes += valueBytesAt(memory, at)
        if (starts.length > 0 && valueBytes > bytesMax) break scan
        starts.push(at)
        copyBytes += strideAt(memory, at)
      }
      if (valueBytes >= bytesMax && starts.length > 0) break
    }
    const copy = take(copyBytes)
    const records: BusRecord[] = []
    let to = 0
    for (const at of starts) {
      const bytes = frameBytesAt(memory, at)
      memory.copy(copy, to, at, at + bytes)
      records.push(recordAt(copy, to))
      to += strideAt(memory, at)
    }
    return records
  }

  /** Undefined: the first record wanted is illegible. Empty: this run has nothing from `from` on. */
  async #fromFile(
    segment: Segment,
    partition: number,
    firstRun: number,
    from: number,
    bytesMax: number,
    take: ReadMemory,
  ): Promise<BusRecord[] | undefined> {
    const runs = segment.runs[partition] as RunIndex
    const start = runs.positionOf(firstRun)
    let useful = runs.bytesOf(firstRun)
    let end = start + useful
    let lastRun = firstRun
    while (lastRun + 1 < runs.count && useful < bytesMax) {
      const nextEnd = runs.positionOf(lastRun + 1) + runs.bytesOf(lastRun + 1)
      if (nextEnd - start > Math.max(windowBytesMax, 2 * useful)) break
      lastRun++
      useful += runs.bytesOf(lastRun)
      end = nextEnd
    }
    const bytes = take(end - start)
    try {
      if ((await segment.read(bytes, end - start, start)) < end - start) return undefined
    } catch (cause) {
      if (segment.isRemoved) return []
      const name = this.#name(partition)
      throw new PipelineError('BUS_UNAVAILABLE', `reading ${segment.path} for ${name}`, { cause })
    }
    const records: BusRecord[] = []
    let valueBytes = 0
    for (let run = firstRun; run <= lastRun; run++) {
      const runEnd = runs.positionOf(run) - start + runs.bytesOf(run)
      for (let at = runEnd - runs.bytesOf(run); at < runEnd; at += strideAt(bytes, at)) {
        const isGood =
          isIntact(bytes, at, runEnd, this.#state.seed) && framePartitionAt(bytes, at) === partition
        if (!isGood) return records.length > 0 ? records : this.#corrupt(partition, from)
        if (frameOffsetAt(bytes, at) < from) continue
        valueBytes += valueBytesAt(bytes, at)
        if (records.length > 0 && valueBytes > bytesMax) return records
        records.push(recordAt(bytes, at))
      }
    }
    return records
  }

  #corrupt(partition: number, offset: number): undefined {
    this.#onEvent({ kind: 'corrupt', topic: this.#state.spec.name, partition, offset })
  }

  #outside(code: 'OFFSET_AHEAD' | 'OFFSET_GONE', partition: number, offset: number): PipelineError {
    const held = `it holds ${this.firstOf(partition)} up to ${this.endOf(partition)}`
    return new PipelineError(code, `${this.#name(partition)} has no record ${offset}; ${held}`)
  }

  #name(partition: number): string {
    return `${this.#state.spec.name}/${partition}`
  }
}

function unlessLost(settled: Promise<void>, lost: AbortSignal | undefined): Promise<void> {
  if (lost === undefined) return settled
  if (lost.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const end = (): void => {
      lost.removeEventListener('abort', end)
      resolve()
    }
    lost.addEventListener('abort', end)
    void settled.then(end)
  })
}
