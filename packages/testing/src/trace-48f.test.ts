import { parseThreshold, randomnessOf, thresholdOf } from '@winnow/model'
import type { AnyValue, KeyValue, Span, TracesData } from '@winnow/otlp'
import { expect, test } from 'vitest'
import {
  trace48f,
  trace48fId,
  trace48fRequests,
  trace48fSpanIds,
  trace48fStartMs,
} from './trace-48f.ts'
import { trace48fTwin, trace48fTwinId, trace48fTwinRequests } from './trace-48f-twin.ts'

/** Seed 002, section 2, copied as it stands. */
const seedText = `{
  "trace_id": "48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f",
  "trace.attributes": {
    "service.name": "refund-bot",
    "deployment.env": "prod",
    "session.id": "sess_91ab",
    "user.id_hash": "h_38d2",
    "experiment.id": "exp_prompt_terser_v3",
    "experiment.variant": "B",
    "app.prompt.version": "v17",
    "app.tenant.tier": "paid",
    "app.locale": "en-IN"
  },
  "spans": [
    {
      "span_id": "01_root",
      "parent_id": null,
      "name": "refund_chat.turn",
      "kind": "SERVER",
      "start_ms": 1716370863120,
      "duration_ms": 2608,
      "status": "OK",
      "attributes": {
        "http.route": "/v1/chat",
        "user.message": "i want refund for order 4481, it was late by 2 weeks",
        "assistant.message": "You are eligible for a refund of ₹1,250 on order 4481. Our refund window is 14 days from delivery; since your delivery was late, this is processed under the courtesy clause.",
        "outcome.policy_correct": false,
        "outcome.csat_response": 2
      }
    },
    {
      "span_id": "02_rewrite",
      "parent_id": "01_root",
      "name": "llm.query_rewrite",
      "kind": "CLIENT",
      "start_ms": 1716370863125,
      "duration_ms": 35,
      "status": "OK",
      "attributes": {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 84,
        "gen_ai.usage.output_tokens": 22,
        "gen_ai.cost_usd": 0.000071,
        "input.preview": "rewrite user msg as search query...",
        "output": "refund window late delivery courtesy clause order 4481"
      }
    },
    {
      "span_id": "03_embed",
      "parent_id": "01_root",
      "name": "vector.embed",
      "kind": "CLIENT",
      "start_ms": 1716370863162,
      "duration_ms": 18,
      "status": "OK",
      "attributes": {
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.usage.input_tokens": 13,
        "gen_ai.cost_usd": 0.0000003,
        "vector.dim": 1536
      }
    },
    {
      "span_id": "04_retrieve",
      "parent_id": "01_root",
      "name": "vector.retrieve",
      "kind": "CLIENT",
      "start_ms": 1716370863182,
      "duration_ms": 220,
      "status": "OK",
      "attributes": {
        "vectordb.system": "pinecone",
        "vectordb.index": "policy-v4",
        "retrieval.k": 3,
        "retrieval.doc_ids": ["pol_courtesy_v2_draft", "pol_refund_v7", "pol_late_delivery_v3"],
        "retrieval.scores": [0.871, 0.842, 0.811]
      }
    },
    {
      "span_id": "05_rerank",
      "parent_id": "04_retrieve",
      "name": "rerank.cross_encoder",
      "kind": "CLIENT",
      "start_ms": 1716370863404,
      "duration_ms": 45,
      "status": "OK",
      "attributes": {
        "rerank.model": "cohere-rerank-3",
        "rerank.top1_id": "pol_courtesy_v2_draft",
        "rerank.top1_score": 0.94,
        "rerank.changed_top1": true
      }
    },
    {
      "span_id": "06_generate",
      "parent_id": "01_root",
      "name": "llm.generate",
      "kind": "CLIENT",
      "start_ms": 1716370863449,
      "duration_ms": 1800,
      "status": "OK",
      "attributes": {
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": "claude-3-5-sonnet-20241022",
        "gen_ai.usage.input_tokens": 1870,
        "gen_ai.usage.output_tokens": 180,
        "gen_ai.cost_usd": 0.00831,
        "gen_ai.response.id": "msg_01H4r7K",
        "prompt.system_tokens": 420,
        "prompt.retrieval_tokens": 1100,
        "prompt.user_tokens": 90,
        "prompt.tool_tokens": 260,
        "prompt.composition_hash": "sha256:7c1e..."
      }
    },
    {
      "span_id": "07_cite",
      "parent_id": "01_root",
      "name": "tool.citation_check",
      "kind": "INTERNAL",
      "start_ms": 1716370865249,
      "duration_ms": 110,
      "status": "OK",
      "attributes": {
        "citation.claims_extracted": 2,
        "citation.claims_supported": 1,
        "citation.unsupported": ["14-day refund window"]
      }
    },
    {
      "span_id": "08_judge",
      "parent_id": "01_root",
      "name": "llm.judge.policy_correct",
      "kind": "CLIENT",
      "start_ms": 1716370865359,
      "duration_ms": 380,
      "status": "OK",
      "attributes": {
        "gen_ai.request.model": "gpt-4o",
        "judge.rubric_version": "v3.2",
        "judge.score": 1,
        "judge.label": "policy_correct",
        "judge.rationale": "Mentions courtesy clause; correct on amount."
      }
    }
  ]
}`

