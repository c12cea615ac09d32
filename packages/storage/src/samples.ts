import { type Decision, type PackedSlice, packSlice } from '@winnow/model'
import { type AnyValue, emptySpan, type KeyValue, type Span, type TracesData } from '@winnow/otlp'
import type { HotTrace } from './hot-store.ts'
import { SpanPack } from './span-pack.ts'
import type { SpanRow } from './span-row.ts'

// Small, plain things for this package's tests, golden files and benches. Nothing here is random.

/** 2026-11-21T07:00:00Z. */
export const sampleTimeMs = Date.UTC(2026, 10, 21, 7)

export function sampleTraceId(n: number): string {
  // Multiplied so that neighbours differ in their first digits, as real ids do.
  return ((BigInt(n + 1) * 0x9e3779b97f4a7c15f39cc0605cedc835n) % 2n ** 128n)
    .toString(16)
    .padStart(32, '0')
}

export function sampleSpanId(n: number): string {
  return (n + 1).toString(16).padStart(16, '0')
}

export function sampleSlice(offset: number, start = 0, spanCount = 8): PackedSlice {
  return packSlice({
    ref: { partition: 3, offset, start, length: 14_200, spanCount },
    appendedAtMs: sampleTimeMs,
    facts: {
      startNs: '1795244400000000000',
      endNs: '1795244402608000000',
      spans: Buffer.alloc(36 * spanCount, 7).toString('base64'),
      services: ['refund-bot'],
      experiment: 'exp_prompt_terser_v3',
      variant: 'B',
    },
  })
}

export function sampleDecision(n: number, changes: Partial<Decision> = {}): Decision {
  return {
    v: 1,
    kind: 'decision',
    tenant: 'default',
    traceId: sampleTraceId(n),
    revision: 1,
    claim: 0,
    seq: n + 1,
    verdict: 'keep',
    primary: 'citation-failed',
    rules: [
      { name: 'span-error', matched: false, probability: 1 },
      {
        name: 'citation-failed',
        matched: true,
        probability: 1,
        value: 1,
        threshold: 2,
        spanId: sampleSpanId(7),
        detail: { extracted: 2, supported: 1, unsupported: 1 },
      },
      { name: 'low-csat', matched: true, probability: 1, value: 2, threshold: 2 },
      { name: 'ordinary', matched: true, probability: 0.1 },
    ],
    probability: 1,
    th: '0',
    adjustedCount: 1,
    stratum: 'citation-failed',
    policyVersion: 'p-4b1d',
    cause: 'completed',
    firstSpanAtMs: sampleTimeMs,
    closedAtMs: sampleTimeMs + 5_000,
    decidedAtMs: sampleTimeMs + 5_010 + n,
    seriesAtMs: sampleTimeMs,
    closeReason: 'root',
    complete: true,
    missingParents: 0,
    spanCount: 8,
    duplicateSpans: 0,
    rootSpanId: sampleSpanId(0),
    service: 'refund-bot',
    operation: 'refund_chat.turn',
    experiment: 'exp_prompt_terser_v3',
    variant: 'B',
    durationMs: 2_608 + n,
    inputTokens: 2_000 + n,
    outputTokens: 202,
    costUsd: 0.0083813,
    sliceCount: changes.slices?.length ?? 1,
    lastSpanAtMs: sampleTimeMs,
    fingerprint: n.toString(16).padStart(16, '0'),
    slices: [sampleSlice(n)],
    write: [0],
    evaluations: [],
    requests: [],
    prev: null,
    ...changes,
  }
}

