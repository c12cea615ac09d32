import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import type { S3Client } from '@aws-sdk/client-s3'
import { Gate, PipelineError } from '@winnow/runtime'
import { type S3Options, s3BytesPerMsMin, s3Name } from './s3-options.ts'
import { type S3Problem, type S3ProblemKind, s3Problem, serverRemedy } from './s3-problem.ts'
import { s3RetryDelayMs } from './s3-retry.ts'

/** As bills and metrics tell them apart. */
export type S3Operation = 'get' | 'head' | 'put' | 'list' | 'delete' | 'bucket'

export interface S3Call {
  readonly operation: S3Operation
  /** What it is for: a tier, `index`, `ids`, or `other`. */
  readonly tier: string
  /** For errors: `reading warm/…`. */
  readonly what: string
  /** That the request carries. */
  readonly bytes?: number
  /** How often it is sent at most, where it is less often than the options allow. */
  readonly attempts?: number
}

/** One sending of a request, from its first byte to the last of the answer's body. */
export interface S3Attempt {
  readonly signal: AbortSignal
  /** The answer has so many bytes, and gets the time for them. */
  expect(bytes: number): void
}

export type S3Outcome<T, Expected extends S3ProblemKind> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly [Kind in Expected]: { readonly kind: Kind } }[Expected]

type Sdk = typeof import('@aws-sdk/client-s3')

/** Of a request's time, for reaching the server at all. */
const connectMsMax = 5_000

/**
 * The SDK's client, which sends each request once, and our own repeating around it: the SDK neither
 * repeats a read whose body tears, nor counts, nor has one time limit for a request and its answer's body.
 */
export class S3Requests {
  readonly sdk: Sdk
  readonly client: S3Client
  readonly #options: S3Options
  readonly #closing = new AbortController()
  /** As many at once as there are connections. */
  readonly #gate: Gate
  #isStarting = true

  private constructor(options: S3Options, sdk: Sdk, client: S3Client) {
    this.#options = options
    this.#gate = new Gate(options.connections)
    this.sdk = sdk
    this.client = client
  }

