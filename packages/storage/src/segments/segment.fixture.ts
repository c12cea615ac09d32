import { compareSpans, type SpanRow } from '../span-row.ts'

/** What a segment of spans must hold, said once more in the plainest way: one row a span id, the earliest. */
export function segmentSpanRows(rows: readonly SpanRow[]): SpanRow[] {
  const traces = Map.groupBy(rows, row => `${row.trace_id}/${row.tenant}`)
  return [...traces]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, spans]) => {
      const distinct = new Map<string, SpanRow>()
      for (const row of spans) {
        const before = distinct.get(row.span_id)
        if (before === undefined || row.sampling_offset < before.sampling_offset) {
          distinct.set(row.span_id, row)
        }
      }
      return [...distinct.values()].sort(compareSpans)
    })
}