interface SeedSpan {
  span_id: keyof typeof trace48fSpanIds
  parent_id: keyof typeof trace48fSpanIds | null
  name: string
  kind: string
  start_ms: number
  duration_ms: number
  status: string
  attributes: Record<string, unknown>
}

interface Seed {
  trace_id: string
  'trace.attributes': Record<string, string>
  spans: SeedSpan[]
}

const seed: Seed = JSON.parse(seedText)

test('trace 48f is the seed’s, value for value and in its order', () => {
  expect(asSeed(trace48f())).toEqual(seed)
  expect(Object.keys(asSeed(trace48f())['trace.attributes'])).toEqual(
    Object.keys(seed['trace.attributes']),
  )
})

test('a number has the OTLP type that the seed’s JSON text gives it', () => {
  const types = new Map<string, string>()
  for (const span of spansOf(trace48f())) {
    for (const { key, value } of span.attributes) types.set(key, Object.keys(value)[0] as string)
  }
  for (const [, key, number] of seedText.matchAll(/"([a-z_.0-9]+)": (-?[0-9.]+),?$/gm)) {
    if (key === 'start_ms' || key === 'duration_ms') continue
    const isInteger = !(number as string).includes('.')
    expect(types.get(key as string), key).toBe(isInteger ? 'intValue' : 'doubleValue')
  }
  expect(types.get('retrieval.scores')).toBe('arrayValue')
  expect(types.get('rerank.changed_top1')).toBe('boolValue')
})

test('span ids are valid, distinct and mapped by the table', () => {
  const ids = Object.values(trace48fSpanIds)
  expect(new Set(ids).size).toBe(8)
  for (const id of ids) expect(id).toMatch(/^(?!0{16})[0-9a-f]{16}$/)
  expect(seed.spans.map(span => trace48fSpanIds[span.span_id])).toEqual(ids)
})

test('startMs moves every span by the same time', () => {
  const moved = spansOf(trace48f({ startMs: trace48fStartMs + 5 }))
  for (const [at, span] of spansOf(trace48f()).entries()) {
    expect(moved[at]?.startTimeUnixNano).toBe(span.startTimeUnixNano + 5_000_000n)
    expect(moved[at]?.endTimeUnixNano).toBe(span.endTimeUnixNano + 5_000_000n)
  }
})

