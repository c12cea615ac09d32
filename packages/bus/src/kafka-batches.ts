// Hot on Kafka: every record that is appended passes here; its bytes are copied once, no object each.
import type { NewRecord } from './bus.ts'
import { crc32c } from './crc32c.ts'
import { recordHeaderName } from './kafka-records.ts'

/** A record batch as a broker takes it, in two pieces that are sent one after the other. */
export interface EncodedBatch {
  readonly head: Buffer
  readonly records: Buffer
}

/** The codecs that are written, by Kafka's numbers. */
export const writtenCodec = { none: 0, zstd: 4 } as const

/** More than a record's own lengths, deltas and header name ever take. */
export const recordOverheadBytes = 64

const headerName = Buffer.from(recordHeaderName)
const headBytes = 61
/** Where the part begins that the checksum is of. */
const attributesAt = 21

/** What a record takes in a batch, at most. */
export function recordBytesMax({ value, key, header }: NewRecord): number {
  return value.length + (key?.length ?? 0) + (header?.length ?? 0) + recordOverheadBytes
}

/** Writes the records one after the other into `into`, and says how many bytes they took. */
export function encodeRecords(records: readonly NewRecord[], into: Buffer): number {
  let at = 0
  for (let delta = 0; delta < records.length; delta++) {
    at = encodeRecord(records[delta] as NewRecord, delta, into, at)
  }
  return at
}

/** length │ attributes │ time delta │ offset delta │ key │ value │ headers: count, name, content */
function encodeRecord(record: NewRecord, delta: number, into: Buffer, start: number): number {
  const { key, value, header } = record
  const keyBytes = key === undefined ? -1 : key.length
  let length = 2 + varintBytes(delta) + varintBytes(keyBytes) + Math.max(0, keyBytes)
  length += varintBytes(value.length) + value.length + 1
  if (header !== undefined) {
    length += 1 + headerName.length + varintBytes(header.length) + header.length
  }
  let at = writeVarint(into, start, length)
  into[at++] = 0
  into[at++] = 0 // The log sets the time.
  at = writeVarint(into, at, delta)
  at = writeVarint(into, at, keyBytes)
  if (key !== undefined) at = copy(key, into, at)
  at = copy(value, into, writeVarint(into, at, value.length))
  if (header === undefined) {
    into[at++] = 0
    return at
  }
  at = writeVarint(into, at, 1)
  at = copy(headerName, into, writeVarint(into, at, headerName.length))
  return copy(header, into, writeVarint(into, at, header.length))
}

function copy(bytes: Uint8Array, into: Buffer, at: number): number {
  into.set(bytes, at)
  return at + bytes.length
}

/** Zigzag: small numbers of either sign are short. */
function writeVarint(into: Buffer, start: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let at = start
  for (; rest >= 0x80; rest >>>= 7) into[at++] = (rest & 0x7f) | 0x80
  into[at++] = rest
  return at
}

function varintBytes(value: number): number {
  const rest = ((value << 1) ^ (value >> 31)) >>> 0
  return rest === 0 ? 1 : Math.ceil((32 - Math.clz32(rest)) / 7)
}

/**
 * base offset 8 │ length 4 │ leader epoch 4 │ magic 1 │ crc 4 │ attributes 2 │ last delta 4 │
 * first time 8 │ max time 8 │ producer id 8 │ epoch 2 │ sequence 4 │ count 4
 */
export function encodeBatch(
  records: Buffer,
  codec: (typeof writtenCodec)[keyof typeof writtenCodec],
  count: number,
  nowMs: number,
): EncodedBatch {
  const head = Buffer.alloc(headBytes)
  const time = BigInt(nowMs)
  head.writeInt32BE(headBytes - 12 + records.length, 8)
  head.writeInt32BE(-1, 12)
  head.writeInt8(2, 16)
  head.writeInt16BE(codec, attributesAt)
  head.writeInt32BE(count - 1, 23)
  head.writeBigInt64BE(time, 27)
  head.writeBigInt64BE(time, 35)
  head.writeBigInt64BE(-1n, 43)
  head.writeInt16BE(-1, 51)
  head.writeInt32BE(-1, 53)
  head.writeInt32BE(count, 57)
  head.writeUInt32BE(crc32c(records, crc32c(head.subarray(attributesAt))), 17)
  return { head, records }
}
