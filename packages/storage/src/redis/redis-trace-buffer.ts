// Hot on Redis: every record of `spans` passes here. One command a record.
import type { Clock, HealthPart, Log, Metrics } from '@winnow/runtime'
import type { BufferedRange, BufferedRecord, Checkpoint, TraceBuffer } from '../trace-buffer.ts'
import { Breakers } from './breakers.ts'
import { ByteWindow } from './byte-window.ts'
import { parseRedisAddress } from './redis-address.ts'
import { type RedisAccess, redisClient } from './redis-client.ts'
import { type LeftOut, redisTrouble } from './redis-errors.ts'
import { RedisKeys } from './redis-keys.ts'
import { type RedisLimits, redisLimits } from './redis-limits.ts'
import { RedisLink } from './redis-link.ts'
import { pooledSet, type SetValue } from './redis-set.ts'

export interface RedisTraceBufferOptions extends RedisAccess {
  /** As the key `buffer` has it. */
  readonly address: string
  /** From its put a record is held for so long: until its traces are written. */
  readonly recordLifeMs: number
  /** Of the records that this process has put and that live. Checkpoints go before them. */
  readonly bytesMax: number
  /** How long a reader waits before it asks the bus. */
  readonly answerWaitMs: number
  readonly limits?: Partial<RedisLimits>
  /** Whose buffer it is, for metrics. */
  readonly stage: string
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/** Bytes of the offset before a checkpoint. */
const offsetBytes = 8

/** What a value takes in Redis beside its bytes: the key, its expiry and their places in tables. */
export const redisValueOverheadBytes = 200

/**
 * The trace buffer in Redis: a record is one string with an expiry, a checkpoint too. Nothing is queued
 * for a server that does not answer: what cannot be put now is left out and counted, what cannot be read
 * now is a miss.
 *
 *   winnow:{<log id>:<partition>}:<offset>       the record's value
 *   winnow:{<log id>:<partition>}:checkpoint     u64 offset, big endian │ bytes
 *
 * The part in braces is what a cluster places a key by, so that a partition lies on one node and what is
 * asked of it is one pipeline.
 */
export class RedisTraceBuffer implements TraceBuffer {
  readonly #options: RedisTraceBufferOptions
  readonly #limits: RedisLimits
  readonly #link: RedisLink
  readonly #keys = new RedisKeys()
  readonly #set: SetValue
  readonly #records: ByteWindow
  /** By key: the last put replaces the one before. */
  readonly #checkpoints = new Map<string, { readonly bytes: number; readonly untilMs: number }>()
  /** By partition: in a cluster that is by node, and elsewhere it costs a few calls more. */
  readonly #puts: Breakers
  readonly #reads: Breakers
  #inflightBytes = 0

  /** Resolves also where nothing answers: then it is connected later. CONFIG_INVALID: what is no address. */
  static async open(options: RedisTraceBufferOptions): Promise<RedisTraceBuffer> {
    const limits = { ...redisLimits, ...options.limits }
    const address = parseRedisAddress(options.address)
    const client = await redisClient(address, options, limits)
    const { log, metrics, stage } = options
    const link = new RedisLink(client, {
      address: options.address,
      log,
      setUp: isUp => metrics.traceBufferUp.set({ stage }, isUp ? 1 : 0),
    })
    // A single server's command is written before it returns. A cluster's may be written again to where
    // its slot has moved, when the caller's memory has other bytes: it has a copy of its own.
    const set: SetValue = client.isCluster
      ? (key, value, lifeMs) => client.set(key, Buffer.from(value), 'PX', lifeMs)
      : await pooledSet(client)
    const buffer = new RedisTraceBuffer(options, limits, link, set)
    await link.connect(limits.connectWaitMs)
    return buffer
  }

  private constructor(
    options: RedisTraceBufferOptions,
    limits: RedisLimits,
    link: RedisLink,
    set: SetValue,
  ) {
    const { clock } = options
    this.#options = options
    this.#set = set
    this.#limits = limits
    this.#link = link
    this.#records = new ByteWindow(clock, options.recordLifeMs)
    this.#puts = new Breakers(clock, limits.waits)
    this.#reads = new Breakers(clock, limits.waits)
    link.client.on('ready', () => {
      // Another server, or the same with another memory.
      this.#puts.reset()
      this.#reads.reset()
      link.refused(undefined)
    })
  }

