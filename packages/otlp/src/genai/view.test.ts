import { expect, test } from 'vitest'
import type { AnyValue, KeyValue } from '../otlp.ts'
import { genAiNames } from './names.ts'
import { facetsOf, genAiBrief, genAiView, isBriefKey } from './view.ts'

type Plain = string | number | bigint | boolean | string[]

function anyValueOf(plain: Plain): AnyValue {
  if (typeof plain === 'string') return { stringValue: plain }
  if (typeof plain === 'boolean') return { boolValue: plain }
  if (typeof plain === 'bigint') return { intValue: plain }
  if (typeof plain === 'number') {
    return Number.isInteger(plain) ? { intValue: BigInt(plain) } : { doubleValue: plain }
  }
  return { arrayValue: { values: plain.map(it => ({ stringValue: it })) } }
}

const list = (plain: Record<string, Plain>): KeyValue[] =>
  Object.entries(plain).map(([key, value]) => ({ key, value: anyValueOf(value) }))

/** Whatever is asked of the view, the brief one says the same as far as it goes. */
const view = (
  plain: Record<string, Plain>,
  name = 'span',
  resource: Record<string, Plain> = {},
) => {
  const [attributes, shared] = [list(plain), list(resource)]
  const whole = genAiView({ name, attributes }, shared)
  const read = attributes.map(it => (isBriefKey(it.key) ? it : { key: it.key, value: {} }))
  const brief = genAiBrief({ name, attributes: read }, shared)
  if (whole === undefined) expect(brief).toBeUndefined()
  else expect(whole).toMatchObject(brief ?? { operation: 'none' })
  return whole
}

/** Trace 48f's resource (seed 002). */
const seedResource = {
  'service.name': 'refund-bot',
  'deployment.env': 'prod',
  'session.id': 'sess_91ab',
  'user.id_hash': 'h_38d2',
  'experiment.id': 'exp_prompt_terser_v3',
  'experiment.variant': 'B',
  'app.prompt.version': 'v17',
  'app.tenant.tier': 'paid',
  'app.locale': 'en-IN',
}

const seedFacets = {
  sessionId: 'sess_91ab',
  userId: 'h_38d2',
  experimentId: 'exp_prompt_terser_v3',
  experimentVariant: 'B',
  promptName: null,
  promptVersion: 'v17',
  tenantTier: 'paid',
  locale: 'en-IN',
  environment: 'prod',
}

test('the generation of trace 48f, whole', () => {
  const attributes = {
    'gen_ai.system': 'anthropic',
    'gen_ai.request.model': 'claude-3-5-sonnet-20241022',
    'gen_ai.usage.input_tokens': 1870,
    'gen_ai.usage.output_tokens': 180,
    'gen_ai.cost_usd': 0.00831,
    'gen_ai.response.id': 'msg_01H4r7K',
    'prompt.system_tokens': 420,
  }
  expect(view(attributes, 'llm.generate', seedResource)).toStrictEqual({
    kind: 'LLM',
    operation: 'chat',
    provider: 'anthropic',
    requestModel: 'claude-3-5-sonnet-20241022',
    responseModel: null,
    model: 'claude-3-5-sonnet-20241022',
    inputTokens: 1870,
    outputTokens: 180,
    totalTokens: null,
    cacheReadTokens: null,
    cacheWriteTokens: null,
    reasoningTokens: null,
    costUsd: 0.00831,
    ...seedFacets,
    agentName: null,
    toolName: null,
    toolCallId: null,
    workflowName: null,
    responseId: 'msg_01H4r7K',
    finishReasons: null,
    outputType: null,
    streaming: null,
    serviceTier: null,
    retrievalTopK: null,
    hidden: [],
  })
})

test('the other spans of trace 48f', () => {
  const seed = (name: string, plain: Record<string, Plain>) => view(plain, name, seedResource)
  expect(
    seed('vector.embed', {
      'gen_ai.request.model': 'text-embedding-3-small',
      'gen_ai.usage.input_tokens': 13,
      'gen_ai.cost_usd': 0.0000003,
    }),
  ).toMatchObject({
    kind: 'EMBEDDING',
    operation: 'embeddings',
    inputTokens: 13,
    outputTokens: null,
    costUsd: 0.0000003,
  })
  expect(
    seed('vector.retrieve', { 'vectordb.system': 'pinecone', 'retrieval.k': 3 }),
  ).toMatchObject({
    kind: 'RETRIEVAL',
    provider: null,
    retrievalTopK: 3,
  })
  expect(seed('rerank.cross_encoder', { 'rerank.model': 'cohere-rerank-3' })).toMatchObject({
    kind: 'RERANKER',
    operation: null,
    model: 'cohere-rerank-3',
  })
  expect(seed('tool.citation_check', { 'citation.claims_extracted': 2 })).toMatchObject({
    kind: 'TOOL',
    toolName: null,
  })
  expect(
    seed('llm.judge.policy_correct', { 'gen_ai.request.model': 'gpt-4o', 'judge.score': 1 }),
  ).toMatchObject({
    kind: 'EVALUATOR',
    model: 'gpt-4o',
  })
  expect(
    seed('refund_chat.turn', { 'http.route': '/v1/chat', 'outcome.csat_response': 2 }),
  ).toMatchObject({
    kind: null,
    operation: null,
    ...seedFacets,
  })
})

