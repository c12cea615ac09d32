import { expect, test } from 'vitest'
import { BadBody, s3Problem } from './s3-problem.ts'

/** As the SDK throws what a server answered. */
const answered = (status: number, name: string, headers?: Record<string, string>): Error =>
  Object.assign(new Error('text'), {
    name,
    $metadata: { httpStatusCode: status },
    $response: { statusCode: status, headers },
  })
const failed = (name: string, code?: string): Error =>
  Object.assign(new Error('text'), { name, ...(code !== undefined && { code }) })

test('an answer is told by the server’s word, and by its status where there is none', () => {
  for (const [status, name, kind] of [
    [404, 'NoSuchKey', 'missing'],
    [404, 'NotFound', 'missing'],
    [404, 'NoSuchBucket', 'setup'],
    [404, 'XAdminUserNotFound', 'setup'],
    [412, 'PreconditionFailed', 'exists'],
    [416, 'InvalidRange', 'range'],
    [409, 'ConditionalRequestConflict', 'busy'],
    [409, 'ObjectParentIsFile', 'refused'],
    [400, 'InvalidStorageClass', 'unsupported'],
    [400, 'RequestTimeout', 'busy'],
    [400, 'BadDigest', 'busy'],
    [400, 'InvalidArgument', 'refused'],
    [403, 'Unknown', 'setup'],
    [403, 'RequestTimeTooSkewed', 'busy'],
    [301, 'PermanentRedirect', 'setup'],
    [429, 'Error', 'busy'],
    [500, 'Error', 'busy'],
    [501, 'NotImplemented', 'unsupported'],
    [503, 'SlowDown', 'busy'],
    [200, 'Error', 'busy'],
  ] as const) {
    expect(s3Problem(answered(status, name)), `${status} ${name}`).toMatchObject({ kind, status })
  }
})

test('whoever has to set something right is told which key', () => {
  const remedy = (error: Error): string | undefined => s3Problem(error)?.remedy
  expect(remedy(answered(404, 'NoSuchBucket'))).toMatch(/blobs/)
  expect(remedy(answered(403, 'SignatureDoesNotMatch'))).toMatch(/s3\.secretAccessKey/)
  expect(remedy(answered(403, 'Unknown'))).toMatch(/s3\.accessKeyId.*s3:GetObject/)
  expect(remedy(answered(400, 'ExpiredToken'))).toMatch(/s3\.sessionToken/)
  expect(remedy(failed('CredentialsProviderError'))).toMatch(/s3\.accessKeyId/)
  expect(remedy(failed('Error', 'CERT_HAS_EXPIRED'))).toMatch(/s3\.caFile/)
  expect(remedy(failed('TimeoutError', 'ECONNREFUSED'))).toMatch(/s3\.endpoint/)
})

test('what failed without an answer may pass, and what nobody knows is a bug', () => {
  for (const [name, code] of [
    ['TimeoutError', 'ECONNRESET'],
    ['Error', 'EPIPE'],
    ['Error', 'HPE_INVALID_CONSTANT'],
    ['AbortError', undefined],
  ] as const) {
    expect(s3Problem(failed(name, code)), name).toMatchObject({ kind: 'busy', status: undefined })
  }
  expect(s3Problem(new BadBody('torn', 'it ended'))).toMatchObject({ kind: 'torn' })
  expect(s3Problem(new BadBody('corrupt', 'another'))).toMatchObject({ kind: 'corrupt' })
  expect(s3Problem(new TypeError('x is undefined'))).toBeUndefined()
})

test('certificates and TLS are for somebody to set right, by whatever code, and never by going without TLS', () => {
  const broken = (code: string, reason = '') =>
    s3Problem(
      Object.assign(new Error(`40ED:error:0A00045C:SSL routines:f:${reason}:../a.c:1:`), { code }),
    )
  for (const code of [
    'CERT_NOT_YET_VALID',
    'CERT_REVOKED',
    'CERT_UNTRUSTED',
    'CERT_SIGNATURE_FAILURE',
    'UNABLE_TO_GET_ISSUER_CERT',
    'INVALID_CA',
  ]) {
    expect(broken(code)?.kind, code).toBe('setup')
    expect(broken(code)?.remedy, code).toMatch(/s3\.caFile/)
  }
  const plain = 'write http:// in s3.endpoint'
  for (const [code, reason] of [
    ['EPROTO', 'wrong version number'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version number'],
    ['EPROTO', 'packet length too long'],
  ] as const) {
    expect(broken(code, reason)?.remedy).toContain(plain)
  }
  for (const [code, reason] of [
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tlsv13 alert certificate required'],
    ['EPROTO', 'unsupported protocol'],
  ] as const) {
    const problem = broken(code, reason)
    expect(problem).toMatchObject({ kind: 'setup' })
    expect(problem?.remedy).toContain(`agree on no TLS (${reason})`)
    expect(problem?.remedy).not.toContain(plain)
  }
})

test('what the system refuses may pass', () => {
  for (const code of ['EMFILE', 'ENOBUFS', 'EADDRNOTAVAIL', 'ENETDOWN', 'EHOSTDOWN', 'EAI_AGAIN']) {
    expect(s3Problem(failed('Error', code)), code).toMatchObject({ kind: 'busy', code })
  }
})

test('a pause that the server asks for is taken from whole seconds alone', () => {
  const after = (text: string): number | undefined =>
    s3Problem(answered(429, 'Error', { 'retry-after': text }))?.retryAfterMs
  expect(after('2')).toBe(2_000)
  for (const text of ['', 'soon', '-1', '1.5', '9999999', 'Sat, 21 Nov 2026 07:00:00 GMT']) {
    expect(after(text), text).toBeUndefined()
  }
})
