// One keep-alive connection with one request at a time, on a bare socket: the generator shares its
// cores with what it measures, and an HTTP client costs several times what the bytes do.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Lane {
  /** The status of the answer, once all of it is there. `body` may be used again then. */
  send(body: Buffer): Promise<number>
  /** Whether the last answer said when to come again. */
  readonly saidWhen: boolean
  close(): void
}

export async function openLane(address: string, key?: string): Promise<Lane> {
  const [host = '', port] = address.split(':')
  const socket = connect({ host, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  return new SocketLane(socket, address, key)
}

class SocketLane implements Lane {
  readonly #socket: Socket
  readonly #head: string
  #answer: PromiseWithResolvers<number> | undefined
  #received = ''
  saidWhen = false

  constructor(socket: Socket, address: string, key: string | undefined) {
    this.#socket = socket
    this.#head = `POST /v1/traces HTTP/1.1\r\nhost: ${address}\r\ncontent-type: application/x-protobuf\r\n${key === undefined ? '' : `authorization: Bearer ${key}\r\n`}content-length: `
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#take(text))
    const end = (error?: Error): void =>
      this.#answer?.reject(error ?? new Error('the connection was closed'))
    socket.on('error', end)
    socket.on('close', () => end())
  }

  send(body: Buffer): Promise<number> {
    const answer = Promise.withResolvers<number>()
    this.#answer = answer
    this.#socket.cork()
    this.#socket.write(`${this.#head}${body.length}\r\n\r\n`, 'latin1')
    this.#socket.write(body)
    this.#socket.uncork()
    return answer.promise
  }

  close(): void {
    this.#answer = undefined
    this.#socket.destroy()
  }

  #take(text: string): void {
    this.#received += text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const length = /content-length: (\d+)/i.exec(this.#received)?.[1]
    if (length === undefined) throw new Error(`no content-length: ${this.#received}`)
    if (this.#received.length < headEnd + 4 + Number(length)) return
    const status = Number(this.#received.slice(9, 12))
    this.saidWhen = /\r\nretry-after: \d/i.test(this.#received.slice(0, headEnd))
    this.#received = ''
    this.#answer?.resolve(status)
    this.#answer = undefined
  }
}
