import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP, type Socket } from 'node:net'
import {
  type Address,
  type ApiKeys,
  type Component,
  headersBytesMax,
  identify,
  isLoopback,
  isRetryable,
  keepAliveMs,
  type Log,
  type ServerTls,
  TlsFront,
} from '@winnow/runtime'
import { ApiError, scopeMissing, unauthenticated } from './api-error.ts'
import { type ApiDeps, routeOf } from './api-routes.ts'
import { bodyBytesMax, requestWaitMaxMs, stopWaitMaxMs } from './config.ts'
import type { Page } from './page.ts'
import type { Answer } from './routes.ts'

export interface ApiServerOptions extends ApiDeps {
  readonly listen: Address
  readonly keys: ApiKeys | undefined
  /** Undefined: plain text. */
  readonly tls?: ServerTls | undefined
  /** What people open in a browser; absent: nothing. */
  readonly page?: Page
  readonly log: Log
}

const limits = {
  requestTimeout: requestWaitMaxMs,
  keepAliveTimeout: keepAliveMs,
  maxHeaderSize: headersBytesMax,
}

/** `/api/v1` over HTTP/1.1: JSON in, JSON out, every read within the tenant of the key. */
export class ApiServer implements Component {
  readonly #options: ApiServerOptions
  readonly #server: Server
  readonly #front: TlsFront | undefined
  /** Open connections with the number of their requests under way. */
  readonly #sockets = new Map<Socket, number>()
  #isStopping = false

  constructor(options: ApiServerOptions) {
    this.#options = options
    this.#server = createServer(limits, (request, response) => {
      this.#count(request.socket, 1)
      response.once('close', () => this.#count(request.socket, -1))
      this.#serve(request, response).catch((error: unknown) => {
        options.log.error('query.answer_failed', error)
        response.destroy()
      })
    })
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.set(socket, 0)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#front = options.tls && new TlsFront(this.#server, options.tls, { alpn: ['http/1.1'] })
  }

  /** `host:port` as bound; valid once started. */
  get address(): string {
    const { address, port } = this.#server.address() as AddressInfo
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  }

  async start(): Promise<void> {
    this.#isStopping = false
    this.#server.listen(this.#options.listen.port, this.#options.listen.host)
    await once(this.#server, 'listening')
  }

  /** Answers what is under way, for at most {@link stopWaitMaxMs}; a connection without a request ends at once. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return
    this.#isStopping = true
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#front?.hangUp()
    for (const [socket, requests] of this.#sockets) if (requests === 0) socket.destroy()
    const timer = setTimeout(() => this.#server.closeAllConnections(), stopWaitMaxMs)
    await closed
    clearTimeout(timer)
  }

  #count(socket: Socket, change: 1 | -1): void {
    const requests = this.#sockets.get(socket)
    if (requests !== undefined) this.#sockets.set(socket, requests + change)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = this.#options.page?.find(request)
    if (file !== undefined) {
      const headers = { ...file.headers, ...(this.#isStopping && { connection: 'close' }) }
      response.writeHead(file.status, headers).end(file.body)
      return
    }
    let answer: Answer
    try {
      answer = await this.#answer(request)
    } catch (error) {
      answer = this.#failure(error)
    }
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
    const headers: Record<string, string> = { 'content-type': 'application/json' }
    if (answer.status === 401) headers['www-authenticate'] = 'Bearer'
    if (answer.status === 403 && this.#options.keys !== undefined)
      headers['www-authenticate'] = 'Bearer error="insufficient_scope"'
    if (answer.status === 503) headers['retry-after'] = '1'
    // A body that was not read to its end would be taken for the next request.
    if (!request.complete || this.#isStopping) headers.connection = 'close'
    response.writeHead(answer.status, headers).end(body)
  }

  #answer(request: IncomingMessage): Promise<Answer> | Answer {
    const { keys, clock } = this.#options
    const url = urlOf(request.url ?? '/')
    if (keys === undefined) refuseForeignPage(request, this.#options.listen)
    const access = identify(keys, request.headers, clock.nowMs())
    if (access.kind === 'unknown') throw unauthenticated(access.remedy)
    const { key } = access
    const parts = url.pathname.split('/').slice(1).map(decode)
    const { route, id } = routeOf(request.method ?? 'GET', parts)
    if (!key.scopes.includes(route.scope)) throw scopeMissing(route.scope)
    return route.answer(this.#options, {
      tenant: key.tenant,
      scopes: key.scopes,
      source: key.name === undefined ? undefined : `key:${key.name}`,
      keyName: key.name,
      id,
      query: url.searchParams,
      body: () => readJson(request),
    })
  }

  #failure(error: unknown): Answer {
    if (error instanceof ApiError) return { status: error.status, body: error.body() }
    const code = isRetryable(error) ? 'UNAVAILABLE' : 'INTERNAL'
    const remedy =
      code === 'UNAVAILABLE'
        ? 'the bus or a store does not answer right now; try again'
        : 'this is a defect; the log of the query service has its stack'
    this.#options.log.error('query.request_failed', error)
    return { status: code === 'UNAVAILABLE' ? 503 : 500, body: { error: { code, remedy } } }
  }
}

/**
 * Without keys whoever reaches the API may do everything, and a browser on this machine reaches it for any page that
 * is open in it: one of another origin must not change anything, nor read by a name of its own that it lets point here.
 */
function refuseForeignPage({ method, headers }: IncomingMessage, { host: own }: Address): void {
  const { origin, host } = headers
  if (origin !== undefined && method !== 'GET' && hostIn(origin)?.host !== host) {
    const remedy = 'a page of another origin may change nothing without a key; configure keys'
    throw new ApiError(403, 'FOREIGN_ORIGIN', remedy, { field: 'Origin', value: origin })
  }
  if (host === undefined || !isLoopback(own)) return
  const { hostname = '' } = hostIn(`http://${host}`) ?? {}
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0 || /(^|\.)localhost$/.test(hostname)) return
  const remedy = 'ask by localhost or an address; other names need keys, or api on another address'
  throw new ApiError(421, 'FOREIGN_HOST', remedy, { field: 'Host', value: host })
}

function hostIn(origin: string): URL | undefined {
  return URL.canParse(origin) ? new URL(origin) : undefined
}

/** `//` and the like begin a path, and would be read as the name of a host. */
function urlOf(target: string): URL {
  const base = 'http://localhost'
  const absolute = target.startsWith('/') ? base + target : target
  if (URL.canParse(absolute, base)) return new URL(absolute, base)
  throw new ApiError(400, 'INVALID_PATH', 'send a path as /api/v1/…', { value: target })
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new ApiError(400, 'INVALID_PATH', 'percent-encode the path as UTF-8', { value: part })
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > bodyBytesMax) {
      throw new ApiError(413, 'BODY_TOO_LARGE', `send at most ${bodyBytesMax} bytes at a time`)
    }
    chunks.push(chunk as Buffer)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString() || '{}')
  } catch (error) {
    throw new ApiError(400, 'INVALID_JSON', `send JSON: ${(error as Error).message}`)
  }
}