  /** Degraded is ready: the program does without. */
  health(): HealthPart {
    return this.#link.health()
  }

  /** Resolves before the server has answered: nobody waits for a cache to be filled. */
  async putRecords(
    logId: string,
    partition: number,
    records: readonly BufferedRecord[],
  ): Promise<void> {
    const isTried = records.length > 0 && this.#mayTry(this.#puts, partition)
    for (const { offset, value } of records) {
      const bytes = value.length + redisValueOverheadBytes
      const why = isTried ? this.#overLimit(value.length, this.#spent + bytes) : this.#link.leftOut
      if (why !== undefined) {
        this.#leaveOut(why)
        continue
      }
      this.#records.add(bytes)
      void this.#put(partition, this.#keys.record(logId, partition, offset), value, 'record')
    }
  }

  async readRanges(
    logId: string,
    ranges: readonly BufferedRange[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const read = new Array<Uint8Array | undefined>(ranges.length).fill(undefined)
    const byPartition = new Map<number, number[]>()
    for (const [at, { partition, length }] of ranges.entries()) {
      const own = byPartition.get(partition)
      if (length <= 0) continue
      if (own === undefined) byPartition.set(partition, [at])
      else own.push(at)
    }
    await Promise.all(
      Array.from(byPartition, ([partition, own]) =>
        this.#readPartition(logId, partition, own, ranges, read),
      ),
    )
    this.#countRead(read)
    return read
  }

  async putCheckpoint(
    logId: string,
    partition: number,
    { offset, bytes }: Checkpoint,
  ): Promise<void> {
    const key = this.#keys.checkpoint(logId, partition)
    const size = offsetBytes + bytes.length
    const bytesAfter = size + redisValueOverheadBytes
    const others = this.#checkpointBytes() - (this.#checkpoints.get(key)?.bytes ?? 0)
    const why = this.#mayTry(this.#puts, partition)
      ? this.#overLimit(size, others + bytesAfter)
      : this.#link.leftOut
    if (why !== undefined) return this.#leaveOut(why)
    const value = Buffer.allocUnsafe(size)
    value.writeBigUInt64BE(BigInt(offset))
    value.set(bytes, offsetBytes)
    const { checkpointLifeMs, checkpointWaitMs } = this.#limits
    const untilMs = this.#options.clock.nowMs() + checkpointLifeMs
    this.#checkpoints.set(key, { bytes: bytesAfter, untilMs })
    await within(checkpointWaitMs, this.#put(partition, key, value, 'checkpoint'))
  }

  async readCheckpoint(logId: string, partition: number): Promise<Checkpoint | undefined> {
    if (!this.#mayTry(this.#reads, partition)) return undefined
    const key = this.#keys.checkpoint(logId, partition)
    const reading = this.#link.client.getBuffer(key)
    const value = await this.#answer(partition, reading, this.#limits.checkpointWaitMs)
    if (value === undefined || value === null || value.length < offsetBytes) return undefined
    const offset = Number(value.readBigUInt64BE())
    return { offset, bytes: new Uint8Array(value.subarray(offsetBytes)) }
  }

  /** What is on its way still goes, as far as the server takes it. */
  async close(): Promise<void> {
    this.#link.close()
  }

  /** Bytes that this process has there by its own account. */
  get #spent(): number {
    return this.#records.bytes + this.#checkpointBytes()
  }

  #checkpointBytes(): number {
    const nowMs = this.#options.clock.nowMs()
    let sum = 0
    for (const [key, { bytes, untilMs }] of this.#checkpoints) {
      if (nowMs < untilMs) sum += bytes
      else this.#checkpoints.delete(key)
    }
    return sum
  }

  #mayTry(breakers: Breakers, partition: number): boolean {
    return this.#link.isReady && breakers.mayTry(partition)
  }

