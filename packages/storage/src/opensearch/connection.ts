import type { Client, errors } from '@opensearch-project/opensearch'
import { PipelineError } from '@winnow/runtime'

/** Below 2.7 there is no flat_object. */
const releaseMin = [2, 7] as const

export interface ConnectionOptions {
  /** `http://host:port` or `https://host:port`; of several each request takes the next. */
  readonly nodes: readonly string[]
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** PEM texts. */
  readonly tls?:
    | {
        readonly ca?: string | undefined
        readonly cert?: string | undefined
        readonly key?: string | undefined
      }
    | undefined
  readonly requestTimeoutMs: number
}

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: object
  /** Lines of JSON. */
  readonly bulkBody?: string | Buffer
  readonly querystring?: Readonly<Record<string, string | number | boolean>>
  /** Statuses that are an answer and no failure. */
  readonly allowed?: readonly number[]
  readonly timeoutMs?: number
}

export interface Reply<T> {
  readonly status: number
  readonly body: T
}

/**
 * The one way to the server. The client repeats by itself what a node that is gone, slow or starting
 * did not answer, on the next node where there is one; what it lets through becomes an error of ours.
 */
export class Connection {
  /** As errors name it. */
  readonly address: string
  readonly #client: Client
  readonly #errors: typeof errors

  private constructor(address: string, client: Client, clientErrors: typeof errors) {
    this.address = address
    this.#client = client
    this.#errors = clientErrors
  }

  /** Connects to nobody yet. The client is loaded only here: a tenth of a second, and its memory. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const { nodes, username, password, tls, requestTimeoutMs } = options
    const library = await import('@opensearch-project/opensearch')
    const client = new library.Client({
      nodes: [...nodes],
      maxRetries: 2,
      requestTimeout: requestTimeoutMs,
      ...(username !== undefined && { auth: { username, password: password ?? '' } }),
      ...(tls !== undefined && {
        ssl: {
          ...(tls.ca !== undefined && { ca: tls.ca }),
          ...(tls.cert !== undefined && { cert: tls.cert }),
          ...(tls.key !== undefined && { key: tls.key }),
        },
      }),
    })
    return new Connection(nodes.join(','), client, library.errors)
  }

  async send<T>(request: Request): Promise<Reply<T>> {
    const { allowed, timeoutMs, ...params } = request
    try {
      const { statusCode, body } = await this.#client.transport.request(params, {
        ignore: [...(allowed ?? [])],
        ...(timeoutMs !== undefined && { requestTimeout: timeoutMs, maxRetries: 0 }),
      })
      return { status: statusCode ?? 0, body: body as T }
    } catch (error) {
      throw this.#mapped(error)
    }
  }

  /** CONFIG_INVALID for a server that is none of ours; STORE_UNAVAILABLE while nobody answers. */
  async checkRelease(): Promise<void> {
    const { body } = await this.send<{
      readonly version?: { readonly number?: string; readonly distribution?: string }
    }>({ method: 'GET', path: '/' })
    const { number, distribution } = body.version ?? {}
    const [major = 0, minor = 0] = (number ?? '').split('.').map(Number)
    const isOld = major < releaseMin[0] || (major === releaseMin[0] && minor < releaseMin[1])
    if (distribution === 'opensearch' && !isOld) return
    const found =
      number === undefined ? 'no OpenSearch' : `${distribution ?? 'another product'} ${number}`
    throw new PipelineError(
      'CONFIG_INVALID',
      `hot ${this.address} is ${found}: name an OpenSearch of release ${releaseMin.join('.')} or newer`,
    )
  }

  /** Of an answer that was allowed and is a failure all the same. */
  refusal(status: number, body: unknown, cause?: unknown): StatusError {
    return new StatusError(status, answerText(`hot ${this.address}`, status, body), { cause })
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  #mapped(error: unknown): Error {
    const { ResponseError, OpenSearchClientError } = this.#errors
    const hot = `hot ${this.address}`
    if (error instanceof ResponseError) {
      return this.refusal(error.statusCode ?? 0, error.body, error)
    }
    if (!(error instanceof OpenSearchClientError)) return error as Error
    // OpenSearch's client repeats OpenSSL's own line, with its source file.
    const message = error.message.replace(
      / [0-9A-F]+:error:[^:]*:([^:]*):[^:]*:([^:]*):.*/s,
      ' $1 $2',
    )
    const remedy = connectionRemedy(message)
    const isUntrusted = aboutCertificate.test(message)
    const text = `${hot} does not answer: ${message}; ${remedy}`
    return new NoAnswerError(text, isUntrusted, { cause: error })
  }
}

/** Nobody was there; whoever is next may know nothing of what was set up. */
export class NoAnswerError extends PipelineError {
  /** A certificate is the reason, and somebody has to set it right. */
  readonly isUntrusted: boolean

  constructor(message: string, isUntrusted: boolean, options?: ErrorOptions) {
    super('STORE_UNAVAILABLE', message, options)
    this.isUntrusted = isUntrusted
  }
}

/** A refusal with its status, for whoever starts: then wrong credentials are a wrong configuration. */
export class StatusError extends PipelineError {
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super('STORE_UNAVAILABLE', message, options)
    this.status = status
  }
}

/** The type alone: what else an answer says may be a piece of a document. */
function answerText(hot: string, status: number, body: unknown): string {
  if (status === 401) {
    return `${hot} refuses opensearch.username or opensearch.password (401): correct them`
  }
  const { error } = (body ?? {}) as { error?: { type?: string; reason?: string } }
  const type = error?.type ?? 'without an error of OpenSearch'
  if (status === 403 && type === 'security_exception') {
    const right = /no permissions for \[([\w:/*, -]{1,200})\]/.exec(error?.reason ?? '')?.[1]
    const lacks = right === undefined ? 'lacks a right' : `lacks a right (403, ${right})`
    return `${hot}: opensearch.username ${lacks}: give it those that docs/operations.md lists`
  }
  const says = type === 'validation_exception' ? `: ${error?.reason}` : ''
  return `${hot} answered ${status} ${type}${says}`
}

const aboutCertificate = /expired|certificate|self.signed|issuer|altname/i

function connectionRemedy(message: string): string {
  if (/expired/.test(message)) {
    return 'have its certificate renewed, or that of opensearch.certFile; opensearch.caFile names who signs'
  }
  if (aboutCertificate.test(message)) {
    return 'name the authority that signed its certificate with opensearch.caFile'
  }
  if (/EPROTO|wrong version number|socket hang up|ECONNRESET/i.test(message)) {
    return 'it may be down, or its port may speak the other of http and https'
  }
  if (/ENOTFOUND|EAI_AGAIN/.test(message)) return 'correct the name in hot'
  return 'start it, or correct the address in hot'
}
