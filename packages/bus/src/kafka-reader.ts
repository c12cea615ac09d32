import { type Clock, type HeldMemory, PipelineError } from '@winnow/runtime'
import type { Batch, BusRecord, Gap, RangeRead, ReadMemory, ValueRange } from './bus.ts'
import { BatchCache, type DecodedBatch } from './kafka-batch-cache.ts'
import type { KafkaClients } from './kafka-client.ts'
import { fromKafka } from './kafka-errors.ts'
import { KafkaLink } from './kafka-link.ts'
import type { KafkaLimits } from './kafka-options.ts'
import { KafkaPoller, offsetOutOfRange } from './kafka-poller.ts'
import { RecentBatches, type WrittenBatch } from './kafka-recent.ts'
import { type StoredBatch, splitBatches } from './kafka-records.ts'
import { fetchRequest } from './kafka-requests.ts'
import type { KafkaTail } from './kafka-tail.ts'
import { freshMemory } from './read-memory.ts'
import { fetchRangesOneByOne } from './value-ranges.ts'

/** A batch, and the offset that the next one starts at: not always one after its last record. */
export interface ReadBatch extends Batch {
  readonly next: number
  /** Where its records lie, if that is used again: whoever is done with all of them may let it go. */
  readonly held?: readonly HeldMemory[]
}

/** What a poll brought and a read did not return: the next read in order takes it from here. */
interface Rest {
  readonly next: number
  readonly decoded: readonly BusRecord[]
  /** The last offset of the batch that `decoded` is of: compaction may have taken its last records. */
  readonly last: number
  /** Where `decoded` lies, held once. */
  readonly memory: HeldMemory | undefined
  readonly stored: readonly StoredBatch[]
}

/** Kafka's timestamps for "the first offset held" and "the next one". */
const earliest = -2
const latest = -1

/** Everything that reads one topic: by position, by offset, and its bounds. */
export class KafkaReader {
  readonly #topic: string
  readonly #limits: KafkaLimits
  readonly #link: KafkaLink
  readonly #poller: KafkaPoller
  readonly #cache: BatchCache
  readonly #recent: RecentBatches
  readonly #tail: KafkaTail | undefined
  readonly #rests = new Map<number, Rest>()
  /** Of leases, each of one partition. Several groups may read it in turns, so there may be several of one. */
  readonly #followed = new WeakSet<AbortSignal>()
  /** The fetch under way in a partition: the next one may find its batch in the cache. */
  readonly #fetching = new Map<number, Promise<unknown>>()

  constructor(
    clients: KafkaClients,
    topic: string,
    limits: KafkaLimits,
    clock: Clock,
    tail?: KafkaTail,
  ) {
    this.#topic = topic
    this.#tail = tail
    this.#limits = limits
    this.#link = new KafkaLink(clients, topic)
    this.#poller = new KafkaPoller(clients, topic, limits, clock)
    this.#cache = new BatchCache(limits.cacheBytesMax, limits.cacheBatchesMax)
    this.#recent = new RecentBatches(limits)
  }

  /** The link for questions that a broker answers at once: also offsets of groups. */
  get link(): KafkaLink {
    return this.#link
  }

  /** What is about to be sent: who reads it here need not inflate it. */
  sends(partition: number, batch: WrittenBatch): void {
    this.#recent.sends(partition, batch)
  }

