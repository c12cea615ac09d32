// Hot: every record of `spans` is read here.
import { decodeTenantRuns, type TenantRun } from '@winnow/model'
import { SpanTable, scanTraces, spanProblem } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { assemblerInterest } from './fact-interest.ts'
import type { ReadSlice } from './partition-fold.ts'
import { SliceFactsExtractor } from './slice-facts.ts'

/** The slices of one record's value, in the order of their bytes. */
export type SliceReader = (value: Uint8Array, header: Uint8Array | undefined) => Iterable<ReadSlice>

/**
 * A reader with memory of its own to work in, for one record at a time. Within a tenant's run the
 * spans of one trace that follow one another are one slice, and its bytes are those of their
 * ResourceSpans. A record is scanned whole before its first slice is given, so that a bad one gives
 * none: DATA_CORRUPT where no receiver of ours composed it, PAYLOAD_INVALID where it is not OTLP.
 */
export function sliceReader(): SliceReader {
  const table = new SpanTable()
  const extractor = new SliceFactsExtractor()
  return function* read(value, header) {
    const runs = runsOf(value, header)
    const ends = scanRuns(table, value, runs)
    let from = 0
    for (const [at, { tenant }] of runs.entries()) {
      const end = ends[at] as number
      while (from < end) {
        const to = sliceEnd(table, from, end)
        const start = table.resources.start[table.resource[from] as number] as number
        const stop = table.resources.end[table.resource[to - 1] as number] as number
        const facts = extractor.pack(table, from, to)
        yield {
          tenant,
          traceId: traceIdOf(table, from),
          start,
          length: stop - start,
          spanCount: to - from,
          facts,
          jsonLength: extractor.jsonLength,
          hasRoot: extractor.hasRoot,
          hasEntry: extractor.hasEntry,
        }
        from = to
      }
    }
  }
}

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

/** Fills the table; returns where each run's rows end. */
function scanRuns(table: SpanTable, value: Uint8Array, runs: readonly TenantRun[]): number[] {
  table.clear()
  const ends: number[] = []
  for (const { start, length } of runs) {
    scanTraces(value, start, start + length, table, assemblerInterest)
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
  return ends
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

function traceIdOf(table: SpanTable, row: number): string {
  const at = table.traceAt[row] as number
  return table.sourceOf(row).toString('hex', at, at + 16)
}
