import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip, zstdCompress } from 'node:zlib'
import {
  encodeLogs,
  encodeTraces,
  type LogsData,
  logsToJson,
  type Signal,
  type TracesData,
  tracesToJson,
} from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { GrpcWire } from './otlp-client-grpc.ts'
import { HttpWire } from './otlp-client-http.ts'
import type { OtlpAnswer, Wire } from './otlp-wire.ts'

export type OtlpTransport = 'grpc' | 'http-protobuf' | 'http-json'

export interface OtlpClientOptions {
  readonly transport: OtlpTransport
  /** `host:port`, as the program's ready line states it. */
  readonly address: string
  /** `zstd` over HTTP alone. */
  readonly compression?: 'none' | 'gzip' | 'zstd'
  readonly apiKey?: string
  /** Where the key goes: `Authorization: Bearer`, or `x-api-key`. gRPC metadata has the same names. */
  readonly apiKeyHeader?: 'authorization' | 'x-api-key'
  /** Connections kept alive; gRPC needs one. */
  readonly connections?: number
  readonly timeoutMs?: number
  /** Sends in all. 1: what the server said first. */
  readonly attemptsMax?: number
  /** Longest pause between two attempts, whatever the server asks for. */
  readonly retryMsMax?: number
  /** How to pause; a test may count instead. */
  readonly wait?: (ms: number) => Promise<unknown>
}

/** A request's body as its transport wants it, before compression. Encode once where the same goes out often. */
export function requestBytes(data: TracesData, transport: OtlpTransport): Uint8Array {
  return transport === 'http-json' ? Buffer.from(tracesToJson(data)) : encodeTraces(data)
}

/**
 * An OTLP exporter without an SDK: for demos, load and tests, where it must be known exactly what was
 * sent and what was acknowledged. Retries what OTLP calls retryable, and what got no answer, after
 * the pause that the server asks for.
 */
export class OtlpClient {
  readonly #transport: OtlpTransport
  readonly #compression: 'none' | 'gzip' | 'zstd'
  readonly #attemptsMax: number
  readonly #retryMsMax: number
  readonly #wait: (ms: number) => Promise<unknown>
  readonly #wire: Wire

  constructor(options: OtlpClientOptions) {
    const { transport, address, apiKey, apiKeyHeader = 'authorization' } = options
    this.#transport = transport
    this.#compression = options.compression ?? 'none'
    if (this.#compression === 'zstd' && transport === 'grpc') {
      throw new PipelineError(
        'CONFIG_INVALID',
        'compression is zstd over gRPC, which has gzip or none: choose one of them',
      )
    }
    this.#attemptsMax = options.attemptsMax ?? 5
    this.#retryMsMax = options.retryMsMax ?? 5_000
    this.#wait = options.wait ?? sleep
    const headers: Record<string, string> = {}
    if (apiKey !== undefined) {
      headers[apiKeyHeader] = apiKeyHeader === 'authorization' ? `Bearer ${apiKey}` : apiKey
    }
    const timeoutMs = options.timeoutMs ?? 10_000
    const connections = options.connections ?? 8
    this.#wire =
      transport === 'grpc'
        ? new GrpcWire({ address, headers, timeoutMs })
        : new HttpWire({
            address,
            headers,
            timeoutMs,
            connections,
            json: transport === 'http-json',
          })
  }

  /** Takes bytes that {@link requestBytes} made as well. */
  sendTraces(data: TracesData | Uint8Array): Promise<OtlpAnswer> {
    const body = data instanceof Uint8Array ? data : requestBytes(data, this.#transport)
    return this.#send('traces', body)
  }

  sendLogs(data: LogsData): Promise<OtlpAnswer> {
    const json = this.#transport === 'http-json'
    return this.#send('logs', json ? Buffer.from(logsToJson(data)) : encodeLogs(data))
  }

  /** Requests in flight fail without an answer. */
  close(): void {
    this.#wire.close()
  }

  async #send(signal: Signal, body: Uint8Array): Promise<OtlpAnswer> {
    const sent = await this.#compressed(body)
    const encoding = this.#compression === 'none' ? 'identity' : this.#compression
    for (let attempts = 1; ; attempts++) {
      const answer = await this.#wire.send(signal, sent, encoding)
      if (!answer.retryable || attempts >= this.#attemptsMax) return { ...answer, attempts }
      const pauseMs = answer.retryAfterMs ?? firstPauseMs * 2 ** (attempts - 1)
      await this.#wait(Math.min(pauseMs, this.#retryMsMax))
    }
  }

  #compressed(body: Uint8Array): Promise<Uint8Array> | Uint8Array {
    if (this.#compression === 'gzip') return gzipAsync(body)
    return this.#compression === 'zstd' ? zstdAsync(body) : body
  }
}

/** Where the server states no wish; doubled with every attempt. */
const firstPauseMs = 100

const gzipAsync = promisify(gzip)
const zstdAsync: (body: Uint8Array) => Promise<Buffer> = promisify(zstdCompress)
