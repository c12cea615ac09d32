// Hot: every decision goes through here, dropped ones too.
import type { BusRecord } from '@winnow/bus'
import {
  type Claim,
  type CountedRecord,
  type CountingState,
  countRecord,
  type Decision,
  decisionFormat,
  dropSlicesFrom,
  type PackedSlice,
  type ParsedDecision,
  packedOutcomes,
  packedSlices,
  parseDecision,
  parseHeadAlone,
  readDrop,
  type SpanRef,
  startOfCounting,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import {
  factsJson,
  factsOnly,
  type LoggedDecision,
  ledgerOutcomes,
  type SlicePlace,
} from '@winnow/storage'
import type { Shelf } from './abreast.ts'

/** A record of `decisions` as a group folds it: whether it counts, and the state after it. */
export interface FoldedRecord {
  readonly offset: number
  readonly appendedAtMs: number
  /** Borrowed, as the batch has it. */
  readonly value: Uint8Array
  /** Undefined for a claim, for bytes that are no record, and for a decision that does not count. */
  readonly logged: LoggedDecision | undefined
  readonly after: CountingState
}

export type ParsedRecord =
  | { readonly kind: 'claim'; readonly claim: Claim }
  | {
      readonly kind: 'decision'
      readonly logged: LoggedDecision
      /** What stands where its slices should be is none; it has none then, and counts all the same. */
      readonly isBroken: boolean
    }

/** What of a record cannot be read: all of it, so that it counts for nobody, or its slices alone. */
export type Unreadable = 'writer.unreadable_decision' | 'writer.unreadable_slices'

/**
 * Folds records from `state` on (protocol D). Where that knows no claim, `records` are the first ones
 * there are, or the first behind a gap, and say by themselves which claim is in force: else what a
 * former owner left behind it would count here and for nobody else. Bytes that are no record count for
 * no reader; a decision whose slices alone cannot be read counts for all. `unreadable` hears of both.
 * Throws DATA_CORRUPT for a newer format, which must not be skipped: it may count.
 */
export function foldRecords(
  records: readonly BusRecord[],
  state: CountingState,
  parse: (value: Uint8Array, offset: number) => ParsedRecord | undefined,
  unreadable: (offset: number, what: Unreadable) => void,
): FoldedRecord[] {
  const all = records.map(({ offset, value }) => parse(value, offset))
  let after = state.claim < 0 ? startOfCounting(countedOf(all)) : state
  return records.map(({ offset, appendedAtMs, value }, at) => {
    const parsed = all[at]
    if (parsed === undefined) {
      unreadable(offset, 'writer.unreadable_decision')
      return { offset, appendedAtMs, value, logged: undefined, after }
    }
    const step = countRecord(after, offset, headOf(parsed))
    after = step.state
    const counted = step.counts && parsed.kind === 'decision' ? parsed : undefined
    if (counted?.isBroken) unreadable(offset, 'writer.unreadable_slices')
    return { offset, appendedAtMs, value, logged: counted?.logged, after }
  })
}

function* countedOf(records: readonly (ParsedRecord | undefined)[]): Generator<CountedRecord> {
  for (const parsed of records) if (parsed !== undefined) yield headOf(parsed)
}

function headOf(parsed: ParsedRecord): CountedRecord {
  return parsed.kind === 'claim' ? parsed.claim : parsed.logged.decision
}

/**
 * Parses a record once for both groups of a writer, while they are in step: what one has parsed waits
 * until the other has asked for it. Half of what a dropped decision costs is its JSON.
 */
export class RecordParser {
  readonly #waiting: Shelf<number, ParsedRecord>

  /** By offset; what one weighs is the bytes of its record. */
  constructor(waiting: Shelf<number, ParsedRecord>) {
    this.#waiting = waiting
  }

  parse(partition: number, offset: number, value: Uint8Array): ParsedRecord | undefined {
    const known = this.#waiting.take(partition, offset)
    if (known !== undefined) return known
    const parsed = parseRecord(value, offset)
    if (parsed !== undefined) this.#waiting.put(partition, offset, offset, parsed, value.length)
    return parsed
  }
}

/** The slices of its own record that a decision has the writer write. */
export function refsToWrite({ decision, slices }: LoggedDecision): SpanRef[] {
  return decision.write.flatMap(at => slices[at]?.ref ?? [])
}

const slicesKey = Buffer.from(',"slices":[')

/** Undefined for bytes that are no record. */
export function parseRecord(value: Uint8Array, offset: number): ParsedRecord | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  const hasEnd = bytes[bytes.length - 1] === closing && bytes[bytes.length - 2] === bracket
  const dropped = hasEnd ? parseDrop(bytes) : undefined
  if (dropped !== undefined) return dropped
  const slicesAt = bytes.indexOf(slicesKey)
  if (slicesAt < 0 || !hasEnd) return parseWhole(bytes, offset)
  const head = `${bytes.toString('utf8', 0, slicesAt)}}`
  const record = recordOf(parseHeadAlone(head), offset)
  if (record === undefined) return parseWhole(bytes, offset)
  if (record.kind === 'claim') return { kind: 'claim', claim: record }
  const text = record.verdict === 'keep' ? head : undefined
  const slices = packedSlices(
    bytes.toString('latin1', slicesAt + slicesKey.length, bytes.length - 2),
  )
  if (slices === undefined) {
    const json = wholeJson({ ...record, slices: [] })
    const outcomes = ledgerOutcomes([], record.evaluations)
    return decided({ decision: record, slices: [], outcomes, json, head: text }, true)
  }
  const isWanted = record.write.length > 0 || record.writePrev === true
  return decided({
    decision: record,
    slices: isWanted ? slices.map(placeOf) : [],
    outcomes: ledgerOutcomes(slices.flatMap(outcomesOf), record.evaluations),
    json: factsJson(record, bytes, slicesAt),
    head: text,
  })
}

