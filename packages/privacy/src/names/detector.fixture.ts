import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What was asked, as it came. */
export interface Asked {
  readonly text: string | readonly string[]
  readonly language: string
  readonly entities: readonly string[]
  readonly score_threshold: number
  readonly authorization: string | undefined
}

/** A detector that knows some names by heart, or does what a test wants. It counts places as Python does. */
export interface TestDetector {
  readonly url: string
  readonly asked: Asked[]
  readonly sockets: ReadonlySet<Socket>
  /** Undefined: it answers as it should. */
  misbehave: ((response: ServerResponse, asked: Asked) => void) | undefined
  close(): Promise<void>
}

export async function startDetector(names: readonly string[]): Promise<TestDetector> {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    void read(request).then(body => {
      const one = { ...JSON.parse(body), authorization: request.headers.authorization } as Asked
      asked.push(one)
      if (detector.misbehave !== undefined) return detector.misbehave(response, one)
      const lists = [one.text].flat().map(text => namesIn(text, names))
      answer(response, typeof one.text === 'string' ? lists[0] : lists)
    })
  })
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const detector: TestDetector = {
    url: `http://127.0.0.1:${port}`,
    asked,
    sockets,
    misbehave: undefined,
    close: () => ended(server),
  }
  return detector
}

export function answer(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

function namesIn(text: string, names: readonly string[]): object[] {
  const found: object[] = []
  for (const name of names) {
    for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
      const start = [...text.slice(0, at)].length
      const end = start + [...name].length
      found.push({ entity_type: 'PERSON', start, end, score: 0.85, analysis_explanation: null })
    }
  }
  return found
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

async function ended(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
}
