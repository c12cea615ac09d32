import {
  type Claim,
  type Decision,
  type DecisionRecord,
  decisionBytesMax,
  type Slice,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { checkFormat } from './format.ts'

/**
 * Slices of one decision, in UTF-8 JSON: some 6,000 spans at 48 bytes each, so that a trace of the
 * assembler's `maxSpans` is judged whole. Until `prev` chains land a larger one ends its series.
 */
export const slicesBytesMax = 288 * 1024

export function encodeClaim(by: string): Uint8Array {
  return Buffer.from(JSON.stringify({ v: 1, kind: 'claim', by } satisfies Claim))
}

/** Small fields first, the slices last, so that whoever looks into a record sees the verdict first. */
export function encodeDecision(decision: Decision): Uint8Array {
  const { slices, ...head } = decision
  const json = JSON.stringify(head)
  const texts = listJsonOf.get(slices) ?? slices.map(sliceJson).join(',')
  const value = Buffer.from(`${json.slice(0, -1)},"slices":[${texts}]}`)
  // Slices, evaluations, requests and rules are all bounded, so that size never refuses a record.
  if (value.length <= decisionBytesMax) return value
  throw new PipelineError(
    'PAYLOAD_TOO_LARGE',
    `decision on ${decision.traceId} has ${value.length} bytes, more than ${decisionBytesMax}`,
  )
}

/** What slices take of {@link slicesBytesMax}. */
export function slicesBytes(slices: readonly Slice[]): number {
  const list = listJsonOf.get(slices)
  if (list !== undefined) return Buffer.byteLength(list) + 1
  let bytes = 0
  for (const slice of slices) bytes += sliceBytes(slice)
  return bytes
}

export function sliceBytes(slice: Slice): number {
  return Buffer.byteLength(sliceJson(slice)) + 1
}

/**
 * Remembers the text between the brackets that `slices` was parsed from: a decision that repeats
 * exactly this list repeats its text, which costs a third less than writing it again.
 */
export function rememberSlices(slices: readonly Slice[], json: string): void {
  listJsonOf.set(slices, json)
}

/** A slice is measured before it is written: its text is made once. */
function sliceJson(slice: Slice): string {
  const known = jsonOf.get(slice)
  if (known !== undefined) return known
  const json = JSON.stringify(slice)
  jsonOf.set(slice, json)
  return json
}

const jsonOf = new WeakMap<Slice, string>()
const listJsonOf = new WeakMap<readonly Slice[], string>()

/**
 * Reads a record of `decisions`. Undefined for bytes that are none: such a record counts for no reader.
 * A newer format is DATA_CORRUPT: to skip it would part the readers.
 */
export function parseDecision(value: Uint8Array, where: string): DecisionRecord | undefined {
  let parsed: { readonly [K in keyof Decision]?: unknown } | null
  try {
    parsed = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString())
  } catch {
    return undefined
  }
  checkFormat(parsed?.v, `${where}: a decision`)
  if (parsed?.v !== 1) return undefined
  if ((parsed.kind as string) === 'claim') return parsed as unknown as Claim
  const isDecision =
    parsed.kind === 'decision' &&
    typeof parsed.tenant === 'string' &&
    typeof parsed.traceId === 'string' &&
    Number.isSafeInteger(parsed.claim) &&
    Number.isSafeInteger(parsed.seq) &&
    Array.isArray(parsed.slices)
  return isDecision ? (parsed as unknown as Decision) : undefined
}
