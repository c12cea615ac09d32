import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { Readable } from 'node:stream'
import {
  encodeExportResponse,
  encodeStatus,
  exportResponseToJson,
  type Signal,
  statusToJson,
} from '@winnow/otlp'
import { accessTo, type Scope } from '@winnow/runtime'
import { BodyBuilder, type BodyLimits, freeAtOnce } from './body.ts'
import { corsHeaders, preflightHeaders } from './cors.ts'
import { type Edge, refuse, type Taken, takeBody } from './edge.ts'
import { acceptEvaluations } from './http-evaluations.ts'
import { acceptedEncodings, type ContentEncoding, contentEncodingOf } from './inflate.ts'
import { type Encoding, encodingOf, mediaOf } from './media.ts'
import { type Refusal, refusal, refusalOfAccess } from './refusal.ts'
import { scopeOf } from './scope-of.ts'

export type HttpRequest = IncomingMessage | Http2ServerRequest
export type HttpResponse = ServerResponse | Http2ServerResponse

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

const signalOf: ReadonlyMap<string, Signal> = new Map([
  ['/v1/traces', 'traces'],
  ['/v1/logs', 'logs'],
  ['/v1/metrics', 'metrics'],
])
const evaluationsPath = '/api/v1/evaluations'

/** OTLP over HTTP/1.1 and HTTP/2, and `POST /api/v1/evaluations`. */
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
  const answer =
    path === evaluationsPath
      ? await answerEvaluations(edge, request)
      : await answerExport(edge, request, signal)
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
  const checked = check(edge, request, scopeOf[signal])
  if ('kind' in checked) return answerRefusal(checked)
  if (encoding === undefined) {
    const remedy = 'send application/x-protobuf or application/json as content-type'
    return answerRefusal(refusal('content_type', remedy))
  }
  const { tenant } = checked
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

async function answerEvaluations(
  edge: Edge,
  request: HttpRequest,
): Promise<HttpAnswer | undefined> {
  const answerRefusal = (refused: Refusal): HttpAnswer => {
    edge.metrics.requestsRefused.inc({ reason: refused.kind })
    const error = { code: refused.kind.toUpperCase(), remedy: refused.message }
    const { status, headers } = refusalAnswer(edge, refused, 'json')
    return { status, headers, body: JSON.stringify({ error }) }
  }
  const checked = check(edge, request, scopeOf.evaluations)
  if ('kind' in checked) return answerRefusal(checked)
  // A page of any site may post plain text to a port of this machine; with this type it must ask first.
  if (
    request.headers.origin !== undefined &&
    encodingOf(request.headers['content-type']) !== 'json'
  ) {
    return answerRefusal(refusal('content_type', 'send application/json as content-type'))
  }
  try {
    const bytesMax = edge.config.evaluationBodyBytesMax
    const limits = { bytesMax, limitName: 'evaluationBodyBytesMax' }
    const taken = await readHttpBody(edge, request, { ...checked, limits })
    if (taken === undefined) return undefined
    const { status, body } = await acceptEvaluations(edge, checked.tenant, taken)
    const headers = { 'content-type': 'application/json' }
    return { status, headers, body: JSON.stringify(body) }
  } catch (error) {
    return answerRefusal(refuse(edge, error))
  }
}

interface Checked {
  readonly tenant: string
  readonly encoding: ContentEncoding
}

/** What can be said of a request before its body is read. */
function check(edge: Edge, { method, headers }: HttpRequest, scope: Scope): Checked | Refusal {
  if (method !== 'POST') return refusal('method_not_allowed', 'use POST')
  const access = accessTo(scope, edge.keys, headers, edge.nowMs())
  if (access.kind !== 'granted') return refusalOfAccess(access)
  const { tenant } = access.key
  const encoding = contentEncodingOf(headers['content-encoding'])
  if (encoding === undefined) {
    return refusal('content_encoding', `send one of these content encodings: ${acceptedEncodings}`)
  }
  if (edge.isStopping()) return refusal('unavailable', 'this receiver is stopping; send it again')
  return { tenant, encoding }
}

function readHttpBody(
  edge: Edge,
  request: HttpRequest,
  { tenant, encoding, limits }: Checked & { readonly limits: BodyLimits },
): Promise<Taken | undefined> {
  const contentLength = Number(request.headers['content-length'] ?? 0)
  return takeBody(edge, {
    stream: request,
    tenant,
    contentLength,
    limits,
    sinkOf: ticket => new BodyBuilder(edge.pool, ticket, limits, contentLength),
    encodingOf: () => encoding,
  })
}

/** A google.rpc.Status in the request's encoding. */
function refusalAnswer(edge: Edge, refused: Refusal, encoding: Encoding): HttpAnswer {
  const { rpc: code, message, http: status } = refused
  const { retryDelay } = edge.config
  const retry = refused.retry ? { retryDelayMs: retryDelay } : {}
  const rpcStatus = { code, message, ...retry }
  return {
    status,
    headers: {
      'content-type': mediaOf[encoding],
      ...(refused.retry && { 'retry-after': String(Math.ceil(retryDelay / 1000)) }),
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(refused.scope !== undefined && {
        'www-authenticate': `Bearer error="insufficient_scope", scope="${refused.scope}"`,
      }),
      ...(status === 405 && { allow: 'POST' }),
      ...(refused.kind === 'content_encoding' && { 'accept-encoding': acceptedEncodings }),
    },
    body: encoding === 'json' ? statusToJson(rpcStatus) : encodeStatus(rpcStatus),
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
