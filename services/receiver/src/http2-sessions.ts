import type { Http2Server, ServerHttp2Session, ServerOptions } from 'node:http2'
import type { Socket } from 'node:net'
import { headersBytesMax } from '@winnow/runtime'
import { streamsPerConnectionMax } from './config.ts'

/**
 * Windows wide enough for agent batches. With Node's defaults 16 requests of 865 KB in flight on one
 * connection end in ENHANCE_YOUR_CALM. Bodies are read as they come, so that what fills these windows
 * is counted as bytes in flight a moment later.
 */
export const http2Options: ServerOptions = {
  maxSessionMemory: 256,
  settings: {
    initialWindowSize: 4 * 1024 * 1024,
    maxFrameSize: 1024 * 1024,
    maxConcurrentStreams: streamsPerConnectionMax,
    maxHeaderListSize: headersBytesMax,
  },
}

const connectionWindowBytes = 16 * 1024 * 1024

/** The open connections of one HTTP/2 server. */
export class Http2Sessions {
  readonly #open = new Map<ServerHttp2Session, Socket | undefined>()

  constructor(server: Http2Server) {
    let connecting: Socket | undefined
    // Before the server's own listener, which makes the session of it: a session does not give it away.
    server.prependListener('connection', (socket: Socket) => {
      connecting = socket
    })
    server.on('session', session => {
      this.#open.set(session, connecting)
      session.setLocalWindowSize(connectionWindowBytes)
      session.once('close', () => this.#open.delete(session))
    })
    // A connection that breaks, or breaks the protocol, ends by itself; its requests see it.
    server.on('sessionError', () => {})
  }

  /** GOAWAY: no new streams, and the connection closes with its last one. */
  goAway(): void {
    for (const session of this.#open.keys()) session.close()
  }

  /** Hangs up where all streams have ended after {@link goAway}: a client need not do it, and many do not. */
  hangUp(): void {
    for (const [session, socket] of this.#open) if (session.destroyed) socket?.destroySoon()
  }
}
