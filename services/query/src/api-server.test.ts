import { once } from 'node:events'
import { connect } from 'node:net'
import { MemoryBus } from '@winnow/bus'
import { Health, silentLog, systemClock } from '@winnow/runtime'
import { MemoryHotStore } from '@winnow/storage'
import { expect, onTestFinished, test, vi } from 'vitest'
import { queryConfigSchema, stopWaitMaxMs } from './config.ts'
import { Query } from './query.ts'

async function started() {
  const specs = ['d', 'e'].map(name => ({ name, partitions: 1, retentionMs: 60_000, keyed: false }))
  const query = new Query({
    bus: new MemoryBus(specs, systemClock),
    topics: { decisions: 'd', evidence: 'e' },
    hot: new MemoryHotStore(),
    listen: { host: '127.0.0.1', port: 0 },
    keys: undefined,
    config: queryConfigSchema.parse({}),
    spansRetentionMs: 60_000,
    clock: systemClock,
    log: silentLog,
    health: new Health(),
  })
  await query.start()
  onTestFinished(() => query.stop())
  const [, port] = query.address.split(':')
  return { query, port: Number(port) }
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
  const request = 'POST /api/v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{'
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
  vi.useRealTimers()
  await stopped
})
