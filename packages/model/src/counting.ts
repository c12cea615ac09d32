import type { DecisionRecord } from './decision.ts'

/** What a reader of one decisions partition must remember to know which records count (protocol D). */
export interface CountingState {
  /** Offset of the current claim; -1 before the first. */
  readonly claim: number
  /** The sequence number that counts next. */
  readonly next: number
}

export const countingStart: CountingState = { claim: -1, next: 1 }

/**
 * Folds one record. Whoever uses it - index, writer, query, verify - agrees with every other reader,
 * because nothing but the log enters.
 *
 * A decision that names a later claim than the current one can only mean that retention removed that
 * claim before this reader came: it is taken at its word, and what older claims append is not. Only a
 * stale record that lies before every record of the current claim, at the very start of what is
 * retained, is counted by a reader without state that a reader with state would pass over.
 */
export function countRecord(
  state: CountingState,
  offset: number,
  record: DecisionRecord,
): { readonly counts: boolean; readonly state: CountingState } {
  if (record.kind === 'claim') return { counts: false, state: { claim: offset, next: 1 } }
  const { claim, seq } = record
  if (claim > state.claim) return { counts: true, state: { claim, next: seq + 1 } }
  if (claim !== state.claim || seq !== state.next) return { counts: false, state }
  return { counts: true, state: { claim, next: seq + 1 } }
}
