import { PipelineError } from '@winnow/runtime'
import { isObject, JsonFields, type JsonObject } from './json-fields.ts'
import { parseJsonText } from './json-text.ts'
import { WireReader } from './wire.ts'
import { WireWriter } from './wire-writer.ts'

/** google.rpc.Status: the body of every OTLP answer that is not a success, in the request's encoding. */
export interface RpcStatus {
  /** google.rpc.Code, the numbers of gRPC. 0 when the sender left it out, as OTLP over HTTP may. */
  readonly code: number
  readonly message: string
  /** google.rpc.RetryInfo: its presence makes the error retryable for an exporter. Whole milliseconds. */
  readonly retryDelayMs?: number
}

const retryInfoType = 'type.googleapis.com/google.rpc.RetryInfo'

export function encodeStatus(status: RpcStatus): Uint8Array {
  const writer = new WireWriter(256)
  writer.int32(8, status.code)
  writer.string(18, status.message)
  if (status.retryDelayMs !== undefined) {
    const { seconds, nanos } = durationOf(status.retryDelayMs)
    const detail = writer.begin(26)
    writer.string(10, retryInfoType)
    const retryInfo = writer.begin(18)
    const delay = writer.begin(10)
    if (seconds > 0) writer.int64(8, BigInt(seconds))
    writer.int32(16, nanos)
    writer.end(delay)
    writer.end(retryInfo)
    writer.end(detail)
  }
  return writer.finish()
}

/** Details other than RetryInfo are passed over. Throws PAYLOAD_INVALID for malformed bytes. */
export function decodeStatus(bytes: Uint8Array): RpcStatus {
  const reader = new WireReader(bytes, 'Status')
  let code = 0
  let message = ''
  let retryDelayMs: number | undefined
  while (reader.more()) {
    switch (reader.tag()) {
      case 8:
        code = reader.int32()
        break
      case 18:
        message = reader.string()
        break
      case 26:
        retryDelayMs = readDetail(reader) ?? retryDelayMs
        break
      default:
        reader.skip()
    }
  }
  return retryDelayMs === undefined ? { code, message } : { code, message, retryDelayMs }
}

function readDetail(reader: WireReader): number | undefined {
  const outer = reader.enter('Any')
  let type = ''
  let value: Uint8Array | undefined
  while (reader.more()) {
    switch (reader.tag()) {
      case 10:
        type = reader.string()
        break
      case 18:
        value = reader.bytes()
        break
      default:
        reader.skip()
    }
  }
  reader.leave(outer)
  return type === retryInfoType ? readRetryInfo(value ?? new Uint8Array()) : undefined
}

function readRetryInfo(bytes: Uint8Array): number {
  const reader = new WireReader(bytes, 'RetryInfo')
  let ms = 0
  while (reader.more()) {
    if (reader.tag() !== 10) {
      reader.skip()
      continue
    }
    const outer = reader.enter('Duration')
    while (reader.more()) {
      const tag = reader.tag()
      if (tag === 8) ms += Number(reader.int64()) * 1000
      else if (tag === 16) ms += Math.round(reader.int32() / 1e6)
      else reader.skip()
    }
    reader.leave(outer)
  }
  return ms
}

/** The same as JSON text. */
export function statusToJson({ code, message, retryDelayMs }: RpcStatus): string {
  if (retryDelayMs === undefined) return JSON.stringify({ code, message })
  const { seconds, nanos } = durationOf(retryDelayMs)
  const fraction = nanos === 0 ? '' : `.${String(nanos / 1e6).padStart(3, '0')}`
  const detail = { '@type': retryInfoType, retryDelay: `${seconds}${fraction}s` }
  return JSON.stringify({ code, message, details: [detail] })
}

