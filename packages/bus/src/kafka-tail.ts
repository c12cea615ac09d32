// Hot on Kafka: every record of a topic that is told to other threads is copied here once.
import { frameStrideOf, toBlock, writeFrame } from './file-format.ts'
import type { DecodedBatch } from './kafka-batch-cache.ts'
import { Ring } from './ring.ts'
import { runBytesMax } from './run-index.ts'
import { type SharedTail, TailIndex } from './tail-index.ts'

/** What was taken from the broker, as far as the ring may still have it. */
interface Held {
  /** Of the first record that readers are told of; beyond every offset while there is none. */
  first: number
  /** One after the last. */
  end: number
  /** The broker's checksums of batches by first offset, the oldest first. */
  readonly checksums: Map<number, number>
}

/**
 * The last records of a topic that readers of this process have met, in memory that other threads read by
 * themselves: for them a stretch of a value, or the head of a record, is then no message, no fetch and
 * nothing to inflate. It is a copy of what the broker returned and says nothing of where the log begins or
 * ends. A partition's records in it follow one another without a gap:
 *
 *   batch 7…9 after 4…6: taken          batch 12…14 after 4…6: taken, 4…6 are told no more
 *   batch 4…6 again: left, if its checksum is the same; else the log was cut and written anew, and
 *   nothing is told until it has grown beyond what was known before
 */
export class KafkaTail {
  readonly #topic: string
  readonly #ring: Ring
  readonly #index: TailIndex
  readonly #held: readonly Held[]
  readonly #firsts: Float64Array
  readonly #ends: Float64Array
  readonly #bytes: number

  /** `bytes`: of all partitions together, in whole blocks. */
  constructor(topic: string, partitions: number, bytes: number) {
    this.#topic = topic
    this.#bytes = bytes
    this.#ring = new Ring(Buffer.from(new SharedArrayBuffer(bytes)), 0, bytes)
    this.#firsts = new Float64Array(partitions).fill(nowhere)
    this.#ends = new Float64Array(partitions)
    this.#index = new TailIndex(this.#firsts, this.#ends)
    this.#held = Array.from({ length: partitions }, () => ({
      first: nowhere,
      end: 0,
      checksums: new Map<number, number>(),
    }))
  }

  get shared(): SharedTail {
    return {
      topic: this.#topic,
      partitions: this.#held.length,
      isLog: false,
      ...this.#ring.shared,
      index: this.#index.memory,
    }
  }

  /** A batch that the broker has returned to a reader in order. */
  add(partition: number, batch: DecodedBatch): void {
    const held = this.#held[partition] as Held
    if (batch.first < held.end) {
      const oldest = held.checksums.keys().next().value ?? nowhere
      const isSame = held.checksums.get(batch.first) === batch.checksum
      if (batch.first >= oldest && !isSame) this.#tellFrom(partition, nowhere)
      return
    }
    const bytes = bytesOf(batch)
    const isNext = batch.first === held.end && held.first !== nowhere
    held.end = batch.last + 1
    if (bytes > this.#bytes) {
      this.#tellFrom(partition, nowhere)
      return
    }
    if (!isNext) this.#tellFrom(partition, batch.first)
    held.checksums.set(batch.first, batch.checksum)
    if (held.checksums.size > checksumsMax) {
      held.checksums.delete(held.checksums.keys().next().value as number)
    }
    this.#write(partition, batch, bytes)
  }

  #write(partition: number, { records }: DecodedBatch, bytes: number): void {
    const ring = this.#ring
    const place = ring.reserve(toBlock(bytes))
    this.#index.setRingEnd(ring.end)
    const base = ring.indexOf(place)
    const runs: number[] = []
    let at = base
    let runStart = base
    let runFirst = -1
    for (const record of records) {
      if (runFirst >= 0 && at - runStart >= runBytesMax) {
        runs.push(partition, runFirst, 0, at - runStart, place + runStart - base)
        runStart = at
        runFirst = -1
      }
      if (runFirst < 0) runFirst = record.offset
      const { offset, appendedAtMs } = record
      at = writeFrame(ring.memory, at, record, partition, offset, appendedAtMs, false, undefined)
    }
    if (runFirst >= 0) runs.push(partition, runFirst, 0, at - runStart, place + runStart - base)
    this.#ends[partition] = (this.#held[partition] as Held).end
    this.#index.publish(runs, this.#ends)
  }

  #tellFrom(partition: number, first: number): void {
    const held = this.#held[partition] as Held
    if (held.first === first) return
    held.first = first
    held.checksums.clear()
    this.#firsts[partition] = first
    this.#index.setFirsts(this.#firsts)
  }
}

/** As many batches as are told apart again: those of a minute, as a rule. */
const checksumsMax = 4096

const nowhere = Number.POSITIVE_INFINITY

function bytesOf({ records }: DecodedBatch): number {
  let bytes = 0
  for (const record of records) bytes += frameStrideOf(record)
  return toBlock(bytes)
}
