import { PipelineError, type PipelineErrorCode } from '@winnow/runtime'
import type { BusRecord, NewRecord, Position, RangeRead, ValueRange } from './bus.ts'
import type { SharedTail } from './tail-index.ts'
import { ownMemory } from './value-ranges.ts'

/** What goes to the thread that owns the bus. `id` is answered by one `Reply`. */
export type Request =
  | { readonly kind: 'partitionCount'; readonly id: number; readonly topic: string }
  | { readonly kind: 'logId'; readonly id: number; readonly topic: string }
  | (Place & { readonly kind: 'append'; readonly id: number; readonly records: PackedRecords })
  | (Place & { readonly kind: 'fetch'; readonly id: number; readonly offset: number })
  /** Three numbers a range: offset, start, length. */
  | (Place & { readonly kind: 'fetchRanges'; readonly id: number; readonly ranges: Float64Array })
  | (Place & {
      readonly kind: 'read'
      readonly id: number
      readonly from: number
      readonly bytesMax: number
      readonly waitMs: number
    })
  | (Place & { readonly kind: 'bounds'; readonly id: number })
  | (Place & { readonly kind: 'committed'; readonly id: number; readonly group: string })
  | { readonly kind: 'join'; readonly join: number; readonly topic: string; readonly group: string }
  | { readonly kind: 'leave'; readonly id: number; readonly join: number }
  | {
      readonly kind: 'leaseRead'
      readonly id: number
      readonly lease: number
      readonly bytesMax: number
      readonly waitMs: number
    }
  | {
      readonly kind: 'leaseCommit'
      readonly id: number
      readonly lease: number
      readonly position: Position
    }
  | { readonly kind: 'folded'; readonly lease: number; readonly error?: PlainError }

interface Place {
  readonly topic: string
  readonly partition: number
}

/** What comes back. */
export type Reply =
  /** Once, before anything else. */
  | { readonly kind: 'tails'; readonly tails: readonly SharedTail[] }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'refused'; readonly id: number; readonly error: PlainError }
  | {
      readonly kind: 'lease'
      readonly join: number
      readonly lease: number
      readonly partition: number
      readonly committed: Position | undefined
    }
  | { readonly kind: 'lost'; readonly lease: number }
  | { readonly kind: 'failed'; readonly join: number; readonly error: PlainError }

/** An error as it crosses threads: a class would not survive, its code must. */
export interface PlainError {
  readonly code?: PipelineErrorCode
  readonly message: string
}

export function toPlainError(error: unknown): PlainError {
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof PipelineError)) return { message }
  return { code: error.code, message: message.slice(`[${error.code}] `.length) }
}

export function fromPlainError({ code, message }: PlainError): Error {
  return code === undefined ? new Error(message) : new PipelineError(code, message)
}

/**
 * Records in one exact ArrayBuffer, which is transferred: every byte is copied once, and nothing
 * that is still in use elsewhere, like a ring or a pool, leaves its thread.
 */
export interface PackedRecords {
  readonly bytes: ArrayBuffer
  /** Five numbers a record: offset, append time, then bytes of key, header (-1: absent) and value. */
  readonly table: Float64Array
}

const columns = 5
const absent = -1

export function packRecords(records: readonly (BusRecord | NewRecord)[]): PackedRecords {
  const table = new Float64Array(records.length * columns)
  let total = 0
  records.forEach((record, at) => {
    const { key, header, value } = record
    const isRead = 'offset' in record
    const row = [
      isRead ? record.offset : 0,
      isRead ? record.appendedAtMs : 0,
      key?.length ?? absent,
      header?.length ?? absent,
      value.length,
    ]
    table.set(row, at * columns)
    total += (key?.length ?? 0) + (header?.length ?? 0) + value.length
  })
  const bytes = new Uint8Array(total)
  let to = 0
  for (const { key, header, value } of records) {
    for (const part of [key, header, value]) {
      if (part === undefined) continue
      bytes.set(part, to)
      to += part.length
    }
  }
  return { bytes: bytes.buffer, table }
}

export function unpackRecords({ bytes, table }: PackedRecords): BusRecord[] {
  const records: BusRecord[] = []
  let from = 0
  const part = (length: number): Uint8Array => {
    from += length
    return new Uint8Array(bytes, from - length, length)
  }
  for (let at = 0; at < table.length; at += columns) {
    const [offset, appendedAtMs, keyBytes, headerBytes, valueBytes] = table.subarray(
      at,
      at + columns,
    ) as unknown as [number, number, number, number, number]
    const key = keyBytes === absent ? undefined : part(keyBytes)
    const header = headerBytes === absent ? undefined : part(headerBytes)
    records.push({
      offset,
      appendedAtMs,
      ...(key && { key }),
      ...(header && { header }),
      value: part(valueBytes),
    })
  }
  return records
}

/** The answer to `fetchRanges`: all bytes in one piece of memory, which is transferred. */
export interface SentRanges {
  readonly bytes: ArrayBuffer
  /** Bytes of each; -1 where there are none, and its error is the next of `errors`. */
  readonly lengths: Float64Array
  readonly errors: readonly PlainError[]
}

const rangeColumns = 3

export function packRanges(ranges: readonly ValueRange[]): Float64Array {
  const packed = new Float64Array(ranges.length * rangeColumns)
  ranges.forEach(({ offset, start, length }, at) => {
    packed[at * rangeColumns] = offset
    packed[at * rangeColumns + 1] = start
    packed[at * rangeColumns + 2] = length
  })
  return packed
}

export function unpackRanges(packed: Float64Array): ValueRange[] {
  const ranges: ValueRange[] = []
  for (let at = 0; at < packed.length; at += rangeColumns) {
    const [offset, start, length] = packed.subarray(at) as unknown as [number, number, number]
    ranges.push({ offset, start, length })
  }
  return ranges
}

export function packReads(reads: readonly RangeRead[]): SentRanges {
  const lengths = new Float64Array(reads.length)
  const errors: PlainError[] = []
  reads.forEach((read, at) => {
    if (read instanceof PipelineError) errors.push(toPlainError(read))
    lengths[at] = read instanceof PipelineError ? absent : read.length
  })
  return {
    bytes: pieceOf(reads) ?? pieceOf(ownMemory(reads)) ?? new ArrayBuffer(0),
    lengths,
    errors,
  }
}

/** The memory that the reads fill in order from end to end, if they do. */
function pieceOf(reads: readonly RangeRead[]): ArrayBuffer | undefined {
  let piece: ArrayBufferLike | undefined
  let end = 0
  for (const read of reads) {
    if (read instanceof PipelineError) continue
    piece ??= read.buffer
    if (read.buffer !== piece || read.byteOffset !== end) return undefined
    end += read.length
  }
  return piece instanceof ArrayBuffer && piece.byteLength === end ? piece : undefined
}

export function unpackReads({ bytes, lengths, errors }: SentRanges): RangeRead[] {
  let from = 0
  let failed = 0
  return Array.from(lengths, length => {
    if (length === absent) return fromPlainError(errors[failed++] as PlainError) as PipelineError
    from += length
    return new Uint8Array(bytes, from - length, length)
  })
}