test('the requests hold the same spans once, a child before its parent', () => {
  for (const [requests, whole] of [
    [trace48fRequests(), trace48f()],
    [trace48fTwinRequests(), trace48fTwin()],
  ] as const) {
    const spread = requests.flatMap(spansOf)
    expect(spread.toSorted((a, b) => a.spanId.localeCompare(b.spanId))).toEqual(spansOf(whole))
    const order = spread.map(span => span.spanId)
    expect(order.indexOf(trace48fSpanIds['05_rerank'])).toBeLessThan(
      order.indexOf(trace48fSpanIds['04_retrieve']),
    )
    expect(order.indexOf(trace48fSpanIds['02_rewrite'])).toBeLessThan(
      order.indexOf(trace48fSpanIds['01_root']),
    )
  }
})

test('the twin differs in its id and four outcomes, and in nothing else', () => {
  const differences: Record<string, unknown> = {}
  const original = spansOf(trace48f())
  for (const [at, span] of spansOf(trace48fTwin()).entries()) {
    const own = original[at] as Span
    expect(span.traceId).toBe(trace48fTwinId)
    expect({ ...span, traceId: '', attributes: [] }).toEqual({
      ...own,
      traceId: '',
      attributes: [],
    })
    for (const [index, { key, value }] of span.attributes.entries()) {
      expect(key).toBe(own.attributes[index]?.key)
      const plain = plainOf(value)
      const before = plainOf(own.attributes[index]?.value ?? {})
      if (JSON.stringify(plain) !== JSON.stringify(before)) differences[key] = plain
    }
  }
  expect(differences).toEqual({
    'outcome.policy_correct': true,
    'outcome.csat_response': 5,
    'citation.claims_supported': 2,
    'citation.unsupported': [],
  })
})

test('the twin shares 48f’s randomness, which ordinary sampling at 10 % drops', () => {
  expect(trace48fTwinId).not.toBe(trace48fId)
  const randomness = randomnessOf(trace48fId)
  expect(randomnessOf(trace48fTwinId)).toBe(randomness)
  expect(randomness).toBe(0x2e0a1b3c4d5e6fn)
  expect(randomness < thresholdOf(0.1)).toBe(true)
  expect(thresholdOf(0.1)).toBe(parseThreshold('e6666666666666'))
})

function spansOf(data: TracesData): readonly Span[] {
  return data.resourceSpans.flatMap(resource => resource.scopeSpans.flatMap(scope => scope.spans))
}

/** The way back: OTLP to the seed's own shape. */
function asSeed(data: TracesData): Seed {
  const spans = spansOf(data)
  const root = spans[0] as Span
  const rootOwn = new Set(Object.keys(seed.spans[0]?.attributes ?? {}))
  const onRoot = root.attributes.filter(({ key }) => !rootOwn.has(key))
  const nameOf = new Map(Object.entries(trace48fSpanIds).map(([name, id]) => [id as string, name]))
  const resource = data.resourceSpans[0]?.resource.attributes ?? []
  return {
    trace_id: root.traceId,
    'trace.attributes': plainMap([...resource, ...onRoot]) as Record<string, string>,
    spans: spans.map(span => ({
      span_id: nameOf.get(span.spanId) as SeedSpan['span_id'],
      parent_id: (nameOf.get(span.parentSpanId) ?? null) as SeedSpan['parent_id'],
      name: span.name,
      kind: ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT'][span.kind] ?? '',
      start_ms: Number(span.startTimeUnixNano / 1_000_000n),
      duration_ms: Number(span.endTimeUnixNano - span.startTimeUnixNano) / 1e6,
      status: ['UNSET', 'OK', 'ERROR'][span.status.code] ?? '',
      attributes: plainMap(span.attributes.filter(({ key }) => span !== root || rootOwn.has(key))),
    })),
  }
}

function plainMap(attributes: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainOf(value)]))
}

function plainOf(value: AnyValue): unknown {
  if ('intValue' in value) return Number(value.intValue)
  if ('arrayValue' in value) return value.arrayValue.values.map(plainOf)
  return Object.values(value)[0]
}
