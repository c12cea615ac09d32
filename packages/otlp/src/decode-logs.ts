import { readAnyValue, readKeyValue, readResource, readScope } from './decode-common.ts'
import {
  type AnyValue,
  emptyResource,
  emptyScope,
  type KeyValue,
  type LogRecord,
  type LogsData,
  type ResourceLogs,
  type ScopeLogs,
} from './otlp.ts'
import { WireReader } from './wire.ts'

/** A whole `LogsData` or `ExportLogsServiceRequest`. What holds for `decodeTraces` holds here. */
export function decodeLogs(bytes: Uint8Array): LogsData {
  const reader = new WireReader(bytes, 'LogsData')
  const resourceLogs: ResourceLogs[] = []
  while (reader.more()) {
    if (reader.tag() === 10) resourceLogs.push(readResourceLogs(reader))
    else reader.skip()
  }
  return { resourceLogs }
}

function readResourceLogs(reader: WireReader): ResourceLogs {
  const outer = reader.enter('ResourceLogs')
  let resource = emptyResource
  const scopeLogs: ScopeLogs[] = []
  let schemaUrl = ''
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        resource = readResource(reader, resource)
        break
      case 18:
        scopeLogs.push(readScopeLogs(reader))
        break
      case 26:
        schemaUrl = reader.cachedString()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { resource, scopeLogs, schemaUrl }
}

function readScopeLogs(reader: WireReader): ScopeLogs {
  const outer = reader.enter('ScopeLogs')
  let scope = emptyScope
  const logRecords: LogRecord[] = []
  let schemaUrl = ''
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        scope = readScope(reader, scope)
        break
      case 18:
        logRecords.push(readLogRecord(reader))
        break
      case 26:
        schemaUrl = reader.cachedString()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return { scope, logRecords, schemaUrl }
}

function readLogRecord(reader: WireReader): LogRecord {
  const outer = reader.enter('LogRecord')
  const attributes: KeyValue[] = []
  let body: AnyValue | undefined
  const record = {
    timeUnixNano: 0n,
    observedTimeUnixNano: 0n,
    severityNumber: 0,
    severityText: '',
    attributes,
    droppedAttributesCount: 0,
    flags: 0,
    traceId: '',
    spanId: '',
    eventName: '',
  }
  while (reader.more()) {
    switch (reader.tag()) {
      case 9:
        record.timeUnixNano = reader.fixed64()
        break
      case 16:
        record.severityNumber = reader.int32()
        break
      case 26:
        record.severityText = reader.cachedString()
        break
      case 42:
        body = readAnyValue(reader, 1)
        break
      case 50:
        attributes.push(readKeyValue(reader, 0))
        break
      case 56:
        record.droppedAttributesCount = reader.uint32()
        break
      case 69:
        record.flags = reader.fixed32()
        break
      case 74:
        record.traceId = reader.hex()
        break
      case 82:
        record.spanId = reader.hex()
        break
      case 89:
        record.observedTimeUnixNano = reader.fixed64()
        break
      case 98:
        record.eventName = reader.cachedString()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return body === undefined ? record : { ...record, body }
}
