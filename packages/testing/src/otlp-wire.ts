import type { Signal } from '@winnow/otlp'

/** What the server said last. */
export interface OtlpAnswer {
  /** The server has it: spans not listed as rejected are its own from now on. */
  readonly acknowledged: boolean
  /** HTTP status, 0 when no answer came. */
  readonly status: number
  /** gRPC status over gRPC, null over HTTP or when no answer came. */
  readonly grpcStatus: number | null
  /** Spans or log records refused in an acknowledged request. */
  readonly rejected: number
  /** The server's text: of a partial success, or of an error. */
  readonly message: string
  /** The server's wish, from RetryInfo or Retry-After; null when it had none. */
  readonly retryAfterMs: number | null
  /** By OTLP's rules, or because no answer came. */
  readonly retryable: boolean
  readonly attempts: number
}

/** One attempt's answer. */
export type WireAnswer = Omit<OtlpAnswer, 'attempts'>

/** A way to carry one request: bytes out, answer back. Never throws for what a server does. */
export interface Wire {
  send(
    signal: Signal,
    body: Uint8Array,
    encoding: 'identity' | 'gzip' | 'zstd',
  ): Promise<WireAnswer>
  close(): void
}

/** When nothing came back: the connection failed, was closed, or timed out. Sending again is harmless. */
export function noAnswer(error: unknown): WireAnswer {
  return {
    acknowledged: false,
    status: 0,
    grpcStatus: null,
    rejected: 0,
    message: error instanceof Error ? error.message : String(error),
    retryAfterMs: null,
    retryable: true,
  }
}
