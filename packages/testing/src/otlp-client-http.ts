import { Agent, type IncomingMessage, request } from 'node:http'
import {
  decodeExportResponse,
  decodeStatus,
  exportResponseFromJson,
  type Signal,
  statusFromJson,
} from '@winnow/otlp'
import { noAnswer, type Wire, type WireAnswer } from './otlp-wire.ts'

export interface HttpWireOptions {
  readonly address: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly connections: number
  /** OTLP/JSON instead of protobuf. */
  readonly json: boolean
}

/** OTLP over HTTP/1.1 with connections kept alive. */
export class HttpWire implements Wire {
  readonly #options: HttpWireOptions
  readonly #agent: Agent

  constructor(options: HttpWireOptions) {
    this.#options = options
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections })
  }

  async send(signal: Signal, body: Uint8Array, encoding: string): Promise<WireAnswer> {
    const { json } = this.#options
    try {
      const response = await this.#post(signal, body, encoding)
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk)
      return answerOf(response, Buffer.concat(chunks), json, signal)
    } catch (error) {
      return noAnswer(error)
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #post(signal: Signal, body: Uint8Array, encoding: string): Promise<IncomingMessage> {
    const { address, headers, timeoutMs, json } = this.#options
    const url = new URL(`http://${address}/v1/${signal}`)
    return new Promise((resolve, reject) => {
      const sent = request(
        url,
        {
          method: 'POST',
          agent: this.#agent,
          timeout: timeoutMs,
          headers: {
            ...headers,
            'content-type': json ? 'application/json' : 'application/x-protobuf',
            'content-length': body.byteLength,
            ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
          },
        },
        resolve,
      )
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      sent.on('error', reject)
      sent.end(body)
    })
  }
}

function answerOf(
  response: IncomingMessage,
  body: Uint8Array,
  json: boolean,
  signal: Signal,
): WireAnswer {
  const status = response.statusCode ?? 0
  if (status === 200) {
    const result = json ? exportResponseFromJson(signal, body) : decodeExportResponse(body)
    return {
      acknowledged: true,
      status,
      grpcStatus: null,
      rejected: result.rejected,
      message: result.errorMessage,
      retryAfterMs: null,
      retryable: false,
    }
  }
  const error = readError(body, json)
  const retryable = [429, 502, 503, 504].includes(status)
  return {
    acknowledged: false,
    status,
    grpcStatus: null,
    rejected: 0,
    message: error.message,
    retryAfterMs: retryAfterOf(response) ?? error.retryDelayMs ?? null,
    retryable,
  }
}

/** A proxy's page is no google.rpc.Status; its text is the message then. */
function readError(body: Uint8Array, json: boolean): { message: string; retryDelayMs?: number } {
  try {
    return json ? statusFromJson(body) : decodeStatus(body)
  } catch {
    return { message: Buffer.from(body).toString().slice(0, 500) }
  }
}

/** Seconds. A date is not understood: it would need a clock, and ours sends seconds. */
function retryAfterOf(response: IncomingMessage): number | undefined {
  const text = response.headers['retry-after']
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : undefined
}
