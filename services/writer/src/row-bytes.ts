import type { LedgerEntry, SpanPack } from '@winnow/storage'

/**
 * What is gathered takes in V8, measured over 40,000 of each: a pack its bytes and an object around
 * them, a row of the ledger an object of numbers and texts. Limits of memory are kept by these estimates.
 */
export const packOverheadBytes = 300
export const ledgerRowOverheadBytes = 900

/** Memory of a pack, roughly. */
export function packBytes({ bytes }: SpanPack): number {
  return packOverheadBytes + bytes.length
}

export function ledgerRowBytes(row: LedgerEntry): number {
  return ledgerRowOverheadBytes + row.decision.length + row.rules.length + row.evaluations.length
}
