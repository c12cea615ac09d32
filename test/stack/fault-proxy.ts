import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { assertNever } from '@winnow/model'

/** What the proxy answers instead of the server. */
interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export type Fault =
  /** An answer of its own; the server never sees the request. */
  | ({ readonly kind: 'status' } & Answer)
  /** The server does the work, and the client is told this: an acknowledgement that says otherwise. */
  | ({ readonly kind: 'after' } & Answer)
  /** The server does the work, and the connection is reset: a lost acknowledgement. */
  | { readonly kind: 'dropReply' }
  /** The connection is reset at once; the server never sees the request. */
  | { readonly kind: 'reset' }
  /** Never an answer; the server never sees the request. */
  | { readonly kind: 'hang' }
  /** Passed on after `ms`. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** `bytes` of the request's body reach the server, then both sides are reset: a torn upload. */
  | { readonly kind: 'cutRequest'; readonly bytes: number }
  /** `bytes` of the answer's body reach the client, then it is reset: a torn download. */
  | { readonly kind: 'cutReply'; readonly bytes: number }

export interface FaultRule {
  /** Absent: every request. */
  readonly match?: (request: IncomingMessage) => boolean
  /** For how many requests; absent: until `clear`. */
  readonly times?: number
  readonly fault: Fault
}

/** What came, in order of coming. */
export interface SeenRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly fault: Fault['kind'] | undefined
}

/**
 * An HTTP proxy in front of a real server, which spoils what rules say and nothing else. The Host
 * header goes through unchanged, because signatures cover it: what a client signed for the proxy's
 * address is valid at the server. What the server does to the proxy, the proxy does to its client.
 */
export class FaultProxy {
  readonly seen: SeenRequest[] = []
  readonly #target: URL
  readonly #agent = new Agent({ keepAlive: true })
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #rules: { rule: FaultRule; left: number }[] = []
  #port = 0

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 })
    this.#server.on('request', (from, to) => this.#handle(from, to))
    this.#server.on('checkContinue', (from, to: ServerResponse) => {
      to.writeContinue()
      this.#handle(from, to)
    })
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
    })
  }

  /** On a free port of 127.0.0.1, in front of `target`, an `http://host:port`. */
  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(target)
    await proxy.up()
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Clients' connections that are open. */
  get connections(): number {
    return this.#sockets.size
  }

  /** The first rule that matches and has times left acts; where none does the request goes through. */
  add(rule: FaultRule): void {
    this.#rules.push({ rule, left: rule.times ?? Number.POSITIVE_INFINITY })
  }

  /** No rules any more. What hangs goes on hanging. */
  clear(): void {
    this.#rules = []
  }

  /** As a server that died: open connections are reset, new ones refused. */
  async down(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.resetAndDestroy()
    await closed
  }

  /** Back on the same port. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.down()
    this.#agent.destroy()
  }

  #handle(from: IncomingMessage, to: ServerResponse): void {
    const found = this.#rules.find(({ rule, left }) => left > 0 && (rule.match?.(from) ?? true))
    if (found !== undefined) found.left--
    const fault = found?.rule.fault
    this.seen.push({ method: from.method ?? '', url: from.url ?? '', fault: fault?.kind })
    switch (fault?.kind) {
      case 'reset':
        reset(from)
        return
      case 'hang':
        from.resume()
        return
      case 'status':
        // The request is read to its end, so that the client sees the answer and not a broken pipe.
        from.resume().on('end', () => answer(to, fault))
        return
      case 'delay':
        setTimeout(() => this.#forward(from, to, undefined), fault.ms)
        return
      case undefined:
      case 'after':
      case 'dropReply':
      case 'cutRequest':
      case 'cutReply':
        this.#forward(from, to, fault)
        return
      default:
        assertNever(fault)
    }
  }

  #forward(
    from: IncomingMessage,
    to: ServerResponse,
    fault: Extract<Fault, { kind: 'after' | 'dropReply' | 'cutRequest' | 'cutReply' }> | undefined,
  ): void {
    // Its client may have gone while it was held.
    if (to.destroyed) return
    const { hostname, port } = this.#target
    const { method, url, headers } = from
    const out = request({ hostname, port, method, path: url, headers, agent: this.#agent })
    out.on('error', () => reset(from))
    to.on('close', () => {
      if (!to.writableFinished) out.destroy()
    })
    out.on('response', reply => {
      reply.on('error', () => reset(from))
      switch (fault?.kind) {
        case 'dropReply':
          reply.resume().on('end', () => reset(from))
          return
        case 'after':
          reply.resume().on('end', () => answer(to, fault))
          return
        case 'cutReply':
          to.writeHead(reply.statusCode ?? 502, reply.rawHeaders)
          to.flushHeaders()
          passOn(reply, fault.bytes, to, () => {
            reply.destroy()
            reset(from)
          })
          return
        case undefined:
        case 'cutRequest':
          to.writeHead(reply.statusCode ?? 502, reply.rawHeaders)
          reply.pipe(to)
          return
        default:
          assertNever(fault)
      }
    })
    if (fault?.kind !== 'cutRequest') {
      from.pipe(out)
      return
    }
    out.flushHeaders()
    passOn(from, fault.bytes, out, () => {
      out.destroy()
      reset(from)
    })
  }
}

function answer(to: ServerResponse, { status, headers, body = '{}' }: Answer): void {
  to.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}

function reset(from: IncomingMessage): void {
  from.socket.resetAndDestroy()
}

/** Writes `bytes` of `source` to `target`, then calls `cut`; also where the source ends earlier. */
function passOn(
  source: IncomingMessage,
  bytes: number,
  target: { write(chunk: Uint8Array, then: () => void): unknown },
  cut: () => void,
): void {
  let left = bytes
  let isCut = false
  const cutOnce = (): void => {
    if (isCut) return
    isCut = true
    // What is written has to leave this process before the reset, which would discard it.
    setTimeout(cut, 20)
  }
  source.on('data', (chunk: Uint8Array) => {
    if (left <= 0) return
    const part = chunk.subarray(0, left)
    left -= part.length
    target.write(part, () => {
      if (left <= 0) cutOnce()
    })
  })
  source.on('end', cutOnce)
  if (left <= 0) cutOnce()
}
