import { once } from 'node:events'
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { encodeExportResponse, encodeStatus, type Signal } from '@winnow/otlp'
import { type Address, accessTo, PipelineError, type ServerTls, TlsFront } from '@winnow/runtime'
import { boundAddress } from './bound-address.ts'
import { type Edge, refuse, takeBody } from './edge.ts'
import { FrameSink, framePrefixBytes } from './grpc-frame.ts'
import { Http2Sessions, http2Options } from './http2-sessions.ts'
import { acceptedEncodings, type ContentEncoding, contentEncodingOf } from './inflate.ts'
import { type Refusal, refusal, refusalOfAccess } from './refusal.ts'
import { scopeOf } from './scope-of.ts'
import { Sockets } from './sockets.ts'

const services = 'opentelemetry.proto.collector'
const signalOf: ReadonlyMap<string, Signal> = new Map([
  [`/${services}.trace.v1.TraceService/Export`, 'traces'],
  [`/${services}.logs.v1.LogsService/Export`, 'logs'],
  [`/${services}.metrics.v1.MetricsService/Export`, 'metrics'],
])

/**
 * OTLP over gRPC: three unary methods are all there is, so that HTTP/2 streams are
 * handled as they are. A general gRPC server costs two to four times the processor here.
 */
export class GrpcServer {
  readonly #edge: Edge
  readonly #server: Http2Server
  readonly #sessions: Http2Sessions
  readonly #front: TlsFront | undefined
  readonly #sockets: Sockets

  constructor(edge: Edge, tls: ServerTls | undefined) {
    this.#edge = edge
    this.#server = createServer(http2Options)
    this.#server.maxConnections = edge.config.connectionsMax
    this.#sessions = new Http2Sessions(this.#server)
    this.#front = tls && new TlsFront(this.#server, tls, { alpn: ['h2'] })
    this.#sockets = new Sockets(this.#server)
    this.#server.on('stream', (stream, headers) => {
      // A client that goes away while it is answered is no event.
      stream.on('error', () => {})
      this.#serve(stream, headers).catch((error: unknown) => {
        edge.log.error('receiver.answer_failed', error)
        stream.destroy()
      })
    })
  }

  /** `host:port` as bound; valid once started. */
  get address(): string {
    return boundAddress(this.#server)
  }

  async start({ host, port }: Address): Promise<void> {
    this.#server.listen(port, host)
    await once(this.#server, 'listening')
  }

  /** Takes no new connection and no new call; resolves once those under way have their answers. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#front?.hangUp()
    this.#sessions.goAway()
    const timer = setInterval(() => this.#sessions.hangUp(), hangUpEveryMs)
    await closed.finally(() => clearInterval(timer))
  }

  /** Ends what is left. */
  destroy(): void {
    this.#sockets.destroy()
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const contentType = headers['content-type'] ?? ''
    if (headers[':method'] !== 'POST' || !contentType.startsWith('application/grpc')) {
      // No gRPC client: gRPC's own specification asks for an HTTP status here.
      const status = headers[':method'] === 'POST' ? 415 : 405
      this.#edge.metrics.requestsRefused.inc({
        reason: status === 415 ? 'content_type' : 'method_not_allowed',
      })
      stream.respond({ ':status': status }, { endStream: true })
      stream.close(constants.NGHTTP2_NO_ERROR)
      return
    }
    const answer = await this.#answer(stream, headers)
    if (answer === undefined || stream.destroyed || stream.closed) return
    if (answer instanceof Uint8Array) succeed(stream, answer)
    else fail(stream, answer, this.#edge.config.retryDelay)
  }

  /** The response message, or why there is none. Undefined: the client is gone. */
  async #answer(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): Promise<Uint8Array | Refusal | undefined> {
    const edge = this.#edge
    const checked = check(edge, headers)
    if ('kind' in checked) return this.#refused(checked)
    const { signal, tenant, encoding } = checked
    try {
      const limits = { bytesMax: edge.config.requestBytesMax, limitName: 'requestBytesMax' }
      let sink: FrameSink | undefined
      const contentLength = Number(headers['content-length'] ?? framePrefixBytes)
      const taken = await takeBody(edge, {
        stream,
        tenant,
        contentLength: contentLength - framePrefixBytes,
        limits,
        sinkOf: ticket => {
          sink = new FrameSink(edge.pool, ticket, limits)
          return sink
        },
        encodingOf: () => encodingOfMessage(sink?.isCompressed === true, encoding),
      })
      if (taken === undefined) return undefined
      const result = await edge.intake.export({ ...taken, signal, tenant, transport: 'grpc' })
      await edge.holdWhileLagging(tenant)
      return encodeExportResponse(result)
    } catch (error) {
      return this.#refused(refuse(edge, error))
    }
  }

  #refused(refused: Refusal): Refusal {
    this.#edge.metrics.requestsRefused.inc({ reason: refused.kind })
    return refused
  }
}

const hangUpEveryMs = 20

interface Checked {
  readonly signal: Signal
  readonly tenant: string
  readonly encoding: ContentEncoding
}

/** What can be said of a call before its message is read. */
function check(edge: Edge, headers: IncomingHttpHeaders): Checked | Refusal {
  const signal = signalOf.get(headers[':path'] ?? '')
  if (signal === undefined) {
    return refusal(
      'path_unknown',
      'this is the Export of OTLP’s TraceService, LogsService, MetricsService',
    )
  }
  const access = accessTo(scopeOf[signal], edge.keys, headers, edge.nowMs())
  if (access.kind !== 'granted') return refusalOfAccess(access)
  const encoding = contentEncodingOf(headers['grpc-encoding'] as string | undefined)
  if (encoding === undefined) {
    return refusal('content_encoding', `send one of these encodings: ${acceptedEncodings}`)
  }
  if (edge.isStopping()) return refusal('unavailable', 'this receiver is stopping; send it again')
  return { signal, tenant: access.key.tenant, encoding }
}

function encodingOfMessage(isCompressed: boolean, encoding: ContentEncoding): ContentEncoding {
  if (!isCompressed) return 'identity'
  if (encoding !== 'identity') return encoding
  throw new PipelineError(
    'PAYLOAD_INVALID',
    'the message is flagged as compressed and grpc-encoding names no compression; send it',
  )
}

const responseHeaders: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc',
  'grpc-accept-encoding': acceptedEncodings,
}

function succeed(stream: ServerHttp2Stream, message: Uint8Array): void {
  stream.respond(responseHeaders, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  const frame = Buffer.allocUnsafe(framePrefixBytes + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, framePrefixBytes)
  stream.end(frame)
}

/** Headers and trailers in one, as gRPC has it where there is no message. */
function fail(stream: ServerHttp2Stream, refused: Refusal, retryDelayMs: number): void {
  const { rpc: code, message, retry } = refused
  const details = encodeStatus({ code, message, ...(retry && { retryDelayMs }) })
  stream.respond(
    {
      ...responseHeaders,
      'grpc-status': String(code),
      'grpc-message': percentEncoded(message),
      'grpc-status-details-bin': Buffer.from(details).toString('base64'),
    },
    { endStream: true },
  )
  // What the client still sends has no reader: it is told to stop.
  if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR)
}

/** gRPC's own rule: printable ASCII stands for itself. Clients decode no more than is needed. */
function percentEncoded(message: string): string {
  return message.toWellFormed().replaceAll(/[^ -$&-~]+/g, encodeURIComponent)
}
