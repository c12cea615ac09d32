/** What a failed request means, whatever it was called on its way here. */
export type S3ProblemKind =
  /** No such object. */
  | 'missing'
  /** The condition of a create does not hold: the key exists. */
  | 'exists'
  /** The object exists, and has nothing in the range. */
  | 'range'
  /** The server has no such function, or not with this value. */
  | 'unsupported'
  /** Keys, bucket, region, rights, certificate: somebody has to change something. */
  | 'setup'
  /** It may pass. */
  | 'busy'
  /** It did not come whole. */
  | 'torn'
  /** It came whole, and is not what was put. */
  | 'corrupt'
  /** Anything else that a server says no to. */
  | 'refused'

export interface S3Problem {
  readonly kind: S3ProblemKind
  /** The server's word for it, or the system's: `NoSuchBucket`, `ECONNRESET`. */
  readonly code: string
  readonly status: number | undefined
  /** What to do, with the key of `winnow.yaml`. */
  readonly remedy: string | undefined
  /** From the answer. */
  readonly retryAfterMs: number | undefined
}

/** A body that is not what its answer said of it. The SDK never asks again for these. */
export class BadBody extends Error {
  readonly kind: 'torn' | 'corrupt'

  constructor(kind: 'torn' | 'corrupt', message: string) {
    super(message)
    this.kind = kind
  }
}

/** Undefined: an error of nobody's but ours, which is a bug. */
export function s3Problem(error: unknown): S3Problem | undefined {
  const { name, code, Code, $metadata, $response } = error as ForeignError
  if (error instanceof BadBody) {
    return { kind: error.kind, code: error.message, status: undefined, ...nothingMore }
  }
  const status = $metadata?.httpStatusCode ?? $response?.statusCode
  const word = [Code, name].find(text => text !== undefined && !vague.has(text)) ?? code
  if (status !== undefined) {
    const { kind, remedy } = ofAnswer(word ?? '', status)
    const retryAfterMs = retryAfter($response?.headers?.['retry-after'])
    return { kind, code: word ?? `${status}`, status, remedy, retryAfterMs }
  }
  const cause = code ?? (error as { readonly cause?: ForeignError }).cause?.code
  const remedy =
    [name, cause].map(text => setups[text ?? '']).find(text => text !== undefined) ??
    tlsRemedy(cause ?? '', (error as Error).message)
  if (remedy !== undefined) {
    return { kind: 'setup', code: cause ?? name ?? '', status, ...nothingMore, remedy }
  }
  // By the system's own name, as ECONNREFUSED or EMFILE: whatever it is, it is not in our hands for good.
  if (cause !== undefined && (/^(E[A-Z0-9]+|HPE_\w+)$/.test(cause) || network.has(cause))) {
    return { kind: 'busy', code: cause, status, ...nothingMore, remedy: serverRemedy }
  }
  if (name === 'TimeoutError' || name === 'AbortError') {
    return { kind: 'busy', code: cause ?? name, status, ...nothingMore }
  }
  return undefined
}

interface ForeignError {
  readonly name?: string
  readonly code?: string
  readonly Code?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: {
    readonly statusCode?: number
    readonly headers?: Readonly<Record<string, string>>
  }
}

const nothingMore = { remedy: undefined, retryAfterMs: undefined }

/** Names that the SDK gives where the server gave none: an answer without a body, or with one that is no XML. */
const vague: ReadonlySet<string> = new Set(['Error', 'Unknown', 'UnknownError', 'NotFound', ''])

/** What passes by itself although its status is 4xx. */
const passing: ReadonlySet<string> = new Set([
  'RequestTimeout',
  'BadDigest',
  'IncompleteBody',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
  'ConditionalRequestConflict',
  'OperationAborted',
  // The SDK has learnt the difference from this answer, and signs the next request by it.
  'RequestTimeTooSkewed',
])

const network: ReadonlySet<string> = new Set(['EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE'])

export const serverRemedy = 'see that the server runs and that s3.endpoint is its address'
const keysRemedy = 'correct s3.accessKeyId and s3.secretAccessKey'
const regionRemedy = 'set s3.region to the region of the bucket'
const rightsRemedy =
  'allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it'
const caRemedy =
  'set s3.caFile to the certificate of who signed the server’s, and have that renewed'

/** By the server's word, or by the name or code of the SDK's or the system's error. */
const setups: Readonly<Record<string, string>> = {
  NoSuchBucket: 'make the bucket, or name another one in blobs',
  InvalidBucketName: 'correct the bucket in blobs',
  InvalidAccessKeyId: keysRemedy,
  SignatureDoesNotMatch: keysRemedy,
  // versitygw, with status 404.
  XAdminUserNotFound: keysRemedy,
  ExpiredToken: 'renew s3.sessionToken, or the credentials that AWS’s own variables name',
  InvalidToken: 'renew s3.sessionToken, or the credentials that AWS’s own variables name',
  AccessDenied: rightsRemedy,
  AllAccessDisabled: rightsRemedy,
  InvalidObjectState:
    'the object is in an archive: restore it, and use a class that is read at once',
  PermanentRedirect: regionRemedy,
  AuthorizationHeaderMalformed: regionRemedy,
  IllegalLocationConstraintException: regionRemedy,
  CredentialsProviderError: `${keysRemedy}, or give this process credentials of AWS’s own`,
  ENOTFOUND: 'correct the host in s3.endpoint, or the bucket in blobs if it is part of the host',
  ERR_TLS_CERT_ALTNAME_INVALID: 'use the name in s3.endpoint that the server’s certificate has',
}

const certificateCode =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|INVALID_PURPOSE|ERR_TLS_)/
/** OpenSSL's reasons where what came is no TLS at all. */
const plainReason = /wrong version number|packet length too long|http request/i

/** What to do where both sides agree on no TLS; undefined for any other error. */
function tlsRemedy(code: string, message: string): string | undefined {
  if (certificateCode.test(code)) return caRemedy
  if (code !== 'EPROTO' && !code.startsWith('ERR_SSL_')) return undefined
  if (plainReason.test(message)) return 'the server speaks no TLS: write http:// in s3.endpoint'
  const what = /SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] ?? code
  return `the server and this process agree on no TLS (${what}): see which versions it speaks, and whether it wants a certificate of its clients, which s3 has no key for`
}

function ofAnswer(
  word: string,
  status: number,
): { readonly kind: S3ProblemKind; readonly remedy: string | undefined } {
  const of = (kind: S3ProblemKind, what?: string) => ({ kind, remedy: what })
  if (passing.has(word)) {
    return of('busy', word === 'RequestTimeTooSkewed' ? 'set the clock of this machine' : undefined)
  }
  const remedy = setups[word]
  if (remedy !== undefined) return of('setup', remedy)
  if (word === 'InvalidStorageClass' || status === 501 || status === 405) return of('unsupported')
  if (status === 429 || status === 408 || status >= 500) return of('busy')
  if (status === 404) return of('missing')
  if (status === 412) return of('exists')
  if (status === 416) return of('range')
  if (status === 401 || status === 403) return of('setup', `${keysRemedy}, or ${rightsRemedy}`)
  if (status === 301 || status === 307) return of('setup', regionRemedy)
  // An answer that was to be read and is no XML, though its status is good.
  if (status < 300) return of('busy')
  return of('refused')
}

/** Whole seconds; a date is left aside, our own pause is as good. */
function retryAfter(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,6}$/.test(text)) return undefined
  return Number(text) * 1000
}
