// Hot file: records that a worker reads from the disk pass here; numbers only, and no copy.
import type { Batch, BusRecord, Gap } from './bus.ts'
import { frameHeadBytes, recordAt } from './file-format.ts'
import { type PackedRecords, packRecords, unpackRecords } from './remote-messages.ts'

/** Records by the places of their frames in the memory that they were read into, which is transferred. */
export interface PlacedRecords {
  readonly memory: ArrayBuffer
  /** Where the frame of each begins. */
  readonly places: Float64Array
}

/** A batch as it is sent. */
export interface SentBatch {
  readonly records: PackedRecords | PlacedRecords
  readonly gap?: Gap
}

/** A batch of a sharing bus, whose memory nobody else has. */
export function placeBatch(batch: Batch): SentBatch {
  const [first] = batch.records
  if (first === undefined) return packBatch(batch)
  const records = {
    memory: first.value.buffer as ArrayBuffer,
    places: Float64Array.from(batch.records, placeOf),
  }
  return batch.gap === undefined ? { records } : { records, gap: batch.gap }
}

/** A batch of any bus, copied. */
export function packBatch({ records, gap }: Batch): SentBatch {
  const sent = packRecords(records)
  return gap === undefined ? { records: sent } : { records: sent, gap }
}

export function transferOf({ records }: SentBatch): ArrayBuffer[] {
  return ['bytes' in records ? records.bytes : records.memory]
}

export function receiveBatch({ records: sent, gap }: SentBatch): Batch {
  const records = 'bytes' in sent ? unpackRecords(sent) : recordsIn(sent)
  return gap === undefined ? { records } : { records, gap }
}

function placeOf({ key, header, value }: BusRecord): number {
  return (key ?? header ?? value).byteOffset - frameHeadBytes
}

function recordsIn({ memory, places }: PlacedRecords): BusRecord[] {
  const bytes = Buffer.from(memory)
  const records: BusRecord[] = []
  for (let at = 0; at < places.length; at++) {
    records.push(recordAt(bytes, places[at] as number))
  }
  return records
}
