import type { Batch, BusRecord, RangeRead, ReadMemory, RecordHead, ValueRange } from './bus.ts'
import type { SharedTail } from './tail-index.ts'
import { TailReader } from './tail-reader.ts'
import { TailWaiters } from './tail-waiters.ts'

/**
 * The tail of a log of another thread for all readers of this one. Undefined means that the other
 * thread has to be asked: what is wanted lies in files, or nowhere.
 */
export class RemoteTail {
  /** See SharedTail. */
  readonly isLog: boolean
  readonly #reader: TailReader
  readonly #waiters: TailWaiters
  readonly #partitions: number
  #turnBytes = 0
  #turn: Promise<void> | undefined

  constructor(tail: SharedTail) {
    this.isLog = tail.isLog
    this.#reader = new TailReader(tail)
    this.#waiters = new TailWaiters(this.#reader)
    this.#partitions = tail.partitions
  }

  has(partition: number): boolean {
    return Number.isInteger(partition) && partition >= 0 && partition < this.#partitions
  }

  bounds(partition: number): { readonly first: number; readonly end: number } | undefined {
    return this.#reader.bounds(partition)
  }

  async read(
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    take: ReadMemory,
    lost: AbortSignal | undefined,
  ): Promise<Batch | undefined> {
    while (this.#turn !== undefined) await this.#turn
    if (this.#reader.bounds(partition)?.end === from) {
      await this.#waiters.wait(partition, from, waitMs, lost)
      if (lost?.aborted === true) return { records: [] }
      if (this.#reader.bounds(partition)?.end === from) return { records: [] }
    }
    const records = this.#reader.read(partition, from, bytesMax, take)
    if (records === undefined) return undefined
    for (let at = 0; at < records.length; at++) this.#count((records[at] as BusRecord).value.length)
    return { records }
  }

  heads(partition: number, from: number): readonly RecordHead[] {
    return this.#reader.heads(partition, from)
  }

  async fetch(partition: number, offset: number): Promise<BusRecord | undefined> {
    while (this.#turn !== undefined) await this.#turn
    const record = this.#reader.fetch(partition, offset)
    this.#count(record?.value.length ?? 0)
    return record
  }

  async ranges(
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<{ reads: readonly RangeRead[]; missing: readonly number[] } | undefined> {
    while (this.#turn !== undefined) await this.#turn
    const found = this.#reader.ranges(partition, ranges)
    for (let at = 0; at < ranges.length; at++) this.#count((ranges[at] as ValueRange).length)
    return found
  }

  close(): void {
    this.#waiters.close()
  }

  /**
   * Nothing here waits for anybody, so a reader far behind would keep its thread from all else. After
   * `turnBytesMax` the next look waits for a turn of the event loop.
   */
  #count(bytes: number): void {
    this.#turnBytes += bytes
    if (this.#turnBytes < turnBytesMax || this.#turn !== undefined) return
    this.#turn = new Promise(resolve => {
      setImmediate(() => {
        this.#turn = undefined
        this.#turnBytes = 0
        resolve()
      })
    })
  }
}

/** A millisecond or two of folding, for most. */
const turnBytesMax = 256 * 1024
