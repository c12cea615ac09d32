// Hot: every record of `spans` is read here.
import { decodeTenantRuns, idText, type TenantRun } from '@winnow/model'
import { type Interest, SpanTable, scanTraces, spanProblem } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { type CloseTimes, CloseTimesFinder } from './close-times.ts'
import { type FactInterest, plainInterest } from './fact-interest.ts'
import type { ReadSlice } from './partition-fold.ts'
import { SliceFactsExtractor } from './slice-facts.ts'

/** A slice, and its trace id for those who want it in digits. */
export interface RecordSlice extends ReadSlice {
  readonly traceId: string
}

/** The slices of one record's value, in the order of their bytes. Each is the same object as the one before. */
export type SliceReader = (
  value: Uint8Array,
  header: Uint8Array | undefined,
) => Iterable<RecordSlice>

/**
 * A reader with memory of its own to work in, for one record at a time. Within a tenant's run the
 * spans of one trace that follow one another are one slice, and its bytes are those of their
 * ResourceSpans. A record is scanned whole before its first slice is given, so that a bad one gives
 * none: DATA_CORRUPT where no receiver of ours composed it, PAYLOAD_INVALID where it is not OTLP.
 * `wanted` is asked before every record, for rules change while a process runs.
 */
export function sliceReader(
  wanted: () => FactInterest = () => plainInterest,
  closeTimes: CloseTimes = [],
): SliceReader {
  const finder = closeTimes.length === 0 ? undefined : new CloseTimesFinder(closeTimes)
  const slices = new RecordSlices(wanted, finder)
  return (value, header) => slices.begin(value, header)
}

/** Iterable and iterator, result and slice in one, so that a slice is no new object. */
class RecordSlices implements RecordSlice, IterableIterator<RecordSlice> {
  tenant = ''
  trace0 = 0
  trace1 = 0
  trace2 = 0
  trace3 = 0
  start = 0
  length = 0
  spanCount = 0
  jsonLength = 0
  hasRoot = false
  hasEntry = false
  closeTimes = 0
  facts: Uint8Array = new Uint8Array()
  readonly #table = new SpanTable()
  readonly #wanted: () => FactInterest
  #interest = plainInterest
  readonly #finder: CloseTimesFinder | undefined
  #extractor: SliceFactsExtractor
  readonly #ends: number[] = []
  readonly #given = { done: false, value: this as RecordSlice } as const
  #runs: readonly TenantRun[] = []
  #run = 0
  /** The first row that was not given yet. */
  #row = 0

  constructor(wanted: () => FactInterest, finder: CloseTimesFinder | undefined) {
    this.#wanted = wanted
    this.#finder = finder
    this.#extractor = new SliceFactsExtractor(plainInterest, finder)
  }

  begin(value: Uint8Array, header: Uint8Array | undefined): this {
    this.#runs = []
    const wanted = this.#wanted()
    if (wanted !== this.#interest) {
      this.#interest = wanted
      this.#extractor = new SliceFactsExtractor(wanted, this.#finder)
    }
    const runs = runsOf(value, header)
    scanRuns(this.#table, value, runs, this.#ends, wanted.interest)
    this.#runs = runs
    this.#run = 0
    this.#row = 0
    return this
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<RecordSlice> {
    while (this.#run < this.#runs.length && this.#row === this.#ends[this.#run]) this.#run++
    const run = this.#runs[this.#run]
    if (run === undefined) return atEnd
    const table = this.#table
    const from = this.#row
    const to = sliceEnd(table, from, this.#ends[this.#run] as number)
    this.#row = to
    this.tenant = run.tenant
    this.trace0 = (table.trace0[from] as number) | 0
    this.trace1 = (table.trace1[from] as number) | 0
    this.trace2 = (table.trace2[from] as number) | 0
    this.trace3 = (table.trace3[from] as number) | 0
    this.start = table.resources.start[table.resource[from] as number] as number
    const stop = table.resources.end[table.resource[to - 1] as number] as number
    this.length = stop - this.start
    this.spanCount = to - from
    const extractor = this.#extractor
    this.facts = extractor.pack(table, from, to)
    this.jsonLength = extractor.jsonLength
    this.hasRoot = extractor.hasRoot
    this.hasEntry = extractor.hasEntry
    this.closeTimes = extractor.closeTimes
    return this.#given
  }

  get traceId(): string {
    return idText(this.trace0, this.trace1) + idText(this.trace2, this.trace3)
  }
}

const atEnd: IteratorReturnResult<undefined> = { done: true, value: undefined }

function runsOf(value: Uint8Array, header: Uint8Array | undefined): TenantRun[] {
  const runs = header === undefined ? undefined : decodeTenantRuns(header)
  if (runs === undefined) {
    throw new PipelineError('DATA_CORRUPT', 'a record of spans has no header with tenants’ runs')
  }
  for (const { start, length } of runs) {
    if (start < 0 || length < 0 || start + length > value.length) {
      throw new PipelineError(
        'DATA_CORRUPT',
        `a tenant's run [${start}, ${start + length}) lies outside of its record of ${value.length} bytes`,
      )
    }
  }
  return runs
}

/** Fills the table, and `ends` with where each run's rows end. */
function scanRuns(
  table: SpanTable,
  value: Uint8Array,
  runs: readonly TenantRun[],
  ends: number[],
  interest: Interest,
): void {
  table.clear()
  ends.length = 0
  for (const { start, length } of runs) {
    scanTraces(value, start, start + length, table, interest)
    ends.push(table.length)
  }
  if (table.problems > 0) {
    const row = table.problem.findIndex(problem => problem !== spanProblem.none)
    throw new PipelineError('DATA_CORRUPT', `a span without valid ids at byte ${table.start[row]}`)
  }
  for (let row = 1; row < table.length; row++) {
    if (table.resource[row] !== table.resource[row - 1] || isSameTrace(table, row, row - 1))
      continue
    const at = table.resources.start[table.resource[row] as number]
    throw new PipelineError('DATA_CORRUPT', `ResourceSpans at byte ${at} hold two traces`)
  }
}

/** The row behind the last one of the slice that begins at `from`. */
function sliceEnd(table: SpanTable, from: number, end: number): number {
  let to = from + 1
  while (to < end && isSameTrace(table, to, from)) to++
  return to
}

function isSameTrace(table: SpanTable, a: number, b: number): boolean {
  const { trace0, trace1, trace2, trace3 } = table
  return (
    trace3[a] === trace3[b] &&
    trace2[a] === trace2[b] &&
    trace1[a] === trace1[b] &&
    trace0[a] === trace0[b]
  )
}
