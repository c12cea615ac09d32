// Hot file: one call a record, never one a span. No closure, promise or log line in here.

import { crc32 } from 'node:zlib'
import { acceptsVersion, formats, readVersions, writtenVersion } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { type BusRecord, headerBytesMax, type NewRecord, type RecordHead } from './bus.ts'

/**
 * A segment file, little endian. Commits begin on a block, so that one write can bypass the page cache:
 *
 *   ┌────────────────────────┬───────┬───────┬───────┬───────┬───────┬──
 *   │ header (whole blocks)  │ frame │ frame │ 0 … 0 │ frame │ 0 … 0 │ …
 *   └────────────────────────┴───────┴───────┴───────┴───────┴───────┴──
 *                            └─ commit, padded ──────┘└─ commit ─────┘
 *
 *   frame:  0 u32 bytes of the frame; 0: nothing more in this block      16 u48 appendedAtMs
 *           4 u32 crc32 of [8, bytes), seeded with the log id            22 u8  flags   23 u8 0
 *           8 u48 offset                                                 24 u32 bytes of the key
 *          14 u16 partition                                              28 u32 bytes of the header
 *          32 key, header, value; then zeros to a multiple of 8, so that a length never crosses a block
 *
 * A zero length at the beginning of a block is the end of the file's records: padding never fills one.
 */
export const formatVersion = formats.logSegment
export const blockBytes = 512
export const frameHeadBytes = 32

const hasKey = 1
const hasHeader = 2
/** Set on the first frame of a commit: what lies before such an intact frame had been synced. */
const startsCommit = 4

/** What a record takes in the file. */
export function frameStrideOf(record: NewRecord): number {
  return strideOf(
    frameHeadBytes + (record.key?.length ?? 0) + (record.header?.length ?? 0) + record.value.length,
  )
}

/** From one frame to the next. */
export function strideOf(frameBytes: number): number {
  return Math.ceil(frameBytes / 8) * 8
}

/**
 * Writes one frame and returns where the next one goes. Without a seed it has no checksum: of bytes that
 * do not leave the process.
 */
export function writeFrame(
  target: Buffer,
  at: number,
  record: NewRecord,
  partition: number,
  offset: number,
  appendedAtMs: number,
  isFirstOfCommit: boolean,
  seed: number | undefined,
): number {
  const { key, header, value } = record
  const keyBytes = key?.length ?? 0
  const headerBytes = header?.length ?? 0
  const end = at + frameHeadBytes + keyBytes + headerBytes + value.length
  target.writeUInt32LE(end - at, at)
  writeU48(target, offset, at + 8)
  target.writeUInt16LE(partition, at + 14)
  writeU48(target, appendedAtMs, at + 16)
  target[at + 22] =
    (key === undefined ? 0 : hasKey) |
    (header === undefined ? 0 : hasHeader) |
    (isFirstOfCommit ? startsCommit : 0)
  target[at + 23] = 0
  target.writeUInt32LE(keyBytes, at + 24)
  target.writeUInt32LE(headerBytes, at + 28)
  let cursor = at + frameHeadBytes
  if (key !== undefined) target.set(key, cursor)
  cursor += keyBytes
  if (header !== undefined) target.set(header, cursor)
  target.set(value, cursor + headerBytes)
  const checksum = seed === undefined ? 0 : crc32(target.subarray(at + 8, end), seed)
  target.writeUInt32LE(checksum, at + 4)
  const next = at + strideOf(end - at)
  target.fill(0, end, next)
  return next
}

/** What `writeUIntLE` of six bytes does, in a tenth of its time. */
function writeU48(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value >>> 0, at)
  target.writeUInt16LE(Math.floor(value / 2 ** 32), at + 4)
}

function readU48(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt16LE(at + 4) * 2 ** 32
}

/** Bytes of the frame at `at`, or 0 for padding. Only a length: call `isIntact` before believing it. */
export function frameBytesAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at)
}

