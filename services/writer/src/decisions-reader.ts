import type { Batch } from '@winnow/bus'
import {
  type CountingState,
  countingStart,
  countRecord,
  type Decision,
  type DecisionRecord,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'

/** A record of `decisions` as a group folds it: whether it counts, and the state after it. */
export interface FoldedRecord {
  readonly offset: number
  readonly appendedAtMs: number
  /** Undefined for a claim, and for a decision that does not count. */
  readonly decision: Decision | undefined
  readonly after: CountingState
}

/** Folds a batch from `state` on (protocol D). */
export function foldBatch(batch: Batch, state: CountingState): FoldedRecord[] {
  let current = state
  return batch.records.map(record => {
    const parsed = parseDecision(record.value, record.offset)
    const step = countRecord(current, record.offset, parsed)
    current = step.state
    const counting = step.counts && parsed.kind === 'decision' ? parsed : undefined
    return {
      offset: record.offset,
      appendedAtMs: record.appendedAtMs,
      decision: counting,
      after: current,
    }
  })
}

const versionMax = 1

function parseDecision(value: Uint8Array, offset: number): DecisionRecord {
  const parsed = JSON.parse(Buffer.from(value).toString()) as { v?: unknown }
  if (typeof parsed.v === 'number' && parsed.v >= 1 && parsed.v <= versionMax) {
    return parsed as DecisionRecord
  }
  throw new PipelineError(
    'DATA_CORRUPT',
    `decisions record ${offset} has format v ${String(parsed.v)}, this release reads up to ${versionMax}: upgrade the writer first`,
  )
}

/** The state as a commit's note, and back. A note that is none of ours says nothing is known. */
export function noteOf(state: CountingState): string {
  return JSON.stringify({ v: 1, claim: state.claim, next: state.next })
}

export function stateOf(note: string | undefined): CountingState {
  if (note === undefined || note === '') return countingStart
  const { v, claim, next } = JSON.parse(note) as { v?: number; claim?: number; next?: number }
  if (v === 1 && typeof claim === 'number' && typeof next === 'number') return { claim, next }
  throw new PipelineError('DATA_CORRUPT', `commit note of format v ${v}: upgrade the writer first`)
}
