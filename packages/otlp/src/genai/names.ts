/**
 * Under which attribute keys the SDKs of the last years send the same thing: the newest name of
 * OpenTelemetry's GenAI conventions first, then its older ones, then OpenInference, OpenLLMetry
 * (Traceloop), Vercel's AI SDK, Langfuse, the seed. A span may carry several of them with equal values; the first that
 * holds a usable value counts, so nothing is ever added up across them. New names go in front.
 *
 * Sources: semantic-conventions 1.28-1.41 and semantic-conventions-genai 1.42,
 * OpenInference semantic_conventions.md, OpenLLMetry 0.62, Langfuse's own mapping.
 */
export const genAiNames = {
  operation: ['gen_ai.operation.name'],
  provider: [
    'gen_ai.provider.name',
    'gen_ai.system',
    'llm.provider',
    'ai.model.provider',
    'llm.system',
    'llm.vendor',
  ],
  requestModel: [
    'gen_ai.request.model',
    'gen_ai.request_model',
    'llm.request.model_name',
    'llm.model_name',
    'embedding.model_name',
    'reranker.model_name',
    'ai.model.id',
    'langfuse.observation.model.name',
    'rerank.model',
    'llm.request.model',
  ],
  responseModel: [
    'gen_ai.response.model',
    'gen_ai.response_model',
    'llm.response.model_name',
    'ai.response.model',
    'llm.response.model',
  ],
  /** Cached tokens are among them: never add `cacheReadTokens` or `cacheWriteTokens`. */
  inputTokens: [
    'gen_ai.usage.input_tokens',
    'gen_ai.usage.prompt_tokens',
    'llm.token_count.prompt',
    'ai.usage.inputTokens',
    'ai.usage.promptTokens',
    'llm.usage.prompt_tokens',
  ],
  /** Reasoning tokens are among them: never add `reasoningTokens`. */
  outputTokens: [
    'gen_ai.usage.output_tokens',
    'gen_ai.usage.completion_tokens',
    'llm.token_count.completion',
    'ai.usage.outputTokens',
    'ai.usage.completionTokens',
    'llm.usage.completion_tokens',
  ],
  totalTokens: [
    'gen_ai.usage.total_tokens',
    'llm.token_count.total',
    'ai.usage.totalTokens',
    'llm.usage.total_tokens',
  ],
  cacheReadTokens: [
    'gen_ai.usage.cache_read.input_tokens',
    'gen_ai.usage.cache_read_input_tokens',
    'llm.token_count.prompt_details.cache_read',
    'ai.usage.cachedInputTokens',
  ],
  cacheWriteTokens: [
    'gen_ai.usage.cache_write.input_tokens',
    'gen_ai.usage.cache_creation.input_tokens',
    'gen_ai.usage.cache_creation_input_tokens',
    'llm.token_count.prompt_details.cache_write',
  ],
  reasoningTokens: [
    'gen_ai.usage.reasoning.output_tokens',
    'gen_ai.usage.reasoning_tokens',
    'llm.token_count.completion_details.reasoning',
    'ai.usage.reasoningTokens',
    'llm.usage.reasoning_tokens',
  ],
  /** No standard has one. The last is JSON text: `total`, else the sum of its entries. */
  costUsd: [
    'gen_ai.cost_usd',
    'gen_ai.usage.cost',
    'llm.cost.total',
    'langfuse.observation.cost_details',
  ],
  sessionId: [
    'gen_ai.conversation.id',
    'session.id',
    'langfuse.session.id',
    'traceloop.association.properties.session_id',
  ],
  userId: [
    'user.id',
    'user.hash',
    'user.id_hash',
    'enduser.id',
    'langfuse.user.id',
    'traceloop.association.properties.user_id',
    'llm.user',
  ],
  agentName: ['gen_ai.agent.name', 'agent.name'],
  toolName: ['gen_ai.tool.name', 'tool.name', 'ai.toolCall.name'],
  toolCallId: ['gen_ai.tool.call.id', 'tool.id', 'ai.toolCall.id'],
  workflowName: ['gen_ai.workflow.name', 'traceloop.workflow.name'],
  responseId: ['gen_ai.response.id', 'ai.response.id'],
  finishReasons: [
    'gen_ai.response.finish_reasons',
    'gen_ai.response.finish_reason',
    'gen_ai.response.stop_reason',
    'llm.finish_reason',
    'gen_ai.completion.0.finish_reason',
    'ai.response.finishReason',
    'llm.response.finish_reason',
  ],
  outputType: ['gen_ai.output.type', 'gen_ai.openai.request.response_format'],
  streaming: ['gen_ai.request.stream', 'gen_ai.is_streaming', 'llm.is_streaming'],
  serviceTier: [
    'openai.response.service_tier',
    'gen_ai.openai.response.service_tier',
    'openai.request.service_tier',
    'gen_ai.request.service_tier',
    'gen_ai.openai.request.service_tier',
  ],
  /** Of a retrieval alone: on a model call `gen_ai.request.top_k` is a sampling parameter. */
  retrievalTopK: [
    'gen_ai.retrieval.top_k',
    'gen_ai.request.top_k',
    'reranker.top_k',
    'retrieval.k',
    'db.vector.query.top_k',
  ],
  promptName: [
    'gen_ai.prompt.name',
    'langfuse.observation.prompt.name',
    'traceloop.prompt.key',
    'prompt.id',
  ],
  promptVersion: [
    'gen_ai.prompt.version',
    'app.prompt.version',
    'llm.prompt_template.version',
    'langfuse.observation.prompt.version',
    'traceloop.prompt.version',
  ],
  experimentId: ['experiment.id', 'langfuse.experiment.id'],
  experimentVariant: ['experiment.variant'],
  /** Stand for experiment and variant where a span names neither; never one of each. */
  flagKey: ['feature_flag.key'],
  flagVariant: ['feature_flag.result.variant', 'feature_flag.variant'],
  tenantTier: ['app.tenant.tier'],
  locale: ['app.locale'],
  environment: [
    'deployment.environment.name',
    'deployment.environment',
    'deployment.env',
    'langfuse.environment',
  ],
  /** JSON text of Langfuse with all token counts, looked at after the names above. */
  usageDetails: ['langfuse.observation.usage_details'],
  /** What was asked and answered: free text, which the view leaves where it is. */
  input: [
    'gen_ai.input.messages',
    'gen_ai.system_instructions',
    'gen_ai.prompt',
    'gen_ai.content.prompt',
    'input.value',
    'ai.prompt.messages',
    'ai.prompt',
    'traceloop.entity.input',
    'mlflow.spanInputs',
    'pydantic_ai.all_messages',
    'langfuse.observation.input',
    'langfuse.trace.input',
    'user.message',
    'input.preview',
  ],
  output: [
    'gen_ai.output.messages',
    'gen_ai.completion',
    'gen_ai.content.completion',
    'output.value',
    'ai.response.text',
    'ai.response.object',
    'ai.response.toolCalls',
    'traceloop.entity.output',
    'mlflow.spanOutputs',
    'langfuse.observation.output',
    'langfuse.trace.output',
    'assistant.message',
    'output',
  ],
} as const satisfies Record<string, readonly string[]>

