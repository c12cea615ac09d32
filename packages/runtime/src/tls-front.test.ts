import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { TestAuthority } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import type { ServerTls } from './tls-files.ts'
import { handshakeWaitMs, TlsFront } from './tls-front.ts'

const authority = new TestAuthority()

async function started(handshakeMs: number) {
  const listeners = new Set<() => void>()
  const tls: ServerTls = {
    context: { ...authority.issue() },
    asksClients: false,
    onRenewed: renewed => {
      listeners.add(renewed)
      return () => listeners.delete(renewed)
    },
  }
  const server = createServer((_request, response) => response.end('served'))
  new TlsFront(server, tls, { alpn: ['http/1.1'], handshakeWaitMs: handshakeMs })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, listeners, port: (server.address() as AddressInfo).port }
}

test('a connection that says nothing ends after the wait, one that has agreed on keys stays', async () => {
  expect(handshakeWaitMs).toBe(10_000)
  const { server, port } = await started(1_000)
  const secure = connectTls({ port, host: '127.0.0.1', ca: authority.ca })
  await once(secure, 'secureConnect')
  const silent = connectTcp(port, '127.0.0.1')
  silent.on('error', () => {})
  await once(silent, 'close')
  secure.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  const [answer] = await once(secure, 'data')
  expect(String(answer)).toContain('HTTP/1.1 200')
  // It goes on to count its connections.
  const count = () => new Promise<number>(resolve => server.getConnections((_, n) => resolve(n)))
  expect(await count()).toBe(1)
  secure.destroy()
  await expect.poll(count).toBe(0)
})

test('a server that has closed is not told of renewals any more', async () => {
  const { server, listeners } = await started(1_000)
  expect(listeners.size).toBe(1)
  server.close()
  await once(server, 'close')
  expect(listeners.size).toBe(0)
})
