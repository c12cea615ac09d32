import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { decodeExportResponse, decodeStatus, type Signal } from '@winnow/otlp'
import { noAnswer, type Wire, type WireAnswer } from './otlp-wire.ts'

export interface GrpcWireOptions {
  readonly address: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** gRPC unary calls over one HTTP/2 connection without TLS, made anew when it is lost. */
export class GrpcWire implements Wire {
  readonly #options: GrpcWireOptions
  #session: ClientHttp2Session | null = null

  constructor(options: GrpcWireOptions) {
    this.#options = options
  }

  async send(signal: Signal, body: Uint8Array, encoding: string): Promise<WireAnswer> {
    try {
      return await this.#call(signal, body, encoding)
    } catch (error) {
      return noAnswer(error)
    }
  }

  close(): void {
    this.#session?.destroy()
    this.#session = null
  }

  #call(signal: Signal, body: Uint8Array, encoding: string): Promise<WireAnswer> {
    const { headers, timeoutMs } = this.#options
    const stream = this.#connected().request({
      ...headers,
      ':method': 'POST',
      ':path': paths[signal],
      'content-type': 'application/grpc+proto',
      te: 'trailers',
      ...(encoding === 'identity' ? {} : { 'grpc-encoding': encoding }),
    })
    const prefix = Buffer.alloc(5)
    prefix[0] = encoding === 'identity' ? 0 : 1
    prefix.writeUInt32BE(body.byteLength, 1)
    stream.write(prefix)
    stream.end(body)
    stream.setTimeout(timeoutMs, () => {
      stream.destroy(new Error(`no answer within ${timeoutMs} ms`))
    })
    return readCall(stream)
  }

  #connected(): ClientHttp2Session {
    const known = this.#session
    if (known !== null && !known.closed && !known.destroyed) return known
    const session = connect(`http://${this.#options.address}`)
    // Its streams report the same error; unheard here it would end the process.
    session.on('error', () => {})
    session.on('goaway', () => session.close())
    this.#session = session
    return session
  }
}

const paths: Record<Signal, string> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
}

type Headers = Readonly<Record<string, string | number | string[] | undefined>>

function readCall(stream: ClientHttp2Stream): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    let head: Headers = {}
    let tail: Headers = {}
    const chunks: Buffer[] = []
    stream.on('response', headers => {
      head = { ...headers }
    })
    stream.on('trailers', headers => {
      tail = { ...headers }
    })
    stream.on('data', chunk => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('close', () => {
      const status = tail['grpc-status'] ?? head['grpc-status']
      if (status === undefined) {
        const code = head[':status']
        reject(new Error(`the call ended without a gRPC status, HTTP ${code ?? 'none'}`))
        return
      }
      try {
        resolve(
          answerOf(Number(status), Number(head[':status']), tail, head, Buffer.concat(chunks)),
        )
      } catch (error) {
        reject(error)
      }
    })
  })
}

function answerOf(
  grpcStatus: number,
  status: number,
  tail: Headers,
  head: Headers,
  frame: Uint8Array,
): WireAnswer {
  if (grpcStatus === 0) {
    const result = decodeExportResponse(frame.subarray(5))
    return {
      acknowledged: true,
      status,
      grpcStatus,
      rejected: result.rejected,
      message: result.errorMessage,
      retryAfterMs: null,
      retryable: false,
    }
  }
  const details = tail['grpc-status-details-bin'] ?? head['grpc-status-details-bin']
  const error =
    typeof details === 'string' ? decodeStatus(Buffer.from(details, 'base64')) : undefined
  const retryAfterMs = error?.retryDelayMs ?? null
  const message = tail['grpc-message'] ?? head['grpc-message']
  return {
    acknowledged: false,
    status,
    grpcStatus,
    rejected: 0,
    message: typeof message === 'string' ? decodeURIComponent(message) : (error?.message ?? ''),
    retryAfterMs,
    retryable: isRetryable(grpcStatus, retryAfterMs !== null),
  }
}

/** OTLP's list: RESOURCE_EXHAUSTED only where the server says when to come back. */
function isRetryable(grpcStatus: number, hasRetryInfo: boolean): boolean {
  if (grpcStatus === 8) return hasRetryInfo
  return [1, 4, 10, 11, 14, 15].includes(grpcStatus)
}
