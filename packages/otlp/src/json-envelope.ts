import { PipelineError } from '@winnow/runtime'
import { resourceFrom, scopeFrom } from './json-common.ts'
import { describe, isObject, JsonFields, type JsonObject } from './json-fields.ts'
import { parseJsonText } from './json-text.ts'
import type { InstrumentationScope, Resource } from './otlp.ts'

/** One span or log record that was refused. Its message names the field, the value and the remedy. */
export interface Rejection {
  readonly message: string
  readonly traceId?: string
  readonly spanId?: string
}

/** So many rejections say why; the rest of a hostile batch share one that does not. */
export const rejectionsDescribedMax = 100

const notDescribed: Rejection = Object.freeze({
  message: `refused like others before it (only the first ${rejectionsDescribedMax} say why)`,
})

/** The three levels that traces and logs have in common, by their names in OTLP/JSON. */
export interface EnvelopeNames {
  readonly resources: 'resourceSpans' | 'resourceLogs'
  readonly scopes: 'scopeSpans' | 'scopeLogs'
  readonly items: 'spans' | 'logRecords'
}

export interface Envelope<T> {
  readonly resources: readonly {
    readonly resource: Resource
    readonly schemaUrl: string
    readonly scopes: readonly {
      readonly scope: InstrumentationScope
      readonly schemaUrl: string
      readonly items: readonly T[]
    }[]
  }[]
  readonly rejected: readonly Rejection[]
}

/**
 * Reads all three levels. A bad item is refused alone; a bad resource or scope refuses the items in
 * it, each by itself, so that the count is right. A level that is no list refuses the whole request
 * (PAYLOAD_INVALID): how many items it was meant to hold, nobody could say.
 */
export function readEnvelope<T>(
  value: string | Uint8Array | object,
  names: EnvelopeNames,
  readItem: (fields: JsonFields, item: JsonObject) => T,
): Envelope<T> {
  const root = parseJsonText(value)
  if (!isObject(root)) throw invalid('the request', root, `{"${names.resources}": […]}`)
  refuseOther(root, names)
  const fields = new JsonFields()
  const rejected: Rejection[] = []
  const resources = listOf(root, names.resources).map(group => {
    fields.reset(undefined)
    const resource = resourceFrom(fields, group.resource)
    const schemaUrl = fields.string(group, 'schemaUrl', names.resources)
    const resourceProblem = fields.problem
    const scopes = listOf(group, names.scopes).map(inner => {
      fields.reset(resourceProblem)
      const scope = scopeFrom(fields, inner.scope)
      const innerUrl = fields.string(inner, 'schemaUrl', names.scopes)
      const items = readItems(fields, inner, names, readItem, rejected)
      return { scope, schemaUrl: innerUrl, items }
    })
    return { resource, schemaUrl, scopes }
  })
  return { resources, rejected }
}

function readItems<T>(
  fields: JsonFields,
  group: JsonObject,
  names: EnvelopeNames,
  readItem: (fields: JsonFields, item: JsonObject) => T,
  rejected: Rejection[],
): T[] {
  const groupProblem = fields.problem
  const items: T[] = []
  for (const item of anyListOf(group, names.items)) {
    fields.reset(groupProblem)
    if (!isObject(item)) {
      fields.problem ??= `one of ${names.items} is ${describe(item)}; send an object`
      rejected.push(rejectionOf(fields.problem, undefined, rejected.length))
      continue
    }
    const read = readItem(fields, item)
    if (fields.problem === undefined) items.push(read)
    else rejected.push(rejectionOf(fields.problem, item, rejected.length))
  }
  return items
}

const idText = /^[0-9a-fA-F]{1,64}$/

function rejectionOf(message: string, item: JsonObject | undefined, before: number): Rejection {
  if (before >= rejectionsDescribedMax) return notDescribed
  const traceId = item?.traceId
  const spanId = item?.spanId
  return {
    message,
    ...(typeof traceId === 'string' && idText.test(traceId)
      ? { traceId: traceId.toLowerCase() }
      : {}),
    ...(typeof spanId === 'string' && idText.test(spanId) ? { spanId: spanId.toLowerCase() } : {}),
  }
}

/** A request for another signal, or in protobuf's own names, would otherwise be an empty success. */
function refuseOther(root: JsonObject, names: EnvelopeNames): void {
  if (names.resources in root) return
  for (const [field, remedy] of otherRoots) {
    if (field in root && field !== names.resources) {
      throw new PipelineError(
        'PAYLOAD_INVALID',
        `the request has ${field} and no ${names.resources}; ${remedy}`,
      )
    }
  }
}

const camelCase = 'OTLP/JSON uses lowerCamelCase names'

const otherRoots: readonly (readonly [string, string])[] = [
  ['resourceSpans', 'post traces to /v1/traces'],
  ['resourceLogs', 'post logs to /v1/logs'],
  ['resourceMetrics', 'post metrics to /v1/metrics'],
  ['resource_spans', camelCase],
  ['resource_logs', camelCase],
]

function listOf(from: JsonObject, field: string): readonly JsonObject[] {
  const list = anyListOf(from, field)
  for (const item of list) if (!isObject(item)) throw invalid(`one of ${field}`, item, 'an object')
  return list as readonly JsonObject[]
}

function anyListOf(from: JsonObject, field: string): readonly unknown[] {
  const value = from[field]
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalid(field, value, 'a list')
  return value
}

function invalid(what: string, value: unknown, remedy: string): PipelineError {
  return new PipelineError('PAYLOAD_INVALID', `${what} is ${describe(value)}; send ${remedy}`)
}