test('a span that is neither GenAI nor has a facet has no view', () => {
  expect(view({ 'db.system': 'postgresql' }, 'SELECT')).toBeUndefined()
  expect(
    view({}, 'GET', { 'service.name': 'a', 'deployment.environment.name': 'prod' }),
  ).toBeUndefined()
  expect(view({ 'gen_ai.tool.call.id': 'call_1' }, 'POST')).toBeUndefined()
  expect(facetsOf([], list({ 'deployment.environment.name': 'prod' })).environment).toBe('prod')
})

const texts = [
  'provider',
  'requestModel',
  'responseModel',
  'sessionId',
  'userId',
  'agentName',
  'toolName',
  'toolCallId',
  'workflowName',
  'responseId',
  'outputType',
  'serviceTier',
  'promptName',
  'promptVersion',
  'experimentId',
  'experimentVariant',
  'tenantTier',
  'locale',
  'environment',
] as const
const counts = [
  'inputTokens',
  'outputTokens',
  'totalTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'reasoningTokens',
] as const
const genAi = { 'gen_ai.operation.name': 'chat' }

test('every name of a meaning is read, and the newest one present wins', () => {
  for (const meaning of texts) {
    const names = genAiNames[meaning]
    for (const [rank, name] of names.entries()) {
      expect(view({ ...genAi, [name]: 'x' })?.[meaning], name).toBe('x')
      const older = names.slice(rank + 1).map(it => [it, 'older'])
      expect(view({ ...genAi, ...Object.fromEntries(older), [name]: 'x' })?.[meaning], name).toBe(
        'x',
      )
    }
  }
  for (const meaning of counts) {
    for (const [rank, name] of genAiNames[meaning].entries()) {
      const older = genAiNames[meaning].slice(rank + 1).map(it => [it, 99])
      expect(view({ ...genAi, ...Object.fromEntries(older), [name]: 7 })?.[meaning], name).toBe(7)
    }
  }
  for (const name of genAiNames.finishReasons) {
    expect(view({ ...genAi, [name]: 'stop' })?.finishReasons, name).toStrictEqual(['stop'])
  }
  for (const name of genAiNames.streaming)
    expect(view({ ...genAi, [name]: true })?.streaming).toBe(true)
  for (const name of genAiNames.retrievalTopK) {
    expect(view({ 'gen_ai.operation.name': 'retrieval', [name]: 5 })?.retrievalTopK, name).toBe(5)
    expect(view({ ...genAi, [name]: 5 })?.retrievalTopK, name).toBeNull()
  }
})

test('cached and reasoning tokens are within input and output: nothing is added', () => {
  expect(
    view({
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.cache_read.input_tokens': 80,
      'gen_ai.usage.cache_creation.input_tokens': 10,
      'gen_ai.usage.output_tokens': 50,
      'gen_ai.usage.reasoning.output_tokens': 40,
    }),
  ).toMatchObject({
    inputTokens: 100,
    outputTokens: 50,
    totalTokens: null,
    cacheReadTokens: 80,
    cacheWriteTokens: 10,
    reasoningTokens: 40,
  })
})

test('a count is a whole number in whatever type; what is none gives way to an older name', () => {
  const input = (value: Plain | AnyValue) =>
    genAiView({
      name: '',
      attributes: [
        {
          key: 'gen_ai.usage.input_tokens',
          value: typeof value === 'object' && !Array.isArray(value) ? value : anyValueOf(value),
        },
        { key: 'gen_ai.usage.prompt_tokens', value: { intValue: 5n } },
      ],
    })?.inputTokens
  for (const [value, count] of [
    [0, 0],
    ['1870', 1870],
    [' 12 ', 12],
    ['1e3', 1000],
    [{ doubleValue: 1870 }, 1870],
    [9007199254740991n, 9007199254740991],
    [9007199254740993n, 5],
    [-1, 5],
    [1.5, 5],
    ['many', 5],
    ['', 5],
    ['0x10', 5],
    [true, 5],
    [{}, 5],
    [{ doubleValue: Number.NaN }, 5],
    ['1'.repeat(100_000), 5],
  ] as const) {
    expect(input(value), JSON.stringify(String(value)).slice(0, 40)).toBe(count)
  }
})

