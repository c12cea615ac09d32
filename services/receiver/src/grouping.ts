// Hot: every received span passes here once, beside the scan and the composer.
import type { SpanTable } from '@winnow/otlp'

/** What one pass over a request's rows finds. Reused from request to request. */
export class RowFindings {
  /** Spans that end before they start, and a row of one. */
  backward = 0
  backwardRow = -1
  /** Spans that start later than the limit, and a row of one. */
  early = 0
  earlyRow = -1

  clear(): void {
    this.backward = 0
    this.backwardRow = -1
    this.early = 0
    this.earlyRow = -1
  }
}

/**
 * Marks the partitions that the rows [from, to) go to - a request waits for those and no others - and
 * counts the times that are worth a warning. `bytes` is the source of the rows; the limit is in Unix
 * nanoseconds, as two words.
 */
export function inspectRows(
  table: SpanTable,
  bytes: Buffer,
  from: number,
  to: number,
  partitionOf: (bytes: Uint8Array, start: number) => number,
  marks: Uint8Array,
  limitHi: number,
  limitLo: number,
  findings: RowFindings,
): void {
  const { problem, trace0, trace1, trace2, trace3, traceAt } = table
  const { startHi, startLo, endHi, endLo } = table
  let before = -1
  for (let row = from; row < to; row++) {
    if (problem[row] !== 0) continue
    const same =
      before >= 0 &&
      trace3[row] === trace3[before] &&
      trace2[row] === trace2[before] &&
      trace1[row] === trace1[before] &&
      trace0[row] === trace0[before]
    if (!same) marks[partitionOf(bytes, traceAt[row] as number)] = 1
    before = row
    const sHi = startHi[row] as number
    const sLo = startLo[row] as number
    const eHi = endHi[row] as number
    if (eHi < sHi || (eHi === sHi && (endLo[row] as number) < sLo)) {
      findings.backward++
      findings.backwardRow = row
    }
    if (sHi > limitHi || (sHi === limitHi && sLo > limitLo)) {
      findings.early++
      findings.earlyRow = row
    }
  }
}
