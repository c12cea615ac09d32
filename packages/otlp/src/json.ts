import { anyValueFrom, attributesFrom } from './json-common.ts'
import { type Rejection, readEnvelope } from './json-envelope.ts'
import { isObject, type JsonFields, type JsonObject } from './json-fields.ts'
import {
  type LogRecord,
  type LogsData,
  type Span,
  type SpanEvent,
  type SpanLink,
  type TracesData,
  unsetStatus,
} from './otlp.ts'

/**
 * OTLP/JSON traces: text, its bytes, or a value parsed already (whose numbers above 2^53 are then
 * no longer exact and refuse their span). What OTLP/JSON asks for holds: hex ids of either case, base64
 * bytes, lowerCamelCase names, enum numbers, 64-bit numbers as strings or numbers, absent fields are
 * defaults, unknown ones are ignored. A span that breaks it is in `rejected` and the others are in
 * `data`; throws PAYLOAD_INVALID or PAYLOAD_TOO_LARGE only when the request has no such shape at all.
 */
export function tracesFromJson(value: string | Uint8Array | object): {
  readonly data: TracesData
  readonly rejected: readonly Rejection[]
} {
  const names = { resources: 'resourceSpans', scopes: 'scopeSpans', items: 'spans' } as const
  const { resources, rejected } = readEnvelope(value, names, spanFrom)
  const resourceSpans = resources.map(({ resource, schemaUrl, scopes }) => ({
    resource,
    scopeSpans: scopes.map(({ scope, items, schemaUrl: scopeUrl }) => ({
      scope,
      spans: items,
      schemaUrl: scopeUrl,
    })),
    schemaUrl,
  }))
  return { data: { resourceSpans }, rejected }
}

/** OTLP/JSON logs; what holds for `tracesFromJson` holds here. A record's ids may be left out. */
export function logsFromJson(value: string | Uint8Array | object): {
  readonly data: LogsData
  readonly rejected: readonly Rejection[]
} {
  const names = { resources: 'resourceLogs', scopes: 'scopeLogs', items: 'logRecords' } as const
  const { resources, rejected } = readEnvelope(value, names, logRecordFrom)
  const resourceLogs = resources.map(({ resource, schemaUrl, scopes }) => ({
    resource,
    scopeLogs: scopes.map(({ scope, items, schemaUrl: scopeUrl }) => ({
      scope,
      logRecords: items,
      schemaUrl: scopeUrl,
    })),
    schemaUrl,
  }))
  return { data: { resourceLogs }, rejected }
}

function spanFrom(fields: JsonFields, from: JsonObject): Span {
  const where = 'the span'
  return {
    traceId: fields.id(from, 'traceId', where, 32, true),
    spanId: fields.id(from, 'spanId', where, 16, true),
    traceState: fields.string(from, 'traceState', where),
    parentSpanId: fields.id(from, 'parentSpanId', where, 16, false),
    flags: fields.uint32(from, 'flags', where),
    name: fields.string(from, 'name', where),
    kind: fields.enumNumber(from, 'kind', where),
    startTimeUnixNano: fields.uint64(from, 'startTimeUnixNano', where),
    endTimeUnixNano: fields.uint64(from, 'endTimeUnixNano', where),
    attributes: attributesFrom(fields, from, where),
    droppedAttributesCount: fields.uint32(from, 'droppedAttributesCount', where),
    events: fields.list(from, 'events', where).map(item => eventFrom(fields, item)),
    droppedEventsCount: fields.uint32(from, 'droppedEventsCount', where),
    links: fields.list(from, 'links', where).map(item => linkFrom(fields, item)),
    droppedLinksCount: fields.uint32(from, 'droppedLinksCount', where),
    status: statusFrom(fields, from.status),
  }
}

function eventFrom(fields: JsonFields, value: unknown): SpanEvent {
  const where = 'an event'
  const from = element(fields, value, where)
  return {
    timeUnixNano: fields.uint64(from, 'timeUnixNano', where),
    name: fields.string(from, 'name', where),
    attributes: attributesFrom(fields, from, where),
    droppedAttributesCount: fields.uint32(from, 'droppedAttributesCount', where),
  }
}

function linkFrom(fields: JsonFields, value: unknown): SpanLink {
  const where = 'a link'
  const from = element(fields, value, where)
  return {
    traceId: fields.id(from, 'traceId', where, 32, false),
    spanId: fields.id(from, 'spanId', where, 16, false),
    traceState: fields.string(from, 'traceState', where),
    attributes: attributesFrom(fields, from, where),
    droppedAttributesCount: fields.uint32(from, 'droppedAttributesCount', where),
    flags: fields.uint32(from, 'flags', where),
  }
}

function statusFrom(fields: JsonFields, value: unknown): Span['status'] {
  if (value === undefined || value === null) return unsetStatus
  const from = fields.object(value, 'the span', 'status')
  return {
    message: fields.string(from, 'message', 'the status'),
    code: fields.enumNumber(from, 'code', 'the status'),
  }
}

function logRecordFrom(fields: JsonFields, from: JsonObject): LogRecord {
  const where = 'the log record'
  const record: LogRecord = {
    timeUnixNano: fields.uint64(from, 'timeUnixNano', where),
    observedTimeUnixNano: fields.uint64(from, 'observedTimeUnixNano', where),
    severityNumber: fields.enumNumber(from, 'severityNumber', where),
    severityText: fields.string(from, 'severityText', where),
    attributes: attributesFrom(fields, from, where),
    droppedAttributesCount: fields.uint32(from, 'droppedAttributesCount', where),
    flags: fields.uint32(from, 'flags', where),
    traceId: fields.id(from, 'traceId', where, 32, false),
    spanId: fields.id(from, 'spanId', where, 16, false),
    eventName: fields.string(from, 'eventName', where),
  }
  const body = from.body
  return body === undefined || body === null
    ? record
    : { ...record, body: anyValueFrom(fields, body, 'body', 1) }
}

/** Unlike a field, an element of a list may not be null. */
function element(fields: JsonFields, value: unknown, where: string): JsonObject {
  if (value === null) fields.problem ??= `${where} of the span is null; send an object`
  return isObject(value) ? value : fields.object(value, 'the span', where)
}
