import type { Server, Socket } from 'node:net'

/**
 * The open connections of a server. A session that has said goodbye waits for its client to hang up,
 * and nothing else knows its socket any more.
 */
export class Sockets {
  readonly #open = new Set<Socket>()

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#open.add(socket)
      socket.once('close', () => this.#open.delete(socket))
    })
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy()
  }
}
