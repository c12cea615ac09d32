import type { AnyValue, KeyValue } from '../otlp.ts'
import { classify, type GenAiKind, isKindKey } from './classify.ts'
import {
  costOf,
  costOfDetails,
  countOf,
  detailsOf,
  flagOf,
  providerOf,
  textOf,
  textsOf,
} from './coerce.ts'
import { type GenAiMeaning, genAiNames, redactedPlaceholder } from './names.ts'

/** Who asked, under which experiment and where: what a span may also have from its resource. */
export interface Facets {
  readonly sessionId: string | null
  readonly userId: string | null
  readonly experimentId: string | null
  readonly experimentVariant: string | null
  readonly promptName: string | null
  readonly promptVersion: string | null
  readonly tenantTier: string | null
  readonly locale: string | null
  readonly environment: string | null
}

/**
 * One span's GenAI attributes under one set of names, whichever convention it was sent in. Null is
 * what the sender did not say; nothing is estimated. The attributes themselves stay as they are.
 */
export interface GenAiView extends Facets {
  /** Null: no GenAI span, yet one with facets. */
  readonly kind: GenAiKind | null
  readonly operation: string | null
  readonly provider: string | null
  readonly requestModel: string | null
  readonly responseModel: string | null
  /** The model that answered, else the one that was asked. */
  readonly model: string | null
  /** Cached tokens included. */
  readonly inputTokens: number | null
  /** Reasoning tokens included. */
  readonly outputTokens: number | null
  readonly totalTokens: number | null
  readonly cacheReadTokens: number | null
  readonly cacheWriteTokens: number | null
  readonly reasoningTokens: number | null
  readonly costUsd: number | null
  readonly agentName: string | null
  readonly toolName: string | null
  readonly toolCallId: string | null
  readonly workflowName: string | null
  readonly responseId: string | null
  readonly finishReasons: readonly string[] | null
  readonly outputType: string | null
  readonly streaming: boolean | null
  readonly serviceTier: string | null
  readonly retrievalTopK: number | null
  /** Meanings whose value the SDK replaced by `__REDACTED__`: hidden at source, not missing. */
  readonly hidden: readonly GenAiMeaning[]
}

/**
 * Undefined for a span that is neither GenAI nor has a facet besides its environment, which every
 * span of a service has from its resource.
 */
export function genAiView(
  span: { readonly name: string; readonly attributes: readonly KeyValue[] },
  resourceAttributes: readonly KeyValue[] = noAttributes,
): GenAiView | undefined {
  const { kind, operation } = classify(span.name, span.attributes)
  const found = gather(span.attributes)
  const facets = facetsFrom(found, gatherResource(resourceAttributes))
  if (kind === null && !facetNames.some(name => facets[name] !== null)) return undefined
  const requestModel = text(found, 'requestModel')
  const responseModel = text(found, 'responseModel')
  const provider = text(found, 'provider')
  const usage = usageFrom(found)
  return {
    kind,
    operation,
    provider: provider === null ? null : providerOf(provider),
    requestModel,
    responseModel,
    model: responseModel ?? requestModel,
    ...usage,
    costUsd: costFrom(found),
    ...facets,
    agentName: text(found, 'agentName') ?? entityName(span.attributes, 'agent'),
    toolName: text(found, 'toolName') ?? entityName(span.attributes, 'tool'),
    toolCallId: text(found, 'toolCallId'),
    workflowName: text(found, 'workflowName'),
    responseId: text(found, 'responseId'),
    finishReasons: pick(found, 'finishReasons', textsOf),
    outputType: text(found, 'outputType'),
    streaming: pick(found, 'streaming', flagOf),
    serviceTier: text(found, 'serviceTier'),
    retrievalTopK:
      kind === 'RETRIEVAL' || kind === 'RERANKER' ? pick(found, 'retrievalTopK', countOf) : null,
    hidden: hiddenIn(found),
  }
}

/** What a row of a span holds of it. */
export type GenAiBrief = Pick<
  GenAiView,
  | 'operation'
  | 'provider'
  | 'model'
  | 'toolName'
  | 'inputTokens'
  | 'outputTokens'
  | 'costUsd'
  | 'experimentId'
  | 'experimentVariant'
