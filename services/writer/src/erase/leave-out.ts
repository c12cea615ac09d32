import { parseDecisionHead } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { emptyPack, erasedDecision, type LoggedDecision } from '@winnow/storage'
import type { FoldedRecord } from '../decisions-reader.ts'
import type { KeptSpans } from '../kept-reader.ts'
import type { Erasures } from './erasures.ts'

/** A record with what is kept of it, as a segment takes it. */
export interface Gatherable {
  readonly record: FoldedRecord
  readonly kept: readonly KeptSpans[]
  /** Of a trace that is being erased: its rows are left out, and of its decision all but the accounting. */
  readonly isErased: boolean
}

/** What a decision that was taken, or is read again, may bring to a store while its trace is erased. */
export function leaveOut(
  erasures: Erasures | undefined,
  record: FoldedRecord,
  kept: readonly KeptSpans[],
): Gatherable {
  const { logged, value } = record
  const isErased =
    logged !== undefined && erasures?.has(logged.decision.tenant, logged.decision.traceId) === true
  if (!isErased) return { record, kept, isErased: false }
  return {
    record: { ...record, logged: accountingOf(logged, value) },
    kept: kept.map(one => ({
      ...one,
      spans: emptyPack,
      bodies: [],
      spansErased: one.spans.count,
    })),
    isErased,
  }
}

/** From the record itself: of a drop no more than the ledger's columns may have been read. */
function accountingOf({ outcomes }: LoggedDecision, value: Uint8Array): LoggedDecision {
  const parsed = parseDecisionHead(Buffer.from(value).toString())
  if (parsed.kind !== 'record' || parsed.record.kind !== 'decision') {
    throw new PipelineError('DATA_CORRUPT', 'a decision that counts is no decision')
  }
  const erased = erasedDecision(parsed.record)
  const { slices, ...decision } = erased
  const json = Buffer.from(JSON.stringify(erased))
  return { decision, slices: [], outcomes, json, head: undefined }
}
