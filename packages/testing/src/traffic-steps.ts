import type { SpanLink } from '@winnow/otlp'
import { double, int, text } from './attributes.ts'
import {
  agentAttributes,
  llmAttributes,
  oddAttributes,
  retrievalAttributes,
  toolAttributes,
} from './traffic-dialects.ts'
import { spanKind, type TraceDraft } from './traffic-draft.ts'
import type { Service } from './traffic-origins.ts'
import type { Shape } from './traffic-story.ts'
import { textOf } from './traffic-text.ts'
import { citationAttributes, judgeAttributes, outcomeAttributes } from './traffic-verdicts.ts'

/** One call of a model by the agent. */
export function addLlm(
  draft: TraceDraft,
  parentId: string,
  model: string,
  medianMs: number,
  weight: number,
): void {
  const { random, story } = draft
  const promptLength = draft.textLength(weight * 0.8)
  const completionLength = draft.textLength(weight * 0.2)
  const inputTokens = Math.max(1, Math.round(promptLength / 4))
  const outputTokens = Math.max(1, Math.round(completionLength / 4))
  draft.add(medianMs, {
    service: 'refund-agent',
    parentId,
    name: `chat ${model}`,
    kind: spanKind.client,
    attributes: llmAttributes(random, story.dialect, {
      operation: 'chat',
      provider: model.startsWith('claude') ? 'anthropic' : 'openai',
      model,
      inputTokens,
      outputTokens,
      costUsd: Math.round((inputTokens * 3 + outputTokens * 15) * 10) / 1e7,
      sessionId: story.sessionId,
      promptLength,
      completionLength,
    }),
  })
}

/** A search in the retriever, with the embedding and the reranking inside it. */
export function addRetrieval(draft: TraceDraft, parentId: string): void {
  const { random, story } = draft
  const id = draft.newId()
  const fromUs = draft.nowUs
  const own = { service: 'retriever', parentId: id } as const
  if (random.chance(0.7)) {
    draft.add(18, {
      ...own,
      name: 'vector.embed',
      kind: spanKind.client,
      attributes: llmAttributes(random, story.dialect, {
        operation: 'embeddings',
        provider: 'openai',
        model: 'text-embedding-3-small',
        inputTokens: random.int(8, 60),
        outputTokens: 0,
        costUsd: 3e-7,
        sessionId: story.sessionId,
        promptLength: draft.textLength(0.2),
        completionLength: 1,
      }),
    })
  }
  draft.passMs(150)
  if (random.chance(0.7)) {
    const attributes = [
      text('rerank.model', 'cohere-rerank-3'),
      double('rerank.top1_score', 0.94),
      text('reranker.query', textOf(random, draft.textLength(0.5))),
    ]
    draft.add(45, { ...own, name: 'rerank.cross_encoder', kind: spanKind.internal, attributes })
  }
  // An entry span must not look like a root while its own parent takes long to end.
  const near = story.shape === 'long' || story.class === 'slow'
  draft.around(fromUs, {
    id,
    service: 'retriever',
    parentId,
    name: 'vector.retrieve',
    kind: near ? spanKind.client : spanKind.server,
    remote: !near,
    attributes: retrievalAttributes(random, story.dialect, draft.textLength(2)),
  })
}

/**
 * Calls `calls` tools, and where the story wants a failure one more, in several attempts of the same
 * name under the same parent. True when the last attempt failed as well.
 */
export function addTools(draft: TraceDraft, parentId: string, calls: number): boolean {
  const { failure } = draft.story
  for (let call = 0; call < calls; call++) addTool(draft, parentId, 'lookup_order', null)
  if (failure === 'none') return false
  const attempts = failure === 'storm' ? draft.random.int(4, 12) : draft.random.int(1, 3)
  for (let attempt = 0; attempt < attempts; attempt++) {
    addTool(draft, parentId, 'issue_refund', 'upstream answered 503: try again')
    draft.passUs(2 ** Math.min(attempt, 7) * 1_000 * draft.plan.latencyScale)
  }
  if (failure !== 'fatal') addTool(draft, parentId, 'issue_refund', null)
  return failure === 'fatal'
}

function addTool(draft: TraceDraft, parentId: string, name: string, error: string | null): void {
  const { random, story } = draft
  draft.add(120, {
    service: 'tool-runner',
    parentId,
    name: `execute_tool ${name}`,
    kind: spanKind.internal,
    attributes: toolAttributes(random, story.dialect, { name, textLength: draft.textLength(0.8) }),
    error,
  })
}