export type GenAiMeaning = keyof typeof genAiNames

/** Keys that begin so hold a prompt or an answer in pieces, one key a message and field. */
export const genAiContentPrefixes = [
  'gen_ai.prompt.',
  'gen_ai.completion.',
  'llm.prompts.',
  'llm.completions.',
  'llm.choices.',
  'llm.input_messages.',
  'llm.output_messages.',
] as const

/** Values that were renamed (v1.37 and before). `az.ai.*` became `azure.ai.*` as a whole. */
export const providerRenames: Readonly<Record<string, string>> = {
  xai: 'x_ai',
  vertex_ai: 'gcp.vertex_ai',
  gemini: 'gcp.gemini',
}

/** gen_ai.provider.name, as v1.41 and the GenAI repository list it. Others are kept as sent. */
export const knownProviders = [
  'openai',
  'anthropic',
  'cohere',
  'azure.ai.inference',
  'azure.ai.openai',
  'aws.bedrock',
  'gcp.gen_ai',
  'gcp.gemini',
  'gcp.vertex_ai',
  'ibm.watsonx.ai',
  'perplexity',
  'x_ai',
  'deepseek',
  'groq',
  'mistral_ai',
  'moonshot_ai',
] as const

/** What an SDK writes for what it would rather not say (OpenInference's configuration.md). */
export const redactedPlaceholder = '__REDACTED__'
