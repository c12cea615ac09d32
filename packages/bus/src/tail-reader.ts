// Hot file: every record that a worker reads of the tail passes here; one copy, no message.
import type { BusRecord, RangeRead, ReadMemory, RecordHead, ValueRange } from './bus.ts'
import {
  frameBytesAt,
  frameHeadBytes,
  frameOffsetAt,
  headAt,
  recordAt,
  strideAt,
  strideOf,
  valueBytesAt,
} from './file-format.ts'
import { freshMemory } from './read-memory.ts'
import {
  countFloat,
  endFloat,
  fence,
  firstFloat,
  headInts,
  movedInt,
  partitionAt,
  ringEndFloat,
  runFloats,
  runsFloat,
  type SharedTail,
  settledInt,
  stampedInt,
  tailRunsMax,
  versionInt,
} from './tail-index.ts'
import { ownMemory, viewOf } from './value-ranges.ts'

/**
 * Reads the tail of another thread's log out of the memory that both share, see TailIndex. Everything
 * is copied, and a copy counts only if the ring had not come round to it by then. No checksum is needed
 * for that: these bytes have not left the process. Whoever gets `undefined` asks the other thread.
 */
export class TailReader {
  readonly partitions: number
  readonly #ints: Int32Array
  readonly #floats: Float64Array
  readonly #ring: Buffer
  readonly #base: number
  readonly #size: number
  /** The runs that were found last: two numbers each, place and bytes. */
  readonly #found: number[] = []

  constructor({ partitions, memory, base, size, index }: SharedTail) {
    this.partitions = partitions
    this.#ints = new Int32Array(index, 0, headInts)
    this.#floats = new Float64Array(index)
    this.#ring = Buffer.from(memory)
    this.#base = base
    this.#size = size
  }

  /** For `Atomics.waitAsync`, with `moved`. */
  get ints(): Int32Array {
    return this.#ints
  }