export function frameOffsetAt(bytes: Buffer, at: number): number {
  return readU48(bytes, at + 8)
}

export function framePartitionAt(bytes: Buffer, at: number): number {
  return bytes.readUInt16LE(at + 14)
}

export function frameTimeAt(bytes: Buffer, at: number): number {
  return readU48(bytes, at + 16)
}

/** From the frame at `at` to the next. */
export function strideAt(bytes: Buffer, at: number): number {
  return strideOf(bytes.readUInt32LE(at))
}

export function valueBytesAt(bytes: Buffer, at: number): number {
  const rest = bytes.readUInt32LE(at + 24) + bytes.readUInt32LE(at + 28)
  return bytes.readUInt32LE(at) - frameHeadBytes - rest
}

export function startsCommitAt(bytes: Buffer, at: number): boolean {
  return ((bytes[at + 22] as number) & startsCommit) !== 0
}

/** Whether a whole frame with the right checksum lies at `at`, ending at or before `end`. */
export function isIntact(bytes: Buffer, at: number, end: number, seed: number): boolean {
  if (at + frameHeadBytes > end) return false
  const frameBytes = bytes.readUInt32LE(at)
  if (frameBytes < frameHeadBytes || at + frameBytes > end) return false
  if (valueBytesAt(bytes, at) < 0) return false
  return crc32(bytes.subarray(at + 8, at + frameBytes), seed) === bytes.readUInt32LE(at + 4)
}

/** The key of the frame at `at` as a string to compare by, or undefined. */
export function keyAt(bytes: Buffer, at: number): string | undefined {
  if (((bytes[at + 22] as number) & hasKey) === 0) return undefined
  const start = at + frameHeadBytes
  return bytes.toString('latin1', start, start + bytes.readUInt32LE(at + 24))
}

/** The record of the frame at `at`; its parts are views of `bytes`. */
export function recordAt(bytes: Buffer, at: number): BusRecord {
  const flags = bytes[at + 22] as number
  const keyEnd = at + frameHeadBytes + bytes.readUInt32LE(at + 24)
  const headerEnd = keyEnd + bytes.readUInt32LE(at + 28)
  const record: { -readonly [Part in keyof BusRecord]: BusRecord[Part] } = {
    offset: frameOffsetAt(bytes, at),
    appendedAtMs: frameTimeAt(bytes, at),
    value: bytes.subarray(headerEnd, at + bytes.readUInt32LE(at)),
  }
  if ((flags & hasKey) !== 0) record.key = bytes.subarray(at + frameHeadBytes, keyEnd)
  if ((flags & hasHeader) !== 0) record.header = bytes.subarray(keyEnd, headerEnd)
  return record
}

/** As `recordAt`, but nothing of it is a view: its value may be as long as it likes. */
export function headAt(bytes: Buffer, at: number): RecordHead {
  const head = {
    offset: frameOffsetAt(bytes, at),
    appendedAtMs: frameTimeAt(bytes, at),
    valueBytes: valueBytesAt(bytes, at),
  }
  if (((bytes[at + 22] as number) & hasHeader) === 0) return head
  const start = at + frameHeadBytes + bytes.readUInt32LE(at + 24)
  const end = start + Math.min(bytes.readUInt32LE(at + 28), headerBytesMax)
  return { ...head, header: new Uint8Array(bytes.subarray(start, end)) }
}

export function toBlock(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes
}

/**
 * The head of a segment file. It says where every partition stood, so that offsets and times go on
 * although everything older has been deleted.
 *
 *    0 "WINNOWLG"   8 u16 v   10 u16 partitions   12 u32 bytes of the head   16 u32 crc32 of [20, head)
 *   20 u32 flags (1 keyed, 2 compacted)   24 u48 sequence   30 u48 replacesFrom   36 16 bytes log id
 *   52 u48 createdAtMs   64 one entry a partition: u48 base offset, u48 last append time, u32 0
 */
