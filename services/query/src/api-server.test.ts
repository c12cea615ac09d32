import { once } from 'node:events'
import { request as ask } from 'node:http'
import { connect } from 'node:net'
import { type Bus, MemoryBus } from '@winnow/bus'
import {
  Health,
  headersBytesMax,
  Metrics,
  PipelineError,
  silentLog,
  systemClock,
} from '@winnow/runtime'
import { MemoryHotStore } from '@winnow/storage'
import { expect, onTestFinished, test, vi } from 'vitest'
import { appendWaitMaxMs, queryConfigSchema, stopWaitMaxMs } from './config.ts'
import { Query } from './query.ts'

async function started() {
  const specs = ['s', 'd', 'e'].map(name => ({
    name,
    partitions: 1,
    retentionMs: 60_000,
    keyed: false,
  }))
  const bus: Bus = new MemoryBus(specs, systemClock)
  const health = new Health()
  const query = new Query({
    bus,
    topics: { spans: 's', decisions: 'd', evidence: 'e' },
    hot: new MemoryHotStore(),
    listen: { host: '127.0.0.1', port: 0 },
    keys: undefined,
    config: queryConfigSchema.parse({}),
    spansRetentionMs: 60_000,
    clock: systemClock,
    log: silentLog,
    metrics: new Metrics(),
    health,
  })
  await query.start()
  onTestFinished(() => query.stop())
  const [, port] = query.address.split(':')
  return { query, bus, health, port: Number(port) }
}

/** A connection to the API that has sent `text` and nothing more. */
async function connected(port: number, text: string) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(text)
  socket.resume()
  return socket
}

test('headers below headersBytesMax pass, more are 431', async () => {
  const { port } = await started()
  const answer = async (bytes: number): Promise<number> => {
    const headers = { 'x-pad': 'x'.repeat(bytes) }
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/search`, { headers })
    await response.text()
    return response.status
  }
  expect(await answer(headersBytesMax - 1024)).toBe(200)
  expect(await answer(headersBytesMax)).toBe(431)
})

test('without keys a page of another origin changes nothing, and no foreign name is answered', async () => {
  const { port } = await started()
  const answer = (method: string, headers: Readonly<Record<string, string>>) =>
    new Promise<{ status: number; code: string | undefined }>((resolve, reject) => {
      const path = '/api/v1/evaluations'
      ask({ host: '127.0.0.1', port, path, method, headers }, async response => {
        const text = Buffer.concat(await Array.fromAsync(response)).toString()
        resolve({ status: response.statusCode ?? 0, code: JSON.parse(text).error?.code })
      })
        .on('error', reject)
        .end(method === 'POST' ? '{}' : undefined)
    })
  const foreign = { status: 403, code: 'FOREIGN_ORIGIN' }
  for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:1']) {
    expect(await answer('POST', { origin }), origin).toEqual(foreign)
  }
  const named = { status: 421, code: 'FOREIGN_HOST' }
  for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', 'a b']) {
    expect(await answer('GET', { host }), host).toEqual(named)
  }
  // Rebound, a page's origin is its host.
  const rebound = { host: 'evil.example', origin: 'http://evil.example' }
  expect(await answer('POST', rebound)).toEqual(named)
  for (const host of [
    `127.0.0.1:${port}`,
    'localhost:1',
    '[::1]:4300',
    'a.localhost',
    '10.1.2.3',
  ]) {
    const { status } = await answer('POST', { host, origin: `http://${host}` })
    expect(status, host).toBe(422)
  }
  expect((await answer('GET', { origin: 'http://evil.example' })).status).not.toBe(403)
})

test('a connection without a whole request does not hold the stop', async () => {
  const { query, port } = await started()
  const sockets = await Promise.all([
    connected(port, ''),
    connected(port, 'GET /api/v1/search HTTP/1.1\r\nHo'),
  ])
  const ended = sockets.map(socket => new Promise(resolve => socket.once('close', resolve)))
  await query.stop()
  await Promise.all(ended)
})

test('a request whose body never comes holds the stop for stopWaitMax, and no longer', async () => {
  const { query, port } = await started()
  const request =
    'POST /api/v1/evaluations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{'
  const socket = await connected(port, request)
  // An answer on another connection: the request before it has begun.
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  let isStopped = false
  const stopped = query.stop().then(() => {
    isStopped = true
  })
  await vi.advanceTimersByTimeAsync(stopWaitMaxMs - 1)
  expect(isStopped).toBe(false)
  expect(socket.destroyed).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  if (!socket.closed) await once(socket, 'close')
  // What waits for the bus by a timer of this clock goes on by it.
  while (!isStopped) await vi.advanceTimersByTimeAsync(10)
  await stopped
})

test('an evaluation waits for the bus for appendWaitMax, then is told to come again', async () => {
  const { bus, port } = await started()
  bus.append = () => new Promise(() => {})
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const body = JSON.stringify({ traceId: 'a'.repeat(32), name: 'csat', score: 1 })
  const url = `http://127.0.0.1:${port}/api/v1/evaluations`
  const answer = fetch(url, { method: 'POST', body })
  await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0), { interval: 5 })
  await vi.advanceTimersByTimeAsync(appendWaitMaxMs)
  const { status, headers } = await answer
  expect(status).toBe(503)
  expect(headers.get('retry-after')).toBe('1')
})

test('a bus that cannot be read makes it unready without any request, until it can be again', async () => {
  const { bus, health } = await started()
  const ready = async () => (await health.read()).parts.query
  const read = bus.read
  expect(await ready()).toEqual({ ready: true })
  bus.read = async () => {
    throw new PipelineError('BUS_UNAVAILABLE', 'not now')
  }
  await expect.poll(ready, { timeout: 5000 }).toMatchObject({ ready: false })
  bus.read = read
  await expect.poll(ready, { timeout: 5000 }).toEqual({ ready: true })
})
