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
 * because nothing but the log enters. A reader without any state takes the first decision it meets at
 * its word when no claim record came before it: retention has removed that claim.
 */
export function countRecord(
  state: CountingState,
  offset: number,
  record: DecisionRecord,
): { readonly counts: boolean; readonly state: CountingState } {
  if (record.kind === 'claim') return { counts: false, state: { claim: offset, next: 1 } }
  if (state.claim === -1 && record.claim >= 0) {
    return { counts: true, state: { claim: record.claim, next: record.seq + 1 } }
  }
  if (record.claim !== state.claim || record.seq !== state.next) return { counts: false, state }
  return { counts: true, state: { claim: state.claim, next: state.next + 1 } }
}