test('cost is read from every carrier, Langfuse’s JSON included', () => {
  const cost = (plain: Record<string, Plain>) => view({ ...genAi, ...plain })?.costUsd
  expect(cost({ 'gen_ai.cost_usd': '0.5' })).toBe(0.5)
  expect(cost({ 'gen_ai.usage.cost': 0.25 })).toBe(0.25)
  expect(cost({ 'llm.cost.total': 0 })).toBe(0)
  const details = 'langfuse.observation.cost_details'
  expect(cost({ [details]: '{"input":0.25,"output":0.5,"total":1}' })).toBe(1)
  expect(cost({ [details]: '{"input":0.25,"output":0.5}' })).toBe(0.75)
  for (const wrong of [
    '{',
    '[1]',
    '7',
    'null',
    '{}',
    '{"total":"x"}',
    `{"a":"${'x'.repeat(9000)}","total":1}`,
  ]) {
    expect(cost({ [details]: wrong }), wrong.slice(0, 20)).toBeNull()
  }
  expect(cost({ 'gen_ai.cost_usd': -1, [details]: '{"total":2}' })).toBe(2)
})

test('Langfuse’s usage details fill what the names above them left open', () => {
  const details = '{"input":10,"output":4,"total":14,"cache_read_input_tokens":3}'
  expect(
    view({
      'langfuse.observation.type': 'generation',
      'langfuse.observation.usage_details': details,
      'gen_ai.usage.output_tokens': 5,
    }),
  ).toMatchObject({
    kind: 'LLM',
    inputTokens: 10,
    outputTokens: 5,
    totalTokens: 14,
    cacheReadTokens: 3,
    cacheWriteTokens: null,
  })
})

test('renamed providers have their new name, others are as sent', () => {
  for (const [sent, name] of [
    ['xai', 'x_ai'],
    ['vertex_ai', 'gcp.vertex_ai'],
    ['gemini', 'gcp.gemini'],
    ['az.ai.inference', 'azure.ai.inference'],
    ['az.ai.openai', 'azure.ai.openai'],
    ['OpenAI', 'openai'],
    ['openai.chat', 'openai'],
    ['My-Own', 'My-Own'],
    ['constructor', 'constructor'],
  ] as const) {
    expect(view({ 'gen_ai.system': sent })?.provider).toBe(name)
  }
})

test('the model that answered is named before the one that was asked', () => {
  expect(
    view({ 'gen_ai.request.model': 'gpt-4o', 'gen_ai.response.model': 'gpt-4o-2024-08-06' }),
  ).toMatchObject({
    model: 'gpt-4o-2024-08-06',
    requestModel: 'gpt-4o',
  })
})

test('what an SDK hid is carried as it is and named, never missing', () => {
  const hidden = view({
    'gen_ai.request.model': '__REDACTED__',
    'gen_ai.usage.input_tokens': '__REDACTED__',
    'input.value': '__REDACTED__',
    'gen_ai.usage.output_tokens': 3,
  })
  expect(hidden).toMatchObject({ model: '__REDACTED__', inputTokens: null, outputTokens: 3 })
  expect(hidden?.hidden).toStrictEqual(['requestModel', 'inputTokens', 'input'])
})

test('facets are coerced to text, and the span’s own come before the resource’s', () => {
  expect(
    view({ 'session.id': 42, 'app.tenant.tier': true }, 's', { 'session.id': 'r', 'user.id': 'u' }),
  ).toMatchObject({
    sessionId: '42',
    tenantTier: 'true',
    userId: 'u',
  })
  // But as decisions have them, experiment and variant are the resource's first.
  expect(
    view({ 'experiment.variant': 'A' }, 's', { 'experiment.variant': 'B' })?.experimentVariant,
  ).toBe('B')
})

test('a feature flag stands for an experiment only where none is named', () => {
  const flag = { 'feature_flag.key': 'terser', 'feature_flag.result.variant': 'on' }
  expect(view({ ...genAi, ...flag })).toMatchObject({
    experimentId: 'terser',
    experimentVariant: 'on',
  })
  expect(view({ ...genAi, ...flag, 'experiment.id': 'e' })).toMatchObject({
    experimentId: 'e',
    experimentVariant: null,
  })
  expect(view({ ...genAi, 'feature_flag.key': 'terser' })?.experimentId).toBeNull()
})

test('Traceloop’s entity name is the tool’s or the agent’s', () => {
  const entity = (kind: string) =>
    view({ 'traceloop.entity.name': 'search', 'traceloop.span.kind': kind })
  expect(entity('tool')).toMatchObject({ toolName: 'search', agentName: null })
  expect(entity('agent')).toMatchObject({ toolName: null, agentName: 'search' })
  expect(entity('task')).toMatchObject({ toolName: null, agentName: null })
})

test('the attributes are not touched', () => {
  const attributes = list({ 'gen_ai.system': 'xai', 'gen_ai.usage.prompt_tokens': '7' })
  const before = structuredClone(attributes)
  genAiView({ name: 's', attributes }, attributes)
  expect(attributes).toStrictEqual(before)
})