  /** Loads the SDK and sends nothing. CONFIG_INVALID where no region is to be found. */
  static async open(options: S3Options): Promise<S3Requests> {
    const [sdk, { NodeHttpHandler }] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('@smithy/node-http-handler'),
    ])
    const { endpoint, credentials, ca, connections, requestTimeoutMs } = options
    const agent = { keepAlive: true, maxSockets: connections }
    const region = options.region ?? (endpoint === undefined ? undefined : 'us-east-1')
    const client = new sdk.S3Client({
      ...(region !== undefined && { region }),
      ...(endpoint !== undefined && { endpoint }),
      forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
      ...(credentials !== undefined && { credentials }),
      maxAttempts: 1,
      // We check whole objects by a digest of our own, which every server keeps; of a range there is none.
      responseChecksumValidation: 'WHEN_REQUIRED',
      logger: silent,
      requestHandler: new NodeHttpHandler({
        connectionTimeout: Math.min(connectMsMax, requestTimeoutMs),
        httpAgent: new HttpAgent(agent),
        httpsAgent: new HttpsAgent({ ...agent, ...(ca !== undefined && { ca }) }),
        logger: silent,
      }),
    })
    try {
      await client.config.region()
    } catch (cause) {
      const text = `blobs ${s3Name(options)}: its region is not known; set s3.region`
      throw new PipelineError('CONFIG_INVALID', text, { cause })
    }
    return new S3Requests(options, sdk, client)
  }

  /** From now on what somebody would have to set right is an outage, not the end of the start. */
  started(): void {
    this.#isStarting = false
  }

  /** Bytes of bodies, beside those that a call names itself. */
  count(operation: S3Operation, tier: string, bytes: number): void {
    this.#options.metrics.blobBytes.inc({ operation, tier }, bytes)
  }

  /**
   * Sends until it is done, until it fails as `expected`, or until there is no use in more: then it
   * rejects with DATA_CORRUPT for what is not what was put, else STORE_UNAVAILABLE; while starting with
   * CONFIG_INVALID for what somebody has to set right. `settled` is asked after each failure that may
   * pass: what it answers is the outcome, and nothing is sent again.
   */
  async call<T, Expected extends S3ProblemKind = never>(
    call: S3Call,
    work: (attempt: S3Attempt) => Promise<T>,
    expected: readonly Expected[] = [],
    settled?: () => Promise<Expected | undefined>,
  ): Promise<S3Outcome<T, Expected>> {
    for (let attempt = 1; ; attempt++) {
      // The time of a request begins with its connection: one that waits for another's is not late.
      const tried = await this.#gate.run(() => this.#attempt(call, work))
      if (tried.kind === 'done') return tried
      const { problem, error } = tried
      if (this.#closing.signal.aborted) throw closedError(call)
      const mayPass = ['busy', 'torn', 'corrupt'].includes(problem.kind)
      const kind = mayPass ? await settled?.() : expected.find(one => one === problem.kind)
      if (kind !== undefined) return { kind } as S3Outcome<T, Expected>
      if (!mayPass || attempt >= (call.attempts ?? this.#options.attempts)) {
        throw this.#failureOf(call, problem, attempt, error)
      }
      const { operation } = call
      this.#options.metrics.blobRetries.inc({ operation })
      const ms = s3RetryDelayMs(attempt, problem.retryAfterMs, Math.random())
      await pause(ms, undefined, { signal: this.#closing.signal }).catch(() => {})
    }
  }

  /** Whatever is under way rejects. */
  close(): void {
    this.#closing.abort()
    this.client.destroy()
  }

  async #attempt<T>(
    call: S3Call,
    work: (attempt: S3Attempt) => Promise<T>,
  ): Promise<
    | { readonly kind: 'done'; readonly value: T }
    | { readonly kind: 'failed'; readonly problem: S3Problem; readonly error: unknown }
  > {
    const closing = this.#closing.signal
    if (closing.aborted) throw closedError(call)
    const ended = new AbortController()
    const end = (): void => ended.abort()
    closing.addEventListener('abort', end, { once: true })
    let timer: NodeJS.Timeout | undefined
    const limit = (bytes: number): void => {
      clearTimeout(timer)
      timer = setTimeout(end, this.#options.requestTimeoutMs + bytes / s3BytesPerMsMin)
    }
    limit(call.bytes ?? 0)
    try {
      const value = await work({ signal: ended.signal, expect: limit })
      this.#count(call, 'ok')
      if (call.bytes !== undefined) this.count(call.operation, call.tier, call.bytes)
      return { kind: 'done', value }
    } catch (error) {
      const problem = ended.signal.aborted ? late : s3Problem(error)
      if (problem === undefined) throw error
      this.#count(call, resultOf(problem))
      return { kind: 'failed', problem, error }
    } finally {
      clearTimeout(timer)
      closing.removeEventListener('abort', end)
    }
  }

  #count({ operation, tier }: S3Call, result: string): void {
    this.#options.metrics.blobRequests.inc({ operation, tier, result })
  }

  #failureOf(call: S3Call, problem: S3Problem, attempts: number, cause: unknown): PipelineError {
    const { endpoint, region } = this.#options
    const { kind, code, status, remedy } = problem
    const server = endpoint === undefined ? '' : ` at s3.endpoint ${endpoint}`
    const place = `${s3Name(this.#options)}${server}${region === undefined ? '' : ` in s3.region ${region}`}`
    const times = attempts === 1 ? '' : `${attempts} times, at last `
    const answer = status === undefined || code === `${status}` ? code : `${status} ${code}`
    const text = `blobs ${place}: ${call.what} failed ${times}with ${answer}${remedy === undefined ? '' : `: ${remedy}`}`
    if (kind === 'corrupt') return new PipelineError('DATA_CORRUPT', text, { cause })
    const isLasting = kind !== 'busy' && kind !== 'torn'
    const startCode = isLasting ? 'CONFIG_INVALID' : 'STORE_UNAVAILABLE'
    return new PipelineError(this.#isStarting ? startCode : 'STORE_UNAVAILABLE', text, { cause })
  }
}

const late: S3Problem = {
  kind: 'busy',
  code: 'no answer in time',
  status: undefined,
  remedy: serverRemedy,
  retryAfterMs: undefined,
}

function resultOf({ kind, status }: S3Problem): string {
  switch (kind) {
    case 'missing':
    case 'exists':
      return kind
    case 'range':
      return 'ok'
    case 'busy':
      return status === 429 || status === 503 ? 'throttled' : 'failed'
    case 'torn':
    case 'corrupt':
      return 'failed'
    case 'setup':
    case 'unsupported':
    case 'refused':
      return 'refused'
  }
}

function closedError({ what }: S3Call): PipelineError {
  return new PipelineError('STORE_UNAVAILABLE', `${what}: the store is closed`)
}

const nothing = (): void => {}

/** The SDK would print to the console by itself. */
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
