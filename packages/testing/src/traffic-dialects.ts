import type { KeyValue } from '@winnow/otlp'
import { double, doubles, int, keyValues, list, text, texts } from './attributes.ts'
import type { Random } from './random.ts'
import { textOf } from './traffic-text.ts'

/**
 * Whose names a trace's spans use (conventions c.1-c.10): today's semantic conventions, those up to
 * 1.36, OpenInference, OpenLLMetry (Traceloop), and the seed's own.
 */
export type Dialect = 'semconv' | 'semconv-old' | 'openinference' | 'traceloop' | 'seed'

export const dialects: readonly Dialect[] = [
  'semconv',
  'semconv-old',
  'openinference',
  'traceloop',
  'seed',
]

export interface LlmCall {
  readonly operation: 'chat' | 'embeddings'
  readonly provider: string
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number
  readonly sessionId: string
  /** Text lengths, UTF-16 units. */
  readonly promptLength: number
  readonly completionLength: number
}

export function llmAttributes(random: Random, dialect: Dialect, call: LlmCall): KeyValue[] {
  const prompt = textOf(random, call.promptLength)
  const completion = textOf(random, call.completionLength)
  // Some SDKs send every number as text.
  const asText = random.chance(0.05)
  const count = (key: string, value: number) =>
    asText ? text(key, String(value)) : int(key, value)
  const responseId = `msg_${random.hex(2)}`
  switch (dialect) {
    case 'semconv':
      return [
        text('gen_ai.operation.name', call.operation),
        text('gen_ai.provider.name', call.provider),
        text('gen_ai.request.model', call.model),
        text('gen_ai.response.model', call.model),
        text('gen_ai.response.id', responseId),
        text('gen_ai.conversation.id', call.sessionId),
        texts('gen_ai.response.finish_reasons', ['stop']),
        double('gen_ai.request.temperature', 0.2),
        count('gen_ai.usage.input_tokens', call.inputTokens),
        count('gen_ai.usage.output_tokens', call.outputTokens),
        int('gen_ai.usage.cache_read.input_tokens', Math.floor(call.inputTokens / 3)),
        double('gen_ai.cost_usd', call.costUsd),
        ...messages(random, prompt, completion),
      ]
    case 'semconv-old':
      return [
        text('gen_ai.operation.name', call.operation),
        text('gen_ai.system', call.provider),
        text('gen_ai.request.model', call.model),
        text('gen_ai.response.id', responseId),
        text('session.id', call.sessionId),
        count('gen_ai.usage.prompt_tokens', call.inputTokens),
        count('gen_ai.usage.completion_tokens', call.outputTokens),
        double('gen_ai.usage.cost', call.costUsd),
        text('gen_ai.content.prompt', prompt),
        text('gen_ai.content.completion', completion),
      ]
    case 'openinference':
      return [
        text('openinference.span.kind', call.operation === 'chat' ? 'LLM' : 'EMBEDDING'),
        text('llm.provider', call.provider),
        text('llm.model_name', call.model),
        count('llm.token_count.prompt', call.inputTokens),
        count('llm.token_count.completion', call.outputTokens),
        count('llm.token_count.total', call.inputTokens + call.outputTokens),
        double('llm.cost.total', call.costUsd),
        text('session.id', call.sessionId),
        text('llm.invocation_parameters', '{"temperature":0.2,"max_tokens":1024}'),
        text('llm.input_messages.0.message.role', 'user'),
        text('llm.input_messages.0.message.content', prompt),
        text('llm.output_messages.0.message.role', 'assistant'),
        text('llm.output_messages.0.message.content', completion),
        text('input.mime_type', 'text/plain'),
      ]
    case 'traceloop':
      return [
        text('traceloop.span.kind', 'task'),
        text('traceloop.workflow.name', 'support'),
        text('traceloop.association.properties.session_id', call.sessionId),
        text('llm.request.type', call.operation === 'chat' ? 'chat' : 'embedding'),
        text('gen_ai.system', call.provider),
        text('gen_ai.request.model', call.model),
        count('gen_ai.usage.input_tokens', call.inputTokens),
        count('gen_ai.usage.output_tokens', call.outputTokens),
        count('llm.usage.total_tokens', call.inputTokens + call.outputTokens),
        text('gen_ai.prompt.0.role', 'user'),
        text('gen_ai.prompt.0.content', prompt),
        text('gen_ai.completion.0.role', 'assistant'),
        text('gen_ai.completion.0.content', completion),
        text('gen_ai.completion.0.finish_reason', 'stop'),
      ]
    case 'seed':
      return [
        text('gen_ai.system', call.provider),
        text('gen_ai.request.model', call.model),
        count('gen_ai.usage.input_tokens', call.inputTokens),
        count('gen_ai.usage.output_tokens', call.outputTokens),
        double('gen_ai.cost_usd', call.costUsd),
        text('gen_ai.response.id', responseId),
        int('prompt.system_tokens', 420),
        int('prompt.retrieval_tokens', Math.floor(call.inputTokens / 2)),
        text('prompt.composition_hash', `sha256:${random.hex(2)}`),
        text('input.preview', prompt),
        text('output', completion),
      ]
  }
}

