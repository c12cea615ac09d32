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
  const lane = new SocketLane(address, key)
  await lane.open()
  return lane
}

class SocketLane implements Lane {
  readonly #address: string
  readonly #head: string
  #socket: Socket | undefined
  #answer: PromiseWithResolvers<number> | undefined
  #received = ''
  saidWhen = false

  constructor(address: string, key: string | undefined) {
    this.#address = address
    const authorization = key === undefined ? '' : `authorization: Bearer ${key}\r\n`
    this.#head = `POST /v1/traces HTTP/1.1\r\nhost: ${address}\r\ncontent-type: application/x-protobuf\r\n${authorization}content-length: `
  }

  async open(): Promise<Socket> {
    const [host = '', port] = this.#address.split(':')
    const socket = connect({ host, port: Number(port), noDelay: true })
    socket.setEncoding('latin1')
    await once(socket, 'connect')
    socket.on('data', (text: string) => this.#take(text))
    const end = (error?: Error): void => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      this.#answer?.reject(error ?? new Error('the connection was closed'))
    }
    socket.on('error', end)
    socket.on('close', () => end())
    this.#socket = socket
    return socket
  }

  /** A server that refuses may close its connection behind the answer: the next request has a new one. */
  async send(body: Buffer): Promise<number> {
    const socket = this.#socket ?? (await this.open())
    const answer = Promise.withResolvers<number>()
    this.#answer = answer
    socket.cork()
    socket.write(`${this.#head}${body.length}\r\n\r\n`, 'latin1')
    socket.write(body)
    socket.uncork()
    return answer.promise
  }

  close(): void {
    this.#answer = undefined
    this.#socket?.destroy()
  }

  #take(text: string): void {
    this.#received += text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const length = /content-length: (\d+)/i.exec(this.#received)?.[1]
    if (length === undefined) throw new Error(`no content-length: ${this.#received}`)
    if (this.#received.length < headEnd + 4 + Number(length)) return
    const head = this.#received.slice(0, headEnd)
    const status = Number(head.slice(9, 12))
    this.saidWhen = /\r\nretry-after: \d/i.test(head)
    this.#received = ''
    if (/\r\nconnection: close/i.test(head)) {
      this.#socket?.destroy()
      this.#socket = undefined
    }
    this.#answer?.resolve(status)
    this.#answer = undefined
  }
}
