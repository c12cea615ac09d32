import type { Clock } from '@winnow/runtime'
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
  /** In order of use: the first is the next to go. */
  readonly #held = new Map<string, Held>()
  #bytes = 0
  #isClosed = false

  constructor(options: MemoryTraceBufferOptions) {
    this.#options = options
  }

  /** Bytes of all values held, those not yet known to be over their time included. */
  get bytes(): number {
    return this.#bytes
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
    this.#bytes = 0
  }

  #put(key: string, bytes: Uint8Array, offset = 0): void {
    const { clock, lifeMs, bytesMax } = this.#options
    this.#drop(key)
    if (this.#isClosed || sizeOf(bytes) > bytesMax) return
    this.#bytes += sizeOf(bytes)
    // Never `slice`: of a Buffer it is a view, and the caller may use the bytes again.
    const copy = new Uint8Array(bytes)
    this.#held.set(key, { bytes: copy, untilMs: clock.nowMs() + lifeMs, offset })
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= bytesMax) return
      this.#drop(oldest)
    }
  }

  #use(key: string): Held | undefined {
    const held = this.#held.get(key)
    if (held === undefined) return undefined
    if (this.#options.clock.nowMs() >= held.untilMs) {
      this.#drop(key)
      return undefined
    }
    this.#held.delete(key)
    this.#held.set(key, held)
    return held
  }

  #drop(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#bytes -= sizeOf(held.bytes)
    this.#held.delete(key)
  }
}

const sizeOf = (bytes: Uint8Array): number => bytes.length + heldBytes

const recordKey = (logId: string, partition: number, offset: number): string =>
  JSON.stringify([logId, partition, offset])

const checkpointKey = (logId: string, partition: number): string =>
  JSON.stringify([logId, partition])
