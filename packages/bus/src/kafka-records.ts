// Hot on Kafka: every record read passes here. One object per record, none per span; values are
// views into the decompressed batch.
import { promisify } from 'node:util'
import { constants, gunzip, zstdDecompress, zstdDecompressSync } from 'node:zlib'
import { PipelineError } from '@winnow/runtime'
import type { BusRecord, ReadMemory } from './bus.ts'
import { WireReader } from './kafka-wire.ts'
import { inflateFrame, isWholeFrame } from './kafka-zstd.ts'
import { unlz4 } from './lz4.ts'
import { freshMemory } from './read-memory.ts'
import { unsnappy } from './snappy.ts'

/** The one Kafka header a record of ours may carry. */
export const recordHeaderName = 'winnow'

/** A stored batch as the broker returns it: whole, still compressed. Offsets are inclusive. */
export interface StoredBatch {
  readonly first: number
  readonly last: number
  readonly bytes: Buffer
}

/** No producer of ours writes a larger one; what claims more is refused instead of inflated. */
export const decodedBatchBytesMax = 64 * 1024 * 1024

/** Below this, a trip to the thread pool costs more than inflating here. */
const inlineBytesMax = 16 * 1024

const codec = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const

/**
 * base offset 8 │ length 4 │ leader epoch 4 │ magic 1 │ crc 4 │ attributes 2 │ last delta 4 │
 * first time 8 │ max time 8 │ producer id 8 │ epoch 2 │ sequence 4 │ count 4 │ records …
 */
const at = { length: 8, magic: 16, crc: 17, attributes: 21, lastDelta: 23, firstMs: 27, maxMs: 35 }
const countAt = 57
const recordsAt = 61

/** Cuts a fetch answer into batches. What the broker cut off at the end is not returned. */
export function splitBatches(records: Buffer): StoredBatch[] {
  const batches: StoredBatch[] = []
  let start = 0
  while (start + recordsAt <= records.length) {
    const length = records.readInt32BE(start + at.length)
    if (length < recordsAt - 12) {
      throw new PipelineError('DATA_CORRUPT', `a record batch of ${length} bytes`)
    }
    const end = start + 12 + length
    if (end > records.length) break
    const magic = records.readInt8(start + at.magic)
    if (magic !== 2) {
      throw new PipelineError('DATA_CORRUPT', `a record batch of format ${magic}; only 2 is read`)
    }
    const first = Number(records.readBigInt64BE(start))
    const last = first + records.readInt32BE(start + at.lastDelta)
    const count = records.readInt32BE(start + countAt)
    // Compaction may have taken records out; nothing puts more in than there are offsets.
    if (last < first || count < 0 || count > last - first + 1) {
      throw new PipelineError('DATA_CORRUPT', `${count} records at offsets ${first} to ${last}`)
    }
    batches.push({ first, last, bytes: records.subarray(start, end) })
    start = end
  }
  return batches
}

/**
 * The records of a batch in order; none for the marker of somebody's transaction. Their `header` is the
 * content of the Kafka header of that name. What it was written with here lies in memory of `take`.
 */
export async function decodeBatch(
  batch: StoredBatch,
  headerName: string | undefined = recordHeaderName,
  take: ReadMemory = freshMemory,
): Promise<BusRecord[]> {
  const { bytes } = batch
  if (isControl(batch)) return []
  const plain = await inflate(bytes.subarray(recordsAt), codecOf(batch), take)
  return recordsOf(batch, plain, headerName)
}

/** The same, where the records are at hand as they were before they were compressed. */
export function recordsOf(
  batch: StoredBatch,
  plain: Buffer,
  headerName: string | undefined = recordHeaderName,
): BusRecord[] {
  const { bytes, first } = batch
  if (isControl(batch)) return []
  const count = bytes.readInt32BE(countAt)
  const reader = new WireReader(plain)
  const byBroker = (bytes.readInt16BE(at.attributes) & 8) !== 0
  const appendedAtMs = Number(bytes.readBigInt64BE(byBroker ? at.maxMs : at.firstMs))
  const records: BusRecord[] = new Array(count)
  for (let index = 0; index < count; index++) {
    records[index] = decodeRecord(reader, first, appendedAtMs, headerName)
  }
  return records
}

/** What a batch holds, compressed as it says. */
export function storedRecords(batch: StoredBatch): Buffer {
  return batch.bytes.subarray(recordsAt)
}

/** The broker's own checksum of a batch. */
export function checksumOf(batch: StoredBatch): number {
  return batch.bytes.readUInt32BE(at.crc)
}

function isControl({ bytes }: StoredBatch): boolean {
  return (bytes.readInt16BE(at.attributes) & 0x20) !== 0
}

export function codecOf({ bytes }: StoredBatch): number {
  return bytes.readInt16BE(at.attributes) & 7
}

/** Whether batches of this codec can be inflated here: all that Kafka has so far. */
export function isReadCodec(kind: number): boolean {
  return kind <= codec.zstd
}

function decodeRecord(
  reader: WireReader,
  first: number,
  appendedAtMs: number,
  headerName: string | undefined,
): BusRecord {
  reader.varint() // The record's length: its fields say the same.
  reader.int8()
  reader.skipVarlong() // The writer's clock; the log's own time is the batch's.
  const offset = first + reader.varint()
  const keyLength = reader.varint()
  const key = keyLength < 0 ? undefined : reader.raw(keyLength)
  const value = reader.raw(Math.max(0, reader.varint()))
  let header: Buffer | undefined
  for (let left = reader.varint(); left > 0; left--) {
    const name = reader.raw(Math.max(0, reader.varint())).toString('latin1')
    const content = reader.raw(Math.max(0, reader.varint()))
    if (name === headerName) header = content
  }
  return {
    offset,
    appendedAtMs,
    ...(key === undefined ? undefined : { key }),
    ...(header === undefined ? undefined : { header }),
    value,
  }
}

/** Pieces of a record's usual size: half the CPU of the default's 16 KiB, which are then joined. */
const limits = { maxOutputLength: decodedBatchBytesMax, chunkSize: 128 * 1024 }
const unzstd = promisify(zstdDecompress)
const ungzip = promisify(gunzip)

/** A view would keep the whole answer that it came in, or a slab, for as long as the batch is cached. */
function ownCopy(bytes: Buffer, take: ReadMemory): Buffer {
  const own = take(bytes.length)
  return own.subarray(0, bytes.copy(own))
}

async function inflate(bytes: Buffer, kind: number, take: ReadMemory): Promise<Buffer> {
  try {
    switch (kind) {
      case codec.none:
        return ownCopy(bytes, take)
      case codec.zstd:
        if (isWholeFrame(bytes)) return await inflateFrame(bytes, decodedBatchBytesMax, take)
        // Of another writer, in several frames, or cut off.
        if (bytes.length <= inlineBytesMax) {
          return zstdDecompressSync(bytes, { maxOutputLength: decodedBatchBytesMax })
        }
        return await unzstd(bytes, limits)
      case codec.gzip:
        return await ungzip(bytes, { ...limits, finishFlush: constants.Z_SYNC_FLUSH })
      case codec.snappy:
        return unsnappy(bytes, decodedBatchBytesMax)
      case codec.lz4:
        return unlz4(bytes, decodedBatchBytesMax)
    }
  } catch (cause) {
    throw new PipelineError('DATA_CORRUPT', 'a record batch does not decompress', { cause })
  }
  throw new PipelineError(
    'DATA_CORRUPT',
    `a record batch is compressed with codec ${kind}; write with zstd, gzip, snappy, lz4 or none`,
  )
}
