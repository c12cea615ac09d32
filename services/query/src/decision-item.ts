// Hot: once a record of `decisions`, for all readers of this process.
import {
  type Claim,
  type CountingState,
  parseDecisionHead,
  slicesText,
  startOfCounting,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { type DecisionFacts, factsOf } from './decision-facts.ts'
import { readFacts, slicesFrom } from './head-reader.ts'

/** A record of `decisions`. */
export interface DecisionItem {
  readonly offset: number
  /** Undefined: bytes that count for no reader. */
  readonly record: Claim | DecisionFacts | undefined
  /** See `slicesText`. */
  readonly slices: string | undefined
}

/** DATA_CORRUPT for a newer format: whoever skips such a record counts differently behind it. */
export function decisionItem(where: string, offset: number, value: Uint8Array): DecisionItem {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  const facts = readFacts(bytes)
  if (facts !== undefined) return { offset, record: facts, slices: slicesBehindHead(bytes) }
  const text = bytes.toString()
  const parsed = parseDecisionHead(text)
  if (parsed.kind === 'newer') {
    const what = `${where}@${offset} has format v ${parsed.v}, newer than this release reads`
    throw new PipelineError('DATA_CORRUPT', `${what}; upgrade readers before writers`)
  }
  if (parsed.kind === 'none') return { offset, record: undefined, slices: undefined }
  const { record } = parsed
  if (record.kind === 'claim') return { offset, record, slices: undefined }
  return { offset, record: factsOf(record), slices: slicesText(text) }
}

/** As `slicesText`, of what was read just now. */
function slicesBehindHead(bytes: Buffer): string | undefined {
  const from = slicesFrom()
  const isLast = bytes[bytes.length - 3] === 0x22 || bytes.length === from + 2
  return isLast ? bytes.toString('utf8', from, bytes.length - 2) : undefined
}

/** The state of a reader that begins with these records, without any before it. */
export function countingFrom(items: readonly DecisionItem[]): CountingState {
  return startOfCounting(items.flatMap(({ record }) => (record === undefined ? [] : [record])))
}
