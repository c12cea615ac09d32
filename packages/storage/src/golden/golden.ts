import { factsHead } from '../facts-only.ts'
import {
  sampleDecision,
  sampleSpanId,
  sampleSpanRow,
  sampleTimeMs,
  sampleTraceId,
} from '../samples.ts'
import type { LedgerRow } from '../segments/ledger-row.ts'
import { ledgerRow } from '../segments/ledger-rows.ts'
import type { Tier } from '../segments/segment-key.ts'
import type { SegmentMetadata } from '../segments/segment-metadata.ts'
import type { SpanRow } from '../span-row.ts'

// What the golden files beside this hold. They were written once, by format 1's first release, and
// are never written again: if today's reader does not give back exactly this, the format has broken.

export const goldenSpans: readonly SpanRow[] = [0, 1].flatMap(trace =>
  [0, 1, 2].map(span =>
    sampleSpanRow(sampleTraceId(trace), span, {
      sampling_offset: BigInt(100 + trace),
      events: '[{"timeUnixNano":"1","name":"exception","attributes":[]}]',
      links: `[{"traceId":"${sampleTraceId(9)}","spanId":"${sampleSpanId(9)}","traceState":"","attributes":[],"flags":0}]`,
      trace_state: 'ot=th:8',
    }),
  ),
)

export const goldenLedger: readonly LedgerRow[] = [
  ledgerRow(sampleDecision(0), 3, 100),
  ledgerRow(sampleDecision(1, { cause: 'evaluation', stratum: 'rescued', revision: 2 }), 3, 101),
  ledgerRow(
    sampleDecision(2, {
      verdict: 'drop',
      primary: 'ordinary',
      adjustedCount: 0,
      write: [],
      slices: [],
      closedAtMs: null,
      closeReason: null,
      complete: null,
      rootSpanId: null,
      service: null,
      operation: null,
      experiment: null,
      variant: null,
      durationMs: null,
      firstSpanAtMs: null,
      evaluations: [
        { id: 'a', name: 'csat', score: 5, atMs: sampleTimeMs, effect: 'awaiting' },
        { id: 'b', name: 'judge', passed: false, label: 'fail', effect: 'awaiting' },
      ],
    }),
    3,
    102,
  ),
]

export const goldenHold = {
  head: {
    id: '5c1e09b2f3a47d68',
    tenant: 'default',
    traceId: sampleTraceId(0),
    level: 'full',
    since: null,
    spans: 3,
    complete: true,
    reason: 'claim 4481',
    by: 'Ann Lee',
    key: 'console',
    madeAt: '2026-11-21T12:00:00.000Z',
    until: '2027-01-31T23:59:59.000Z',
  },
  held: {
    decision: factsHead(sampleDecision(0)),
    spans: goldenSpans.slice(0, 3),
    bodies: [{ ref: '3:0:0', bytes: new TextEncoder().encode('body of a slice') }],
  },
} as const

export function goldenMetadata(tier: Tier): SegmentMetadata {
  return {
    v: 1,
    tier,
    partition: 3,
    logId: 'golden-1',
    a: 100,
    b: 104,
    after: { claim: 99, next: 4 },
    rows: { ledger: 3, warm: 6, cold: 6 },
    digest: '0123456789abcdef'.repeat(4),
  }
}
