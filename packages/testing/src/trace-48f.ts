import { emptySpan, type KeyValue, type Span, type TracesData } from '@winnow/otlp'
import { bool, double, doubles, int, text, texts } from './attributes.ts'

/** The trace id of the seed. It is valid as it stands. */
export const trace48fId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'

/** When its root started, Unix milliseconds: 2024-05-22T09:41:03.120Z. */
export const trace48fStartMs = 1716370863120

/** OTLP wants eight bytes where the seed has a name: the number of the span, then zeros. */
export const trace48fSpanIds = {
  '01_root': '0100000000000000',
  '02_rewrite': '0200000000000000',
  '03_embed': '0300000000000000',
  '04_retrieve': '0400000000000000',
  '05_rerank': '0500000000000000',
  '06_generate': '0600000000000000',
  '07_cite': '0700000000000000',
  '08_judge': '0800000000000000',
} as const

export type Trace48fSpan = keyof typeof trace48fSpanIds

/** What a twin of the trace has in place of the seed's own values. */
export interface Trace48fChanges {
  readonly traceId?: string
  /** By span, the attributes to replace; the order of a span's attributes stays. */
  readonly attributes?: Readonly<Partial<Record<Trace48fSpan, readonly KeyValue[]>>>
}

/**
 * Trace 48f as one export request: eight spans, all status OK, of which only the citation check and
 * the user's CSAT of 2 say that the answer is wrong. Of the seed's `trace.attributes`, `service.name`
 * and `deployment.env` describe the process and are the resource's; the other seven differ from one
 * request to the next and stand on the root span, before its own. `startMs` moves the whole trace in
 * time; absent, it is the seed's.
 */
export function trace48f(
  options: { readonly startMs?: number } = {},
  changes: Trace48fChanges = {},
): TracesData {
  return requestOf(trace48fSpans(options.startMs ?? trace48fStartMs, changes))
}

/**
 * The same spans in four requests, children before their parents and the root in the last but one:
 * what a collector sees when each component exports for itself.
 */
export function trace48fRequests(
  options: { readonly startMs?: number } = {},
  changes: Trace48fChanges = {},
): TracesData[] {
  const spans = trace48fSpans(options.startMs ?? trace48fStartMs, changes)
  const parts: readonly (readonly Trace48fSpan[])[] = [
    ['05_rerank', '04_retrieve', '03_embed'],
    ['06_generate', '02_rewrite'],
    ['07_cite', '01_root'],
    ['08_judge'],
  ]
  return parts.map(part =>
    requestOf(part.flatMap(name => spans.filter(({ spanId }) => spanId === trace48fSpanIds[name]))),
  )
}

function requestOf(spans: readonly Span[]): TracesData {
  const resource = {
    attributes: [text('service.name', 'refund-bot'), text('deployment.env', 'prod')],
    droppedAttributesCount: 0,
  }
  return {
    resourceSpans: [
      { resource, scopeSpans: [{ scope: noScope, spans, schemaUrl: '' }], schemaUrl: '' },
    ],
  }
}

function trace48fSpans(startMs: number, changes: Trace48fChanges): Span[] {
  return rows.map(row => {
    const replaced = changes.attributes?.[row.id] ?? []
    const start = BigInt(startMs + row.afterMs) * 1_000_000n
    return {
      ...emptySpan,
      traceId: changes.traceId ?? trace48fId,
      spanId: trace48fSpanIds[row.id],
      parentSpanId: row.parent === null ? '' : trace48fSpanIds[row.parent],
      name: row.name,
      kind: row.kind,
      startTimeUnixNano: start,
      endTimeUnixNano: start + BigInt(row.durationMs) * 1_000_000n,
      attributes: row.attributes.map(own => replaced.find(({ key }) => key === own.key) ?? own),
      status: { message: '', code: statusOk },
    }
  })
}

/** The seed names no instrumentation library. */
const noScope = { name: '', version: '', attributes: [], droppedAttributesCount: 0 }

const statusOk = 1
const internal = 1
const server = 2
const client = 3

interface Row {
  readonly id: Trace48fSpan
  readonly parent: Trace48fSpan | null
  readonly name: string
  readonly kind: number
  /** Start, counted from the root's. */
  readonly afterMs: number
  readonly durationMs: number
  readonly attributes: readonly KeyValue[]
}

