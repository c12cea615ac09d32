import { expect, test } from 'vitest'
import { classify } from './classify.ts'

const of = (attributes: Record<string, string>, name = 'span') =>
  classify(
    name,
    Object.entries(attributes).map(([key, stringValue]) => ({ key, value: { stringValue } })),
  )

test('a known operation says the kind and wins over everything', () => {
  for (const [operation, kind] of Object.entries({
    chat: 'LLM',
    generate_content: 'LLM',
    text_completion: 'LLM',
    embeddings: 'EMBEDDING',
    retrieval: 'RETRIEVAL',
    execute_tool: 'TOOL',
    invoke_agent: 'AGENT',
    create_agent: 'AGENT',
    plan: 'AGENT',
    invoke_workflow: 'CHAIN',
    search_memory: 'MEMORY',
    create_memory_store: 'MEMORY',
  })) {
    const others = { 'gen_ai.tool.name': 't', 'openinference.span.kind': 'GUARDRAIL' }
    expect(of({ ...others, 'gen_ai.operation.name': operation }, 'rerank.x')).toStrictEqual({
      kind,
      operation,
    })
  }
})

test('an operation of the sender’s own is kept, its kind found otherwise or unknown', () => {
  expect(of({ 'gen_ai.operation.name': 'ponder' })).toStrictEqual({
    kind: 'UNKNOWN',
    operation: 'ponder',
  })
  expect(of({ 'gen_ai.operation.name': 'toString' }).kind).toBe('UNKNOWN')
  expect(of({ 'gen_ai.operation.name': 'ponder', 'gen_ai.tool.name': 't' })).toStrictEqual({
    kind: 'TOOL',
    operation: 'ponder',
  })
})

test('a tool’s name makes a tool, its call id alone makes nothing', () => {
  expect(of({ 'gen_ai.tool.name': 'search' })).toStrictEqual({
    kind: 'TOOL',
    operation: 'execute_tool',
  })
  expect(of({ 'gen_ai.tool.call.id': 'call_1' })).toStrictEqual({ kind: null, operation: null })
})

test('the kinds of other conventions', () => {
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    ...[
      'LLM',
      'EMBEDDING',
      'CHAIN',
      'RERANKER',
      'TOOL',
      'AGENT',
      'GUARDRAIL',
      'EVALUATOR',
      'PROMPT',
    ].map(kind => [{ 'openinference.span.kind': kind }, kind] as const),
    [{ 'openinference.span.kind': 'RETRIEVER' }, 'RETRIEVAL'],
    [{ 'openinference.span.kind': 'llm' }, 'LLM'],
    [{ 'traceloop.span.kind': 'workflow' }, 'CHAIN'],
    [{ 'traceloop.span.kind': 'task' }, 'CHAIN'],
    [{ 'traceloop.span.kind': 'agent' }, 'AGENT'],
    [{ 'traceloop.span.kind': 'tool' }, 'TOOL'],
    [{ 'ai.operationId': 'ai.generateText' }, 'CHAIN'],
    [{ 'ai.operationId': 'ai.generateText.doGenerate' }, 'LLM'],
    [{ 'ai.operationId': 'ai.streamText.doStream' }, 'LLM'],
    [{ 'ai.operationId': 'ai.embedMany.doEmbed' }, 'EMBEDDING'],
    [{ 'ai.operationId': 'ai.toolCall' }, 'TOOL'],
    [{ 'langfuse.observation.type': 'generation' }, 'LLM'],
    [{ 'langfuse.observation.type': 'retriever' }, 'RETRIEVAL'],
    [{ 'mlflow.spanType': 'CHAT_MODEL' }, 'LLM'],
    [{ 'mlflow.spanType': 'RETRIEVER' }, 'RETRIEVAL'],
    [{ 'llm.request.type': 'completion' }, 'LLM'],
    [{ 'llm.request.type': 'rerank' }, 'RERANKER'],
  ]
  for (const [attributes, kind] of cases)
    expect(of(attributes).kind, JSON.stringify(attributes)).toBe(kind)
})

test('of several declared kinds the most specific counts, wherever it stands; one not known is none', () => {
  const both = { 'llm.request.type': 'chat', 'openinference.span.kind': 'AGENT' }
  expect(of(both).kind).toBe('AGENT')
  expect(of({ 'openinference.span.kind': 'NEW', 'traceloop.span.kind': 'tool' }).kind).toBe('TOOL')
})

test('the seed’s names, then its attributes', () => {
  const names = {
    'llm.generate': 'LLM',
    'llm.judge.policy_correct': 'EVALUATOR',
    'tool.citation_check': 'TOOL',
    'vector.embed': 'EMBEDDING',
    'vector.retrieve': 'RETRIEVAL',
    'rerank.cross_encoder': 'RERANKER',
    'refund_chat.turn': null,
    llm: null,
  }
  for (const [name, kind] of Object.entries(names)) expect(of({}, name).kind, name).toBe(kind)
  const keys = {
    'rerank.model': 'RERANKER',
    'reranker.query': 'RERANKER',
    'retrieval.k': 'RETRIEVAL',
    'vectordb.index': 'RETRIEVAL',
    'db.vector.query.top_k': 'RETRIEVAL',
    'vector.dim': 'EMBEDDING',
    'judge.score': 'EVALUATOR',
    'llm.model_name': 'LLM',
    'tool.name': 'TOOL',
    'gen_ai.request.model': 'UNKNOWN',
    'http.route': null,
  }
  for (const [key, kind] of Object.entries(keys)) expect(of({ [key]: 'x' }).kind, key).toBe(kind)
})
