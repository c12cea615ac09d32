import { createServer as createHttpServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { TestCertificate } from '@winnow/testing'

/** What stands before a real server, as load balancers do. */
export interface Front {
  /** `host:port`. */
  readonly address: string
  close(): void
}

/** TLS that ends here; what comes through is the server's own. */
export function tlsFront(certificate: TestCertificate, server: string): Promise<Front> {
  const { hostname: host, port } = new URL(`http://${server}`)
  const front = createTlsServer({ cert: certificate.cert, key: certificate.key }, socket => {
    const behind = connect({ host, port: Number(port) })
    for (const one of [socket, behind]) one.on('error', () => {})
    socket.pipe(behind).pipe(socket)
    socket.once('close', () => behind.destroy())
  })
  front.on('tlsClientError', () => {})
  return listening(front)
}

/** Asks for a user and a password, as whoever guards an OpenSearch without its security plug-in. */
export function loginFront(
  login: { readonly username: string; readonly password: string },
  server: string,
): Promise<Front> {
  const { hostname: host, port } = new URL(`http://${server}`)
  const wanted = `Basic ${btoa(`${login.username}:${login.password}`)}`
  const front = createHttpServer((incoming, answer) => {
    if (incoming.headers.authorization !== wanted) {
      incoming.resume()
      answer.writeHead(401, { 'www-authenticate': 'Basic' }).end()
      return
    }
    const { method, url: path, headers } = incoming
    const behind = request({ host, port, method, path, headers }, reply => {
      answer.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(answer)
    })
    behind.once('error', () => answer.destroy())
    incoming.pipe(behind)
  })
  return listening(front)
}

async function listening(
  server: ReturnType<typeof createHttpServer> | ReturnType<typeof createTlsServer>,
): Promise<Front> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { address: `127.0.0.1:${port}`, close: () => server.close() }
}
