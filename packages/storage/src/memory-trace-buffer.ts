import { type Clock, Lru } from '@winnow/runtime'
import type { BufferedRange, BufferedRecord, Checkpoint, TraceBuffer } from './trace-buffer.ts'

export interface MemoryTraceBufferOptions {
  readonly clock: Clock
  /** From its put a value is held for so long, however often it is read. */
  readonly lifeMs: number
  /** Of all values together, each with {@link heldBytes} more; over it the one used longest ago goes. */
  readonly bytesMax: number
}

/** What a value counts for beside its bytes, so that empty ones are bounded too. */
export const heldBytes = 128

interface Held {
  readonly bytes: Uint8Array
  readonly untilMs: number
  /** Of a checkpoint. */
  readonly offset: number
}

/** The trace buffer within one process, for tests and simulation. It ends with it. */
export class MemoryTraceBuffer implements TraceBuffer {
  readonly #options: MemoryTraceBufferOptions
  readonly #held: Lru<Held>
  #isClosed = false

  constructor(options: MemoryTraceBufferOptions) {
    this.#options = options
    this.#held = new Lru(options.bytesMax)
  }

  /** Bytes of all values held, those not yet known to be over their time included. */
  get bytes(): number {
    return this.#held.weight
  }

  async putRecords(
    logId: string,
    partition: number,
    records: readonly BufferedRecord[],
  ): Promise<void> {
    for (const { offset, value } of records) this.#put(recordKey(logId, partition, offset), value)
  }

  async readRanges(
    logId: string,
    ranges: readonly BufferedRange[],
  ): Promise<readonly (Uint8Array | undefined)[]> {
    return ranges.map(({ partition, offset, start, length }) => {
      const bytes = this.#use(recordKey(logId, partition, offset))?.bytes
      const isWhole = bytes !== undefined && length > 0 && start + length <= bytes.length
      return isWhole ? new Uint8Array(bytes.subarray(start, start + length)) : undefined
    })
  }

  async putCheckpoint(logId: string, partition: number, checkpoint: Checkpoint): Promise<void> {
    this.#put(checkpointKey(logId, partition), checkpoint.bytes, checkpoint.offset)
  }

  async readCheckpoint(logId: string, partition: number): Promise<Checkpoint | undefined> {
    const held = this.#use(checkpointKey(logId, partition))
    return held && { offset: held.offset, bytes: new Uint8Array(held.bytes) }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.flush()
  }

  /** Forgets everything, as an operator or a restart of a cache does. */
  flush(): void {
    this.#held.clear()
  }

  #put(key: string, bytes: Uint8Array, offset = 0): void {
    if (this.#isClosed) return
    const { clock, lifeMs } = this.#options
    // Never `slice`: of a Buffer it is a view, and the caller may use the bytes again.
    const copy = new Uint8Array(bytes)
    const held = { bytes: copy, untilMs: clock.nowMs() + lifeMs, offset }
    this.#held.set(key, held, bytes.length + heldBytes)
  }

  #use(key: string): Held | undefined {
    const held = this.#held.get(key)
    if (held === undefined || this.#options.clock.nowMs() < held.untilMs) return held
    this.#held.take(key)
    return undefined
  }
}

const recordKey = (logId: string, partition: number, offset: number): string =>
  JSON.stringify([logId, partition, offset])

const checkpointKey = (logId: string, partition: number): string =>
  JSON.stringify([logId, partition])
