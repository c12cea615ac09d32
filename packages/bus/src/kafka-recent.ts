// Hot on Kafka: every batch that is read in order passes here. One lookup a batch.
import type { HeldMemory } from '@winnow/runtime'
import type { BusRecord } from './bus.ts'
import { BatchCache, type DecodedBatch } from './kafka-batch-cache.ts'
import { batchMemory } from './kafka-memory.ts'
import type { KafkaLimits } from './kafka-options.ts'
import {
  checksumOf,
  codecOf,
  decodeBatch,
  recordsOf,
  type StoredBatch,
  storedRecords,
} from './kafka-records.ts'

/** A batch as this process sends it, and what it was before it was compressed. */
export interface WrittenBatch {
  readonly codec: number
  readonly stored: Buffer
  readonly plain: Buffer
  /** Where the two lie, where that is used again: held for as long as this is kept. */
  readonly memory?: { readonly stored: HeldMemory; readonly plain: HeldMemory }
}

export type RecentLimits = Pick<
  KafkaLimits,
  'recentBytesMax' | 'cacheBatchesMax' | 'writtenBytesMax'
>

/**
 * What lets the readers of one process share the work on a topic: a batch that one of them has
 * decoded, or that was sent from here a moment ago, is not inflated again. It decides nothing about
 * what is in the log: that is the broker's answer, with which every batch is compared first.
 *
 *   sent from here ─▶ plain bytes ┐ same compressed bytes
 *   broker's answer ──────────────┼──▶ records ─▶ cache ─▶ the other readers
 *                     inflate ────┘                        (same offsets, same checksum)
 */
export class RecentBatches {
  readonly #cache: BatchCache
  readonly #writtenBytesMax: number
  /** By what tells batches apart at a glance, the oldest first. */
  readonly #written = new Map<string, WrittenBatch>()
  /** Readers of the same records come at the same moment. */
  readonly #decoding = new Map<string, Decoding>()
  #writtenBytes = 0
  #isRead = false

  constructor(limits: RecentLimits) {
    this.#cache = new BatchCache(limits.recentBytesMax, limits.cacheBatchesMax)
    this.#writtenBytesMax = limits.writtenBytesMax
  }

  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /**
   * Told before it is sent: its readers may have it before its writer has the answer. Kept until it
   * is read, where anybody reads here at all. The bytes must stay as they are.
   */
  sends(partition: number, batch: WrittenBatch): void {
    if (!this.#isRead) return
    const key = glance(partition, batch.stored)
    this.#giveUp(key)
    batch.memory?.stored.hold()
    batch.memory?.plain.hold()
    this.#written.set(key, batch)
    this.#writtenBytes += bytesOf(batch)
    for (const oldest of this.#written.keys()) {
      if (this.#writtenBytes <= this.#writtenBytesMax) return
      this.#giveUp(oldest)
    }
  }

  /**
   * A batch that the broker has just returned, shared: nobody may write into its records. It is held for
   * the caller, who lets its memory go.
   */
  async decode(partition: number, batch: StoredBatch): Promise<DecodedBatch> {
    this.#isRead = true
    const checksum = checksumOf(batch)
    const cached = this.#cache.at(partition, batch.first)
    if (cached?.checksum === checksum) {
      cached.memory?.hold()
      return cached
    }
    const key = `${partition}/${batch.first}/${checksum}`
    const under = this.#decoding.get(key) ?? this.#begin(partition, batch, checksum, key)
    under.readers++
    return under.decoded
  }

  #begin(partition: number, batch: StoredBatch, checksum: number, key: string): Decoding {
    const decoding: Decoding = {
      readers: 0,
      decoded: this.#decode(partition, batch, checksum)
        .finally(() => this.#decoding.delete(key))
        .then(decoded => {
          // For each who waits, before any of them goes on; who comes later finds it in the cache.
          for (let more = decoding.readers; more > 0; more--) decoded.memory?.hold()
          this.#cache.add(partition, decoded)
          decoded.memory?.release()
          return decoded
        }),
    }
    this.#decoding.set(key, decoding)
    return decoding
  }

  /** Held once. */
  async #decode(partition: number, batch: StoredBatch, checksum: number): Promise<DecodedBatch> {
    const { first, last } = batch
    const stored = storedRecords(batch)
    const written = this.#forget(glance(partition, stored))
    const isSame = written?.codec === codecOf(batch) && written.stored.equals(stored)
    written?.memory?.stored.release()
    let memory = isSame ? written.memory?.plain : undefined
    if (!isSame) written?.memory?.plain.release()
    const take = (length: number): Buffer => {
      memory = batchMemory.take(length)
      return memory.bytes
    }
    const records: readonly BusRecord[] = isSame
      ? recordsOf(batch, written.plain)
      : await decodeBatch(batch, undefined, take)
    let bytes = 128
    for (const record of records) bytes += record.value.length
    return { first, last, checksum, bytes, records, ...(memory && { memory }) }
  }

  #forget(key: string): WrittenBatch | undefined {
    const batch = this.#written.get(key)
    if (batch === undefined) return undefined
    this.#written.delete(key)
    this.#writtenBytes -= bytesOf(batch)
    return batch
  }

  #giveUp(key: string): void {
    const batch = this.#forget(key)
    batch?.memory?.stored.release()
    batch?.memory?.plain.release()
  }
}

/** One batch that is being inflated, and how many wait for it. */
interface Decoding {
  readers: number
  readonly decoded: Promise<DecodedBatch>
}

/** Compressed bytes differ in length or at the end, as a rule; what is taken for one is compared whole. */
function glance(partition: number, stored: Buffer): string {
  const { length } = stored
  return `${partition}/${length}/${length < 4 ? 0 : stored.readUInt32LE(length - 4)}`
}

/** What keeping it costs: a small batch holds whole pieces of its pool. */
function bytesOf({ stored, plain, memory }: WrittenBatch): number {
  if (memory !== undefined) return memory.stored.bytes.length + memory.plain.bytes.length
  return stored.length + plain.length
}
