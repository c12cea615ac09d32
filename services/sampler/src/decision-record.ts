import {
  type Claim,
  type Decision,
  type DecisionHead,
  type DecisionRecord,
  decisionBytesMax,
  type ParsedDecision,
  parseDecision,
  parseDecisionHead,
  writtenVersion,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { writeDecision } from './decision-json.ts'
import { checkFormat } from './format.ts'
import { JsonBytes } from './json-bytes.ts'
import type { PoliciesInForce } from './policy-follower.ts'

export function encodeClaim(
  by: string,
  policies: Pick<Claim, 'policy' | 'policyAt' | 'shadow'> = {},
): Uint8Array {
  const claim = { v: writtenVersion('decision'), kind: 'claim', by } satisfies Claim
  return Buffer.from(JSON.stringify({ ...claim, ...policies } satisfies Claim))
}

/** The claim under which these policies decide. */
export function claimOf(by: string, { live, shadow, at }: PoliciesInForce): Uint8Array {
  return encodeClaim(by, {
    policy: live.policy.version,
    policyAt: at,
    ...(shadow !== undefined && { shadow: shadow.policy.version }),
  })
}

/** The bytes of a record. Borrowed: valid until the next decision is written. */
export function decisionBytes(decision: Decision): Uint8Array {
  out.clear()
  writeDecision(out, decision)
  // Slices, evaluations, requests and rules are all bounded, so that size never refuses a record.
  if (out.length <= decisionBytesMax) return out.bytes
  throw new PipelineError(
    'PAYLOAD_TOO_LARGE',
    `decision on ${decision.traceId} has ${out.length} bytes, more than ${decisionBytesMax}`,
  )
}

const out = new JsonBytes(decisionBytesMax)

/**
 * Reads a record of `decisions`. Undefined for bytes that are none: such a record counts for no reader.
 * A newer format is DATA_CORRUPT: to skip it would part the readers.
 */
export function readDecision(value: Uint8Array, where: string): DecisionRecord | undefined {
  return recordOf(parseDecision(stringOf(value)), where)
}

/** The same without the slices. */
export function readDecisionHead(
  value: Uint8Array,
  where: string,
): Claim | DecisionHead | undefined {
  return recordOf(parseDecisionHead(stringOf(value)), where)
}

function recordOf<T>(parsed: ParsedDecision<T>, where: string): T | undefined {
  if (parsed.kind === 'newer') checkFormat('decision', parsed.v, `${where}: a decision`)
  return parsed.kind === 'record' ? parsed.record : undefined
}

function stringOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString()
}
