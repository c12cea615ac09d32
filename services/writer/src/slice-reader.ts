import { type Bus, type RangeRead, rangesMax } from '@winnow/bus'
import { compareRefs, refKey, type SpanRef } from '@winnow/model'
import { decodeTraces, type TracesData } from '@winnow/otlp'
import { Gate, isRetryable, PipelineError } from '@winnow/runtime'
import { isUnread, type TraceBuffer } from '@winnow/storage'
import { fetchesMax, rangesBytesMax } from './config.ts'

/** A slice read back from `spans`, or why there is none. */
export type SliceRead =
  | {
      readonly kind: 'read'
      readonly ref: SpanRef
      readonly bytes: Uint8Array
      /** Where the bytes had to be looked at already. */
      readonly data: TracesData | undefined
    }
  /** Retention has passed the record. */
  | { readonly kind: 'gone'; readonly ref: SpanRef }
  /** There are no bytes that the decision could mean. Nothing can be done, so it is said. */
  | { readonly kind: 'unreadable'; readonly ref: SpanRef; readonly error: PipelineError }

/** The same with what rows want of the bytes; or there is nothing in them that the decision could mean. */
export type SliceSpans =
  | (SliceRead & { readonly kind: 'read'; readonly data: TracesData })
  | Exclude<SliceRead, { readonly kind: 'read' }>

/**
 * Apart from reading, so that a slice can be decoded as its turn comes: what a window of thousands of
 * spans takes as objects would outlive a few collections.
 */
export function decodeSlice(read: SliceRead): SliceSpans {
  if (read.kind !== 'read') return read
  const { ref, bytes, data } = read
  if (data !== undefined) return { kind: 'read', ref, bytes, data }
  try {
    return { kind: 'read', ref, bytes, data: decodeTraces(bytes, isUnread) }
  } catch (error) {
    return unreadable(ref, error)
  }
}

/**
 * Reads the bodies of kept traces where they lie: stretches of records, as many at once as the bus takes,
 * out of the trace buffer where there is one that has them. The buffer is believed only where what it has
 * is the slice: everything else is asked of the bus, whose answer stands.
 */
export class SliceReader {
  readonly #bus: Bus
  readonly #topic: string
  readonly #buffer: TraceBuffer | undefined
  readonly #gate = new Gate(fetchesMax)

  constructor(bus: Bus, topic: string, buffer?: TraceBuffer) {
    this.#bus = bus
    this.#topic = topic
    this.#buffer = buffer
  }

  /**
   * In the order of `refs`, of which `traceIds` says whose each is. Rejects with what may pass, such as
   * BUS_UNAVAILABLE; a slice that is gone, or can never be read, is an answer. Those of one call may share
   * memory: to keep one keeps all.
   */
  async read(refs: readonly SpanRef[], traceIds: readonly string[]): Promise<SliceRead[]> {
    const buffered = this.#buffer && {
      buffer: this.#buffer,
      logId: await this.#bus.logId(this.#topic),
    }
    const reads: SliceRead[] = []
    const wanted: number[] = []
    for (const [at, ref] of refs.entries()) {
      if (isRange(ref)) wanted.push(at)
      else reads[at] = { kind: 'unreadable', ref, error: noRange(ref) }
    }
    // Neighbours of one record come together, whatever decisions they belong to.
    const at = (n: number): SpanRef => refs[n] as SpanRef
    wanted.sort((a, b) => at(a).partition - at(b).partition || compareRefs(at(a), at(b)))
    await Promise.all(
      callsOf(wanted, at).map(async call => {
        await this.#gate.run(async () => {
          if (buffered !== undefined) await readBuffered(buffered, refs, traceIds, call, reads)
          const missing = call.filter(n => reads[n] === undefined)
          if (missing.length === 0) return
          const found = await this.#fetch(at(missing[0] as number).partition, missing.map(at))
          for (const [n, own] of missing.entries()) reads[own] = sliceOf(at(own), found[n])
        })
      }),
    )
    return reads
  }

  async #fetch(partition: number, refs: readonly SpanRef[]): Promise<readonly RangeRead[]> {
    try {
      return await this.#bus.fetchRanges(this.#topic, partition, refs)
    } catch (error) {
      // A partition that does not exist: nothing that it names will ever be read.
      if (!(error instanceof PipelineError) || isRetryable(error)) throw error
      return refs.map(() => error)
    }
  }
}

/** Fills in those of one call that the buffer has, and has right. */
async function readBuffered(
  { buffer, logId }: { readonly buffer: TraceBuffer; readonly logId: string },
  refs: readonly SpanRef[],
  traceIds: readonly string[],
  call: readonly number[],
  reads: SliceRead[],
): Promise<void> {
  const found = await buffer.readRanges(
    logId,
    call.map(n => refs[n] as SpanRef),
  )
  for (const [at, n] of call.entries()) {
    const bytes = found[at]
    if (bytes === undefined) continue
    const read = decodeSlice(readOf(refs[n] as SpanRef, bytes))
    if (read.kind === 'read' && isWhole(read, traceIds[n])) reads[n] = read
  }
}

/**
 * A log that lost its end has other records under the same offsets now, and the buffer may have the old
 * ones: then these are not so many spans, or not that trace's.
 */
function isWhole(
  { ref, data }: SliceSpans & { kind: 'read' },
  traceId: string | undefined,
): boolean {
  let spanCount = 0
  for (const { scopeSpans } of data.resourceSpans) {
    for (const { spans } of scopeSpans) {
      spanCount += spans.length
      for (const span of spans) if (span.traceId !== traceId) return false
    }
  }
  return spanCount === ref.spanCount
}

/** Runs of one partition, each at most what one call may ask for. */
function callsOf(wanted: readonly number[], at: (n: number) => SpanRef): number[][] {
  const calls: number[][] = []
  let bytes = 0
  for (const n of wanted) {
    const { partition, length } = at(n)
    const call = calls.at(-1)
    const isSame = call !== undefined && at(call[0] as number).partition === partition
    if (isSame && call.length < rangesMax && bytes + length <= rangesBytesMax) {
      call.push(n)
      bytes += length
    } else {
      calls.push([n])
      bytes = length
    }
  }
  return calls
}

function isRange({ offset, start, length }: SpanRef): boolean {
  return [offset, start, length].every(value => Number.isSafeInteger(value) && value >= 0)
}

function noRange(ref: SpanRef): PipelineError {
  return new PipelineError('DATA_CORRUPT', `slice ${refKey(ref)} of ${ref.length} bytes is nowhere`)
}

function sliceOf(ref: SpanRef, found: RangeRead | undefined): SliceRead {
  if (found === undefined) throw new TypeError(`no answer for slice ${refKey(ref)}`)
  if (!(found instanceof PipelineError)) return readOf(ref, found)
  return found.code === 'OFFSET_GONE' ? { kind: 'gone', ref } : unreadable(ref, found)
}

function readOf(ref: SpanRef, bytes: Uint8Array): SliceRead {
  return { kind: 'read', ref, bytes, data: undefined }
}

/** Throws what may pass, and what is a bug. */
function unreadable(ref: SpanRef, error: unknown): SliceRead & { kind: 'unreadable' } {
  if (!(error instanceof PipelineError) || isRetryable(error)) throw error
  return { kind: 'unreadable', ref, error }
}
