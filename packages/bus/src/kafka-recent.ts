// Hot on Kafka: every batch that is read in order passes here. One lookup a batch.
import type { BusRecord } from './bus.ts'
import { BatchCache, type DecodedBatch } from './kafka-batch-cache.ts'
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
  readonly #decoding = new Map<string, Promise<DecodedBatch>>()
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
    this.#forget(key)
    this.#written.set(key, batch)
    this.#writtenBytes += bytesOf(batch)
    for (const oldest of this.#written.keys()) {
      if (this.#writtenBytes <= this.#writtenBytesMax) return
      this.#forget(oldest)
    }
  }

  /** A batch that the broker has just returned, shared: nobody may write into its records. */
  decode(partition: number, batch: StoredBatch): Promise<DecodedBatch> {
    this.#isRead = true
    const checksum = checksumOf(batch)
    const cached = this.#cache.find(partition, batch.first)
    if (cached?.first === batch.first && cached.checksum === checksum) {
      return Promise.resolve(cached)
    }
    const key = `${partition}/${batch.first}/${checksum}`
    const under = this.#decoding.get(key)
    if (under !== undefined) return under
    const decoding = this.#decode(partition, batch, checksum).finally(() =>
      this.#decoding.delete(key),
    )
    this.#decoding.set(key, decoding)
    return decoding
  }

  async #decode(partition: number, batch: StoredBatch, checksum: number): Promise<DecodedBatch> {
    const { first, last } = batch
    const stored = storedRecords(batch)
    const written = this.#forget(glance(partition, stored))
    const isSame = written?.codec === codecOf(batch) && written.stored.equals(stored)
    const records: readonly BusRecord[] = isSame
      ? recordsOf(batch, written.plain)
      : await decodeBatch(batch)
    let bytes = 128
    for (const record of records) bytes += record.value.length
    const decoded = { first, last, checksum, bytes, records }
    this.#cache.add(partition, decoded)
    return decoded
  }

  #forget(key: string): WrittenBatch | undefined {
    const batch = this.#written.get(key)
    if (batch === undefined) return undefined
    this.#written.delete(key)
    this.#writtenBytes -= bytesOf(batch)
    return batch
  }
}

/** Compressed bytes differ in length or at the end, as a rule; what is taken for one is compared whole. */
function glance(partition: number, stored: Buffer): string {
  const { length } = stored
  return `${partition}/${length}/${length < 4 ? 0 : stored.readUInt32LE(length - 4)}`
}

function bytesOf({ stored, plain }: WrittenBatch): number {
  return stored.length + plain.length
}
