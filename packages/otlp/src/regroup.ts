// Hot: every received span is grouped here.
import { PipelineError } from '@winnow/runtime'
import type { ByteSink } from './byte-sink.ts'
import { grown } from './grown.ts'
import { SliceLayout } from './slice-layout.ts'
import { envelopeBytes, SliceWriter } from './slice-writer.ts'
import { type SpanTable, spanProblem } from './span-table.ts'
import { TraceSlots } from './trace-slots.ts'

export interface RegroupLimits {
  /** Spans of one slice, client's duplicates included. */
  readonly sliceSpansMax: number
  /** One record, and so one slice. */
  readonly recordBytesMax: number
  /** A record takes no further slice that would lift it over this. */
  readonly recordFillBytes: number
  /** Tenants in one record, so that its header stays below the bus's limit. */
  readonly recordTenantsMax: number
  /** One span's message. */
  readonly spanBytesMax: number
  /** The fields of one ResourceSpans, or ScopeSpans, beside its spans. Each slice repeats them. */
  readonly headBytesMax: number
  /**
   * What one request may become, if each of its spans had to repeat resource and scope: a hundred
   * thousand tiny spans under one large resource would else be gigabytes.
   */
  readonly composedBytesMax: number
}

export const regroupLimits: RegroupLimits = {
  sliceSpansMax: 2000,
  recordBytesMax: 4 << 20,
  recordFillBytes: 128 << 10,
  recordTenantsMax: 256,
  spanBytesMax: 1 << 20,
  headBytesMax: 1 << 20,
  composedBytesMax: 256 << 20,
}

export interface ComposerOptions {
  readonly limits?: RegroupLimits
  /** The partition of the 16 bytes of a trace id at `start`. Asked once a trace, or a slice of it. */
  readonly partitionOf: (bytes: Uint8Array, start: number) => number
  /** Any integer that senders do not know: it keeps chosen trace ids from meeting in one hash slot. */
  readonly hashSeed: number
}

/**
 * Gathers the spans of scanned requests by tenant and trace, and lays them out as records of the
 * bus: in each record the spans of one trace are one contiguous slice, itself valid `TracesData`.
 *
 *     scanTraces(body, 0, body.length, table, noInterest)   // for each waiting request
 *     composer.add(from, table.length, tenant)
 *     composer.compose(sink)                                // once for all of them
 *     composer.clear(); table.clear()                       // when the bytes are taken
 *
 * Order is that of first appearance, by partition and tenant, whatever the seed. Of a trace cut at
 * `sliceSpansMax` or `recordBytesMax` no record holds two slices: side by side they would be one.
 */
export class Composer {
  readonly layout = new SliceLayout()
  readonly #table: SpanTable
  readonly #limits: RegroupLimits
  readonly #partitionOf: (bytes: Uint8Array, start: number) => number
  readonly #slots: TraceSlots
  readonly #writer: SliceWriter
  #boundBytes = 0

  /** By row: the next span of its slice; -1: the last. */
  #next = new Int32Array(1024)
  #slices = 0
  #first = new Int32Array(firstSlices)
  #last = new Int32Array(firstSlices)
  #spans = new Uint32Array(firstSlices)
  /** What the slice will have at most, in bytes. */
  #bound = new Uint32Array(firstSlices)
  #tenant = new Uint32Array(firstSlices)
  #partition = new Uint32Array(firstSlices)
  /** 0 for the first slice of its trace, 1 for the second one … */
  #ordinal = new Uint32Array(firstSlices)

  /** Throws RangeError where a span under two heads, each at its limit, would not fit into a record. */
  constructor(table: SpanTable, options: ComposerOptions) {
    const limits = options.limits ?? regroupLimits
    const largest = limits.spanBytesMax + 2 * limits.headBytesMax + 4 * envelopeBytes
    if (largest > limits.recordBytesMax) {
      throw new RangeError(
        `recordBytesMax ${limits.recordBytesMax} cannot hold a span of ${largest}`,
      )
    }
    this.#table = table
    this.#limits = limits
    this.#partitionOf = options.partitionOf
    this.#slots = new TraceSlots(table, options.hashSeed)
    this.#writer = new SliceWriter(table)
  }

