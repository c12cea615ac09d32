import { PipelineError } from '@winnow/runtime'
import {
  type AnyValue,
  anyValueDepthMax,
  type InstrumentationScope,
  type KeyValue,
  type LogRecord,
  type LogsData,
  type Resource,
  type Span,
  type SpanEvent,
  type SpanLink,
  type TracesData,
} from './otlp.ts'

/**
 * OTLP/JSON as values for JSON.stringify: 64-bit numbers are strings of decimal digits, ids hex,
 * bytes base64, enums numbers. Every field is there, defaults too, in one order, so that a reader of
 * the API sees one shape and equal data is equal text; `entityRefs` and a log's `body` only where they are.
 */
export type AnyValueJson =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number | 'NaN' | 'Infinity' | '-Infinity' | '-0' }
  | { readonly bytesValue: string }
  | { readonly arrayValue: { readonly values: readonly AnyValueJson[] } }
  | { readonly kvlistValue: { readonly values: readonly KeyValueJson[] } }
  | Readonly<Record<string, never>>

export interface KeyValueJson {
  readonly key: string
  readonly value: AnyValueJson
}

type WithAttributes<T> = Omit<T, 'attributes'> & { readonly attributes: readonly KeyValueJson[] }

export type ResourceJson = WithAttributes<Resource>
export type ScopeJson = WithAttributes<InstrumentationScope>
export type SpanLinkJson = WithAttributes<SpanLink>
export type SpanEventJson = Omit<WithAttributes<SpanEvent>, 'timeUnixNano'> & {
  readonly timeUnixNano: string
}
export type SpanJson = Omit<
  WithAttributes<Span>,
  'startTimeUnixNano' | 'endTimeUnixNano' | 'events' | 'links'
> & {
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly events: readonly SpanEventJson[]
  readonly links: readonly SpanLinkJson[]
}

/** The text of an `ExportTraceServiceRequest` in JSON; `tracesFromJson` gives back equal data. */
export function tracesToJson(data: TracesData): string {
  return JSON.stringify({
    resourceSpans: data.resourceSpans.map(({ resource, scopeSpans, schemaUrl }) => ({
      resource: resourceToJson(resource),
      scopeSpans: scopeSpans.map(group => ({
        scope: scopeToJson(group.scope),
        spans: group.spans.map(spanToJson),
        schemaUrl: group.schemaUrl,
      })),
      schemaUrl,
    })),
  })
}

/** The same for logs. */
export function logsToJson(data: LogsData): string {
  return JSON.stringify({
    resourceLogs: data.resourceLogs.map(({ resource, scopeLogs, schemaUrl }) => ({
      resource: resourceToJson(resource),
      scopeLogs: scopeLogs.map(group => ({
        scope: scopeToJson(group.scope),
        logRecords: group.logRecords.map(logRecordToJson),
        schemaUrl: group.schemaUrl,
      })),
      schemaUrl,
    })),
  })
}

export function spanToJson(span: Span): SpanJson {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    traceState: span.traceState,
    parentSpanId: span.parentSpanId,
    flags: span.flags,
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: span.startTimeUnixNano.toString(),
    endTimeUnixNano: span.endTimeUnixNano.toString(),
    attributes: attributesToJson(span.attributes),
    droppedAttributesCount: span.droppedAttributesCount,
    events: span.events.map(event => ({
      timeUnixNano: event.timeUnixNano.toString(),
      name: event.name,
      attributes: attributesToJson(event.attributes),
      droppedAttributesCount: event.droppedAttributesCount,
    })),
    droppedEventsCount: span.droppedEventsCount,
    links: span.links.map(link => ({
      traceId: link.traceId,
      spanId: link.spanId,
      traceState: link.traceState,
      attributes: attributesToJson(link.attributes),
      droppedAttributesCount: link.droppedAttributesCount,
      flags: link.flags,
    })),
    droppedLinksCount: span.droppedLinksCount,
    status: { message: span.status.message, code: span.status.code },
  }
}

export function resourceToJson(resource: Resource): ResourceJson {
  const attributes = attributesToJson(resource.attributes)
  const { droppedAttributesCount, entityRefs } = resource
  return entityRefs === undefined
    ? { attributes, droppedAttributesCount }
    : { attributes, droppedAttributesCount, entityRefs }
}

export function scopeToJson(scope: InstrumentationScope): ScopeJson {
  return {
    name: scope.name,
    version: scope.version,
    attributes: attributesToJson(scope.attributes),
    droppedAttributesCount: scope.droppedAttributesCount,
  }
}

export function attributesToJson(attributes: readonly KeyValue[]): KeyValueJson[] {
  return attributes.map(({ key, value }) => ({ key, value: anyValueToJson(value, 1) }))
}

/** Throws PAYLOAD_INVALID deeper than `anyValueDepthMax`, so also for a value that contains itself. */
export function anyValueToJson(value: AnyValue, depth = 1): AnyValueJson {
  if (depth > anyValueDepthMax) {
    throw new PipelineError(
      'PAYLOAD_INVALID',
      `a value lies in more than ${anyValueDepthMax} values (anyValueDepthMax); flatten it`,
    )
  }
  if ('stringValue' in value) return { stringValue: value.stringValue }
  if ('boolValue' in value) return { boolValue: value.boolValue }
  if ('intValue' in value) return { intValue: value.intValue.toString() }
  if ('doubleValue' in value) return { doubleValue: doubleToJson(value.doubleValue) }
  if ('bytesValue' in value) return { bytesValue: Buffer.from(value.bytesValue).toString('base64') }
  if ('arrayValue' in value) {
    const { values } = value.arrayValue
    return { arrayValue: { values: values.map(item => anyValueToJson(item, depth + 1)) } }
  }
  if ('kvlistValue' in value) {
    const values = value.kvlistValue.values.map(pair => ({
      key: pair.key,
      value: anyValueToJson(pair.value, depth + 1),
    }))
    return { kvlistValue: { values } }
  }
  return {}
}

/** What JSON has no number for is a string, as proto3's JSON has it. JSON.stringify would lose -0. */
function doubleToJson(value: number): number | 'NaN' | 'Infinity' | '-Infinity' | '-0' {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Number.POSITIVE_INFINITY) return 'Infinity'
  if (value === Number.NEGATIVE_INFINITY) return '-Infinity'
  return Object.is(value, -0) ? '-0' : value
}

function logRecordToJson(record: LogRecord): object {
  return {
    timeUnixNano: record.timeUnixNano.toString(),
    observedTimeUnixNano: record.observedTimeUnixNano.toString(),
    severityNumber: record.severityNumber,
    severityText: record.severityText,
    ...(record.body === undefined ? {} : { body: anyValueToJson(record.body) }),
    attributes: attributesToJson(record.attributes),
    droppedAttributesCount: record.droppedAttributesCount,
    flags: record.flags,
    traceId: record.traceId,
    spanId: record.spanId,
    eventName: record.eventName,
  }
}
