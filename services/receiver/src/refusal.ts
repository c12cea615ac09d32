import { type Access, isRetryable, PipelineError, type Scope } from '@winnow/runtime'

/** google.rpc.Code, the numbers that gRPC and OTLP's error bodies share. */
export const rpcCode = {
  ok: 0,
  invalidArgument: 3,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/**
 * Every way in which a whole request is refused, and how both transports say so. Retryable ones carry
 * `Retry-After` and RetryInfo; the others never do, for a client would send the same again.
 */
const refusals = {
  method_not_allowed: { http: 405, rpc: rpcCode.unimplemented, retry: false },
  path_unknown: { http: 404, rpc: rpcCode.unimplemented, retry: false },
  content_type: { http: 415, rpc: rpcCode.invalidArgument, retry: false },
  content_encoding: { http: 415, rpc: rpcCode.unimplemented, retry: false },
  unauthenticated: { http: 401, rpc: rpcCode.unauthenticated, retry: false },
  permission_denied: { http: 403, rpc: rpcCode.permissionDenied, retry: false },
  invalid: { http: 400, rpc: rpcCode.invalidArgument, retry: false },
  too_large: { http: 413, rpc: rpcCode.resourceExhausted, retry: false },
  quota: { http: 429, rpc: rpcCode.resourceExhausted, retry: true },
  unavailable: { http: 503, rpc: rpcCode.unavailable, retry: true },
  internal: { http: 500, rpc: rpcCode.internal, retry: false },
} as const

/** Also the `reason` of `winnow_requests_refused_total`. */
export type RefusalKind = keyof typeof refusals

export interface Refusal {
  readonly kind: RefusalKind
  /** For people: what is wrong, and what to do. */
  readonly message: string
  readonly http: number
  /** A google.rpc.Code. */
  readonly rpc: number
  /** The same request may succeed later. */
  readonly retry: boolean
  /** What a known key lacked. */
  readonly scope?: Scope
}

export function refusal(kind: RefusalKind, message: string): Refusal {
  return { kind, message, ...refusals[kind] }
}

/** Of a request whose key is unknown, or may not do this. */
export function refusalOfAccess(access: Exclude<Access, { kind: 'granted' }>): Refusal {
  return access.kind === 'unknown'
    ? refusal('unauthenticated', access.remedy)
    : { ...refusal('permission_denied', access.remedy), scope: access.scope }
}

/** What an error that ended a request tells its client. One that is not ours is a defect, and says no more. */
export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof PipelineError)) {
    return refusal('internal', 'this is a defect; the log of the receiver has its stack')
  }
  const message = error.message.replace(/^\[[A-Z_]+\] /, '')
  switch (error.code) {
    case 'PAYLOAD_INVALID':
      return refusal('invalid', message)
    case 'PAYLOAD_TOO_LARGE':
      return refusal('too_large', message)
    case 'QUOTA_EXCEEDED':
      return refusal('quota', message)
    default:
      return isRetryable(error)
        ? refusal('unavailable', message)
        : refusal('internal', 'this is a defect; the log of the receiver has its stack')
  }
}