  /** No more than this will be composed from what was added, in bytes. */
  get boundBytes(): number {
    return this.#boundBytes
  }

  /**
   * Adds the rows [from, to) of the table: one request of one tenant, a small integer. Rows that
   * have a `problem` are left out, and so are spans and heads over their limit, whose rows get one.
   * Returns how many spans were taken. Over `composedBytesMax`: PAYLOAD_TOO_LARGE, nothing is added.
   */
  add(from: number, to: number, tenant: number): number {
    this.#boundBytes += this.#check(from, to)
    if (to > this.#next.length) this.#next = grown(this.#next, Math.max(to, this.#next.length * 2))
    const { trace0, trace1, trace2, trace3, problem } = this.#table
    let taken = 0
    let before = -1
    let slice = -1
    for (let row = from; row < to; row++) {
      if (problem[row] !== spanProblem.none) continue
      const same =
        before >= 0 &&
        trace3[row] === trace3[before] &&
        trace2[row] === trace2[before] &&
        trace1[row] === trace1[before] &&
        trace0[row] === trace0[before]
      if (!same) slice = this.#slots.find(row, tenant)
      slice = this.#append(slice, row, tenant)
      before = row
      taken++
    }
    return taken
  }

  /** Writes all that was added behind the sink's length and describes it in {@link layout}. */
  compose(sink: ByteSink): void {
    const { recordFillBytes, recordTenantsMax } = this.#limits
    const layout = this.layout
    layout.clear()
    let record = -1
    let partition = -1
    let ordinal = -1
    let tenant = -1
    let tenants = 0
    const order = this.#order()
    for (let i = 0; i < order.length; i++) {
      const slice = order[i] as number
      const length = this.#writer.measure(this.#first[slice] as number, this.#next)
      if (this.#tenant[slice] !== tenant) tenants++
      if (
        this.#partition[slice] !== partition ||
        this.#ordinal[slice] !== ordinal ||
        tenants > recordTenantsMax ||
        (layout.recordLength[record] as number) + length > recordFillBytes
      ) {
        record = layout.openRecord(this.#partition[slice] as number, sink.length)
        tenants = 1
      }
      partition = this.#partition[slice] as number
      ordinal = this.#ordinal[slice] as number
      tenant = this.#tenant[slice] as number
      sink.reserve(length)
      this.#writer.write(this.#next, sink)
      const first = this.#first[slice] as number
      layout.addSlice(record, first, tenant, length, this.#spans[slice] as number)
    }
  }

  /** Forgets what was added, before the table forgets its rows. */
  clear(): void {
    this.#slots.clear()
    this.#slices = 0
    this.#boundBytes = 0
  }

  /** Marks what is too large alone; refuses what is too large together. */
  #check(from: number, to: number): number {
    const { spanBytesMax, headBytesMax, composedBytesMax } = this.#limits
    const table = this.#table
    const { problem, start, end, fieldStart, resource, scope } = table
    let composed = 0
    for (let row = from; row < to; row++) {
      if (problem[row] !== spanProblem.none) continue
      const resourceHead = table.resources.headBytes[resource[row] as number] as number
      const scopeHead = table.scopes.headBytes[scope[row] as number] as number
      if ((end[row] as number) - (start[row] as number) > spanBytesMax) {
        problem[row] = spanProblem.spanTooLarge
        table.problems++
      } else if (resourceHead > headBytesMax || scopeHead > headBytesMax) {
        problem[row] = spanProblem.headTooLarge
        table.problems++
      } else {
        composed += resourceHead + scopeHead + 2 * envelopeBytes
        composed += (end[row] as number) - (fieldStart[row] as number)
      }
    }
    if (composed > composedBytesMax) {
      throw new PipelineError(
        'PAYLOAD_TOO_LARGE',
        `spans with their resources and scopes are ${composed} bytes, over ${composedBytesMax} (composedBytesMax); send fewer spans a request, or smaller resources`,
      )
    }
    return composed
  }

  /** Adds a row to the slice, or to a new one where there is none or it is full. */
  #append(found: number, row: number, tenant: number): number {
    const { resource, scope, resources, scopes, fieldStart, end } = this.#table
    let slice = found
    let bytes = (end[row] as number) - (fieldStart[row] as number)
    const head = (scopes.headBytes[scope[row] as number] as number) + envelopeBytes
    const outer = (resources.headBytes[resource[row] as number] as number) + envelopeBytes
    const last = slice < 0 ? -1 : (this.#last[slice] as number)
    if (last < 0 || scope[last] !== scope[row]) bytes += head
    if (last < 0 || resource[last] !== resource[row]) bytes += outer
    const full =
      slice >= 0 &&
      ((this.#spans[slice] as number) >= this.#limits.sliceSpansMax ||
        (this.#bound[slice] as number) + bytes > this.#limits.recordBytesMax)
    this.#next[row] = -1
    if (slice >= 0 && !full) {
      this.#next[last] = row
      this.#last[slice] = row
      this.#spans[slice] = (this.#spans[slice] as number) + 1
      this.#bound[slice] = (this.#bound[slice] as number) + bytes
      return slice
    }
    const before = slice
    slice = this.#open(row, tenant)
    this.#ordinal[slice] = before < 0 ? 0 : (this.#ordinal[before] as number) + 1
    this.#bound[slice] = (end[row] as number) - (fieldStart[row] as number) + head + outer
    return slice
  }

  #open(row: number, tenant: number): number {
    const slice = this.#slices++
    if (slice === this.#first.length) this.#growSlices()
    this.#first[slice] = row
    this.#last[slice] = row
    this.#spans[slice] = 1
    this.#tenant[slice] = tenant
    const source = this.#table.sourceOf(row)
    this.#partition[slice] = this.#partitionOf(source, this.#table.traceAt[row] as number)
    this.#slots.set(row, tenant, slice)
    return slice
  }

  /** Slices by partition, then ordinal, then tenant, then first appearance. */
  #order(): Uint32Array {
    let order: Uint32Array = new Uint32Array(this.#slices)
    for (let i = 0; i < order.length; i++) order[i] = i
    order = sortedBy(this.#tenant, order)
    order = sortedBy(this.#ordinal, order)
    return sortedBy(this.#partition, order)
  }

  #growSlices(): void {
    const capacity = this.#first.length * 2
    this.#first = grown(this.#first, capacity)
    this.#last = grown(this.#last, capacity)
    this.#spans = grown(this.#spans, capacity)
    this.#bound = grown(this.#bound, capacity)
    this.#tenant = grown(this.#tenant, capacity)
    this.#partition = grown(this.#partition, capacity)
    this.#ordinal = grown(this.#ordinal, capacity)
  }
}

const firstSlices = 256

/** A stable counting sort of `order` by small numbers. */
function sortedBy(keys: Uint32Array, order: Uint32Array): Uint32Array {
  let largest = 0
  for (const item of order) if ((keys[item] as number) > largest) largest = keys[item] as number
  if (largest === 0) return order
  const starts = new Uint32Array(largest + 2)
  for (const item of order) {
    const after = (keys[item] as number) + 1
    starts[after] = (starts[after] as number) + 1
  }
  for (let key = 1; key < starts.length; key++) {
    starts[key] = (starts[key] as number) + (starts[key - 1] as number)
  }
  const sorted = new Uint32Array(order.length)
  for (const item of order) {
    const key = keys[item] as number
    const at = starts[key] as number
    sorted[at] = item
    starts[key] = at + 1
  }
  return sorted
}