  /** With `signal`, that of a lease: nothing is held in hand for the next read once it is aborted. */
  async read(
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<ReadBatch> {
    if (signal !== undefined) this.#follow(partition, signal)
    try {
      return await this.#read(partition, from, bytesMax, waitMs, signal)
    } finally {
      if (signal?.aborted === true) this.#drop(partition)
    }
  }

  #follow(partition: number, signal: AbortSignal): void {
    if (this.#followed.has(signal)) return
    this.#followed.add(signal)
    signal.addEventListener('abort', () => this.#drop(partition), { once: true })
  }

  /** What a poll brought is fetched again by whoever wants it, as another group. */
  #drop(partition: number): void {
    this.#rests.get(partition)?.memory?.release()
    this.#rests.delete(partition)
  }

  async #read(
    partition: number,
    from: number,
    bytesMax: number,
    waitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<ReadBatch> {
    const rest = this.#rests.get(partition)
    this.#rests.delete(partition)
    let next = from
    if (rest?.next === from) {
      const batch = await this.#take(partition, rest, from, bytesMax)
      if (batch.records.length > 0) return batch
      next = batch.next
    } else rest?.memory?.release()
    let gap: Gap | undefined
    for (;;) {
      const polled = await this.#poller.poll(partition, next, bytesMax, waitMs, signal)
      if (polled === 'none') return { records: [], next, ...(gap && { gap }) }
      if (polled === 'outside') {
        const { first, end } = await this.bounds(partition)
        if (next > end) {
          throw new PipelineError(
            'OFFSET_AHEAD',
            `${this.#topic}/${partition} ends at ${end}, not ${next}`,
          )
        }
        if (next < first) gap = { from, to: first }
        next = Math.max(next, first)
        continue
      }
      const stored = splitBatches(polled.records)
      const batch = await this.#take(
        partition,
        { next, decoded: [], last: -1, memory: undefined, stored },
        next,
        bytesMax,
      )
      // A batch may hold nothing of ours: compaction took it, or somebody's transaction marker.
      if (batch.records.length > 0) return { ...batch, ...(gap && { gap }) }
      next = batch.next
    }
  }

