import {
  compareRefs,
  type Decision,
  type PackedSlice,
  refsMax,
  type SpanRef,
  seriesBytesMax,
  seriesRefsMax,
  slicesBytesMax,
} from '@winnow/model'
import { inOrder } from './fold.ts'
import { sliceBytes, slicesBytes } from './slice-bytes.ts'

/** Slices by (offset, start) with what they take as JSON. */
export interface SliceList {
  readonly slices: readonly PackedSlice[]
  readonly bytes: number
}

export const noSlices: SliceList = { slices: [], bytes: 0 }

/** All that is known of the series of a trace: its last record, and the slices of those before it. */
export interface Series {
  readonly offset: number
  readonly last: Decision
  /** Of the record at `prev` and of its own chain. */
  readonly earlier: SliceList
  /** Retention has passed a record of the chain, so that `earlier` is not all. */
  readonly isCut: boolean
}

/** Where new slices go: into the next record of the series, or into the first of another one. */
export interface Placed {
  /** Of the next record. */
  readonly slices: readonly PackedSlice[]
  readonly prev: number | null
  /** Those of the series that `slices` leaves out. */
  readonly earlier: SliceList
  /** Those of `slices` that are new to the trace. */
  readonly taken: readonly PackedSlice[]
  /** New ones are left for a record after this one, which needs the offset of this one. */
  readonly isPartial: boolean
  /** Where the other series ends, when this record begins a new one. */
  readonly begins?: Place
}

export interface Place {
  readonly offset: number
  readonly start: number
}

/**
 * Places `fresh`, which are in order and which the series does not know. The next record repeats the
 * slices of the last one while all fit; once they do not it carries the new ones alone and chains. A
 * series takes slices up to its limits; the first that does not fit begins another one.
 */
export function place(series: Series | undefined, fresh: readonly PackedSlice[]): Placed {
  if (series === undefined || series.last.sliceCount === 0) return first(fresh)
  const { last, earlier } = series
  if (series.isCut) return cut(series, fresh)
  const own = last.slices
  const ownBytes = slicesBytes(own)
  const fitting = atMost(fresh, {
    refs: seriesRefsMax - last.sliceCount,
    bytes: seriesBytesMax - earlier.bytes - ownBytes,
  })
  const count = fitting.length
  if (count === 0 && fresh.length > 0) return { ...first(fresh), begins: endOf(series) }
  const isPartial = count < fresh.length
  const repeats =
    own.length + count <= refsMax &&
    (count === 0 || ownBytes + slicesBytes(fitting) <= slicesBytesMax)
  if (repeats) {
    const slices = merged(own, fitting)
    return { slices, prev: last.prev, earlier, taken: fitting, isPartial }
  }
  return { ...first(fitting), ...chained(series), ...(isPartial && { isPartial }) }
}

/** What the record at `series.offset` and its chain know, as the next link needs it. */
export function chained(series: Series): Pick<Placed, 'prev' | 'earlier'> {
  const { earlier, offset, last } = series
  const slices = merged(earlier.slices, last.slices)
  return { prev: offset, earlier: { slices, bytes: earlier.bytes + slicesBytes(last.slices) } }
}

/** Has the series this slice, or did the one before it? */
export function knows({ last, earlier }: Series, ref: SpanRef): boolean {
  const { seriesFrom } = last
  if (seriesFrom !== undefined && compare(ref, seriesFrom) <= 0) return true
  return includes(last.slices, ref) || includes(earlier.slices, ref)
}

function first(fresh: readonly PackedSlice[]): Placed {
  const fitting = atMost(fresh, { refs: refsMax, bytes: slicesBytesMax })
  // One slice alone has its place in every record, whatever its size: see `sliceBytesMax`.
  const slices = fitting.length === 0 ? fresh.slice(0, 1) : fitting
  const isPartial = slices.length < fresh.length
  return { slices, prev: null, earlier: noSlices, taken: slices, isPartial }
}

/**
 * What is no longer known cannot be judged again, so another series goes on with what the last record
 * has, as long as that and the new ones fit.
 */
function cut(series: Series, fresh: readonly PackedSlice[]): Placed {
  const own = series.last.slices
  const fits =
    own.length + fresh.length <= refsMax && slicesBytes(own) + slicesBytes(fresh) <= slicesBytesMax
  const [begin] = own
  if (!fits || begin === undefined) return { ...first(fresh), begins: endOf(series) }
  const begins = { offset: begin.ref.offset, start: begin.ref.start - 1 }
  const slices = merged(own, fresh)
  return { slices, prev: null, earlier: noSlices, taken: fresh, isPartial: false, begins }
}

/**
 * The greatest slice of the series. What comes for the first time lies behind it: every assembler
 * appends a trace's slices in the order of the log, and begins at a commit that lies behind all slices
 * that are not in `evidence` yet. So what is at or before it is a repeat.
 */
function endOf({ last, earlier }: Pick<Series, 'last' | 'earlier'>): Place {
  const a = earlier.slices.at(-1)?.ref
  const b = last.slices.at(-1)?.ref
  const greatest = a !== undefined && (b === undefined || compareRefs(a, b) > 0) ? a : b
  return { offset: greatest?.offset ?? -1, start: greatest?.start ?? -1 }
}

/** As many of them, in order, as lie within both limits. */
function atMost(
  slices: readonly PackedSlice[],
  { refs, bytes }: { readonly refs: number; readonly bytes: number },
): readonly PackedSlice[] {
  let sum = 0
  for (let taken = 0; taken < slices.length; taken++) {
    sum += sliceBytes(slices[taken] as PackedSlice)
    if (taken >= refs || sum > bytes) return slices.slice(0, taken)
  }
  return slices
}

function merged(a: readonly PackedSlice[], b: readonly PackedSlice[]): readonly PackedSlice[] {
  if (b.length === 0) return a
  return a.length === 0 ? b : inOrder([...a, ...b])
}

/** `slices` are in order. */
function includes(slices: readonly PackedSlice[], ref: SpanRef): boolean {
  let low = 0
  let high = slices.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const order = compareRefs((slices[middle] as PackedSlice).ref, ref)
    if (order === 0) return true
    if (order < 0) low = middle + 1
    else high = middle
  }
  return false
}

function compare(a: Place, b: Place): number {
  return a.offset - b.offset || a.start - b.start
}
