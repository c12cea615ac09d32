import type { FileHandle } from 'node:fs/promises'
import {
  blockBytes,
  frameBytesAt,
  frameHeadBytes,
  frameOffsetAt,
  framePartitionAt,
  frameTimeAt,
  isIntact,
  startsCommitAt,
  strideOf,
  toBlock,
} from './file-format.ts'
import { readAt } from './log-io.ts'
import type { RunIndex } from './run-index.ts'
import { runBytesMax } from './run-index.ts'
import type { Segment } from './segment.ts'

/** Called for every intact frame: `at` within `bytes`, `position` within the file. */
export type FrameVisitor = (bytes: Buffer, at: number, frameBytes: number, position: number) => void

/** Where the intact frames of a file end, and whether that is also where the file ends. */
export interface ScanEnd {
  readonly end: number
  readonly isClean: boolean
}

/**
 * Walks the frames of a file from `start` until it ends, or until the first frame with a bad length,
 * checksum or place, or a block that begins with nothing.
 */
export async function scanFrames(
  file: FileHandle,
  start: number,
  fileBytes: number,
  seed: number,
  accept: (bytes: Buffer, at: number) => boolean,
  visit: FrameVisitor,
): Promise<ScanEnd> {
  const window = new Window(file, fileBytes)
  let position = start
  while (position + 8 <= fileBytes) {
    const { bytes, at } = await window.at(position, 8)
    const frameBytes = frameBytesAt(bytes, at)
    if (frameBytes === 0) {
      if (position % blockBytes === 0) break
      position = toBlock(position)
      continue
    }
    if (frameBytes < frameHeadBytes || position + frameBytes > fileBytes) break
    const whole = await window.at(position, frameBytes)
    if (!isIntact(whole.bytes, whole.at, whole.at + frameBytes, seed)) break
    if (!accept(whole.bytes, whole.at)) break
    visit(whole.bytes, whole.at, frameBytes, position)
    position += strideOf(frameBytes)
  }
  const end = Math.min(position, fileBytes)
  return { end, isClean: end === fileBytes }
}

/**
 * Rebuilds the index of a segment from its frames. Offsets of a partition
 * follow each other without a hole, except where compaction made holes.
 */
export async function indexSegment(
  segment: Segment,
  file: FileHandle,
  fileBytes: number,
  seed: number,
): Promise<ScanEnd> {
  const { runs, ends, lastAtMs } = segment
  const runBytes = new Float64Array(runs.length)
  const runStart = new Float64Array(runs.length)
  const runFirst = new Float64Array(runs.length).fill(-1)
  const runEnd = new Float64Array(runs.length)
  const close = (p: number): void => {
    if ((runFirst[p] as number) < 0) return
    const index = runs[p] as RunIndex
    index.push(runFirst[p] as number, runStart[p] as number, runBytes[p] as number, -1)
    runFirst[p] = -1
  }
  const scanned = await scanFrames(
    file,
    segment.bytes,
    fileBytes,
    seed,
    (bytes, at) => {
      const expected = ends[framePartitionAt(bytes, at)]
      if (expected === undefined) return false
      const offset = frameOffsetAt(bytes, at)
      return segment.header.compacted ? offset >= expected : offset === expected
    },
    (bytes, at, frameBytes, position) => {
      const p = framePartitionAt(bytes, at)
      const isNeighbour = position === runEnd[p] && (runBytes[p] as number) < runBytesMax
      if (!isNeighbour) close(p)
      if ((runFirst[p] as number) < 0) {
        runFirst[p] = frameOffsetAt(bytes, at)
        runStart[p] = position
        runBytes[p] = 0
      }
      const stride = strideOf(frameBytes)
      runBytes[p] = (runBytes[p] as number) + stride
      runEnd[p] = position + stride
      ends[p] = frameOffsetAt(bytes, at) + 1
      lastAtMs[p] = frameTimeAt(bytes, at)
    },
  )
  for (let p = 0; p < runs.length; p++) close(p)
  segment.bytes = toBlock(scanned.end)
  return scanned
}

/**
 * Looks behind a bad frame for a later commit that is intact. If there is one, the bad frame had been
 * synced before that commit was written: the disk lost acknowledged bytes, this is no torn write.
 * Returns the offsets after everything that is still legible there, else undefined.
 */
export async function endsBehind(
  file: FileHandle,
  badAt: number,
  fileBytes: number,
  seed: number,
  partitions: number,
): Promise<Float64Array | undefined> {
  const window = new Window(file, fileBytes)
  const ends = new Float64Array(partitions)
  let isFound = false
  for (let position = toBlock(badAt + 1); position + frameHeadBytes <= fileBytes; ) {
    const { bytes, at } = await window.at(position, frameHeadBytes)
    const frameBytes = frameBytesAt(bytes, at)
    const isPlausible =
      frameBytes >= frameHeadBytes &&
      position + frameBytes <= fileBytes &&
      startsCommitAt(bytes, at) &&
      framePartitionAt(bytes, at) < partitions
    if (isPlausible) {
      const legible = await scanFrames(
        file,
        position,
        fileBytes,
        seed,
        (frame, start) => framePartitionAt(frame, start) < partitions,
        (frame, start) => {
          const p = framePartitionAt(frame, start)
          ends[p] = Math.max(ends[p] as number, frameOffsetAt(frame, start) + 1)
        },
      )
      if (legible.end > position) isFound = true
      position = Math.max(position + blockBytes, toBlock(legible.end))
    } else position += blockBytes
  }
  return isFound ? ends : undefined
}

/** A piece of a file in memory that moves forward; grows for a frame larger than itself. */
class Window {
  readonly #file: FileHandle
  readonly #fileBytes: number
  #bytes = Buffer.alloc(0)
  #start = 0
  #length = 0

  constructor(file: FileHandle, fileBytes: number) {
    this.#file = file
    this.#fileBytes = fileBytes
  }

  async at(position: number, length: number): Promise<{ bytes: Buffer; at: number }> {
    const isHeld = position >= this.#start && position + length <= this.#start + this.#length
    if (!isHeld) {
      const wanted = Math.min(Math.max(length, windowBytes), this.#fileBytes - position)
      if (this.#bytes.length < wanted) this.#bytes = Buffer.allocUnsafeSlow(wanted)
      this.#length = await readAt(this.#file, this.#bytes, wanted, position)
      this.#start = position
      if (this.#length < length) this.#bytes.fill(0, this.#length)
    }
    return { bytes: this.#bytes, at: position - this.#start }
  }
}

const windowBytes = 1 << 20