/** Today's messages come as JSON text or as structured values (conventions c.3). */
function messages(random: Random, prompt: string, completion: string): KeyValue[] {
  if (random.chance(0.7)) {
    const of = (role: string, content: string) =>
      JSON.stringify([{ role, parts: [{ type: 'text', content }] }])
    return [
      text('gen_ai.input.messages', of('user', prompt)),
      text('gen_ai.output.messages', of('assistant', completion)),
    ]
  }
  const of = (key: string, role: string, content: string) => {
    const part = keyValues([text('type', 'text'), text('content', content)])
    return list(key, [keyValues([text('role', role), list('parts', [part])])])
  }
  return [
    of('gen_ai.input.messages', 'user', prompt),
    of('gen_ai.output.messages', 'assistant', completion),
  ]
}

export interface ToolCall {
  readonly name: string
  readonly textLength: number
}

export function toolAttributes(random: Random, dialect: Dialect, call: ToolCall): KeyValue[] {
  const args = JSON.stringify({ order: 4481, note: textOf(random, call.textLength / 3) })
  const result = textOf(random, (call.textLength * 2) / 3)
  switch (dialect) {
    case 'semconv':
    case 'semconv-old':
      return [
        text('gen_ai.operation.name', 'execute_tool'),
        text('gen_ai.tool.name', call.name),
        text('gen_ai.tool.call.id', `call_${random.hex(2)}`),
        text('gen_ai.tool.type', 'function'),
        text('gen_ai.tool.call.arguments', args),
        text('gen_ai.tool.call.result', result),
      ]
    case 'openinference':
      return [
        text('openinference.span.kind', 'TOOL'),
        text('tool.name', call.name),
        text('tool.parameters', args),
        text('input.value', args),
        text('output.value', result),
      ]
    case 'traceloop':
      return [
        text('traceloop.span.kind', 'tool'),
        text('traceloop.entity.name', call.name),
        text('traceloop.entity.input', args),
        text('traceloop.entity.output', result),
      ]
    case 'seed':
      return [text('tool.name', call.name), text('input.preview', args), text('output', result)]
  }
}

export function retrievalAttributes(
  random: Random,
  dialect: Dialect,
  textLength: number,
): KeyValue[] {
  const ids = [1, 2, 3].map(() => `pol_${random.hex(1)}_v${random.int(1, 9)}`)
  const scores = ids.map((_, at) => Math.round((0.95 - at * 0.04 - random.unit() / 50) * 1e3) / 1e3)
  const contents = ids.map(() => textOf(random, textLength / 3))
  if (dialect === 'openinference') {
    return [
      text('openinference.span.kind', 'RETRIEVER'),
      ...ids.flatMap((id, at) => [
        text(`retrieval.documents.${at}.document.id`, id),
        double(`retrieval.documents.${at}.document.score`, scores[at] ?? 0),
        text(`retrieval.documents.${at}.document.content`, contents[at] ?? ''),
      ]),
    ]
  }
  return [
    text('vectordb.system', 'pinecone'),
    text('vectordb.index', 'policy-v4'),
    int(dialect === 'semconv' ? 'gen_ai.request.top_k' : 'retrieval.k', ids.length),
    texts('retrieval.doc_ids', ids),
    doubles('retrieval.scores', scores),
    texts('retrieval.documents', contents),
  ]
}

export function agentAttributes(
  random: Random,
  dialect: Dialect,
  sessionId: string,
  textLength: number,
): KeyValue[] {
  const input = textOf(random, textLength / 2)
  const output = textOf(random, textLength / 2)
  switch (dialect) {
    case 'openinference':
      return [
        text('openinference.span.kind', 'AGENT'),
        text('agent.name', 'refund-agent'),
        text('session.id', sessionId),
        text('input.value', input),
        text('output.value', output),
      ]
    case 'traceloop':
      return [
        text('traceloop.span.kind', 'workflow'),
        text('traceloop.workflow.name', 'support'),
        text('traceloop.entity.name', 'refund-agent'),
        text('traceloop.entity.input', input),
        text('traceloop.entity.output', output),
      ]
    default:
      return [
        text('gen_ai.operation.name', 'invoke_agent'),
        text('gen_ai.agent.name', 'refund-agent'),
        text('gen_ai.conversation.id', sessionId),
        text('input.preview', input),
        text('output', output),
      ]
  }
}

/** One of each shape an OTLP value can have, at the ends of its range. */
export const oddAttributes: readonly KeyValue[] = [
  { key: 'odd.empty', value: {} },
  { key: 'odd.bytes', value: { bytesValue: Uint8Array.of(0, 1, 127, 128, 255) } },
  int('odd.int_max', 2n ** 63n - 1n),
  int('odd.int_min', -(2n ** 63n)),
  double('odd.nan', Number.NaN),
  double('odd.infinity', Number.POSITIVE_INFINITY),
  double('odd.minus_zero', -0),
  text('odd.empty_text', ''),
  text('odd.nul', 'a\u0000b'),
  list('odd.empty_list', []),
  { key: 'odd.empty_map', value: keyValues([]) },
  list('odd.mixed', [
    { stringValue: 'नमस्ते' },
    { intValue: -1n },
    { boolValue: false },
    {},
    { arrayValue: { values: [{ doubleValue: 0.5 }, { arrayValue: { values: [] } }] } },
    keyValues([text('κλειδί', 'τιμή'), { key: 'nested', value: keyValues([int('n', 1)]) }]),
  ]),
]