  #overLimit(bytes: number, spent: number): LeftOut | undefined {
    const { valueBytesMax, inflightBytesMax } = this.#limits
    if (bytes > valueBytesMax) return 'too_large'
    if (spent > this.#options.bytesMax) return 'budget'
    // One alone always may.
    return this.#inflightBytes > 0 && this.#inflightBytes + bytes > inflightBytesMax
      ? 'busy'
      : undefined
  }

  #leaveOut(reason: LeftOut): void {
    this.#options.metrics.traceBufferLeftOut.inc({ reason })
  }

  /** Never rejects. Its bytes are the caller's again as soon as it returns. */
  async #put(
    partition: number,
    key: string,
    value: Uint8Array,
    kind: 'record' | 'checkpoint',
  ): Promise<void> {
    const { metrics, recordLifeMs } = this.#options
    const lifeMs = kind === 'record' ? recordLifeMs : this.#limits.checkpointLifeMs
    this.#inflightBytes += value.length
    try {
      await this.#set(key, value, lifeMs)
      this.#puts.passed(partition)
      metrics.traceBufferPutBytes.inc({ kind }, value.length)
      this.#tell()
    } catch (error) {
      this.#puts.failed(partition)
      this.#leaveOut(redisTrouble(error).leftOut)
      this.#tell(error)
    } finally {
      this.#inflightBytes -= value.length
    }
  }

  async #readPartition(
    logId: string,
    partition: number,
    own: readonly number[],
    ranges: readonly BufferedRange[],
    read: (Uint8Array | undefined)[],
  ): Promise<void> {
    if (!this.#mayTry(this.#reads, partition)) return
    const pipeline = this.#link.client.pipeline()
    for (const at of own) {
      const { offset, start, length } = ranges[at] as BufferedRange
      pipeline.getrangeBuffer(
        this.#keys.record(logId, partition, offset),
        start,
        start + length - 1,
      )
    }
    const answers = await this.#answer(
      partition,
      whole(pipeline.exec()),
      this.#options.answerWaitMs,
    )
    if (answers === undefined) return
    for (const [n, at] of own.entries()) {
      const bytes = answers[n]
      // Of a record that is not there it is empty, of one that ends before it is short.
      if (bytes?.length === ranges[at]?.length) read[at] = bytes
    }
  }

  /** Undefined: it failed, or not in time. */
  async #answer<T>(partition: number, reading: Promise<T>, waitMs: number): Promise<T | undefined> {
    const startedAtMs = performance.now()
    try {
      const answer = await within(waitMs, reading)
      if (answer === late) throw new Error(`no answer within ${waitMs} ms`)
      this.#options.metrics.traceBufferReadSeconds.observe((performance.now() - startedAtMs) / 1000)
      this.#reads.passed(partition)
      this.#tell()
      return answer
    } catch (error) {
      this.#reads.failed(partition)
      this.#tell(error)
      return undefined
    }
  }

  /** Of an error, or that all is well once more. */
  #tell(error?: unknown): void {
    if (error !== undefined) this.#link.refused(redisTrouble(error))
    else if (this.#puts.open + this.#reads.open === 0) this.#link.refused(undefined)
  }

  #countRead(read: readonly (Uint8Array | undefined)[]): void {
    const { traceBufferReads, traceBufferReadBytes } = this.#options.metrics
    let hits = 0
    let bytes = 0
    for (const found of read) {
      if (found === undefined) continue
      hits++
      bytes += found.length
    }
    traceBufferReads.inc({ result: 'hit' }, hits)
    traceBufferReads.inc({ result: 'miss' }, read.length - hits)
    traceBufferReadBytes.inc(bytes)
  }
}

/** The answers of a pipeline; rejects with the first that is an error. */
async function whole(
  executing: Promise<[error: Error | null, result: unknown][] | null>,
): Promise<Buffer[]> {
  const answers = (await executing) ?? []
  return answers.map(([error, answer]) => {
    if (error !== null) throw error
    return answer as Buffer
  })
}

const late = Symbol('late')

/** What comes after `waitMs` is left. */
async function within<T>(waitMs: number, promise: Promise<T>): Promise<T | typeof late> {
  const { promise: timeout, resolve } = Promise.withResolvers<typeof late>()
  const timer = setTimeout(() => resolve(late), waitMs)
  // A late failure is nobody's.
  promise.catch(() => {})
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}
