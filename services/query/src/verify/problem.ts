import type { SpanRef } from '@winnow/model'

/**
 * Why a window does not balance.
 *
 * - `missing`: a slice below the watermark that no counting decision names
 * - `doubled`: a slice that two traces or series account for, or that one record names twice
 * - `miscounted`: a decision whose counts are not those of the spans in its slices
 * - `foreign`: a decision that names bytes which are not on the bus, or not those it describes
 * - `unreadable`: a record that no receiver of ours composed
 */
export type ProblemKind = 'missing' | 'doubled' | 'miscounted' | 'foreign' | 'unreadable'

export interface Problem {
  readonly problem: ProblemKind
  /** Null of a record that cannot be read. */
  readonly tenant: string | null
  readonly traceId: string | null
  /** `length` and `spanCount` are 0 where nobody states them. */
  readonly ref: SpanRef
  /** The decision that says so, or the one before which it is missing. */
  readonly decision?: { readonly partition: number; readonly offset: number }
  /** Spans by which the window is out of balance for it; at least 1. */
  readonly spans: number
  readonly detail: string
}

/** Problems that a partition remembers one by one; beyond them it only counts. */
export const problemsMax = 1000