>

/** `genAiView` of these alone, for whom makes rows of every span: at a third of the cost. */
export function genAiBrief(
  span: { readonly name: string; readonly attributes: readonly KeyValue[] },
  resourceAttributes: readonly KeyValue[] = noAttributes,
): GenAiBrief | undefined {
  const { kind, operation } = classify(span.name, span.attributes)
  const found = gather(span.attributes)
  const resource = gatherResource(resourceAttributes)
  if (kind === null) {
    const facets = facetsFrom(found, resource)
    if (!facetNames.some(name => facets[name] !== null)) return undefined
  }
  const provider = text(found, 'provider')
  const count = countsOf(found)
  return {
    operation,
    provider: provider === null ? null : providerOf(provider),
    model: text(found, 'responseModel') ?? text(found, 'requestModel'),
    inputTokens: count('inputTokens', inputDetails),
    outputTokens: count('outputTokens', outputDetails),
    costUsd: costFrom(found),
    ...experimentFrom(found, resource),
    toolName: text(found, 'toolName') ?? entityName(span.attributes, 'tool'),
  }
}

/** Whether `genAiBrief` may look at the value under a key, and not at the key alone. */
export function isBriefKey(key: string): boolean {
  const known = meanings.get(key)
  if (known !== undefined) return briefMeanings.has(known.meaning)
  return isKindKey(key) || key === 'traceloop.entity.name'
}

const noAttributes: readonly KeyValue[] = []

/** The facets alone, for a span of any sort: the writer promotes them of every root. */
export function facetsOf(
  attributes: readonly KeyValue[],
  resourceAttributes: readonly KeyValue[] = noAttributes,
): Facets {
  return facetsFrom(gather(attributes), gatherResource(resourceAttributes))
}

/** Those that make a view worth having by themselves. */
const facetNames = [
  'sessionId',
  'userId',
  'experimentId',
  'experimentVariant',
  'promptName',
  'promptVersion',
  'tenantTier',
  'locale',
] as const satisfies readonly (keyof Facets)[]

/**
 * The span's own value before the resource's, which is the service's default; but for experiment
 * and variant the resource's first, as decisions have them (model's facts.ts).
 */
function facetsFrom(span: Found, resource: Found): Facets {
  const either = (meaning: GenAiMeaning): string | null =>
    text(span, meaning) ?? text(resource, meaning)
  return {
    sessionId: either('sessionId'),
    userId: either('userId'),
    ...experimentFrom(span, resource),
    promptName: either('promptName'),
    promptVersion: either('promptVersion'),
    tenantTier: either('tenantTier'),
    locale: either('locale'),
    environment: either('environment'),
  }
}

function experimentFrom(
  span: Found,
  resource: Found,
): Pick<Facets, 'experimentId' | 'experimentVariant'> {
  const either = (meaning: GenAiMeaning): string | null =>
    text(span, meaning) ?? text(resource, meaning)
  const experimentId = text(resource, 'experimentId') ?? text(span, 'experimentId')
  const experimentVariant = text(resource, 'experimentVariant') ?? text(span, 'experimentVariant')
  const flagged = experimentId === null && experimentVariant === null && either('flagVariant')
  return {
    experimentId: flagged ? either('flagKey') : experimentId,
    experimentVariant: flagged || experimentVariant,
  }
}

function costFrom(found: Found): number | null {
  return pick(found, 'costUsd', (value, key) =>
    key === 'langfuse.observation.cost_details' ? costOfDetails(value) : costOf(value),
  )
}

/** Which meaning a key has, and how far behind the newest name it stands. */
const meanings = new Map<string, { readonly meaning: GenAiMeaning; readonly rank: number }>()
for (const [meaning, names] of Object.entries(genAiNames)) {
  names.forEach((name, rank) => {
    meanings.set(name, { meaning: meaning as GenAiMeaning, rank })
  })
}

const briefMeanings: ReadonlySet<GenAiMeaning> = new Set([
  'operation',
  'provider',
  'requestModel',
  'responseModel',
  'toolName',
  'inputTokens',
  'outputTokens',
  'usageDetails',
  'costUsd',
  'flagKey',
  'flagVariant',
  ...facetNames,
])

