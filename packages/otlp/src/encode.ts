import { writeAnyValue, writeKeyValue, writeResource, writeScope } from './encode-common.ts'
import type { LogRecord, LogsData, Span, SpanEvent, SpanLink, TracesData } from './otlp.ts'
import { WireWriter } from './wire-writer.ts'

/**
 * `TracesData` as protobuf. Equal data gives equal bytes, and `decodeTraces` gives back equal data.
 * Throws PAYLOAD_INVALID for what the wire cannot hold: an id that is not hex, a number above 64
 * bits, values in more than `anyValueDepthMax` values.
 */
export function encodeTraces(data: TracesData): Uint8Array {
  const writer = new WireWriter()
  for (const { resource, scopeSpans, schemaUrl } of data.resourceSpans) {
    const resourceStart = writer.begin(10, 3)
    writeResource(writer, 10, resource)
    for (const group of scopeSpans) {
      const scopeStart = writer.begin(18, 3)
      writeScope(writer, 10, group.scope)
      for (const span of group.spans) writeSpan(writer, span)
      writer.string(26, group.schemaUrl)
      writer.end(scopeStart, 3)
    }
    writer.string(26, schemaUrl)
    writer.end(resourceStart, 3)
  }
  return writer.finish()
}

/** `LogsData` as protobuf; what holds for `encodeTraces` holds here. */
export function encodeLogs(data: LogsData): Uint8Array {
  const writer = new WireWriter()
  for (const { resource, scopeLogs, schemaUrl } of data.resourceLogs) {
    const resourceStart = writer.begin(10, 3)
    writeResource(writer, 10, resource)
    for (const group of scopeLogs) {
      const scopeStart = writer.begin(18, 3)
      writeScope(writer, 10, group.scope)
      for (const record of group.logRecords) writeLogRecord(writer, record)
      writer.string(26, group.schemaUrl)
      writer.end(scopeStart, 3)
    }
    writer.string(26, schemaUrl)
    writer.end(resourceStart, 3)
  }
  return writer.finish()
}

function writeSpan(writer: WireWriter, span: Span): void {
  const start = writer.begin(18, 2)
  writer.hex(10, span.traceId)
  writer.hex(18, span.spanId)
  writer.string(26, span.traceState)
  writer.hex(34, span.parentSpanId)
  writer.string(42, span.name)
  writer.int32(48, span.kind)
  writer.fixed64(57, span.startTimeUnixNano)
  writer.fixed64(65, span.endTimeUnixNano)
  for (const pair of span.attributes) writeKeyValue(writer, 74, pair, 1)
  writer.uint32(80, span.droppedAttributesCount)
  for (const event of span.events) writeEvent(writer, event)
  writer.uint32(96, span.droppedEventsCount)
  for (const link of span.links) writeLink(writer, link)
  writer.uint32(112, span.droppedLinksCount)
  if (span.status.code !== 0 || span.status.message !== '') {
    const from = writer.begin(122)
    writer.string(18, span.status.message)
    writer.int32(24, span.status.code)
    writer.end(from)
  }
  writer.fixed32(133, span.flags)
  writer.end(start, 2)
}

function writeEvent(writer: WireWriter, event: SpanEvent): void {
  const start = writer.begin(90)
  writer.fixed64(9, event.timeUnixNano)
  writer.string(18, event.name)
  for (const pair of event.attributes) writeKeyValue(writer, 26, pair, 1)
  writer.uint32(32, event.droppedAttributesCount)
  writer.end(start)
}

function writeLink(writer: WireWriter, link: SpanLink): void {
  const start = writer.begin(106)
  writer.hex(10, link.traceId)
  writer.hex(18, link.spanId)
  writer.string(26, link.traceState)
  for (const pair of link.attributes) writeKeyValue(writer, 34, pair, 1)
  writer.uint32(40, link.droppedAttributesCount)
  writer.fixed32(53, link.flags)
  writer.end(start)
}

function writeLogRecord(writer: WireWriter, record: LogRecord): void {
  const start = writer.begin(18, 2)
  writer.fixed64(9, record.timeUnixNano)
  writer.int32(16, record.severityNumber)
  writer.string(26, record.severityText)
  if (record.body !== undefined) writeAnyValue(writer, 42, record.body, 1)
  for (const pair of record.attributes) writeKeyValue(writer, 50, pair, 1)
  writer.uint32(56, record.droppedAttributesCount)
  writer.fixed32(69, record.flags)
  writer.hex(74, record.traceId)
  writer.hex(82, record.spanId)
  writer.fixed64(89, record.observedTimeUnixNano)
  writer.string(98, record.eventName)
  writer.end(start, 2)
}
