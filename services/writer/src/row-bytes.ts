import type { LedgerRow, SpanRow } from '@winnow/storage'

/**
 * What rows take in V8, measured over 40,000 of them: the object with its ids and numbers, and of a
 * span's texts some four bytes a character, because they are ropes until somebody reads them whole.
 * Limits of memory are kept by these estimates.
 */
export const rowOverheadBytes = 600
export const rowTextBytes = 4
export const ledgerRowOverheadBytes = 900

/** Memory of a row, roughly. Spans of one resource share its attributes, which are not counted. */
export function rowBytes(row: SpanRow): number {
  const { attributes, events, links } = row
  return rowOverheadBytes + rowTextBytes * (attributes.length + events.length + links.length)
}

export function ledgerRowBytes(row: LedgerRow): number {
  return ledgerRowOverheadBytes + row.decision.length + row.rules.length + row.evaluations.length
}
