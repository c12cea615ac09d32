import { type Clock, PipelineError } from '@winnow/runtime'
import type { BusRecord, Gap } from './bus.ts'
import type { InflateRoom } from './inflate-room.ts'
import type { KafkaClients } from './kafka-client.ts'
import type { LeaseReader } from './kafka-lease.ts'
import type { KafkaLink } from './kafka-link.ts'
import type { KafkaBusEvent, KafkaLimits } from './kafka-options.ts'
import { KafkaPoller } from './kafka-poller.ts'
import { KafkaReader, type ReadBatch } from './kafka-reader.ts'
import {
  codecOf,
  decodeBatch,
  isReadCodec,
  type StoredBatch,
  splitBatches,
} from './kafka-records.ts'

export interface KafkaSourceReaderOptions {
  readonly clients: KafkaClients
  readonly topic: string
  readonly limits: KafkaLimits
  readonly clock: Clock
  readonly room: InflateRoom
  /** The Kafka header whose content is a record's `header`; none where it is absent. */
  readonly headerName: string | undefined
  readonly onEvent: (event: KafkaBusEvent) => void
}

/** What a partition has in hand: compressed batches that follow, and the memory of the last one read. */
interface InHand {
  next: number
  stored: readonly StoredBatch[]
}

/**
 * Reads a topic that others write. One batch as its producer made it is one read, so that no more than
 * that is inflated for a partition at a time. A batch that is broken is a gap with its cause and holds
 * nothing up; one of a codec that is not read here is CONFIG_INVALID: its records are whole, and a
 * setting away.
 */
export class KafkaSourceReader implements LeaseReader {
  readonly #options: KafkaSourceReaderOptions
  /** For its questions alone. */
  readonly #reader: KafkaReader
  readonly #poller: KafkaPoller
  readonly #inHand = new Map<number, InHand>()

  constructor(options: KafkaSourceReaderOptions) {
    const { clients, topic, limits, clock } = options
    this.#options = options
    this.#reader = new KafkaReader(clients, topic, limits, clock)
    this.#poller = new KafkaPoller(clients, topic, limits, clock)
  }

  get link(): KafkaLink {
    return this.#reader.link
  }

  bounds(partition: number): Promise<{ readonly first: number; readonly end: number }> {
    return this.#reader.bounds(partition)
  }

  async read(
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<ReadBatch> {
    const hand = this.#handOf(partition, from, signal)
    for (;;) {
      if (hand.stored.length === 0) {
        const polled = await this.#poller.poll(partition, hand.next, bytesMax, waitMs, signal)
        if (polled === 'none') return { records: [], next: hand.next }
        if (polled === 'outside') {
          const gap = await this.#gone(partition, hand.next)
          if (gap === undefined) continue
          hand.next = gap.to
          return { records: [], next: gap.to, gap }
        }
        hand.stored = splitBatches(polled.records)
      }
      const [batch, ...others] = hand.stored
      if (batch === undefined) continue
      const read = await this.#inflate(partition, hand, batch, signal)
      hand.stored = others
      hand.next = Math.max(hand.next, batch.last + 1)
      // A batch may hold nothing of ours: compaction took it, or it is the marker of a transaction.
      if (read.records.length > 0 || read.gap !== undefined) return { ...read, next: hand.next }
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#poller.close(), this.#reader.close()])
  }

  /** What the last read returned is done with; a read from elsewhere begins anew. */
  #handOf(partition: number, from: number, signal: AbortSignal | undefined): InHand {
    const { room } = this.#options
    const before = this.#inHand.get(partition)
    if (before !== undefined) room.release(before)
    if (before?.next === from) return before
    const hand = { next: from, stored: [] }
    this.#inHand.set(partition, hand)
    signal?.addEventListener('abort', () => {
      room.release(hand)
      if (this.#inHand.get(partition) === hand) this.#inHand.delete(partition)
    })
    return hand
  }

  /** Undefined: the offset is held after all. */
  async #gone(partition: number, from: number): Promise<Gap | undefined> {
    const { first, end } = await this.bounds(partition)
    if (from < first) return { from, to: first }
    if (from <= end) return undefined
    const what = `${this.#options.topic}/${partition} ends at ${end}, not ${from}`
    throw new PipelineError('OFFSET_AHEAD', `${what}: it was made anew or truncated`)
  }

  async #inflate(
    partition: number,
    hand: InHand,
    batch: StoredBatch,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly records: readonly BusRecord[]; readonly gap?: Gap }> {
    const { topic, room, headerName, onEvent } = this.#options
    const codec = codecOf(batch)
    if (!isReadCodec(codec)) throw unreadCodec(topic, partition, batch.first, codec)
    try {
      const decode = () => decodeBatch(batch, headerName)
      const records = await room.inflate(hand, decode, bytesOf, signal)
      if (signal?.aborted === true) room.release(hand)
      // The batch that spans an offset begins before it.
      return { records: records.filter(({ offset }) => offset >= hand.next) }
    } catch (error) {
      if (!(error instanceof PipelineError && error.code === 'DATA_CORRUPT')) throw error
      const gap = {
        from: Math.max(hand.next, batch.first),
        to: batch.last + 1,
        cause: error.message,
      }
      onEvent({ kind: 'damaged', topic, partition, from: gap.from, to: gap.to, error })
      return { records: [], gap }
    }
  }
}

function bytesOf(records: readonly BusRecord[]): number {
  let bytes = 0
  for (const { value } of records) bytes += value.length + recordOverheadBytes
  return bytes
}

/** Of a record's object, about. */
const recordOverheadBytes = 128

function unreadCodec(
  topic: string,
  partition: number,
  offset: number,
  codec: number,
): PipelineError {
  const what = `topic ${topic}, partition ${partition}, offset ${offset}: codec ${codec} is not read here`
  const remedy =
    'have its producers write zstd, gzip, snappy, lz4 or none, and set the position of the group behind what is there'
  return new PipelineError('CONFIG_INVALID', `${what}; ${remedy}`)
}
