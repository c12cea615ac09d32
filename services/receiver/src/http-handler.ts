import type { ServerResponse } from 'node:http'
import { constants, Http2ServerRequest } from 'node:http2'
import type { Readable } from 'node:stream'
import { encodeExportResponse, exportResponseToJson, type Signal } from '@winnow/otlp'
import { freeAtOnce } from './body.ts'
import { corsHeaders, preflightHeaders } from './cors.ts'
import { type Edge, refuse } from './edge.ts'
import { answerJson, jsonRouteOf } from './http-json.ts'
import {
  check,
  type HttpAnswer,
  type HttpRequest,
  type HttpResponse,
  readHttpBody,
  refusalAnswer,
} from './http-request.ts'
import { encodingOf, mediaOf } from './media.ts'
import { type Refusal, refusal } from './refusal.ts'
import { scopeOf } from './scope-of.ts'

const signalOf: ReadonlyMap<string, Signal> = new Map([
  ['/v1/traces', 'traces'],
  ['/v1/logs', 'logs'],
  ['/v1/metrics', 'metrics'],
  // Where Langfuse's SDKs send their spans.
  ['/api/public/otel/v1/traces', 'traces'],
])

/** OTLP over HTTP/1.1 and HTTP/2, and the calls that bring outcomes as JSON. */
export function httpHandler(edge: Edge): (request: HttpRequest, response: HttpResponse) => void {
  return (request, response) => {
    // A client that goes away while it is answered is no event.
    response.on('error', () => {})
    answerTo(edge, request)
      .then(answer => {
        if (answer !== undefined) send(edge, request, response, answer)
      })
      .catch((error: unknown) => {
        edge.log.error('receiver.answer_failed', error)
        request.destroy()
      })
  }
}

/** Undefined: the client is gone. */
async function answerTo(edge: Edge, request: HttpRequest): Promise<HttpAnswer | undefined> {
  const { headers, method } = request
  const { corsOrigins } = edge.config
  const path = (request.url ?? '').split('?', 1)[0] ?? ''
  const signal = signalOf.get(path)
  const preflight = preflightHeaders(corsOrigins, method, headers)
  if (preflight !== undefined) return { status: 204, headers: preflight, body: '' }
  const route = jsonRouteOf(path)
  const answer =
    route === undefined
      ? await answerExport(edge, request, signal)
      : await answerJson(edge, request, route)
  if (answer === undefined || headers.origin === undefined) return answer
  return { ...answer, headers: { ...answer.headers, ...corsHeaders(corsOrigins, headers.origin) } }
}

async function answerExport(
  edge: Edge,
  request: HttpRequest,
  signal: Signal | undefined,
): Promise<HttpAnswer | undefined> {
  const encoding = encodingOf(request.headers['content-type'])
  const answerRefusal = (refused: Refusal): HttpAnswer => {
    edge.metrics.requestsRefused.inc({ reason: refused.kind })
    return refusalAnswer(edge, refused, encoding ?? 'json')
  }
  if (signal === undefined) {
    return answerRefusal(refusal('path_unknown', 'use /v1/traces, /v1/logs or /v1/metrics'))
  }
  const checked = check(edge, request, scopeOf[signal], 'POST')
  if ('kind' in checked) return answerRefusal(checked)
  if (encoding === undefined) {
    const remedy = 'send application/x-protobuf or application/json as content-type'
    return answerRefusal(refusal('content_type', remedy))
  }
  const { tenant } = checked.key
  try {
    const limits = { bytesMax: edge.config.requestBytesMax, limitName: 'requestBytesMax' }
    const taken = await readHttpBody(edge, request, { ...checked, limits })
    if (taken === undefined) return undefined
    const result = await edge.intake.export({
      ...taken,
      signal,
      tenant,
      transport: `http/${encoding}`,
    })
    await edge.holdWhileLagging(tenant)
    const body =
      encoding === 'json' ? exportResponseToJson(signal, result) : encodeExportResponse(result)
    return { status: 200, headers: { 'content-type': mediaOf[encoding] }, body }
  } catch (error) {
    return answerRefusal(refuse(edge, error))
  }
}

function send(edge: Edge, request: HttpRequest, response: HttpResponse, answer: HttpAnswer): void {
  const { status, headers, body } = answer
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  const isHttp2 = request instanceof Http2ServerRequest
  // Node's HTTP/2 response has the same methods; only their overloads do not unite.
  const target = response as ServerResponse
  target.writeHead(status, {
    ...headers,
    ...(status !== 204 && { 'content-length': String(length) }),
    ...(edge.isStopping() && !isHttp2 && { connection: 'close' }),
  })
  target.end(body)
  if (!request.complete) discardRest(edge, request)
}

/**
 * What a refused client still sends is read and thrown away for a while: closing at once would
 * reset the connection under the answer, and the client would never learn why.
 */
function discardRest(edge: Edge, request: HttpRequest): void {
  if (request instanceof Http2ServerRequest) {
    // Node sends what is written before it ends the stream.
    request.stream.close(constants.NGHTTP2_NO_ERROR)
    return
  }
  const { requestBytesMax, bodyWaitMax } = edge.config
  let left = requestBytesMax
  const rest: Readable = request
  const timer = setTimeout(() => rest.destroy(), bodyWaitMax)
  rest.on('data', (chunk: Buffer) => {
    left -= chunk.length
    // A flood of refused bodies would fill memory faster than the collector hears of it.
    freeAtOnce(chunk)
    if (left < 0) rest.destroy()
  })
  rest.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer))
}
