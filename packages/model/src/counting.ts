/** What a reader of one decisions partition must remember to know which records count (protocol D). */
export interface CountingState {
  /** Offset of the current claim; -1 before the first. */
  readonly claim: number
  /** The sequence number that counts next. */
  readonly next: number
}

/** What of a record of `decisions` says whether it counts. */
export type CountedRecord =
  | { readonly kind: 'claim' }
  | { readonly kind: 'decision'; readonly claim: number; readonly seq: number }

export const countingStart: CountingState = { claim: -1, next: 1 }

/**
 * Folds one record. Whoever uses it - index, writer, query, verify - agrees with every other reader,
 * because nothing but the log enters.
 *
 * A decision that names a later claim than the current one can only mean that retention removed that
 * claim before this reader came: it is taken at its word, and what older claims append is not. A reader
 * without state begins with {@link startOfCounting}, or it would count what a former owner appended
 * before the first record that names the claim in force.
 */
export function countRecord(
  state: CountingState,
  offset: number,
  record: CountedRecord,
): { readonly counts: boolean; readonly state: CountingState } {
  if (record.kind === 'claim') return { counts: false, state: { claim: offset, next: 1 } }
  const { claim, seq } = record
  if (claim > state.claim) return { counts: true, state: { claim, next: seq + 1 } }
  if (claim !== state.claim || seq !== state.next) return { counts: false, state }
  return { counts: true, state: { claim, next: seq + 1 } }
}

/**
 * The state before the first of `records`, for a reader that comes to the first retained offset without
 * any, or that retention has overtaken: the greatest claim that is named before the first claim record
 * (protocol D). `records` are the first ones there are, in order; what is no record is left out.
 *
 * As many as one read brings are enough but for a rare case: an owner has one append in flight, so a
 * former one leaves at most that much behind a claim, and the claim in force is named right after it.
 */
export function startOfCounting(records: Iterable<CountedRecord>): CountingState {
  let state = countingStart
  for (const record of records) {
    if (record.kind === 'claim') break
    if (record.claim > state.claim) state = { claim: record.claim, next: record.seq }
  }
  return state
}