export function sampleSpanRow(traceId: string, n: number, changes: Partial<SpanRow> = {}): SpanRow {
  return {
    tenant: 'default',
    trace_id: traceId,
    span_id: sampleSpanId(n),
    parent_span_id: n === 0 ? null : sampleSpanId(0),
    service_name: 'refund-bot',
    name: n === 0 ? 'refund_chat.turn' : 'llm.generate',
    kind: n === 0 ? 2 : 3,
    start_time_unix_nano: 1_795_244_400_000_000_000n + BigInt(n),
    end_time_unix_nano: 1_795_244_402_608_000_000n + BigInt(n),
    status_code: 1,
    flags: 0x101,
    trace_state: null,
    scope_name: 'openinference',
    scope_version: '1.4.0',
    gen_ai_operation: n === 0 ? null : 'chat',
    gen_ai_provider: n === 0 ? null : 'anthropic',
    gen_ai_model: n === 0 ? null : 'claude-3-5-sonnet-20241022',
    gen_ai_tool: null,
    input_tokens: n === 0 ? null : 1_870 + n,
    output_tokens: n === 0 ? null : 180,
    cost_usd: n === 0 ? null : 0.00831,
    experiment_id: 'exp_prompt_terser_v3',
    experiment_variant: 'B',
    attributes:
      '{"session.id":{"stringValue":"sess_91ab"},"gen_ai.request.model":{"stringValue":"claude-3-5-sonnet-20241022"},"gen_ai.response.id":{"stringValue":"msg_01H4r7K"},"prompt.system_tokens":{"intValue":"420"}}',
    resource_attributes:
      '{"service.name":{"stringValue":"refund-bot"},"deployment.env":{"stringValue":"prod"}}',
    events: '[]',
    links: '[]',
    sampling_rule: 'citation-failed',
    sampling_revision: 1,
    sampling_probability: 1,
    sampling_adjusted_count: 1,
    sampling_offset: 0n,
    sampling_partition: 3,
    ...changes,
  }
}

/** A kept trace of `spans` spans at (3, offset), with one body. */
export function sampleTrace(n: number, offset = n, spans = 2, decision: Partial<Decision> = {}) {
  const { slices: _slices, ...made } = sampleDecision(n, decision)
  const { tenant, traceId, revision } = made
  const rows = Array.from({ length: spans }, (_, at) =>
    sampleSpanRow(traceId, at, {
      tenant,
      sampling_offset: BigInt(offset),
      sampling_revision: revision,
    }),
  )
  const bodies = [{ ref: `3:${n}:0`, bytes: new TextEncoder().encode(`body of ${traceId}`) }]
  return {
    decision: made,
    logId: 'log-1',
    partition: 3,
    offset,
    spans: SpanPack.of(rows),
    bodies,
  } satisfies HotTrace
}

export const text = (stringValue: string): AnyValue => ({ stringValue })

export function pairs(attributes: Readonly<Record<string, AnyValue>>): KeyValue[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value }))
}

export function sampleSpan(traceId: string, n: number, changes: Partial<Span> = {}): Span {
  return {
    ...emptySpan,
    traceId,
    spanId: sampleSpanId(n),
    parentSpanId: n === 0 ? '' : sampleSpanId(0),
    flags: 0x101,
    name: n === 0 ? 'refund_chat.turn' : 'llm.generate',
    kind: n === 0 ? 2 : 3,
    startTimeUnixNano: 1_795_244_400_000_000_000n,
    endTimeUnixNano: 1_795_244_402_608_000_000n,
    attributes: pairs({
      'gen_ai.system': text('anthropic'),
      'gen_ai.operation.name': text('chat'),
      'gen_ai.request.model': text('claude-3-5-sonnet-20241022'),
      'gen_ai.usage.input_tokens': { intValue: 1_870n },
      'gen_ai.usage.output_tokens': { intValue: 180n },
      'gen_ai.cost_usd': { doubleValue: 0.00831 },
      'gen_ai.response.id': text('msg_01H4r7K'),
      'gen_ai.prompt.0.role': text('user'),
      'gen_ai.prompt.0.content': text('i want refund for order 4481, it was late by 2 weeks'),
      'prompt.system_tokens': { intValue: 420n },
      'user.message': text('i want refund for order 4481'),
    }),
    status: { message: '', code: 1 },
    ...changes,
  }
}

export function sampleTraces(spans: readonly Span[]): TracesData {
  const resource = pairs({
    'service.name': text('refund-bot'),
    'deployment.env': text('prod'),
    'session.id': text('sess_91ab'),
    'user.id_hash': text('h_38d2'),
    'experiment.id': text('exp_prompt_terser_v3'),
    'experiment.variant': text('B'),
  })
  return {
    resourceSpans: [
      {
        resource: { attributes: resource, droppedAttributesCount: 0 },
        scopeSpans: [
          {
            scope: {
              name: 'openinference',
              version: '1.4.0',
              attributes: [],
              droppedAttributesCount: 0,
            },
            spans,
            schemaUrl: '',
          },
        ],
        schemaUrl: '',
      },
    ],
  }
}