  /** Changes whenever there is something new to look at. */
  moved(): number {
    return Atomics.load(this.#ints, movedInt)
  }

  /** How many commits have got their times so far. */
  stamped(): number {
    return Atomics.load(this.#ints, stampedInt)
  }

  /** Whether so many commits exist for readers by now, or never will. */
  hasSettled(stamped: number): boolean {
    return ((Atomics.load(this.#ints, settledInt) - stamped) | 0) >= 0
  }

  bounds(partition: number): { readonly first: number; readonly end: number } | undefined {
    const at = partitionAt(partition)
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const version = Atomics.load(this.#ints, versionInt)
      const first = this.#floats[at + firstFloat] as number
      const end = this.#floats[at + endFloat] as number
      if (this.#isStill(version)) return { first, end }
    }
    return undefined
  }

  /** As `Bus.read` of an offset that exists. */
  read(
    partition: number,
    from: number,
    bytesMax: number,
    take: ReadMemory,
  ): BusRecord[] | undefined {
    if (!this.#find(partition, from, bytesMax)) return undefined
    const found = this.#found
    let bytes = 0
    for (let run = 0; run < found.length; run += 2) bytes += found[run + 1] as number
    const memory = take(bytes)
    let to = 0
    for (let run = 0; run < found.length; run += 2) {
      const start = this.#indexOf(found[run] as number)
      this.#ring.copy(memory, to, start, start + (found[run + 1] as number))
      to += found[run + 1] as number
    }
    if (!this.#isLive(found[0] as number)) return undefined
    const records: BusRecord[] = []
    let valueBytes = 0
    for (let at = 0; at < to; at += strideAt(memory, at)) {
      if (frameOffsetAt(memory, at) < from) continue
      valueBytes += valueBytesAt(memory, at)
      if (records.length > 0 && valueBytes > bytesMax) break
      records.push(recordAt(memory, at))
    }
    return records
  }

  /** As `Bus.heads`. */
  heads(partition: number, from: number): readonly RecordHead[] {
    if (!this.#find(partition, from, headsBytesMax)) return []
    const ring = this.#ring
    const heads: RecordHead[] = []
    for (let run = 0; run < this.#found.length; run += 2) {
      const start = this.#indexOf(this.#found[run] as number)
      const end = start + (this.#found[run + 1] as number)
      for (let at = start; at + frameHeadBytes <= end; ) {
        // Whatever is written over meanwhile, no length is believed beyond its run.
        const bytes = frameBytesAt(ring, at)
        if (bytes < frameHeadBytes || at + bytes > end) return []
        const head = headAt(ring, at)
        if (head.offset >= from) heads.push(head)
        at += strideOf(bytes)
      }
    }
    return this.#isLive(this.#found[0] as number) ? heads : []
  }

  fetch(partition: number, offset: number): BusRecord | undefined {
    const start = this.#frameOf(partition, offset)
    if (start < 0) return undefined
    const bytes = frameBytesAt(this.#ring, start)
    // The length may be of other bytes by now, and then it is nothing to take memory for.
    if (bytes > strideOf(this.#found[1] as number)) return undefined
    const memory = freshMemory(bytes)
    this.#ring.copy(memory, 0, start, start + bytes)
    return this.#isLive(this.#found[0] as number) ? recordAt(memory, 0) : undefined
  }

  /** As `LogReader.rangesInRing`. */
  ranges(
    partition: number,
    ranges: readonly ValueRange[],
  ): { readonly reads: readonly RangeRead[]; readonly missing: readonly number[] } | undefined {
    const views: RangeRead[] = []
    const missing: number[] = []
    let value: Uint8Array | undefined
    let held = -1
    let oldest = Number.POSITIVE_INFINITY
    for (let at = 0; at < ranges.length; at++) {
      const range = ranges[at] as ValueRange
      if (range.offset !== held) {
        value = this.#valueOf(partition, range.offset)
        if (value !== undefined) oldest = Math.min(oldest, this.#found[0] as number)
      }
      held = range.offset
      if (value === undefined) missing.push(at)
      views.push(value === undefined ? nothing : viewOf(value, range))
    }
    const reads = ownMemory(views)
    return this.#isLive(oldest) ? { reads, missing } : undefined
  }

  /** A view of the ring, to be copied and then proved. */
  #valueOf(partition: number, offset: number): Uint8Array | undefined {
    const start = this.#frameOf(partition, offset)
    if (start < 0) return undefined
    const end = start + frameBytesAt(this.#ring, start)
    return this.#ring.subarray(end - valueBytesAt(this.#ring, start), end)
  }

  /**
   * Index of a record's frame in the ring, else -1. What it passes may be written over meanwhile, so
   * that no length is believed beyond its run.
   */
  #frameOf(partition: number, offset: number): number {
    if (!this.#find(partition, offset, 0)) return -1
    const ring = this.#ring
    const start = this.#indexOf(this.#found[0] as number)
    const end = start + (this.#found[1] as number)
    for (let at = start; at + frameHeadBytes <= end; ) {
      const bytes = frameBytesAt(ring, at)
      if (bytes < frameHeadBytes || at + bytes > end) return -1
      if (frameOffsetAt(ring, at) === offset) return valueBytesAt(ring, at) < 0 ? -1 : at
      at += strideOf(bytes)
    }
    return -1
  }

  /** Puts the runs from the one with `from` on into `#found`, as many as have `bytesMax`, but one. */
  #find(partition: number, from: number, bytesMax: number): boolean {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const version = Atomics.load(this.#ints, versionInt)
      this.#look(partitionAt(partition), from, bytesMax)
      if (this.#isStill(version)) return this.#found.length > 0
    }
    return false
  }

  #look(at: number, from: number, bytesMax: number): void {
    const floats = this.#floats
    const found = this.#found
    found.length = 0
    const isHeld = from >= (floats[at + firstFloat] as number)
    if (!isHeld || !(from < (floats[at + endFloat] as number))) return
    const count = floats[at + countFloat] as number
    const oldest = Math.max(0, count - tailRunsMax)
    let low = oldest
    let high = count
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((floats[runAt(at, middle)] as number) <= from) low = middle + 1
      else high = middle
    }
    if (low === oldest) return
    let bytes = 0
    for (let run = low - 1; run < count && (bytes === 0 || bytes < bytesMax); run++) {
      const place = floats[runAt(at, run) + 1] as number
      if (place < (floats[ringEndFloat] as number) - this.#size) return
      const runBytes = floats[runAt(at, run) + 2] as number
      found.push(place, runBytes)
      bytes += runBytes
    }
  }

  #isStill(version: number): boolean {
    if ((version & 1) === 1) return false
    fence()
    return Atomics.load(this.#ints, versionInt) === version
  }

  /** Whether what was copied from `place` on before was still there. */
  #isLive(place: number): boolean {
    fence()
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const version = Atomics.load(this.#ints, versionInt)
      const end = this.#floats[ringEndFloat] as number
      if (this.#isStill(version)) return place >= end - this.#size
    }
    return false
  }

  #indexOf(place: number): number {
    return this.#base + (place % this.#size)
  }
}

/** Of records whose heads are told at once: some hundred where they are large. */
const headsBytesMax = 16 << 20

const nothing = Buffer.alloc(0)

/** The writer needs microseconds for a change; who still finds it at it asks by a message. */
const attemptsMax = 1000

function runAt(at: number, run: number): number {
  return at + runsFloat + (run % tailRunsMax) * runFloats
}