const rows: readonly Row[] = [
  {
    id: '01_root',
    parent: null,
    name: 'refund_chat.turn',
    kind: server,
    afterMs: 0,
    durationMs: 2608,
    attributes: [
      text('session.id', 'sess_91ab'),
      text('user.id_hash', 'h_38d2'),
      text('experiment.id', 'exp_prompt_terser_v3'),
      text('experiment.variant', 'B'),
      text('app.prompt.version', 'v17'),
      text('app.tenant.tier', 'paid'),
      text('app.locale', 'en-IN'),
      text('http.route', '/v1/chat'),
      text('user.message', 'i want refund for order 4481, it was late by 2 weeks'),
      text(
        'assistant.message',
        'You are eligible for a refund of ₹1,250 on order 4481. Our refund window is 14 days from delivery; since your delivery was late, this is processed under the courtesy clause.',
      ),
      bool('outcome.policy_correct', false),
      int('outcome.csat_response', 2),
    ],
  },
  {
    id: '02_rewrite',
    parent: '01_root',
    name: 'llm.query_rewrite',
    kind: client,
    afterMs: 5,
    durationMs: 35,
    attributes: [
      text('gen_ai.system', 'openai'),
      text('gen_ai.request.model', 'gpt-4o-mini'),
      int('gen_ai.usage.input_tokens', 84),
      int('gen_ai.usage.output_tokens', 22),
      double('gen_ai.cost_usd', 0.000071),
      text('input.preview', 'rewrite user msg as search query...'),
      text('output', 'refund window late delivery courtesy clause order 4481'),
    ],
  },
  {
    id: '03_embed',
    parent: '01_root',
    name: 'vector.embed',
    kind: client,
    afterMs: 42,
    durationMs: 18,
    attributes: [
      text('gen_ai.request.model', 'text-embedding-3-small'),
      int('gen_ai.usage.input_tokens', 13),
      double('gen_ai.cost_usd', 0.0000003),
      int('vector.dim', 1536),
    ],
  },
  {
    id: '04_retrieve',
    parent: '01_root',
    name: 'vector.retrieve',
    kind: client,
    afterMs: 62,
    durationMs: 220,
    attributes: [
      text('vectordb.system', 'pinecone'),
      text('vectordb.index', 'policy-v4'),
      int('retrieval.k', 3),
      texts('retrieval.doc_ids', [
        'pol_courtesy_v2_draft',
        'pol_refund_v7',
        'pol_late_delivery_v3',
      ]),
      doubles('retrieval.scores', [0.871, 0.842, 0.811]),
    ],
  },
  {
    id: '05_rerank',
    parent: '04_retrieve',
    name: 'rerank.cross_encoder',
    kind: client,
    afterMs: 284,
    durationMs: 45,
    attributes: [
      text('rerank.model', 'cohere-rerank-3'),
      text('rerank.top1_id', 'pol_courtesy_v2_draft'),
      double('rerank.top1_score', 0.94),
      bool('rerank.changed_top1', true),
    ],
  },
  {
    id: '06_generate',
    parent: '01_root',
    name: 'llm.generate',
    kind: client,
    afterMs: 329,
    durationMs: 1800,
    attributes: [
      text('gen_ai.system', 'anthropic'),
      text('gen_ai.request.model', 'claude-3-5-sonnet-20241022'),
      int('gen_ai.usage.input_tokens', 1870),
      int('gen_ai.usage.output_tokens', 180),
      double('gen_ai.cost_usd', 0.00831),
      text('gen_ai.response.id', 'msg_01H4r7K'),
      int('prompt.system_tokens', 420),
      int('prompt.retrieval_tokens', 1100),
      int('prompt.user_tokens', 90),
      int('prompt.tool_tokens', 260),
      text('prompt.composition_hash', 'sha256:7c1e...'),
    ],
  },
  {
    id: '07_cite',
    parent: '01_root',
    name: 'tool.citation_check',
    kind: internal,
    afterMs: 2129,
    durationMs: 110,
    attributes: [
      int('citation.claims_extracted', 2),
      int('citation.claims_supported', 1),
      texts('citation.unsupported', ['14-day refund window']),
    ],
  },
  {
    id: '08_judge',
    parent: '01_root',
    name: 'llm.judge.policy_correct',
    kind: client,
    afterMs: 2239,
    durationMs: 380,
    attributes: [
      text('gen_ai.request.model', 'gpt-4o'),
      text('judge.rubric_version', 'v3.2'),
      int('judge.score', 1),
      text('judge.label', 'policy_correct'),
      text('judge.rationale', 'Mentions courtesy clause; correct on amount.'),
    ],
  },
]
