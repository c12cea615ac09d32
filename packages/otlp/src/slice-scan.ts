// Hot: every record of `spans` that is verified passes here. Of a span only its own fields are walked.
import { PipelineError } from '@winnow/runtime'
import { grown } from './grown.ts'
import { afterField, afterVarint, lengthAt, malformed, tagAt, wordAt } from './wire-scan.ts'

/**
 * The slices of one record and the ids of their spans, without anything else of them. Reused: columns
 * grow and never shrink, and `clear` forgets the rows.
 */
export class SliceIds {
  slices = 0
  /** Positions within the scanned bytes. */
  start = new Uint32Array(firstRows)
  byteLength = new Uint32Array(firstRows)
  spanCount = new Uint32Array(firstRows)
  /** The slice's first span is number `spanFrom` of `spanIds`. */
  spanFrom = new Uint32Array(firstRows)
  /** Four big-endian words a slice. */
  traceIds = new Uint32Array(4 * firstRows)
  spans = 0
  /** Two big-endian words a span. */
  spanIds = new Uint32Array(2 * firstRows)

  clear(): void {
    this.slices = 0
    this.spans = 0
  }

  openSlice(start: number): number {
    const slice = this.slices++
    if (slice === this.start.length) {
      this.start = grown(this.start, 2 * slice)
      this.byteLength = grown(this.byteLength, 2 * slice)
      this.spanCount = grown(this.spanCount, 2 * slice)
      this.spanFrom = grown(this.spanFrom, 2 * slice)
      this.traceIds = grown(this.traceIds, 8 * slice)
    }
    this.start[slice] = start
    this.spanCount[slice] = 0
    this.spanFrom[slice] = this.spans
    return slice
  }

  addSpan(slice: number, high: number, low: number): void {
    const at = 2 * this.spans++
    if (at === this.spanIds.length) this.spanIds = grown(this.spanIds, 2 * at)
    this.spanIds[at] = high
    this.spanIds[at + 1] = low
    this.spanCount[slice] = (this.spanCount[slice] as number) + 1
  }
}

const firstRows = 64

/**
 * Adds the slices of `bytes[start, end)`, one tenant's run of a record of `spans`: spans of one trace
 * that follow one another are one slice, and its bytes are those of their ResourceSpans. The same
 * slices as a whole scan finds, at a tenth of its cost, because attributes are passed over.
 *
 * Throws PAYLOAD_INVALID for what is not protobuf, or no valid ids, and DATA_CORRUPT where one
 * ResourceSpans holds two traces; what was added before stays.
 */
export function scanSlices(bytes: Uint8Array, start: number, end: number, into: SliceIds): void {
  // A run is a tenant's: its first slice never goes on with the last of the run before.
  let slice = -1
  let at = start
  while (at < end) {
    const fieldStart = at
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 10) {
      at += lengthAt(bytes, at, end) & 15
      slice = scanResource(bytes, at, stop, fieldStart, slice, into)
    }
    at = stop
  }
}

/** Returns the slice that its spans belong to; `slice` as given where it has none. */
function scanResource(
  bytes: Uint8Array,
  from: number,
  end: number,
  fieldStart: number,
  slice: number,
  into: SliceIds,
): number {
  let current = slice
  let isEmpty = true
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 18) {
      at += lengthAt(bytes, at, end) & 15
      while (at < stop) {
        const inner = tagAt(bytes, at, stop)
        at = afterVarint(bytes, at, stop)
        const next = afterField(bytes, inner, at, stop)
        if (inner === 18) {
          at += lengthAt(bytes, at, stop) & 15
          current = scanSpanIds(bytes, at, next, fieldStart, current, isEmpty, into)
          isEmpty = false
        }
        at = next
      }
    }
    at = stop
  }
  if (!isEmpty) into.byteLength[current] = end - (into.start[current] as number)
  return current
}

/** Of an id that is given twice the last counts, as everywhere in protobuf: so all fields are passed. */
function scanSpanIds(
  bytes: Uint8Array,
  from: number,
  end: number,
  fieldStart: number,
  slice: number,
  isFirst: boolean,
  into: SliceIds,
): number {
  let traceAt = -1
  let spanAt = -1
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 10) traceAt = stop - (at + (lengthAt(bytes, at, end) & 15)) === 16 ? stop - 16 : -1
    else if (tag === 18)
      spanAt = stop - (at + (lengthAt(bytes, at, end) & 15)) === 8 ? stop - 8 : -1
    at = stop
  }
  if (traceAt < 0 || spanAt < 0) throw malformed('a span without valid ids', from)
  let current = slice
  if (slice < 0 || !isTrace(into, slice, bytes, traceAt)) {
    if (!isFirst) {
      throw new PipelineError('DATA_CORRUPT', `ResourceSpans at byte ${fieldStart} hold two traces`)
    }
    current = into.openSlice(fieldStart)
    for (let word = 0; word < 4; word++) {
      into.traceIds[4 * current + word] = wordAt(bytes, traceAt + 4 * word)
    }
  }
  into.addSpan(current, wordAt(bytes, spanAt), wordAt(bytes, spanAt + 4))
  return current
}

function isTrace(into: SliceIds, slice: number, bytes: Uint8Array, at: number): boolean {
  const { traceIds } = into
  const from = 4 * slice
  return (
    traceIds[from + 3] === wordAt(bytes, at + 12) &&
    traceIds[from + 2] === wordAt(bytes, at + 8) &&
    traceIds[from + 1] === wordAt(bytes, at + 4) &&
    traceIds[from] === wordAt(bytes, at)
  )
}
