import { constants, type FileHandle, open, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { encodeSegmentHeader, type SegmentHeader, seedOf, segmentHeadBytes } from './file-format.ts'
import { readAt, writeWhole } from './log-io.ts'
import { RunIndex } from './run-index.ts'

/**
 * One file of a log with its index in memory. Only the newest of a log is written to; the others
 * are sealed, and an index file beside each saves the next start from reading it.
 */
export class Segment {
  readonly path: string
  readonly header: SegmentHeader
  readonly runs: readonly RunIndex[]
  /** The next offset of each partition after this segment. */
  readonly ends: Float64Array
  /** Last append time of each partition so far. */
  readonly lastAtMs: Float64Array
  /** Durable length, whole blocks. */
  bytes: number
  #reader: Promise<FileHandle> | undefined
  #isRemoved = false

  constructor(folder: string, header: SegmentHeader) {
    this.path = segmentPath(folder, header.sequence)
    this.header = header
    this.runs = Array.from(header.bases, () => new RunIndex())
    this.ends = header.bases.slice()
    this.lastAtMs = header.lastAtMs.slice()
    this.bytes = segmentHeadBytes(header.bases.length)
  }

  get isRemoved(): boolean {
    return this.#isRemoved
  }

  get isEmpty(): boolean {
    return this.runs.every(runs => runs.count === 0)
  }

  /** When its youngest record was appended; of no use while it is empty. */
  youngestAtMs(): number {
    let youngest = 0
    for (let p = 0; p < this.runs.length; p++) {
      if ((this.runs[p] as RunIndex).count === 0) continue
      youngest = Math.max(youngest, this.lastAtMs[p] as number)
    }
    return youngest
  }

  async read(into: Buffer, length: number, position: number): Promise<number> {
    this.#reader ??= open(this.path, constants.O_RDONLY)
    return readAt(await this.#reader, into, length, position)
  }

  async close(): Promise<void> {
    const reader = await this.#reader?.catch(() => undefined)
    this.#reader = undefined
    await reader?.close()
  }

  /** Reads in flight end first; later ones find `isRemoved` and look elsewhere. */
  async remove(): Promise<void> {
    this.#isRemoved = true
    await rm(indexPath(this.path), { force: true })
    await rm(this.path, { force: true })
    await this.close()
  }

  /** As `remove`, when another file has taken the name already. */
  async retire(): Promise<void> {
    this.#isRemoved = true
    await this.close()
  }

  /** Writes the index file. It is derived, so it is not synced, and a bad one is ignored. */
  async seal(): Promise<void> {
    const path = indexPath(this.path)
    try {
      await writeFile(`${path}.tmp`, encodeIndex(this))
      await rename(`${path}.tmp`, path)
    } catch {
      // Without it the next start reads the segment: slower, nothing else.
      await rm(`${path}.tmp`, { force: true })
    }
  }

  /** Takes the index from its file; false when that is absent, or says something else than the segment. */
  async load(fileBytes: number): Promise<boolean> {
    const handle = await open(indexPath(this.path)).catch(() => undefined)
    if (handle === undefined) return false
    try {
      return decodeIndex(this, await handle.readFile(), fileBytes)
    } finally {
      await handle.close()
    }
  }
}

export function segmentPath(folder: string, sequence: number): string {
  return join(folder, `${String(sequence).padStart(12, '0')}.log`)
}

export function indexPath(path: string): string {
  return path.replace(/\.log$/, '.idx')
}

/** Makes the file with its head, whole or not at all. */
export async function createSegment(folder: string, header: SegmentHeader): Promise<Segment> {
  const segment = new Segment(folder, header)
  await writeWhole(segment.path, folder, encodeSegmentHeader(header))
  return segment
}

/**
 * An index file, little endian: "WINNOWIX", u32 v, u32 crc32 of the rest seeded with the log id, then f64 sequence and bytes
 * of the segment;
 * for each partition f64 end, f64 last append time, f64 count of runs, and for each run f64 first
 * offset, f64 position, f64 bytes.
 */
const indexMagic = 'WINNOWIX'
const indexVersion = 1
const indexHeadBytes = 16

function encodeIndex(segment: Segment): Buffer {
  const numbers: number[] = [segment.header.sequence, segment.bytes]
  segment.runs.forEach((runs, p) => {
    numbers.push(segment.ends[p] as number, segment.lastAtMs[p] as number, runs.count)
    for (let run = 0; run < runs.count; run++) {
      numbers.push(runs.firstOf(run), runs.positionOf(run), runs.bytesOf(run))
    }
  })
  const bytes = Buffer.alloc(indexHeadBytes + 8 * numbers.length)
  bytes.write(indexMagic, 0, 'latin1')
  bytes.writeUInt32LE(indexVersion, 8)
  numbers.forEach((number, at) => {
    bytes.writeDoubleLE(number, indexHeadBytes + 8 * at)
  })
  bytes.writeUInt32LE(crc32(bytes.subarray(indexHeadBytes), seedOf(segment.header.logId)), 12)
  return bytes
}

function decodeIndex(segment: Segment, bytes: Buffer, fileBytes: number): boolean {
  if (bytes.length < indexHeadBytes + 8 || bytes.toString('latin1', 0, 8) !== indexMagic)
    return false
  if (bytes.readUInt32LE(8) !== indexVersion) return false
  const seed = seedOf(segment.header.logId)
  if (crc32(bytes.subarray(indexHeadBytes), seed) !== bytes.readUInt32LE(12)) return false
  let at = indexHeadBytes
  const next = (): number => {
    at += 8
    return bytes.readDoubleLE(at - 8)
  }
  const sequence = next()
  const segmentBytes = next()
  if (sequence !== segment.header.sequence || segmentBytes !== fileBytes) return false
  segment.bytes = segmentBytes
  segment.runs.forEach((runs, p) => {
    segment.ends[p] = next()
    segment.lastAtMs[p] = next()
    for (let left = next(); left > 0; left--) runs.push(next(), next(), next(), -1)
  })
  return true
}
