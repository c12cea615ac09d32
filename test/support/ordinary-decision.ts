import { type Decision, packSlice, spanBlockBytes } from '@winnow/model'

/** What differs from one of many decisions to the next. */
export interface OrdinaryDecision {
  readonly traceId: string
  readonly partition: number
  readonly offset: number
  readonly decidedAtMs: number
  readonly durationMs: number
  readonly verdict: Decision['verdict']
}

const spans = Buffer.alloc(8 * spanBlockBytes).toString('base64')

/** The first decision of an agent's trace of eight spans that only the share of the rest decides upon. */
export function ordinaryDecision(of: OrdinaryDecision): Decision {
  const { traceId, partition, offset, decidedAtMs, durationMs, verdict } = of
  const isKept = verdict === 'keep'
  return {
    v: 1,
    kind: 'decision',
    tenant: 'default',
    traceId,
    revision: 1,
    claim: 0,
    seq: offset + 1,
    verdict,
    primary: 'ordinary',
    rules: [
      { name: 'span-error', matched: false, probability: 1, value: 0, threshold: 0 },
      { name: 'slow', matched: false, probability: 1, value: durationMs, threshold: 2_608 },
      { name: 'ordinary', matched: isKept, probability: 0.1 },
    ],
    probability: 0.1,
    th: 'e6666666666666',
    adjustedCount: isKept ? 10 : 0,
    stratum: 'ordinary',
    policyVersion: 'p-4b1d',
    cause: 'completed',
    firstSpanAtMs: decidedAtMs - 7_000,
    closedAtMs: decidedAtMs - 10,
    decidedAtMs,
    seriesAtMs: decidedAtMs - 7_000,
    closeReason: 'root',
    complete: true,
    missingParents: 0,
    spanCount: 8,
    duplicateSpans: 0,
    rootSpanId: '0000000000000001',
    service: 'refund-bot',
    operation: 'refund_chat.turn',
    experiment: null,
    variant: null,
    durationMs,
    inputTokens: 1_870,
    outputTokens: 202,
    costUsd: 0.00831,
    sliceCount: 1,
    lastSpanAtMs: decidedAtMs - 5_000,
    fingerprint: offset.toString(16).padStart(16, '0'),
    slices: [
      packSlice({
        ref: { partition, offset, start: 0, length: 14_200, spanCount: 8 },
        appendedAtMs: decidedAtMs - 7_000,
        facts: { startNs: '1795244400000000000', endNs: '1795244402608000000', spans },
      }),
    ],
    write: [],
    evaluations: [],
    requests: [],
    prev: null,
  }
}
