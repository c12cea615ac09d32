import type { Decision } from '@winnow/model'

/** What differs from one decision of a bench to the next. */
type Own = Pick<
  Decision,
  'traceId' | 'rules' | 'spanCount' | 'rootSpanId' | 'sliceCount' | 'seq' | 'slices'
>

/** The record of a decision to drop an ordinary trace, its keys in the sampler's order. */
export function droppedDecision(own: Own): Uint8Array {
  return Buffer.from(JSON.stringify({ ...ordinary, ...own } satisfies Decision))
}

const ordinary: Decision = {
  v: 1,
  kind: 'decision',
  tenant: 'default',
  traceId: '',
  revision: 1,
  verdict: 'drop',
  primary: 'ordinary',
  rules: [],
  probability: 0.1,
  th: 'e6666666666666',
  adjustedCount: 0,
  stratum: 'ordinary',
  policyVersion: 'default-01234567',
  cause: 'completed',
  firstSpanAtMs: 1_800_000_000_000,
  lastSpanAtMs: 1_800_000_000_000,
  decidedAtMs: 1_800_000_005_000,
  seriesAtMs: 1_800_000_005_000,
  closeReason: 'root',
  closedAtMs: 1_800_000_005_000,
  missingParents: 0,
  complete: true,
  spanCount: 0,
  duplicateSpans: 0,
  rootSpanId: null,
  service: 'refund-bot',
  operation: 'refund_chat.turn',
  experiment: null,
  variant: null,
  durationMs: 2608,
  inputTokens: 1200,
  outputTokens: 300,
  costUsd: 0.0123,
  write: [],
  evaluations: [],
  requests: [],
  sliceCount: 0,
  fingerprint: '0123456789abcdef',
  prev: null,
  claim: 0,
  seq: 0,
  slices: [],
}