/** Throws PAYLOAD_INVALID for what is no such status. */
export function statusFromJson(text: string | Uint8Array): RpcStatus {
  const fields = new JsonFields()
  const from = rootOf(text)
  const code = fields.enumNumber(from, 'code', 'the status')
  const message = fields.string(from, 'message', 'the status')
  const detail = fields
    .list(from, 'details', 'the status')
    .find(item => isObject(item) && item['@type'] === retryInfoType)
  const delay = isObject(detail) ? detail.retryDelay : undefined
  if (delay !== undefined && !(typeof delay === 'string' && durationText.test(delay))) {
    fields.note('RetryInfo', 'retryDelay', delay, 'seconds such as "1.5s"')
  }
  refuseProblem(fields)
  return typeof delay === 'string'
    ? { code, message, retryDelayMs: Math.round(Number(delay.slice(0, -1)) * 1000) }
    : { code, message }
}

const durationText = /^-?\d{1,12}(?:\.\d{1,9})?s$/

/** A delay is never negative and never a fraction of a millisecond: the caller's arithmetic may be. */
function durationOf(delayMs: number): { readonly seconds: number; readonly nanos: number } {
  const ms = Number.isFinite(delayMs) ? Math.max(0, Math.ceil(delayMs)) : 0
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 }
}

export type Signal = 'traces' | 'logs' | 'metrics'

/** What became of an export that was accepted. Nothing rejected and no message: a full success. */
export interface ExportResult {
  readonly rejected: number
  /** The first reasons, or a warning when nothing was rejected. */
  readonly errorMessage: string
}

export const fullSuccess: ExportResult = { rejected: 0, errorMessage: '' }

/**
 * Export{Trace,Logs,Metrics}ServiceResponse, whose three forms are the same bytes. A full success
 * has no bytes at all: OTLP wants `partial_success` unset then, and clients warn when it is not.
 */
export function encodeExportResponse(result: ExportResult): Uint8Array {
  if (isFullSuccess(result)) return new Uint8Array()
  const writer = new WireWriter(256)
  const start = writer.begin(10)
  if (result.rejected !== 0) writer.int64(8, BigInt(result.rejected))
  writer.string(18, result.errorMessage)
  writer.end(start)
  return writer.finish()
}

/** Throws PAYLOAD_INVALID for malformed bytes. */
export function decodeExportResponse(bytes: Uint8Array): ExportResult {
  const reader = new WireReader(bytes, 'ExportServiceResponse')
  let rejected = 0
  let errorMessage = ''
  while (reader.more()) {
    if (reader.tag() !== 10) {
      reader.skip()
      continue
    }
    const outer = reader.enter('ExportPartialSuccess')
    while (reader.more()) {
      const tag = reader.tag()
      if (tag === 8) rejected = Number(reader.int64())
      else if (tag === 18) errorMessage = reader.string()
      else reader.skip()
    }
    reader.leave(outer)
  }
  return { rejected, errorMessage }
}

const rejectedFields = {
  traces: 'rejectedSpans',
  logs: 'rejectedLogRecords',
  metrics: 'rejectedDataPoints',
} as const satisfies Record<Signal, string>

/** The same as JSON text: `{}` for a full success; the count is a string, as proto3's int64 is. */
export function exportResponseToJson(signal: Signal, result: ExportResult): string {
  if (isFullSuccess(result)) return '{}'
  const { rejected, errorMessage } = result
  return JSON.stringify({
    partialSuccess: { [rejectedFields[signal]]: String(rejected), errorMessage },
  })
}

/** Throws PAYLOAD_INVALID for what is no such response. */
export function exportResponseFromJson(signal: Signal, text: string | Uint8Array): ExportResult {
  const fields = new JsonFields()
  const from = fields.object(rootOf(text).partialSuccess, 'the response', 'partialSuccess')
  const field = rejectedFields[signal]
  const rejected = fields.uint64(from, field, 'partialSuccess')
  const errorMessage = fields.string(from, 'errorMessage', 'partialSuccess')
  refuseProblem(fields)
  return { rejected: Number(rejected), errorMessage }
}

function isFullSuccess(result: ExportResult): boolean {
  return result.rejected === 0 && result.errorMessage === ''
}

function rootOf(text: string | Uint8Array): JsonObject {
  const root = parseJsonText(text)
  if (isObject(root)) return root
  throw new PipelineError('PAYLOAD_INVALID', 'the answer is no JSON object; send one')
}

function refuseProblem(fields: JsonFields): void {
  if (fields.problem !== undefined) throw new PipelineError('PAYLOAD_INVALID', fields.problem)
}
