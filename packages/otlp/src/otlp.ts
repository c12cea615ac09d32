/**
 * OpenTelemetry's protocol as plain objects, in the names of OTLP/JSON (opentelemetry-proto 1.11).
 * Every field is present with its default, so a reader never asks whether a sender left it out;
 * the two places where absence means something are optional. Ids are lower-case hex as sent
 * (whatever their length: checking them is the scanner's), 64-bit numbers are exact `bigint`s.
 */
export interface TracesData {
  readonly resourceSpans: readonly ResourceSpans[]
}

export interface ResourceSpans {
  readonly resource: Resource
  readonly scopeSpans: readonly ScopeSpans[]
  readonly schemaUrl: string
}

export interface ScopeSpans {
  readonly scope: InstrumentationScope
  readonly spans: readonly Span[]
  readonly schemaUrl: string
}

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly traceState: string
  /** '' for a span without parent. */
  readonly parentSpanId: string
  /** Bits 0-7: W3C trace flags. Bit 8: bit 9 is meant. Bit 9: the parent is remote. */
  readonly flags: number
  readonly name: string
  /** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer; others are kept. */
  readonly kind: number
  readonly startTimeUnixNano: bigint
  readonly endTimeUnixNano: bigint
  readonly attributes: readonly KeyValue[]
  readonly droppedAttributesCount: number
  readonly events: readonly SpanEvent[]
  readonly droppedEventsCount: number
  readonly links: readonly SpanLink[]
  readonly droppedLinksCount: number
  readonly status: SpanStatus
}

/** A span of which nothing was sent: proto3's defaults. */
export const emptySpan: Span = {
  traceId: '',
  spanId: '',
  traceState: '',
  parentSpanId: '',
  flags: 0,
  name: '',
  kind: 0,
  startTimeUnixNano: 0n,
  endTimeUnixNano: 0n,
  attributes: [],
  droppedAttributesCount: 0,
  events: [],
  droppedEventsCount: 0,
  links: [],
  droppedLinksCount: 0,
  status: { message: '', code: 0 },
}

export interface SpanEvent {
  readonly timeUnixNano: bigint
  readonly name: string
  readonly attributes: readonly KeyValue[]
  readonly droppedAttributesCount: number
}

export interface SpanLink {
  readonly traceId: string
  readonly spanId: string
  readonly traceState: string
  readonly attributes: readonly KeyValue[]
  readonly droppedAttributesCount: number
  readonly flags: number
}

export interface SpanStatus {
  readonly message: string
  /** 0 unset, 1 ok, 2 error; others are kept. */
  readonly code: number
}

export interface LogsData {
  readonly resourceLogs: readonly ResourceLogs[]
}

export interface ResourceLogs {
  readonly resource: Resource
  readonly scopeLogs: readonly ScopeLogs[]
  readonly schemaUrl: string
}

export interface ScopeLogs {
  readonly scope: InstrumentationScope
  readonly logRecords: readonly LogRecord[]
  readonly schemaUrl: string
}

export interface LogRecord {
  readonly timeUnixNano: bigint
  readonly observedTimeUnixNano: bigint
  readonly severityNumber: number
  readonly severityText: string
  /** Absent when the record has none; `{}` when it has an empty one. */
  readonly body?: AnyValue
  readonly attributes: readonly KeyValue[]
  readonly droppedAttributesCount: number
  readonly flags: number
  /** '' for a record outside any trace. */
  readonly traceId: string
  readonly spanId: string
  readonly eventName: string
}

export interface Resource {
  readonly attributes: readonly KeyValue[]
  readonly droppedAttributesCount: number
  /** Absent when there are none, as nearly always: the field is in development. */
  readonly entityRefs?: readonly EntityRef[]
}

export interface EntityRef {
  readonly schemaUrl: string
  readonly type: string
  readonly idKeys: readonly string[]
  readonly descriptionKeys: readonly string[]
}

export interface InstrumentationScope {
  readonly name: string
  readonly version: string
  readonly attributes: readonly KeyValue[]
  readonly droppedAttributesCount: number
}

/** A key sent without a value has the empty one: OTLP gives both the same meaning. */
export interface KeyValue {
  readonly key: string
  readonly value: AnyValue
}

/** Told apart by the one key present, as in OTLP/JSON. `{}` is OTLP's empty value. */
export type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: bigint }
  | { readonly doubleValue: number }
  | { readonly bytesValue: Uint8Array }
  | { readonly arrayValue: { readonly values: readonly AnyValue[] } }
  | { readonly kvlistValue: { readonly values: readonly KeyValue[] } }
  | EmptyValue

/** No key at all: `{ [key]: never }` lets `in` tell the other members apart from it. */
export type EmptyValue = Readonly<Record<string, never>>

/**
 * How many AnyValues may lie in one another, the attribute's own counted: 64 arrays or key-value
 * lists, three protobuf messages each, is twice what protobuf's own parsers allow. Walks over values
 * recurse, so this is what keeps a hostile value from ending the stack.
 */
export const anyValueDepthMax = 64

export const emptyResource: Resource = { attributes: [], droppedAttributesCount: 0 }

export const emptyScope: InstrumentationScope = {
  name: '',
  version: '',
  attributes: [],
  droppedAttributesCount: 0,
}

export const unsetStatus: SpanStatus = { message: '', code: 0 }

export const emptyValue: AnyValue = {}
