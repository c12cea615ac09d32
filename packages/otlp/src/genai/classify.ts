import type { AnyValue, KeyValue } from '../otlp.ts'

/** What a span is to whoever reads a trace of an agent. UNKNOWN: certainly GenAI, not said which. */
export type GenAiKind =
  | 'LLM'
  | 'EMBEDDING'
  | 'RETRIEVAL'
  | 'RERANKER'
  | 'TOOL'
  | 'AGENT'
  | 'CHAIN'
  | 'MEMORY'
  | 'GUARDRAIL'
  | 'EVALUATOR'
  | 'PROMPT'
  | 'UNKNOWN'

/** `operation` is gen_ai.operation.name as sent, else the one that the span's kind stands for. */
export interface Classification {
  readonly kind: GenAiKind | null
  readonly operation: string | null
}

/**
 * In this order: a known `gen_ai.operation.name`; a `gen_ai.tool.name`; the kind of another
 * convention; the seed's span names and attributes; any `gen_ai.*` at all. A span that carries only
 * `gen_ai.tool.call.id` is none: plain HTTP spans inside a tool have it (Jaeger's rule).
 */
export function classify(name: string, attributes: readonly KeyValue[]): Classification {
  let operation: string | null = null
  let toolNamed = false
  let declared: GenAiKind | undefined
  let declaredRank = kindKeys.length
  let hinted: GenAiKind | undefined
  let anyGenAi = false
  for (const { key, value } of attributes) {
    const known = knowledgeOf(key)
    if (known === undefined) continue
    if (known.isOperation) operation = textOf(value) ?? operation
    if (known.isToolName) toolNamed = true
    if (known.isGenAi) anyGenAi = true
    const { rank } = known
    if (rank !== undefined && rank < declaredRank) {
      const kind = kindKeys[rank]?.kindOf(textOf(value) ?? '')
      if (kind !== undefined) {
        declared = kind
        declaredRank = rank
      }
    }
    hinted ??= known.hint
  }
  const known = operation === null ? undefined : kindOfOperation(operation)
  const kind =
    known ??
    (toolNamed ? 'TOOL' : undefined) ??
    declared ??
    hintOfName(name) ??
    hinted ??
    (anyGenAi ? 'UNKNOWN' : null)
  return { kind, operation: operation ?? (kind === null ? null : (operationOf[kind] ?? null)) }
}

/** Whether a key declares a kind by its value. */
export function isKindKey(key: string): boolean {
  return kindRanks.has(key)
}

/** What a key says by itself. */
interface Knowledge {
  readonly isOperation: boolean
  readonly isToolName: boolean
  readonly isGenAi: boolean
  readonly rank: number | undefined
  readonly hint: GenAiKind | undefined
}

/** Keys are a client's to choose, so what is remembered about them is bounded. */
const knowledgeMax = 4_096
const knowledgeKeyLengthMax = 128
let knowledge = new Map<string, Knowledge | undefined>()

/** Undefined for a key that says nothing; remembered, since the same few come on every span. */
function knowledgeOf(key: string): Knowledge | undefined {
  const known = knowledge.get(key)
  if (known !== undefined || knowledge.has(key)) return known
  const isGenAi = key.startsWith('gen_ai.') && key !== 'gen_ai.tool.call.id'
  const rank = kindRanks.get(key)
  const hint = hintOf(key)
  const isSaying = isGenAi || rank !== undefined || hint !== undefined
  const made = isSaying
    ? {
        isOperation: key === 'gen_ai.operation.name',
        isToolName: key === 'gen_ai.tool.name',
        isGenAi,
        rank,
        hint,
      }
    : undefined
  if (key.length > knowledgeKeyLengthMax) return made
  if (knowledge.size >= knowledgeMax) knowledge = new Map()
  knowledge.set(key, made)
  return made
}

const operationOf: Partial<Record<GenAiKind, string>> = {
  LLM: 'chat',
  EMBEDDING: 'embeddings',
  RETRIEVAL: 'retrieval',
  TOOL: 'execute_tool',
  AGENT: 'invoke_agent',
  CHAIN: 'invoke_workflow',
}

/** Undefined for an operation of the sender's own. */
function kindOfOperation(operation: string): GenAiKind | undefined {
  if (/^(?:create|update|upsert|search|delete)_memory(?:_store)?$/.test(operation)) return 'MEMORY'
  return lookUp(operations, operation)
}

const operations: Readonly<Record<string, GenAiKind>> = {
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
}