/** A drop as usual, of which nobody wants more than its row in the ledger. */
function parseDrop(bytes: Buffer): ParsedRecord | undefined {
  const decision = readDrop(bytes)
  if (decision === undefined) return undefined
  const stated = packedOutcomes(bytes.toString('latin1', dropSlicesFrom(), bytes.length - 2))
  if (stated === undefined) return undefined
  const outcomes = ledgerOutcomes(stated, decision.evaluations)
  return decided({ decision, slices: [], outcomes, json: undefined, head: undefined })
}

/** Without its facts, whose bytes and text would be held as long. */
function placeOf({ ref, appendedAtMs }: PackedSlice): SlicePlace {
  return { ref, appendedAtMs }
}

const outcomesOf = (slice: PackedSlice): PackedSlice['outcomes'] => slice.outcomes

const closing = 0x7d
const bracket = 0x5d

/** A record whose slices are not its last key, or that has none: only the whole of it says what it is. */
function parseWhole(bytes: Buffer, offset: number): ParsedRecord | undefined {
  const record = recordOf(parseDecision(bytes.toString()), offset)
  if (record?.kind !== 'decision') return record && { kind: 'claim', claim: record }
  const slices = record.slices.map(placeOf)
  const outcomes = ledgerOutcomes(record.slices.flatMap(outcomesOf), record.evaluations)
  return decided({ decision: record, slices, outcomes, json: wholeJson(record), head: undefined })
}

function decided(logged: LoggedDecision, isBroken = false): ParsedRecord {
  return { kind: 'decision', logged, isBroken }
}

function wholeJson(decision: Decision): Uint8Array {
  return Buffer.from(JSON.stringify(factsOnly(decision)))
}

function recordOf<T>(parsed: ParsedDecision<T>, offset: number): T | undefined {
  switch (parsed.kind) {
    case 'none':
      return undefined
    case 'newer':
      throw new PipelineError(
        'DATA_CORRUPT',
        `decisions record ${offset} has format v ${parsed.v}, this release reads up to ${decisionFormat}: upgrade the writers first`,
      )
    case 'record':
      return parsed.record
  }
}
