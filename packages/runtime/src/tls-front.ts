import type { Server, Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { ServerTls } from './tls-files.ts'

/** How long a client may take to agree on keys. */
export const handshakeWaitMs = 10_000

/**
 * Puts TLS in front of a server that was made for plain connections: whatever listened for `connection`
 * gets the decrypted socket instead, once the handshake has succeeded. The server goes on to accept, count
 * and limit connections as before. A renewed certificate holds for the next connection; those that are open
 * go on.
 */
export class TlsFront {
  /** Connections without keys yet, by the address of their client. */
  readonly #pending = new Map<string, Socket>()

  /** `alpn`: what the server speaks, the best first. Listeners that come later hear of the raw socket. */
  constructor(
    server: Server,
    tls: ServerTls,
    options: {
      readonly alpn: readonly string[]
      readonly asksClients?: boolean
      readonly handshakeWaitMs?: number
    },
  ) {
    const asksClients = options.asksClients ?? tls.asksClients
    const front = createServer({
      ...tls.context,
      ALPNProtocols: [...options.alpn],
      requestCert: asksClients,
      rejectUnauthorized: asksClients,
      handshakeTimeout: options.handshakeWaitMs ?? handshakeWaitMs,
    })
    const serve = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => {
      const from = addressOf(socket)
      this.#pending.set(from, socket)
      socket.once('close', () => this.#settle(from, socket))
      front.emit('connection', socket)
    })
    front.on('secureConnection', (secure: TLSSocket) => {
      this.#pending.delete(addressOf(secure))
      for (const one of serve) one.call(server, secure)
    })
    // A client that speaks no TLS, or does not trust us: it knows why.
    front.on('tlsClientError', (_error, secure) => secure.destroy())
    const forget = tls.onRenewed(() => front.setSecureContext(tls.context))
    server.once('close', forget)
  }

  /** Ends connections whose handshake is under way: nothing was asked on them. */
  hangUp(): void {
    for (const socket of this.#pending.values()) socket.destroy()
  }

  /** The address may be another connection's by now. */
  #settle(from: string, socket: Socket): void {
    if (this.#pending.get(from) === socket) this.#pending.delete(from)
  }
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