const openInferenceKinds: Readonly<Record<string, GenAiKind>> = {
  LLM: 'LLM',
  EMBEDDING: 'EMBEDDING',
  CHAIN: 'CHAIN',
  RETRIEVER: 'RETRIEVAL',
  RERANKER: 'RERANKER',
  TOOL: 'TOOL',
  AGENT: 'AGENT',
  GUARDRAIL: 'GUARDRAIL',
  EVALUATOR: 'EVALUATOR',
  PROMPT: 'PROMPT',
}

const traceloopKinds: Readonly<Record<string, GenAiKind>> = {
  workflow: 'CHAIN',
  task: 'CHAIN',
  agent: 'AGENT',
  tool: 'TOOL',
}

const langfuseKinds: Readonly<Record<string, GenAiKind>> = {
  generation: 'LLM',
  embedding: 'EMBEDDING',
  retriever: 'RETRIEVAL',
  tool: 'TOOL',
  agent: 'AGENT',
  chain: 'CHAIN',
  guardrail: 'GUARDRAIL',
  evaluator: 'EVALUATOR',
}

const requestTypes: Readonly<Record<string, GenAiKind>> = {
  chat: 'LLM',
  completion: 'LLM',
  embedding: 'EMBEDDING',
  rerank: 'RERANKER',
}

/** Attributes by which other conventions declare a kind, the most specific first. */
const kindKeys: readonly {
  readonly key: string
  readonly kindOf: (value: string) => GenAiKind | undefined
}[] = [
  {
    key: 'openinference.span.kind',
    kindOf: value => lookUp(openInferenceKinds, value.toUpperCase()),
  },
  { key: 'traceloop.span.kind', kindOf: value => lookUp(traceloopKinds, value) },
  { key: 'ai.operationId', kindOf: vercelKind },
  { key: 'langfuse.observation.type', kindOf: value => lookUp(langfuseKinds, value) },
  { key: 'mlflow.spanType', kindOf: mlflowKind },
  { key: 'llm.request.type', kindOf: value => lookUp(requestTypes, value) },
]

const kindRanks: ReadonlyMap<string, number> = new Map(kindKeys.map(({ key }, rank) => [key, rank]))

/** MLflow's are OpenInference's words but for CHAT_MODEL. */
function mlflowKind(value: string): GenAiKind | undefined {
  return value === 'CHAT_MODEL' ? 'LLM' : lookUp(openInferenceKinds, value)
}

/** `ai.generateText` holds its model calls as `ai.generateText.doGenerate`: the outer one is a chain. */
function vercelKind(value: string): GenAiKind | undefined {
  if (value === 'ai.toolCall') return 'TOOL'
  if (value.startsWith('ai.embed')) return 'EMBEDDING'
  if (!/^ai\.(?:generate|stream)/.test(value)) return undefined
  return /\.do(?:Generate|Stream)$/.test(value) ? 'LLM' : 'CHAIN'
}

/** The seed's spans have no kind of their own; their names say it, as `llm.generate` does. */
function hintOfName(name: string): GenAiKind | undefined {
  return nameHints.find(([prefix]) => name.startsWith(prefix))?.[1]
}

const nameHints: readonly (readonly [string, GenAiKind])[] = [
  ['llm.judge', 'EVALUATOR'],
  ['llm.', 'LLM'],
  ['tool.', 'TOOL'],
  ['vector.embed', 'EMBEDDING'],
  ['vector.', 'RETRIEVAL'],
  ['rerank.', 'RERANKER'],
]

/** Most keys end at the first look: none of the prefixes begins with their first letter. */
function hintOf(key: string): GenAiKind | undefined {
  const hints = keyHintsByInitial.get(key.charCodeAt(0))
  return hints?.find(([prefix]) => key.startsWith(prefix))?.[1]
}

/** Prefixes of attribute keys, for spans that neither declare a kind nor are named after it. */
const keyHints: readonly (readonly [string, GenAiKind])[] = [
  ['rerank', 'RERANKER'],
  ['retrieval.', 'RETRIEVAL'],
  ['vectordb.', 'RETRIEVAL'],
  ['db.vector.', 'RETRIEVAL'],
  ['vector.dim', 'EMBEDDING'],
  ['embedding.', 'EMBEDDING'],
  ['judge.', 'EVALUATOR'],
  ['llm.', 'LLM'],
  ['tool.', 'TOOL'],
]

const keyHintsByInitial = Map.groupBy(keyHints, ([prefix]) => prefix.charCodeAt(0))

/** Not `table[key]` alone: a sender's `constructor` would find what every object inherits. */
function lookUp(table: Readonly<Record<string, GenAiKind>>, key: string): GenAiKind | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined
}

function textOf(value: AnyValue): string | undefined {
  return 'stringValue' in value && value.stringValue !== '' ? value.stringValue : undefined
}
