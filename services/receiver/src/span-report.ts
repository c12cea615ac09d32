import { type ExportResult, type Rejection, type SpanTable, spanProblem } from '@winnow/otlp'
import type { RowFindings } from './grouping.ts'

/** So many refused spans are described in an answer; all of them are counted. */
export const refusalsDescribedMax = 5

/** Labels of `winnow_spans_rejected_total`. `json`: a span that breaks OTLP/JSON. */
export type SpanRefusal =
  | 'trace_id'
  | 'span_id'
  | 'log_record'
  | 'span_bytes'
  | 'head_bytes'
  | 'json'

export interface SpanReport {
  readonly accepted: number
  readonly rejected: number
  readonly byReason: ReadonlyMap<SpanRefusal, number>
  /** The first reasons with their ids, or a warning when nothing was rejected. */
  readonly message: string
}

export interface SpanReportLimits {
  readonly spanBytesMax: number
  readonly headBytesMax: number
  readonly clockSkewMax: number
}

/** What became of the rows [from, to) and of the spans that OTLP/JSON had refused before them. */
export function reportSpans(
  table: SpanTable,
  from: number,
  to: number,
  rejections: readonly Rejection[],
  findings: RowFindings,
  limits: SpanReportLimits,
  isRedacted = false,
): SpanReport {
  const byReason = new Map<SpanRefusal, number>()
  const texts: string[] = []
  if (rejections.length > 0) byReason.set('json', rejections.length)
  for (const rejection of rejections.slice(0, refusalsDescribedMax)) {
    texts.push(describe(rejection.traceId ?? '', rejection.spanId ?? '', rejection.message))
  }
  let refused = rejections.length
  for (let row = from; row < to && table.problems > 0; row++) {
    const problem = table.problem[row] as number
    if (problem === spanProblem.none) continue
    const { reason, text } = problemOf(problem, limits, isRedacted)
    refused++
    byReason.set(reason, (byReason.get(reason) ?? 0) + 1)
    if (texts.length < refusalsDescribedMax) {
      texts.push(describe(traceIdAt(table, row), spanIdAt(table, row), text))
    }
  }
  const accepted = to - from - refused + rejections.length
  const message =
    refused > 0
      ? `${refused} of ${accepted + refused} spans refused: ${texts.join('; ')}`
      : warning(table, findings, limits)
  return { accepted, rejected: refused, byReason, message }
}

/** `leftOut`: of the outcomes that the spans carry what was not taken, though the spans were. */
export function resultOf(
  report: SpanReport,
  leftOut: {
    readonly count: number
    readonly shortened: number
    readonly reasons: readonly string[]
  },
): ExportResult {
  const { rejected, message } = report
  const { count, shortened, reasons } = leftOut
  if (count + shortened === 0) return { rejected, errorMessage: message }
  const what = [
    ...(count > 0 ? [`${count} outcomes left out`] : []),
    ...(shortened > 0 ? [`${shortened} outcomes shortened`] : []),
  ]
  const said = `${what.join(', ')}: ${reasons.join('; ')}`
  return {
    rejected,
    errorMessage: message === '' ? `accepted, but ${said}` : `${message}; ${said}`,
  }
}

function problemOf(
  problem: number,
  limits: SpanReportLimits,
  isRedacted: boolean,
): { readonly reason: SpanRefusal; readonly text: string } {
  const after = isRedacted ? ' after redaction' : ''
  switch (problem) {
    case spanProblem.traceId:
      return { reason: 'trace_id', text: 'the trace id is not 16 bytes, or all zero; send one' }
    case spanProblem.spanId:
      return { reason: 'span_id', text: 'the span id is not 8 bytes, or all zero; send one' }
    case spanProblem.logRecord:
      return { reason: 'log_record', text: 'it is a log record; post logs to /v1/logs' }
    case spanProblem.spanTooLarge:
      return {
        reason: 'span_bytes',
        text: `it is larger than ${limits.spanBytesMax} bytes${after} (spanBytesMax); shorten its attributes or raise the limit`,
      }
    default:
      return {
        reason: 'head_bytes',
        text: `its resource or scope is larger than ${limits.headBytesMax} bytes${after} (headBytesMax); shorten their attributes`,
      }
  }
}

/** Spans that were taken as they are and look wrong: an exporter shows the message and goes on. */
function warning(table: SpanTable, findings: RowFindings, limits: SpanReportLimits): string {
  const texts: string[] = []
  if (findings.backward > 0) {
    const which = describe(...idsAt(table, findings.backwardRow), 'the end lies before the start')
    texts.push(`${findings.backward} spans end before they start (${which})`)
  }
  if (findings.early > 0) {
    const which = describe(...idsAt(table, findings.earlyRow), 'check the clock of its machine')
    texts.push(
      `${findings.early} spans start more than ${limits.clockSkewMax} ms from now (clockSkewMax; ${which})`,
    )
  }
  return texts.length === 0 ? '' : `accepted, but ${texts.join('; ')}`
}

function describe(traceId: string, spanId: string, text: string): string {
  const span = spanId === '' ? 'a span' : `span ${spanId}`
  return traceId === '' ? `${span}: ${text}` : `${span} of trace ${traceId}: ${text}`
}

function idsAt(table: SpanTable, row: number): [traceId: string, spanId: string] {
  return [traceIdAt(table, row), spanIdAt(table, row)]
}

/** '' where the id is no id: its bytes are not what a reader could search for. */
function traceIdAt(table: SpanTable, row: number): string {
  const words = [table.trace0, table.trace1, table.trace2, table.trace3].map(it => it[row] ?? 0)
  return words.every(word => word === 0) ? '' : words.map(hexOf).join('')
}

function spanIdAt(table: SpanTable, row: number): string {
  const words = [table.span0, table.span1].map(it => it[row] ?? 0)
  return words.every(word => word === 0) ? '' : words.map(hexOf).join('')
}

function hexOf(word: number): string {
  return word.toString(16).padStart(8, '0')
}
