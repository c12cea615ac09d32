import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { encodeStatus, statusToJson } from '@winnow/otlp'
import { type ApiKey, accessTo, type Scope } from '@winnow/runtime'
import { BodyBuilder, type BodyLimits } from './body.ts'
import { type Edge, type Taken, takeBody } from './edge.ts'
import { acceptedEncodings, type ContentEncoding, contentEncodingOf } from './inflate.ts'
import { type Encoding, mediaOf } from './media.ts'
import { type Refusal, refusal, refusalOfAccess } from './refusal.ts'

export type HttpRequest = IncomingMessage | Http2ServerRequest
export type HttpResponse = ServerResponse | Http2ServerResponse

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

export interface Checked {
  readonly key: ApiKey
  readonly encoding: ContentEncoding
}

/** What can be said of a request before its body is read. */
export function check(
  edge: Edge,
  { method, headers }: HttpRequest,
  scope: Scope,
  wanted: 'POST' | 'DELETE',
): Checked | Refusal {
  if (method !== wanted) return refusal('method_not_allowed', `use ${wanted}`)
  const access = accessTo(scope, edge.keys, headers, edge.nowMs())
  if (access.kind !== 'granted') return refusalOfAccess(access)
  const encoding = contentEncodingOf(headers['content-encoding'])
  if (encoding === undefined) {
    return refusal('content_encoding', `send one of these content encodings: ${acceptedEncodings}`)
  }
  if (edge.isStopping()) return refusal('unavailable', 'this receiver is stopping; send it again')
  return { key: access.key, encoding }
}

export function readHttpBody(
  edge: Edge,
  request: HttpRequest,
  { key, encoding, limits }: Checked & { readonly limits: BodyLimits },
): Promise<Taken | undefined> {
  const contentLength = Number(request.headers['content-length'] ?? 0)
  return takeBody(edge, {
    stream: request,
    tenant: key.tenant,
    contentLength,
    limits,
    sinkOf: ticket => new BodyBuilder(edge.pool, ticket, limits, contentLength),
    encodingOf: () => encoding,
  })
}

/** A google.rpc.Status in the request's encoding. */
export function refusalAnswer(edge: Edge, refused: Refusal, encoding: Encoding): HttpAnswer {
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
      ...(status === 405 && { allow: message.replace('use ', '') }),
      ...(refused.kind === 'content_encoding' && { 'accept-encoding': acceptedEncodings }),
    },
    body: encoding === 'json' ? statusToJson(rpcStatus) : encodeStatus(rpcStatus),
  }
}