/** By meaning: the values found, at the index of their name's rank. */
type Found = ReadonlyMap<GenAiMeaning, readonly (AnyValue | undefined)[]>

/** Of a key that comes twice the last one counts. */
function gather(attributes: readonly KeyValue[]): Found {
  const found = new Map<GenAiMeaning, (AnyValue | undefined)[]>()
  for (const { key, value } of attributes) {
    const known = meanings.get(key)
    if (known === undefined) continue
    let values = found.get(known.meaning)
    if (values === undefined) {
      values = []
      found.set(known.meaning, values)
    }
    values[known.rank] = value
  }
  return found
}

/** All spans of a resource share its list, so that it is looked through once and not once a span. */
const gathered = new WeakMap<readonly KeyValue[], Found>()

function gatherResource(attributes: readonly KeyValue[]): Found {
  let found = gathered.get(attributes)
  if (found === undefined) {
    found = gather(attributes)
    gathered.set(attributes, found)
  }
  return found
}

/** The first usable value of the newest name. */
function pick<T>(
  found: Found,
  meaning: GenAiMeaning,
  read: (value: AnyValue, key: string) => T | undefined,
): T | null {
  const values = found.get(meaning)
  if (values === undefined) return null
  for (let rank = 0; rank < values.length; rank++) {
    const value = values[rank]
    const result =
      value === undefined ? undefined : read(value, genAiNames[meaning][rank] as string)
    if (result !== undefined) return result
  }
  return null
}

function text(found: Found, meaning: GenAiMeaning): string | null {
  return pick(found, meaning, textOf)
}

type Usage = Pick<
  GenAiView,
  | 'inputTokens'
  | 'outputTokens'
  | 'totalTokens'
  | 'cacheReadTokens'
  | 'cacheWriteTokens'
  | 'reasoningTokens'
>

const inputDetails = ['input', 'input_tokens', 'prompt_tokens']
const outputDetails = ['output', 'output_tokens', 'completion_tokens']

function usageFrom(found: Found): Usage {
  const count = countsOf(found)
  return {
    inputTokens: count('inputTokens', inputDetails),
    outputTokens: count('outputTokens', outputDetails),
    totalTokens: count('totalTokens', ['total', 'total_tokens']),
    cacheReadTokens: count('cacheReadTokens', ['cache_read_input_tokens', 'input_cached_tokens']),
    cacheWriteTokens: count('cacheWriteTokens', ['cache_creation_input_tokens']),
    reasoningTokens: count('reasoningTokens', ['output_reasoning_tokens', 'reasoning_tokens']),
  }
}

/** A count under a meaning of its own, else within the details. */
function countsOf(
  found: Found,
): (meaning: GenAiMeaning, detailKeys: readonly string[]) => number | null {
  const value = found.get('usageDetails')?.[0]
  const details = value === undefined ? undefined : detailsOf(value)
  return (meaning, detailKeys) => {
    const own = pick(found, meaning, countOf)
    if (own !== null || details === undefined) return own
    for (const key of detailKeys) {
      const detail = details.get(key)
      if (detail !== undefined && Number.isSafeInteger(detail)) return detail
    }
    return null
  }
}

/** Traceloop names every entity under one key; `traceloop.span.kind` says what it is the name of. */
function entityName(attributes: readonly KeyValue[], kind: 'agent' | 'tool'): string | null {
  let matches = false
  let name: string | undefined
  for (const { key, value } of attributes) {
    if (key === 'traceloop.span.kind') matches = textOf(value) === kind
    else if (key === 'traceloop.entity.name') name = textOf(value)
  }
  return matches ? (name ?? null) : null
}

function hiddenIn(found: Found): readonly GenAiMeaning[] {
  const hidden: GenAiMeaning[] = []
  for (const [meaning, values] of found) {
    const first = values.find(value => value !== undefined)
    if (
      first !== undefined &&
      'stringValue' in first &&
      first.stringValue === redactedPlaceholder
    ) {
      hidden.push(meaning)
    }
  }
  return hidden
}