/** Citation check and judge, always there when they are to fail. Returns the judge's span id, null without one. */
export function addEvaluators(draft: TraceDraft, parentId: string): string | null {
  const { random, story } = draft
  const preview = () => text('input.preview', textOf(random, draft.textLength(0.9)))
  const own = { service: 'evaluator', parentId } as const
  if (random.chance(0.7) || (story.class === 'citation' && story.told === 'span')) {
    draft.add(60, {
      ...own,
      name: 'tool.citation_check',
      kind: spanKind.internal,
      attributes: [...citationAttributes(random, story), preview()],
    })
  }
  if (!(random.chance(0.5) || (story.class === 'judge' && story.told === 'span'))) return null
  const id = draft.newId()
  draft.add(200, {
    ...own,
    id,
    name: 'llm.judge.policy_correct',
    kind: spanKind.client,
    attributes: [
      text('gen_ai.request.model', 'gpt-4o'),
      ...judgeAttributes(random, story),
      preview(),
    ],
    events: random.chance(0.3) ? [draft.event('gen_ai.choice', [int('index', 0)])] : [],
  })
  return id
}

/** The agent's own span around all steps so far, where the root is the gateway's. */
export function addAgent(draft: TraceDraft, id: string, rootId: string, failed: boolean): void {
  const { random, story } = draft
  draft.around(1_000, {
    id,
    service: 'refund-agent',
    parentId: rootId,
    remote: true,
    name: 'invoke_agent refund-agent',
    kind: spanKind.server,
    attributes: [
      ...agentAttributes(random, story.dialect, story.sessionId, draft.textLength(1)),
      ...(story.features.has('oddValues') ? oddAttributes : []),
    ],
    error: failed ? 'tool issue_refund failed' : null,
  })
}

/** The span around everything. `early`: it answers at once, and its children go on for minutes. */
export function addRoot(
  draft: TraceDraft,
  id: string,
  options: { readonly isAgent: boolean; readonly failed: boolean; readonly early: boolean },
): void {
  const { random, story } = draft
  const { isAgent, failed, early } = options
  const agent = [
    ...agentAttributes(random, story.dialect, story.sessionId, draft.textLength(0.6)),
    ...(story.features.has('oddValues') ? oddAttributes : []),
  ]
  const attributes = [
    text('session.id', story.sessionId),
    text('user.id_hash', `h_${random.hex(1)}`),
    ...(story.experiment === null ? [] : [text('experiment.id', story.experiment)]),
    ...(story.variant === null ? [] : [text('experiment.variant', story.variant)]),
    text('app.prompt.version', 'v17'),
    text('app.tenant.tier', random.pick(['free', 'paid'])),
    text('app.locale', random.pick(['en-IN', 'de-DE', 'ja-JP'])),
    text('http.route', '/v1/chat'),
    text('user.message', textOf(random, draft.textLength(0.4))),
    text('assistant.message', textOf(random, draft.textLength(0.5))),
    ...outcomeAttributes(random, story),
    ...(isAgent ? agent : []),
  ]
  const outside = story.shape === 'remote' || story.shape === 'rootless'
  const span = {
    id,
    ...rootOf(story.shape),
    parentId: outside ? draft.newId() : '',
    remote: story.shape === 'remote',
    attributes,
    links: story.features.has('links') ? [linkOf(draft)] : [],
    error: failed ? 'no tool could answer' : null,
  }
  draft.around(0, span, early ? 50_000 : draft.nowUs)
}

/** The outermost span: an entry of its service, except where nothing called it. */
function rootOf(shape: Shape): { name: string; kind: number; service: Service } {
  const { internal, server, consumer } = spanKind
  switch (shape) {
    case 'chat':
    case 'remote':
      return { name: 'POST /v1/chat', kind: server, service: 'chat-gateway' }
    case 'faq':
      return { name: 'GET /v1/faq', kind: server, service: 'chat-gateway' }
    case 'refund':
      return { name: 'refund_chat.turn', kind: server, service: 'refund-agent' }
    case 'batch':
      return { name: 'tickets process', kind: consumer, service: 'refund-agent' }
    case 'long':
      return { name: 'deep_research.workflow', kind: internal, service: 'refund-agent' }
    case 'rootless':
      return { name: 'agent.step', kind: internal, service: 'refund-agent' }
  }
}

function linkOf(draft: TraceDraft): SpanLink {
  return {
    traceId: draft.random.hex(4),
    spanId: draft.newId(),
    traceState: '',
    attributes: [text('link.kind', 'follows-from')],
    droppedAttributesCount: 0,
    flags: 0x301,
  }
}
