import { PipelineError } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { type RefusalKind, refusal, refusalOf } from './refusal.ts'

/** The Collector's mapping of gRPC codes (receiver/otlpreceiver/internal/errors), as far as we use them. */
const httpOfRpc: Readonly<Record<number, number>> = {
  3: 400,
  7: 403,
  8: 429,
  12: 404,
  13: 500,
  14: 503,
  16: 401,
}

/** Where HTTP has a word of its own that gRPC lacks. */
const ownHttp: Partial<Record<RefusalKind, number>> = {
  method_not_allowed: 405,
  content_type: 415,
  content_encoding: 415,
  too_large: 413,
}

const kinds: Record<RefusalKind, true> = {
  method_not_allowed: true,
  path_unknown: true,
  content_type: true,
  content_encoding: true,
  unauthenticated: true,
  permission_denied: true,
  invalid: true,
  too_large: true,
  quota: true,
  unavailable: true,
  internal: true,
}

test('gRPC codes and HTTP statuses correspond as in the Collector, and only 429 and 503 are retried', () => {
  for (const kind of Object.keys(kinds) as RefusalKind[]) {
    const { http, rpc, retry } = refusal(kind, 'why')
    expect([kind, http]).toEqual([kind, ownHttp[kind] ?? httpOfRpc[rpc]])
    expect([kind, retry]).toEqual([kind, http === 429 || http === 503])
  }
})

test('an error of the pipeline tells its client what it says; a defect tells nothing', () => {
  const kindOf = (code: ConstructorParameters<typeof PipelineError>[0]) =>
    refusalOf(new PipelineError(code, 'the reason'))
  expect(kindOf('PAYLOAD_INVALID')).toMatchObject({ kind: 'invalid', message: 'the reason' })
  expect(kindOf('PAYLOAD_TOO_LARGE').kind).toBe('too_large')
  expect(kindOf('QUOTA_EXCEEDED').kind).toBe('quota')
  expect(kindOf('BUS_UNAVAILABLE')).toMatchObject({ kind: 'unavailable', message: 'the reason' })
  for (const error of [kindOf('CONFIG_INVALID'), refusalOf(new TypeError('the reason'))]) {
    expect(error.kind).toBe('internal')
    expect(error.message).not.toContain('the reason')
  }
})
