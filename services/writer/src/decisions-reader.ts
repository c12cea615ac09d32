import type { BusRecord } from '@winnow/bus'
import {
  type CountingState,
  countRecord,
  type Decision,
  type DecisionRecord,
  decisionFormat,
  parseDecision,
  type SpanRef,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { rememberText } from '@winnow/storage'
import { Lru } from './lru.ts'

/** A record of `decisions` as a group folds it: whether it counts, and the state after it. */
export interface FoldedRecord {
  readonly offset: number
  readonly appendedAtMs: number
  /** Borrowed, as the batch has it. */
  readonly value: Uint8Array
  /** Undefined for a claim, for bytes that are no record, and for a decision that does not count. */
  readonly decision: Decision | undefined
  readonly after: CountingState
}

/**
 * Folds records from `state` on (protocol D). Bytes that are no record count for no reader; `unreadable`
 * hears of them. Throws DATA_CORRUPT for a newer format, which must not be skipped: it may count.
 */
export function foldRecords(
  records: readonly BusRecord[],
  state: CountingState,
  parse: (value: Uint8Array, offset: number) => DecisionRecord | undefined,
  unreadable: (offset: number) => void,
): FoldedRecord[] {
  let after = state
  return records.map(({ offset, appendedAtMs, value }) => {
    const parsed = parse(value, offset)
    if (parsed === undefined) {
      unreadable(offset)
      return { offset, appendedAtMs, value, decision: undefined, after }
    }
    const step = countRecord(after, offset, parsed)
    after = step.state
    const decision = step.counts && parsed.kind === 'decision' ? parsed : undefined
    return { offset, appendedAtMs, value, decision, after }
  })
}

/**
 * Parses a record once for both groups of a writer, while they are in step: what one has parsed waits
 * until the other has asked for it. Half of what a dropped decision costs is its JSON.
 */
export class RecordParser {
  readonly #waiting: Lru<DecisionRecord>

  /** At most so many bytes of records wait. */
  constructor(bytesMax: number) {
    this.#waiting = new Lru(bytesMax)
  }

  parse(partition: number, offset: number, value: Uint8Array): DecisionRecord | undefined {
    const key = `${partition}:${offset}`
    const known = this.#waiting.take(key)
    if (known !== undefined) return known
    const parsed = parseRecord(value, offset)
    if (parsed !== undefined) this.#waiting.set(key, parsed, value.length)
    return parsed
  }
}

/** The slices of its own record that a decision has the writer write. */
export function refsToWrite(decision: Decision): SpanRef[] {
  return decision.write.flatMap(at => decision.slices[at]?.ref ?? [])
}

/** Undefined for bytes that are no record. */
export function parseRecord(value: Uint8Array, offset: number): DecisionRecord | undefined {
  const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString()
  const parsed = parseDecision(text)
  switch (parsed.kind) {
    case 'none':
      return undefined
    case 'newer':
      throw new PipelineError(
        'DATA_CORRUPT',
        `decisions record ${offset} has format v ${parsed.v}, this release reads up to ${decisionFormat}: upgrade the writers first`,
      )
    case 'record':
      if (parsed.record.kind === 'decision') rememberText(parsed.record, text)
      return parsed.record
  }
}
