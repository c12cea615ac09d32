// Hot file: every record that a worker reads passes here; numbers and one copy a record.
import type { Batch, BusRecord, Gap } from './bus.ts'
import {
  frameBytesAt,
  frameHeadBytes,
  frameOffsetAt,
  framePartitionAt,
  isIntact,
  recordAt,
  strideOf,
} from './file-format.ts'
import type { TakeMemory } from './log-reader.ts'
import { type PackedRecords, packRecords, unpackRecords } from './remote-messages.ts'
import type { SharedTail } from './shared-bus.ts'

/** Records by the place of their frames, in memory that both threads have or that is transferred. */
export interface PlacedRecords {
  /** Which of the tails that were sent first, or memory that was read into for this one reply. */
  readonly within: number | ArrayBuffer
  /** Three numbers a record: its offset, where its frame begins in that memory, bytes of the frame. */
  readonly places: Float64Array
}

/** A batch as it is sent. */
export interface SentBatch {
  readonly records: PackedRecords | PlacedRecords
  readonly gap?: Gap
}

const columns = 3

/** A batch of a shared bus: its records are views of a tail, or of memory that nobody else has. */
export function placeBatch({ records, gap }: Batch, tails: readonly SharedTail[]): SentBatch {
  const [first] = records
  const memory = first?.value.buffer ?? new ArrayBuffer(0)
  const within =
    memory instanceof ArrayBuffer ? memory : tails.findIndex(tail => tail.memory === memory)
  const sent = { within, places: placesOf(records) }
  return gap === undefined ? { records: sent } : { records: sent, gap }
}

/** A batch of any bus, copied. */
export function packBatch({ records, gap }: Batch): SentBatch {
  const sent = packRecords(records)
  return gap === undefined ? { records: sent } : { records: sent, gap }
}

export function transferOf({ records }: SentBatch): ArrayBuffer[] {
  if ('bytes' in records) return [records.bytes]
  return records.within instanceof ArrayBuffer ? [records.within] : []
}

function placesOf(records: readonly BusRecord[]): Float64Array {
  const places = new Float64Array(records.length * columns)
  for (let at = 0; at < records.length; at++) {
    const { offset, key, header, value } = records[at] as BusRecord
    const start = (key ?? header ?? value).byteOffset - frameHeadBytes
    places[at * columns] = offset
    places[at * columns + 1] = start
    places[at * columns + 2] = value.byteOffset + value.length - start
  }
  return places
}

/** Offsets [from, to) that have to be asked for again, for their places were overwritten. */
export interface Overwritten {
  readonly from: number
  readonly to: number
}

/**
 * The records of a batch in memory of this thread. The other one may write over a place while it is
 * copied: what was copied counts only if it is still that record, checksum and all.
 */
export function receiveRecords(
  sent: PackedRecords | PlacedRecords,
  tails: readonly ReceivedTail[],
  partition: number,
  take: TakeMemory,
): readonly BusRecord[] | Overwritten {
  if ('bytes' in sent) return unpackRecords(sent)
  const { places, within } = sent
  if (within instanceof ArrayBuffer) return recordsIn(Buffer.from(within), places)
  const tail = tails[within] as ReceivedTail
  let total = 0
  for (let at = 0; at < places.length; at += columns) total += strideOf(places[at + 2] as number)
  const memory = take(total)
  const records: BusRecord[] = []
  let to = 0
  for (let at = 0; at < places.length; at += columns) {
    const offset = places[at] as number
    const start = places[at + 1] as number
    const bytes = places[at + 2] as number
    tail.memory.copy(memory, to, start, start + bytes)
    const isSame =
      isIntact(memory, to, to + bytes, tail.seed) &&
      frameBytesAt(memory, to) === bytes &&
      frameOffsetAt(memory, to) === offset &&
      framePartitionAt(memory, to) === partition
    if (!isSame) {
      const last = places[places.length - columns] as number
      return { from: places[0] as number, to: last + 1 }
    }
    records.push(recordAt(memory, to))
    to += strideOf(bytes)
  }
  return records
}

function recordsIn(memory: Buffer, places: Float64Array): BusRecord[] {
  const records: BusRecord[] = []
  for (let at = 0; at < places.length; at += columns) {
    records.push(recordAt(memory, places[at + 1] as number))
  }
  return records
}

/** A tail as the thread that copies from it holds it. */
export interface ReceivedTail {
  readonly memory: Buffer
  readonly seed: number
}

export function receiveTails(tails: readonly SharedTail[]): ReceivedTail[] {
  return tails.map(({ memory, seed }) => ({ memory: Buffer.from(memory), seed }))
}
