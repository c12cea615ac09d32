import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import {
  type Address,
  headersBytesMax,
  keepAliveMs,
  type ServerTls,
  TlsFront,
} from '@winnow/runtime'
import { boundAddress } from './bound-address.ts'
import { headersWaitMs } from './config.ts'
import type { HttpRequest, HttpResponse } from './http-request.ts'
import { Http2Sessions, http2Options } from './http2-sessions.ts'
import { Sockets } from './sockets.ts'

/** What every HTTP/2 connection begins with (RFC 9113, section 3.4). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/**
 * HTTP/1.1 and HTTP/2 on one port. Behind TLS the handshake has settled which; without it the first bytes
 * of a connection tell: they are looked at, put back, and the connection is given to the one server or the
 * other.
 */
export class HttpServer {
  readonly #http1: Server
  readonly #sessions: Http2Sessions
  readonly #front: TlsFront | undefined
  readonly #sockets: Sockets
  readonly #undecided = new Set<Socket>()

  constructor(
    handler: (request: HttpRequest, response: HttpResponse) => void,
    connectionsMax: number,
    tls: ServerTls | undefined,
  ) {
    const http2 = createHttp2Server(http2Options, handler)
    this.#sessions = new Http2Sessions(http2)
    this.#http1 = createServer(
      {
        headersTimeout: headersWaitMs,
        keepAliveTimeout: keepAliveMs,
        maxHeaderSize: headersBytesMax,
        // Bodies have their own limit, with an answer that says so.
        requestTimeout: 0,
      },
      handler,
    )
    this.#http1.maxConnections = connectionsMax
    const serveHttp1 = this.#http1.listeners('connection')
    this.#http1.removeAllListeners('connection')
    this.#http1.on('connection', (socket: Socket) => {
      this.#undecided.add(socket)
      decide(socket, isHttp2 => {
        this.#undecided.delete(socket)
        if (isHttp2 === undefined) socket.destroy()
        else if (isHttp2) http2.emit('connection', socket)
        else for (const serve of serveHttp1) serve.call(this.#http1, socket)
      })
    })
    this.#front = tls && new TlsFront(this.#http1, tls, { alpn: ['h2', 'http/1.1'] })
    this.#sockets = new Sockets(this.#http1)
  }

  /** `host:port` as bound; valid once started. */
  get address(): string {
    return boundAddress(this.#http1)
  }

  async start({ host, port }: Address): Promise<void> {
    this.#http1.listen(port, host)
    await once(this.#http1, 'listening')
  }

  /** Takes no new connection and no new request; resolves once those under way have their answers. */
  async close(): Promise<void> {
    if (!this.#http1.listening) return
    const closed = once(this.#http1, 'close')
    this.#http1.close()
    this.#front?.hangUp()
    this.#sessions.goAway()
    for (const socket of this.#undecided) socket.destroy()
    // A connection whose answer was on its way just now is idle only later, and stays open then.
    const timer = setInterval(() => {
      this.#http1.closeIdleConnections()
      this.#sessions.hangUp()
    }, closeIdleEveryMs)
    await closed.finally(() => clearInterval(timer))
  }

  /** Ends what is left. */
  destroy(): void {
    this.#sockets.destroy()
  }
}

const closeIdleEveryMs = 20

/** Tells once whether the preface comes; undefined when the connection ends, or says nothing, before. */
function decide(socket: Socket, decided: (isHttp2: boolean | undefined) => void): void {
  if (socket instanceof TLSSocket) {
    decided(socket.alpnProtocol === 'h2')
    return
  }
  let head = Buffer.alloc(0)
  const settle = (isHttp2: boolean | undefined): void => {
    clearTimeout(timer)
    socket.off('readable', onReadable).off('end', onGone).off('close', onGone)
    // Put back only now: each time before, it would be readable again at once, and for ever.
    if (isHttp2 !== undefined) socket.unshift(head)
    decided(isHttp2)
  }
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    head = Buffer.concat([head, chunk])
    const length = Math.min(head.length, preface.length)
    if (preface.compare(head, 0, length, 0, length) !== 0) settle(false)
    else if (length === preface.length) settle(true)
  }
  const onGone = (): void => settle(undefined)
  const timer = setTimeout(onGone, headersWaitMs)
  socket.on('readable', onReadable).on('end', onGone).on('close', onGone)
  // Whichever server takes the connection has a handler of its own; before that it only ends.
  socket.on('error', () => {})
}