  async fetch(partition: number, offset: number): Promise<BusRecord> {
    const batch = await this.#fetch(partition, offset)
    try {
      const record = recordAt(batch, offset, this.#topic, partition)
      return copyOf([record], freshMemory)[0] as BusRecord
    } finally {
      batch.memory?.release()
    }
  }

  async fetchRanges(
    partition: number,
    ranges: readonly ValueRange[],
  ): Promise<readonly RangeRead[]> {
    let held: HeldMemory | undefined
    const letGo = (): void => {
      held?.release()
      held = undefined
    }
    try {
      return await fetchRangesOneByOne(ranges, async offset => {
        // What the one before held has been cut out by now.
        letGo()
        const batch = await this.#fetch(partition, offset)
        held = batch.memory
        return recordAt(batch, offset, this.#topic, partition)
      })
    } finally {
      letGo()
    }
  }

  async bounds(partition: number): Promise<{ readonly first: number; readonly end: number }> {
    return this.#answered(`bounds of ${this.#topic}/${partition}`, async () => {
      const leader = await this.#link.leaderOf(partition)
      const [first, end] = await this.#link.onNode(leader, broker =>
        Promise.all(
          [earliest, latest].map(timestamp =>
            broker.listOffsets({
              isolationLevel: 0,
              topics: [{ topic: this.#topic, partitions: [{ partition, timestamp }] }],
            }),
          ),
        ),
      )
      const offset = (answer: typeof first): number =>
        Number(answer?.responses[0]?.partitions[0]?.offset ?? -1)
      return { first: offset(first), end: offset(end) }
    })
  }

  async close(): Promise<void> {
    await Promise.all([this.#poller.close(), this.#link.close()])
  }

  /** Repeats a question over moved leaders and broken connections, for `answerWaitMs` at most. */
  async #answered<T>(what: string, ask: () => Promise<T>): Promise<T> {
    const deadline = AbortSignal.timeout(this.#limits.answerWaitMs)
    for (let pauseMs = 50; ; pauseMs = Math.min(1000, pauseMs * 2)) {
      try {
        return await ask()
      } catch (cause) {
        const error = fromKafka(cause, what)
        if (!error.retryable || deadline.aborted) throw error
        await new Promise(resolve => setTimeout(resolve, pauseMs))
      }
    }
  }

  /** The batch of an offset, held for the caller. */
  async #fetch(partition: number, offset: number): Promise<DecodedBatch> {
    const before = this.#fetching.get(partition)
    const mine = (before ?? Promise.resolve())
      .catch(() => {})
      .then(() => this.#fetchOne(partition, offset))
    this.#fetching.set(partition, mine)
    try {
      return await mine
    } finally {
      if (this.#fetching.get(partition) === mine) this.#fetching.delete(partition)
    }
  }

  async #fetchOne(partition: number, offset: number): Promise<DecodedBatch> {
    const known = this.#cache.find(partition, offset)
    if (known !== undefined) {
      known.memory?.hold()
      return known
    }
    const what = `${this.#topic}/${partition} offset ${offset}`
    const stored = await this.#answered(`fetching ${what}`, () => this.#stored(partition, offset))
    const batch = await this.#recent.decode(partition, stored)
    this.#cache.add(partition, batch)
    return batch
  }

  /** The one batch that spans an offset: asked for a single byte, a broker answers with it whole. */
  async #stored(partition: number, offset: number): Promise<StoredBatch> {
    const what = `${this.#topic}/${partition} offset ${offset}`
    const leader = await this.#link.leaderOf(partition)
    const request = fetchRequest(this.#topic, [{ partition, from: offset, bytesMax: 1 }], 0, 1)
    const [answer] = await this.#link.fetch(leader, request)
    const [batch] = answer?.errorCode === 0 ? splitBatches(answer.records) : []
    if (batch !== undefined) return batch
    if (answer?.errorCode === 0 || answer?.errorCode === offsetOutOfRange) {
      const { first, end } = await this.bounds(partition)
      if (offset < first) {
        throw new PipelineError('OFFSET_GONE', `${what}: the first one still held is ${first}`)
      }
      if (offset >= end) {
        throw new PipelineError('OFFSET_AHEAD', `${what} is not written yet; the next is ${end}`)
      }
    }
    // Held, yet not shown: a new leader that does not know yet how far its log is durable.
    this.#link.drop()
    throw new PipelineError('BUS_UNAVAILABLE', `${what}: refused with code ${answer?.errorCode}`)
  }

  /** Records from `from` on until `bytesMax` is reached; what is left over is kept for the next read. */
  async #take(partition: number, rest: Rest, from: number, bytesMax: number): Promise<ReadBatch> {
    const records: BusRecord[] = []
    const held: HeldMemory[] = []
    let { decoded, last, memory, stored } = rest
    let next = from
    let bytes = 0
    for (;;) {
      const before = records.length
      let used = 0
      for (; used < decoded.length; used++) {
        const record = decoded[used] as BusRecord
        // The batch that spans an offset begins before it.
        if (record.offset < from) continue
        bytes += record.value.length
        if (records.length > 0 && bytes > bytesMax) break
        records.push(record)
        next = record.offset + 1
      }
      const [batch, ...others] = stored
      const isLeft = used < decoded.length
      if (isLeft) memory?.hold()
      if (memory !== undefined && records.length > before) held.push(memory)
      else memory?.release()
      if (isLeft || (batch !== undefined && bytes >= bytesMax)) {
        this.#rests.get(partition)?.memory?.release()
        const left = { next, decoded: decoded.slice(used), last, stored }
        this.#rests.set(partition, { ...left, memory: isLeft ? memory : undefined })
        return { records, next, held }
      }
      next = Math.max(next, last + 1)
      if (batch === undefined) return { records, next, held }
      const whole = await this.#recent.decode(partition, batch)
      this.#tail?.add(partition, whole)
      decoded = whole.records
      memory = whole.memory
      last = batch.last
      stored = others
    }
  }
}

/** The same records in memory of `take`, in one piece. */
export function copyOf(records: readonly BusRecord[], take: ReadMemory): BusRecord[] {
  let bytes = 0
  for (const { key, header, value } of records) {
    bytes += (key?.length ?? 0) + (header?.length ?? 0) + value.length
  }
  const memory = take(bytes)
  let at = 0
  const copy = (part: Uint8Array): Buffer => {
    memory.set(part, at)
    at += part.length
    return memory.subarray(at - part.length, at)
  }
  return records.map(({ offset, appendedAtMs, key, header, value }) => ({
    offset,
    appendedAtMs,
    ...(key === undefined ? undefined : { key: copy(key) }),
    ...(header === undefined ? undefined : { header: copy(header) }),
    value: copy(value),
  }))
}

function recordAt(
  batch: DecodedBatch,
  offset: number,
  topic: string,
  partition: number,
): BusRecord {
  const record = batch.records.find(one => one.offset === offset)
  if (record !== undefined) return record
  throw new PipelineError('OFFSET_GONE', `${topic}/${partition} offset ${offset}: compacted away`)
}
