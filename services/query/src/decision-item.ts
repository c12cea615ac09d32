// Hot: once a record of `decisions`, for all readers of this process.
import { type Claim, type CountingState, parseDecisionHead, startOfCounting } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { type DecisionFacts, factsOf } from './decision-facts.ts'
import { readFacts } from './head-reader.ts'

/** A record of `decisions`; its own text holds the slices. Undefined: bytes that count for no reader. */
export interface DecisionItem {
  readonly offset: number
  readonly record: Claim | DecisionFacts | undefined
  readonly text: string
}

/** DATA_CORRUPT for a newer format: whoever skips such a record counts differently behind it. */
export function decisionItem(where: string, offset: number, value: Uint8Array): DecisionItem {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  const text = bytes.toString()
  const facts = readFacts(bytes)
  if (facts !== undefined) return { offset, record: facts, text }
  const parsed = parseDecisionHead(text)
  if (parsed.kind === 'newer') {
    const what = `${where}@${offset} has format v ${parsed.v}, newer than this release reads`
    throw new PipelineError('DATA_CORRUPT', `${what}; upgrade readers before writers`)
  }
  if (parsed.kind === 'none') return { offset, record: undefined, text }
  const { record } = parsed
  return { offset, record: record.kind === 'claim' ? record : factsOf(record), text }
}

/** The state of a reader that begins with these records, without any before it. */
export function countingFrom(items: readonly DecisionItem[]): CountingState {
  return startOfCounting(items.flatMap(({ record }) => (record === undefined ? [] : [record])))
}
