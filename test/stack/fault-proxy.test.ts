import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { FaultProxy } from './fault-proxy.ts'

/** What the server behind the proxy was asked, and the bytes of each body as far as they came. */
const served: { readonly path: string; readonly bytes: number; readonly host: string }[] = []

const server = createServer((from, to) => {
  let bytes = 0
  const note = (): void => {
    served.push({ path: from.url ?? '', bytes, host: from.headers.host ?? '' })
  }
  from.on('data', chunk => {
    bytes += chunk.length
  })
  from.on('error', note)
  from.on('end', () => {
    note()
    to.writeHead(200, { 'x-real': 'yes' }).end('0123456789'.repeat(100))
  })
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

beforeEach(() => {
  served.length = 0
})

async function started(): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(target)
  onTestFinished(() => proxy.close())
  return proxy
}

const post = (url: string, body: string): Promise<Response> => fetch(url, { method: 'POST', body })

test('without a rule everything goes through, the Host header too', async () => {
  const proxy = await started()
  const answer = await post(`${proxy.url}/a?b=c`, 'body')
  expect(answer.headers.get('x-real')).toBe('yes')
  expect((await answer.text()).length).toBe(1000)
  expect(served).toEqual([{ path: '/a?b=c', bytes: 4, host: new URL(proxy.url).host }])
  expect(proxy.seen).toEqual([{ method: 'POST', url: '/a?b=c', fault: undefined }])
})

test('a rule acts on what it matches, as often as it says', async () => {
  const proxy = await started()
  const headers = { 'retry-after': '1' }
  const fault = { kind: 'status', status: 429, headers, body: 'slow' } as const
  proxy.add({ match: from => from.url === '/a', times: 1, fault })
  expect((await fetch(`${proxy.url}/b`)).status).toBe(200)
  const spoiled = await post(`${proxy.url}/a`, 'x'.repeat(100_000))
  expect([spoiled.status, spoiled.headers.get('retry-after')]).toEqual([429, '1'])
  expect(await spoiled.text()).toBe('slow')
  expect((await fetch(`${proxy.url}/a`)).status).toBe(200)
  expect(served.map(({ path }) => path)).toEqual(['/b', '/a'])
  proxy.add({ fault })
  proxy.clear()
  expect((await fetch(`${proxy.url}/a`)).status).toBe(200)
})

test('after and dropReply: the server has done the work', async () => {
  const proxy = await started()
  proxy.add({ times: 1, fault: { kind: 'after', status: 500 } })
  proxy.add({ times: 1, fault: { kind: 'dropReply' } })
  const told = await post(`${proxy.url}/a`, 'one')
  expect([told.status, await told.text()]).toEqual([500, '{}'])
  await expect(post(`${proxy.url}/b`, 'two')).rejects.toThrow()
  expect(served.map(({ path, bytes }) => [path, bytes])).toEqual([
    ['/a', 3],
    ['/b', 3],
  ])
})

test('reset and hang: the server never sees it', async () => {
  const proxy = await started()
  proxy.add({ times: 1, fault: { kind: 'reset' } })
  proxy.add({ times: 1, fault: { kind: 'hang' } })
  await expect(post(`${proxy.url}/a`, 'one')).rejects.toThrow()
  const ended = fetch(`${proxy.url}/b`, { signal: AbortSignal.timeout(100) })
  await expect(ended).rejects.toThrow(/timeout/)
  expect(served).toEqual([])
  expect(proxy.seen.map(({ fault }) => fault)).toEqual(['reset', 'hang'])
})

test('delay: it goes through, later', async () => {
  const proxy = await started()
  proxy.add({ fault: { kind: 'delay', ms: 100 } })
  const answer = post(`${proxy.url}/a`, 'x'.repeat(200_000))
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(served).toEqual([])
  expect((await answer).status).toBe(200)
  expect(served.map(({ bytes }) => bytes)).toEqual([200_000])
})

test('cutRequest: so many bytes of the body reach the server', async () => {
  const proxy = await started()
  proxy.add({ times: 1, fault: { kind: 'cutRequest', bytes: 1000 } })
  await expect(post(`${proxy.url}/a`, 'x'.repeat(50_000))).rejects.toThrow()
  await expect.poll(() => served.map(({ bytes }) => bytes)).toEqual([1000])
})

test.each([0, 250])('cutReply: %i bytes of the answer reach the client', async bytes => {
  const proxy = await started()
  proxy.add({ times: 1, fault: { kind: 'cutReply', bytes } })
  const answer = await fetch(`${proxy.url}/a`)
  expect(answer.status).toBe(200)
  let came = 0
  const read = async (): Promise<void> => {
    for await (const chunk of answer.body ?? []) came += chunk.length
  }
  await expect(read()).rejects.toThrow()
  expect(came).toBe(bytes)
})

test('down refuses and resets, up is on the same port', async () => {
  const proxy = await started()
  const { url } = proxy
  proxy.add({ times: 1, fault: { kind: 'hang' } })
  const hanging = expect(fetch(url)).rejects.toThrow()
  await expect.poll(() => proxy.seen.length).toBe(1)
  await proxy.down()
  await hanging
  await expect(fetch(url)).rejects.toThrow()
  await proxy.up()
  expect(proxy.url).toBe(url)
  expect((await fetch(url)).status).toBe(200)
})

test('a server that is gone is a reset, as without the proxy', async () => {
  const nobody = createServer().listen(0, '127.0.0.1')
  await once(nobody, 'listening')
  const { port } = nobody.address() as AddressInfo
  nobody.close()
  const proxy = await FaultProxy.start(`http://127.0.0.1:${port}`)
  onTestFinished(() => proxy.close())
  await expect(fetch(proxy.url)).rejects.toThrow()
})
