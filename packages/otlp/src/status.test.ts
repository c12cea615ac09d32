import {
  JsonLogsSerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from '@opentelemetry/otlp-transformer'
import { expect, test } from 'vitest'
import {
  decodeExportResponse,
  decodeStatus,
  encodeExportResponse,
  encodeStatus,
  exportResponseFromJson,
  exportResponseToJson,
  fullSuccess,
  type RpcStatus,
  statusFromJson,
  statusToJson,
} from './status.ts'
import { WireWriter } from './wire-writer.ts'

const statuses: readonly RpcStatus[] = [
  { code: 0, message: '' },
  { code: 3, message: 'traceId of the span is missing — send it' },
  { code: 14, message: 'slow down', retryDelayMs: 1500 },
  { code: 8, message: 'slow down', retryDelayMs: 0 },
  { code: 14, message: '', retryDelayMs: 86_400_001 },
]

test('a status comes back from protobuf and from JSON, its retry delay present or absent', () => {
  for (const status of statuses) {
    expect(decodeStatus(encodeStatus(status))).toStrictEqual(status)
    expect(statusFromJson(statusToJson(status))).toStrictEqual(status)
  }
})

test('the bytes of a status are those of google.rpc', () => {
  const bytes = encodeStatus({ code: 14, message: 'm', retryDelayMs: 1500 })
  expect(Buffer.from(bytes).toString('latin1')).toBe(
    '\x08\x0e\x12\x01m\x1a\x36\x0a\x28type.googleapis.com/google.rpc.RetryInfo' +
      '\x12\x0a\x0a\x08\x08\x01\x10\x80\xca\xb5\xee\x01',
  )
  expect(statusToJson({ code: 14, message: 'm', retryDelayMs: 1500 })).toBe(
    '{"code":14,"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500s"}]}',
  )
})

test('a delay is whole milliseconds and never negative', () => {
  const delayOf = (retryDelayMs: number) =>
    decodeStatus(encodeStatus({ code: 14, message: '', retryDelayMs })).retryDelayMs
  expect([delayOf(-5), delayOf(0.2), delayOf(Number.NaN), delayOf(999.5)]).toStrictEqual([
    0, 1, 0, 1000,
  ])
})

test('details of another type are passed over, a malformed delay is refused', () => {
  const writer = new WireWriter()
  writer.int32(8, 3)
  const detail = writer.begin(26)
  writer.string(10, 'type.googleapis.com/google.rpc.BadRequest')
  writer.bytes(18, Uint8Array.of(255))
  writer.end(detail)
  expect(decodeStatus(writer.finish())).toStrictEqual({ code: 3, message: '' })
  expect(statusFromJson('{"code":3,"details":[{"@type":"x"},7]}')).toStrictEqual({
    code: 3,
    message: '',
  })
  const delay = (value: string) =>
    `{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":${value}}]}`
  expect(statusFromJson(delay('"2s"')).retryDelayMs).toBe(2000)
  for (const wrong of ['2', '"2"', '"2ms"', '{}']) {
    expect(() => statusFromJson(delay(wrong))).toThrow(/retryDelay/)
  }
  expect(() => statusFromJson('[]')).toThrow(/PAYLOAD_INVALID/)
})

test('a full success is no bytes and {}', () => {
  expect(encodeExportResponse(fullSuccess)).toHaveLength(0)
  expect(decodeExportResponse(new Uint8Array())).toStrictEqual(fullSuccess)
  for (const signal of ['traces', 'logs', 'metrics'] as const) {
    expect(exportResponseToJson(signal, fullSuccess)).toBe('{}')
    expect(exportResponseFromJson(signal, '{}')).toStrictEqual(fullSuccess)
  }
})

test('a partial success and a warning come back from protobuf and JSON', () => {
  for (const result of [
    { rejected: 3, errorMessage: 'span 1: no trace id' },
    { rejected: 0, errorMessage: 'clock skew of 3 h' },
    { rejected: 5_000_000_000, errorMessage: '' },
  ]) {
    expect(decodeExportResponse(encodeExportResponse(result))).toStrictEqual(result)
    for (const signal of ['traces', 'logs', 'metrics'] as const) {
      expect(exportResponseFromJson(signal, exportResponseToJson(signal, result))).toStrictEqual(
        result,
      )
    }
  }
})

test('OpenTelemetry’s own clients read the three answers', () => {
  const result = { rejected: 3, errorMessage: 'span 1: no trace id' }
  const bytes = encodeExportResponse(result)
  const traces = { partialSuccess: { rejectedSpans: 3, errorMessage: result.errorMessage } }
  const logs = { partialSuccess: { rejectedLogRecords: 3, errorMessage: result.errorMessage } }
  const metrics = { partialSuccess: { rejectedDataPoints: 3, errorMessage: result.errorMessage } }
  expect(ProtobufTraceSerializer.deserializeResponse(bytes)).toEqual(traces)
  expect(ProtobufLogsSerializer.deserializeResponse(bytes)).toEqual(logs)
  expect(ProtobufMetricsSerializer.deserializeResponse(bytes)).toEqual(metrics)
  const json = (signal: 'traces' | 'logs' | 'metrics') =>
    Buffer.from(exportResponseToJson(signal, result))
  // Their JSON readers hand through what was parsed: the count is proto3's string there.
  const asText = { errorMessage: result.errorMessage }
  expect(JsonTraceSerializer.deserializeResponse(json('traces'))).toEqual({
    partialSuccess: { rejectedSpans: '3', ...asText },
  })
  expect(JsonLogsSerializer.deserializeResponse(json('logs'))).toEqual({
    partialSuccess: { rejectedLogRecords: '3', ...asText },
  })
  expect(JsonMetricsSerializer.deserializeResponse(json('metrics'))).toEqual({
    partialSuccess: { rejectedDataPoints: '3', ...asText },
  })
})
