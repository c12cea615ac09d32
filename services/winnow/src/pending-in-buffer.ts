import { pendingInCheckpoint } from '@winnow/assembler'
import { type Bus, partitionOfHex } from '@winnow/bus'
import type { PendingFacts } from '@winnow/query'
import { type Clock, isRetryable, Lru } from '@winnow/runtime'
import type { TraceBuffer } from '@winnow/storage'

export interface PendingInBufferOptions {
  readonly buffer: TraceBuffer
  readonly bus: Bus
  /** Full name of `spans`. */
  readonly topic: string
  /** Whose checkpoints are asked. */
  readonly group: string
  /** As often as there is another checkpoint. */
  readonly everyMs: number
  readonly clock: Clock
}

/** Of all checkpoints that are held for the next question. */
const heldBytesMax = 64 * 1024 * 1024

interface Held {
  readonly bytes: Uint8Array
  readonly untilMs: number
}

/**
 * What is open where assemblers run in other processes: what their last checkpoints know. A trace is in one
 * some seconds after it opened; what nobody knows here may still be open.
 */
export class PendingInBuffer {
  readonly #options: PendingInBufferOptions
  readonly #held = new Lru<Held, number>(heldBytesMax)
  /** By partition: questions that come together read once. */
  readonly #reading = new Map<number, Promise<Uint8Array | undefined>>()

  constructor(options: PendingInBufferOptions) {
    this.#options = options
  }

  async find(tenant: string, traceId: string): Promise<PendingFacts | undefined> {
    const { bus, topic, group } = this.#options
    try {
      const logId = await bus.logId(topic)
      const partition = partitionOfHex(traceId, await bus.partitionCount(topic))
      const bytes = await this.#checkpoint(logId, partition)
      return bytes && pendingInCheckpoint(bytes, { logId, group, partition }, tenant, traceId)
    } catch (error) {
      // Nobody knows now, which is an answer.
      if (!isRetryable(error)) throw error
      return undefined
    }
  }

  async #checkpoint(logId: string, partition: number): Promise<Uint8Array | undefined> {
    const held = this.#held.get(partition)
    if (held !== undefined && this.#options.clock.nowMs() < held.untilMs) return held.bytes
    const reading = this.#reading.get(partition) ?? this.#read(logId, partition)
    this.#reading.set(partition, reading)
    try {
      return await reading
    } finally {
      this.#reading.delete(partition)
    }
  }

  async #read(logId: string, partition: number): Promise<Uint8Array | undefined> {
    const { buffer, clock, everyMs } = this.#options
    const read = await buffer.readCheckpoint(logId, partition)
    if (read === undefined) return undefined
    const held = { bytes: read.bytes, untilMs: clock.nowMs() + everyMs }
    this.#held.set(partition, held, read.bytes.length)
    return read.bytes
  }
}
