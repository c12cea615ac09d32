import {
  type Claim,
  type Decision,
  type DecisionHead,
  type DecisionRecord,
  decisionBytesMax,
  decisionFormat,
  type ParsedDecision,
  parseDecision,
  parseDecisionHead,
  slicesText,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { checkFormat } from './format.ts'
import { rememberSlices, slicesTextOf } from './slice-text.ts'

export function encodeClaim(by: string): Uint8Array {
  return Buffer.from(JSON.stringify({ v: decisionFormat, kind: 'claim', by } satisfies Claim))
}

/** Small fields first, the slices last, so that whoever looks into a record sees the verdict first. */
export function encodeDecision(decision: Decision): Uint8Array {
  const { slices, ...head } = decision
  const json = JSON.stringify(head)
  const value = Buffer.from(`${json.slice(0, -1)},"slices":[${slicesTextOf(slices)}]}`)
  // Slices, evaluations, requests and rules are all bounded, so that size never refuses a record.
  if (value.length <= decisionBytesMax) return value
  throw new PipelineError(
    'PAYLOAD_TOO_LARGE',
    `decision on ${decision.traceId} has ${value.length} bytes, more than ${decisionBytesMax}`,
  )
}

/**
 * Reads a record of `decisions`. Undefined for bytes that are none: such a record counts for no reader.
 * A newer format is DATA_CORRUPT: to skip it would part the readers.
 */
export function readDecision(value: Uint8Array, where: string): DecisionRecord | undefined {
  const text = textOf(value)
  const record = recordOf(parseDecision(text), where)
  if (record?.kind !== 'decision' || Object.keys(record).at(-1) !== 'slices') return record
  const list = slicesText(text)
  if (list !== undefined) rememberSlices(record.slices, list)
  return record
}

/** The same without the slices. */
export function readDecisionHead(
  value: Uint8Array,
  where: string,
): Claim | DecisionHead | undefined {
  return recordOf(parseDecisionHead(textOf(value)), where)
}

function recordOf<T>(parsed: ParsedDecision<T>, where: string): T | undefined {
  if (parsed.kind === 'newer') checkFormat(parsed.v, `${where}: a decision`)
  return parsed.kind === 'record' ? parsed.record : undefined
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString()
}
