import type { LedgerRow, SpanRow } from '@winnow/storage'

/**
 * What an object, its ids and its numbers take in V8, beside its long texts: measured with
 * `--expose-gc` over 100,000 rows. Limits of memory are kept by these estimates.
 */
export const rowOverheadBytes = 600
export const ledgerRowOverheadBytes = 900

/** Memory of a row, roughly. Spans of one resource share its attributes, which are not counted. */
export function rowBytes(row: SpanRow): number {
  return rowOverheadBytes + row.attributes.length + row.events.length + row.links.length
}

export function ledgerRowBytes(row: LedgerRow): number {
  return ledgerRowOverheadBytes + row.decision.length + row.rules.length + row.evaluations.length
}