export interface SegmentHeader {
  readonly logId: string
  readonly keyed: boolean
  /** Its records are what compaction left of segments `replacesFrom` to `sequence`. */
  readonly compacted: boolean
  readonly sequence: number
  readonly replacesFrom: number
  readonly createdAtMs: number
  readonly bases: Float64Array
  readonly lastAtMs: Float64Array
}

const magic = Buffer.from('WINNOWLG', 'latin1')
const headFixedBytes = 64
const headEntryBytes = 16

export function segmentHeadBytes(partitions: number): number {
  return toBlock(headFixedBytes + partitions * headEntryBytes)
}

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const partitions = header.bases.length
  const bytes = Buffer.alloc(segmentHeadBytes(partitions))
  magic.copy(bytes)
  bytes.writeUInt16LE(writtenVersion('logSegment'), 8)
  bytes.writeUInt16LE(partitions, 10)
  bytes.writeUInt32LE(bytes.length, 12)
  bytes.writeUInt32LE((header.keyed ? 1 : 0) | (header.compacted ? 2 : 0), 20)
  bytes.writeUIntLE(header.sequence, 24, 6)
  bytes.writeUIntLE(header.replacesFrom, 30, 6)
  Buffer.from(header.logId.replaceAll('-', ''), 'hex').copy(bytes, 36)
  bytes.writeUIntLE(header.createdAtMs, 52, 6)
  for (let p = 0; p < partitions; p++) {
    const at = headFixedBytes + p * headEntryBytes
    bytes.writeUIntLE(header.bases[p] as number, at, 6)
    bytes.writeUIntLE(header.lastAtMs[p] as number, at + 6, 6)
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(20)), 16)
  return bytes
}

/** Rejects with CONFIG_INVALID what a newer release wrote, and with DATA_CORRUPT what nobody wrote. */
export function decodeSegmentHeader(bytes: Buffer, file: string): SegmentHeader {
  if (bytes.length < headFixedBytes || !bytes.subarray(0, 8).equals(magic)) {
    throw new PipelineError('DATA_CORRUPT', `${file} is not a segment of a log; move it away`)
  }
  const v = bytes.readUInt16LE(8)
  if (!acceptsVersion('logSegment', v)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `${file} has format v ${v}, this release reads v ${readVersions('logSegment')}; run the release that wrote it`,
    )
  }
  const partitions = bytes.readUInt16LE(10)
  const headBytes = segmentHeadBytes(partitions)
  const head = bytes.subarray(0, headBytes)
  const isWhole = head.length === headBytes && bytes.readUInt32LE(12) === headBytes
  if (!isWhole || crc32(head.subarray(20)) !== head.readUInt32LE(16)) {
    throw new PipelineError(
      'DATA_CORRUPT',
      `the head of ${file} has a bad checksum; restore the file, or move away it and all older ones`,
    )
  }
  const flags = head.readUInt32LE(20)
  const header = {
    logId: uuidOf(head.subarray(36, 52)),
    keyed: (flags & 1) !== 0,
    compacted: (flags & 2) !== 0,
    sequence: head.readUIntLE(24, 6),
    replacesFrom: head.readUIntLE(30, 6),
    createdAtMs: head.readUIntLE(52, 6),
    bases: new Float64Array(partitions),
    lastAtMs: new Float64Array(partitions),
  }
  for (let p = 0; p < partitions; p++) {
    const at = headFixedBytes + p * headEntryBytes
    header.bases[p] = head.readUIntLE(at, 6)
    header.lastAtMs[p] = head.readUIntLE(at + 6, 6)
  }
  return header
}

/** Seed of every checksum of a log: another log's bytes, or a value that imitates a frame, never pass. */
export function seedOf(logId: string): number {
  return crc32(logId)
}

function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex')
  const cuts = [0, 8, 12, 16, 20, 32]
  return cuts
    .slice(1)
    .map((end, at) => hex.slice(cuts[at], end))
    .join('-')
}
