import { readFileSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { CommandEnd, exitCode } from '../exit-codes.ts'

/** How the API is reached, and as whom. */
export interface TransportOptions {
  readonly key?: string
  readonly keyFile?: string
  /** PEM files. */
  readonly ca?: string
  readonly cert?: string
  readonly certKey?: string
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

const requestMs = 30_000

/** One request with the key and the certificates that the options name. Rejects where no answer comes. */
export function sendRequest(
  url: URL,
  method: string,
  options: TransportOptions,
  body: string | undefined,
): Promise<HttpAnswer> {
  const key = keyOf(options)
  const settings = {
    method,
    timeout: requestMs,
    signal: AbortSignal.timeout(requestMs),
    headers: {
      ...(body !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    },
  }
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const sent =
    url.protocol === 'https:'
      ? requestHttps(url, { ...settings, ...trustOf(options) })
      : requestHttp(url, settings)
  sent.on('error', reject)
  sent.on('response', response => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () => {
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
    })
  })
  sent.end(body)
  return promise
}

/** As a header has it: without what a line may end with, and of one line. */
function keyOf({ key, keyFile }: TransportOptions): string | undefined {
  const text = (key ?? fileOf('--key-file', keyFile))?.trim()
  if (text === undefined || /^[\x21-\x7e]+$/.test(text)) return text
  const where = key === undefined ? `--key-file ${keyFile}` : '--key'
  const what = text === '' ? 'is empty' : 'has characters that no key has'
  throw new CommandEnd(
    exitCode.usage,
    `${where} ${what}: give one line as \`winnow keys new\` said it`,
  )
}

function trustOf({ ca, cert, certKey }: TransportOptions) {
  const files = {
    ca: fileOf('--ca', ca),
    cert: fileOf('--cert', cert),
    key: fileOf('--cert-key', certKey),
  }
  return Object.fromEntries(Object.entries(files).filter(([, text]) => text !== undefined))
}

function fileOf(option: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandEnd(exitCode.usage, `${option} ${path} cannot be read (${code})`)
  }
}

/** What a failure of TLS means to whoever typed the command; undefined for any other. */
export function tlsAdvice(error: unknown): string | undefined {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? advice[code] : undefined
}

const untrusted = 'its certificate is of an unknown authority: name that with --ca FILE'
const unknownClient =
  'it asks for a client certificate: name yours with --cert FILE --cert-key FILE'
const advice: Readonly<Record<string, string>> = {
  ECONNRESET:
    'it hung up: if it speaks TLS, use https:// in --url, and a certificate that it asks for',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  CERT_HAS_EXPIRED: 'its certificate has expired: have it renewed',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for other names: use one of them in --url',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it speaks no TLS: use http:// in --url',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it speaks no TLS: use http:// in --url',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: unknownClient,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: unknownClient,
}
