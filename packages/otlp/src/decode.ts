// Hot: the writer decodes every kept span through this file.
import { readKeyValue, readResource, readScope } from './decode-common.ts'
import {
  emptyResource,
  emptyScope,
  emptySpan,
  type KeyValue,
  type ResourceSpans,
  type ScopeSpans,
  type Span,
  type SpanEvent,
  type SpanLink,
  type SpanStatus,
  type TracesData,
} from './otlp.ts'
import { WireReader } from './wire.ts'

/**
 * A whole `TracesData` (an `ExportTraceServiceRequest` is the same bytes), losing nothing that
 * OTLP names: unknown fields are passed over, invalid UTF-8 becomes U+FFFD, ids are kept as sent.
 * The result shares no memory with `bytes`. Throws PAYLOAD_INVALID for malformed bytes and
 * PAYLOAD_TOO_LARGE above `messagesMax`, never anything else.
 *
 * Attributes whose key `skips` names have the empty value: what nobody looks at is not made a string,
 * and is not checked.
 */
export function decodeTraces(bytes: Uint8Array, skips?: (key: string) => boolean): TracesData {
  const reader = new WireReader(bytes, 'TracesData')
  reader.skips = skips
  const resourceSpans: ResourceSpans[] = []
  while (reader.more()) {
    if (reader.tag() === 10) resourceSpans.push(readResourceSpans(reader))
    else reader.skip()
  }
  return { resourceSpans }
}

/** The one span that is the field `[start, end)` of its ScopeSpans, as a scan found it. Throws as {@link decodeTraces}. */
export function decodeSpan(bytes: Uint8Array, start: number, end: number): Span {
  const reader = new WireReader(bytes.subarray(start, end), 'ScopeSpans')
  let span: Span = emptySpan
  while (reader.more()) {
    if (reader.tag() === 18) span = readSpan(reader)
    else reader.skip()
  }
  return span
}

function readResourceSpans(reader: WireReader): ResourceSpans {
  const outer = reader.enter('ResourceSpans')
  let resource = emptyResource
  const scopeSpans: ScopeSpans[] = []
  let schemaUrl = ''
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        resource = readResource(reader, resource)
        break
      case 18:
        scopeSpans.push(readScopeSpans(reader))
        break
      case 26:
        schemaUrl = reader.cachedString()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { resource, scopeSpans, schemaUrl }
}

function readScopeSpans(reader: WireReader): ScopeSpans {
  const outer = reader.enter('ScopeSpans')
  let scope = emptyScope
  const spans: Span[] = []
  let schemaUrl = ''
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        scope = readScope(reader, scope)
        break
      case 18:
        spans.push(readSpan(reader))
        break
      case 26:
        schemaUrl = reader.cachedString()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { scope, spans, schemaUrl }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function readSpan(reader: WireReader): Span {
  const outer = reader.enter('Span')
  const attributes: KeyValue[] = []
  const events: SpanEvent[] = []
  const links: SpanLink[] = []
  const span: Mutable<Span> = { ...emptySpan, attributes, events, links }
  while (reader.more()) {
    const tag = reader.tag()
    if (tag === 74) attributes.push(readKeyValue(reader, 0))
    else if (tag === 90) events.push(readEvent(reader))
    else if (tag === 106) links.push(readLink(reader))
    else readSpanField(reader, tag, span)
  }
  reader.leave(outer)
  return span
}

function readSpanField(reader: WireReader, tag: number, span: Mutable<Span>): void {
  switch (tag) {
    case 10:
      span.traceId = reader.hex()
      break
    case 18:
      span.spanId = reader.hex()
      break
    case 26:
      span.traceState = reader.string()
      break
    case 34:
      span.parentSpanId = reader.hex()
      break
    case 42:
      span.name = reader.cachedString()
      break
    case 48:
      span.kind = reader.int32()
      break
    case 57:
      span.startTimeUnixNano = reader.fixed64()
      break
    case 65:
      span.endTimeUnixNano = reader.fixed64()
      break
    case 80:
      span.droppedAttributesCount = reader.uint32()
      break
    case 96:
      span.droppedEventsCount = reader.uint32()
      break
    case 112:
      span.droppedLinksCount = reader.uint32()
      break
    case 122:
      span.status = readStatus(reader, span.status)
      break
    case 133:
      span.flags = reader.fixed32()
      break
    default:
      reader.skip()
  }
}

function readEvent(reader: WireReader): SpanEvent {
  const outer = reader.enter('Span.Event')
  let timeUnixNano = 0n
  let name = ''
  const attributes: KeyValue[] = []
  let droppedAttributesCount = 0
  while (reader.more()) {
    switch (reader.tag()) {
      case 9:
        timeUnixNano = reader.fixed64()
        break
      case 18:
        name = reader.cachedString()
        break
      case 26:
        attributes.push(readKeyValue(reader, 0))
        break
      case 32:
        droppedAttributesCount = reader.uint32()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { timeUnixNano, name, attributes, droppedAttributesCount }
}

function readLink(reader: WireReader): SpanLink {
  const outer = reader.enter('Span.Link')
  let traceId = ''
  let spanId = ''
  let traceState = ''
  const attributes: KeyValue[] = []
  let droppedAttributesCount = 0
  let flags = 0
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        traceId = reader.hex()
        break
      case 18:
        spanId = reader.hex()
        break
      case 26:
        traceState = reader.string()
        break
      case 34:
        attributes.push(readKeyValue(reader, 0))
        break
      case 40:
        droppedAttributesCount = reader.uint32()
        break
      case 53:
        flags = reader.fixed32()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { traceId, spanId, traceState, attributes, droppedAttributesCount, flags }
}

function readStatus(reader: WireReader, before: SpanStatus): SpanStatus {
  const outer = reader.enter('Status')
  let { message, code } = before
  while (reader.more()) {
    switch (reader.tag()) {
      case 18:
        message = reader.string()
        break
      case 24:
        code = reader.int32()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { message, code }
}
