import type { HeldMemory } from '@winnow/runtime'
import type { BusRecord } from './bus.ts'

/** The records of one stored batch, and the offsets it spans: compaction leaves holes inside. */
export interface DecodedBatch {
  readonly first: number
  readonly last: number
  /** The broker's own, by which a topic that was made anew is told from the one before. */
  readonly checksum: number
  readonly bytes: number
  readonly records: readonly BusRecord[]
  /** Where the records lie, where that is used again: valid for as long as one holds it. */
  readonly memory?: HeldMemory
}

/**
 * Decoded batches by partition, the least recently used given up first. A writer that reads the
 * slices of one batch one after the other decompresses it once.
 */
export class BatchCache {
  readonly #bytesMax: number
  readonly #batchesMax: number
  /** In order of use: a Map iterates in order of insertion, and `find` inserts again. */
  readonly #batches = new Map<string, DecodedBatch>()
  /** First offsets by partition, so that a lookup by any offset finds its batch. */
  readonly #firsts = new Map<number, Set<number>>()
  #bytes = 0

  /** The count is bounded too, because `find` looks through a partition's batches one by one. */
  constructor(bytesMax: number, batchesMax: number) {
    this.#bytesMax = bytesMax
    this.#batchesMax = batchesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The batch that spans this offset, whether or not it still holds a record there. */
  find(partition: number, offset: number): DecodedBatch | undefined {
    for (const first of this.#firsts.get(partition) ?? []) {
      if (first > offset) continue
      const key = `${partition}/${first}`
      const batch = this.#batches.get(key)
      if (batch === undefined || batch.last < offset) continue
      this.#batches.delete(key)
      this.#batches.set(key, batch)
      return batch
    }
    return undefined
  }

  /** The batch that begins at this offset: one look, where `find` makes as many as there are batches. */
  at(partition: number, first: number): DecodedBatch | undefined {
    const key = `${partition}/${first}`
    const batch = this.#batches.get(key)
    if (batch === undefined) return undefined
    this.#batches.delete(key)
    this.#batches.set(key, batch)
    return batch
  }

  /** A batch larger than the whole budget is not kept. What is kept holds its memory. */
  add(partition: number, batch: DecodedBatch): void {
    const key = `${partition}/${batch.first}`
    const before = this.#batches.get(key)
    if (batch.bytes > this.#bytesMax || before?.checksum === batch.checksum) return
    if (before !== undefined) this.#remove(key, before)
    batch.memory?.hold()
    this.#batches.set(key, batch)
    this.#bytes += batch.bytes
    const firsts = this.#firsts.get(partition) ?? new Set()
    this.#firsts.set(partition, firsts.add(batch.first))
    for (const [oldKey, old] of this.#batches) {
      if (this.#bytes <= this.#bytesMax && this.#batches.size <= this.#batchesMax) return
      this.#remove(oldKey, old)
    }
  }

  #remove(key: string, { first, bytes, memory }: DecodedBatch): void {
    this.#batches.delete(key)
    this.#bytes -= bytes
    memory?.release()
    this.#firsts.get(Number(key.slice(0, key.indexOf('/'))))?.delete(first)
  }
}
