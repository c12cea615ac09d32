// Hot on Kafka: every batch written or read passes here. One context serves many batches: making one
// costs as much as what it is made for, and its memory counts towards the collector's next round.
import {
  constants,
  createZstdCompress,
  createZstdDecompress,
  type ZstdCompress,
  type ZstdDecompress,
} from 'node:zlib'
import { PipelineError } from '@winnow/runtime'
import type { ReadMemory } from './bus.ts'
import { freshMemory } from './read-memory.ts'

/** As many as Node's thread pool has threads: more would only wait there. */
const lanesMax = 4

/** What comes out is cut from pieces of this size: one piece a batch as a rule. */
const compressedChunkBytes = 512 * 1024
const inflatedChunkBytes = 2 * 1024 * 1024

/** A batch in one frame in memory of `take`, off this thread. The bytes are read until it resolves. */
export function compressFrame(bytes: Buffer, take: ReadMemory = freshMemory): Promise<Buffer> {
  return compressors.run(bytes, Number.MAX_SAFE_INTEGER, take)
}

/**
 * What `bytes`, one whole frame, hold, in memory of `take`; rejects where they hold no frame or more than
 * `bytesMax`.
 */
export function inflateFrame(
  bytes: Buffer,
  bytesMax: number,
  take: ReadMemory = freshMemory,
): Promise<Buffer> {
  return inflaters.run(bytes, bytesMax, take)
}

const magic = 0xfd2fb528
const blockTypeRle = 1

/**
 * Whether the bytes are one frame from its first byte to its last, by the lengths of its blocks. A
 * context that was fed half a frame, or more than one, is of no use to the next batch.
 */
export function isWholeFrame(bytes: Buffer): boolean {
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== magic) return false
  const descriptor = bytes[4] as number
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] as number
  let at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes
  for (let isLast = false; !isLast; ) {
    if (at + 3 > bytes.length) return false
    const head = bytes.readUIntLE(at, 3)
    isLast = (head & 1) === 1
    at += 3 + (((head >>> 1) & 3) === blockTypeRle ? 1 : head >>> 3)
  }
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4
  return at + checksumBytes === bytes.length
}

/** One context, one batch at a time. */
class Lane {
  readonly #stream: ZstdCompress | ZstdDecompress
  #parts: Buffer[] = []
  #bytes = 0
  #bytesMax = 0
  #settle: ((outcome: Buffer | Error) => void) | undefined
  #isBroken = false

  constructor(stream: ZstdCompress | ZstdDecompress) {
    this.#stream = stream
    stream.on('data', (part: Buffer) => this.#take(part))
    stream.on('error', error => this.#break(error))
    stream.on('close', () => this.#break(new Error('a zstd frame ended early')))
  }

  get isBroken(): boolean {
    return this.#isBroken
  }

  run(bytes: Buffer, bytesMax: number, take: ReadMemory): Promise<Buffer> {
    this.#bytesMax = bytesMax
    return new Promise((resolve, reject) => {
      this.#settle = outcome => {
        this.#settle = undefined
        this.#parts = []
        this.#bytes = 0
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
      }
      this.#stream.write(bytes, error => {
        if (error) this.#break(error)
        else this.#settle?.(this.#joined(take))
      })
    })
  }

  #take(part: Buffer): void {
    this.#bytes += part.length
    if (this.#bytes <= this.#bytesMax) this.#parts.push(part)
    else this.#break(new PipelineError('DATA_CORRUPT', `a batch of over ${this.#bytesMax} bytes`))
  }

  /** Copied out, so that the next batch comes out in the same piece, which is not taken anew. */
  #joined(take: ReadMemory): Buffer {
    const own = take(this.#bytes)
    let at = 0
    for (const part of this.#parts) at += part.copy(own, at)
    rewind(this.#stream)
    return own.subarray(0, at)
  }

  #break(error: Error): void {
    if (!this.#isBroken) this.#stream.destroy()
    this.#isBroken = true
    this.#settle?.(error)
  }
}

/**
 * Where the next output goes in the stream's piece: its beginning. Node's own field, and a release that
 * has it no more cuts further pieces instead, which is slower and nothing else.
 */
function rewind(stream: ZstdCompress | ZstdDecompress): void {
  if (typeof Reflect.get(stream, outOffset) === 'number') Reflect.set(stream, outOffset, 0)
}

const outOffset = '_outOffset'

/** Contexts by need, `lanesMax` at most; who finds none idle waits in turn. */
class Lanes {
  readonly #make: () => ZstdCompress | ZstdDecompress
  readonly #idle: Lane[] = []
  readonly #waiting: ((lane: Lane) => void)[] = []
  #made = 0

  constructor(make: () => ZstdCompress | ZstdDecompress) {
    this.#make = make
  }

  async run(bytes: Buffer, bytesMax: number, take: ReadMemory): Promise<Buffer> {
    const lane = await this.#take()
    try {
      return await lane.run(bytes, bytesMax, take)
    } finally {
      this.#give(lane.isBroken ? new Lane(this.#make()) : lane)
    }
  }

  #take(): Lane | Promise<Lane> {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#made === lanesMax) return new Promise(resolve => this.#waiting.push(resolve))
    this.#made++
    return new Lane(this.#make())
  }

  #give(lane: Lane): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(lane)
    else next(lane)
  }
}

/** A third of the default level's CPU for 5 % more bytes. Each write ends a frame. */
const compressors = new Lanes(() =>
  createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    flush: constants.ZSTD_e_end,
    chunkSize: compressedChunkBytes,
  }),
)

const inflaters = new Lanes(() => createZstdDecompress({ chunkSize: inflatedChunkBytes }))
