import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { partitionOfHex } from '@winnow/bus'
import { decodeTenantRuns } from '@winnow/model'
import { decodeTraces, statusFromJson } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import { unreadyMs } from './bus-health.ts'
import {
  partitions,
  post,
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const one = requestJson(spanJson(1))
const outage = new PipelineError('BUS_UNAVAILABLE', 'no broker answers')

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

async function until(is: () => boolean): Promise<void> {
  while (!is()) await sleep(1)
}

test('a request is acknowledged only after the bus has it', async () => {
  started = await startReceiver()
  const { bus } = started
  const { opened, open } = gate()
  bus.before = () => opened
  let answered = false
  const answer = post(started, '/v1/traces', one).finally(() => {
    answered = true
  })
  await until(() => bus.appends === 1)
  await sleep(30)
  expect(answered).toBe(false)
  open()
  expect((await answer).status).toBe(200)
  expect(await bus.spans()).toHaveLength(1)
})

test('a broker that is down is 503 with Retry-After, nothing stays in memory, and it recovers by itself', async () => {
  started = await startReceiver({ retryDelay: '1500ms' })
  const { bus, receiver } = started
  bus.before = () => Promise.reject(outage)
  const refused = await post(started, '/v1/traces', one)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('2')
  expect(statusFromJson(await refused.bytes())).toEqual({
    code: 14,
    message: 'no broker answers',
    retryDelayMs: 1500,
  })
  expect(receiver.bytesInFlight).toBe(0)
  bus.before = () => {}
  expect((await post(started, '/v1/traces', one)).status).toBe(200)
  expect(await bus.spans()).toHaveLength(1)
})

test('a log without room is 503 with Retry-After, and names no folder of this machine', async () => {
  started = await startReceiver()
  started.bus.before = () => Promise.reject(new PipelineError('QUOTA_EXCEEDED', '/data is full'))
  const refused = await post(started, '/v1/traces', one)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect(statusFromJson(await refused.bytes()).message).not.toContain('/data')
})

test('an append that takes longer than appendWaitMax is 503, and may land as an ordinary duplicate', async () => {
  started = await startReceiver({ appendWaitMax: '20ms' })
  const { bus, receiver } = started
  const { opened, open } = gate()
  bus.before = () => opened
  const refused = await post(started, '/v1/traces', one)
  expect(refused.status).toBe(503)
  expect(statusFromJson(await refused.bytes()).message).toContain('appendWaitMax')
  expect((await started.health.read()).parts.bus).toMatchObject({ ready: false })
  expect(receiver.bytesInFlight).toBeGreaterThan(0)
  open()
  await until(() => receiver.bytesInFlight === 0)
  expect((await post(started, '/v1/traces', one)).status).toBe(200)
  const spans = await bus.spans()
  expect(spans).toHaveLength(2)
  expect(spans[0]?.span).toEqual(spans[1]?.span)
})

test('a request that waited behind a stuck append and was refused is not sent any more', async () => {
  started = await startReceiver({ appendWaitMax: '20ms', linger: '0ms' })
  const { bus, receiver } = started
  const { opened, open } = gate()
  bus.before = () => opened
  const stuck = post(started, '/v1/traces', one)
  await until(() => bus.appends === 1)
  const waiting = post(started, '/v1/traces', requestJson(spanJson(2)))
  expect([(await stuck).status, (await waiting).status]).toEqual([503, 503])
  open()
  await until(() => receiver.bytesInFlight === 0)
  expect((await bus.spans()).map(({ span }) => span.name)).toEqual(['span 1'])
})

test('a request waits for its own partitions: one that fails refuses those that need it, and no others', async () => {
  started = await startReceiver()
  const { bus } = started
  const ofPartition = (partition: number): object => {
    for (let n = 1; ; n++) {
      const span = spanJson(n)
      if (partitionOfHex(span.traceId, partitions) === partition) return span
    }
  }
  const [first, second] = [ofPartition(0), ofPartition(1)]
  const { opened, open } = gate()
  bus.before = () => opened
  const held = post(started, '/v1/traces', one)
  await until(() => bus.appends === 1)
  bus.before = (_topic, partition) => (partition === 1 ? Promise.reject(outage) : undefined)
  const answers = [first, second, [first, second]].map(spans =>
    post(started, '/v1/traces', requestJson(...[spans].flat())),
  )
  await sleep(20)
  open()
  expect((await held).status).toBe(200)
  const statuses = (await Promise.all(answers)).map(answer => answer.status)
  expect(statuses).toEqual([200, 503, 503])
})

test('what arrives while an append is under way leaves as one record, each trace in one piece', async () => {
  started = await startReceiver({ linger: '0ms' })
  const { bus, receiver } = started
  const { opened, open } = gate()
  bus.before = () => opened
  const trace = { traceId: spanJson(1).traceId }
  const answers = [post(started, '/v1/traces', one)]
  await until(() => bus.appends === 1)
  for (let n = 2; n < 12; n++) {
    const other = spanJson(1000 + n)
    answers.push(post(started, '/v1/traces', requestProto(spanJson(n, trace), other)))
  }
  await until(() => receiver.bytesInFlight > 10 * 100)
  await sleep(20)
  open()
  for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200)
  const partition = partitionOfHex(trace.traceId, partitions)
  const records = (await bus.records('spans')).filter(record => record.partition === partition)
  expect(records).toHaveLength(2)
  const { value, header } = records[1] ?? { value: new Uint8Array() }
  const runs = decodeTenantRuns(header ?? new Uint8Array()) ?? []
  expect(runs).toEqual([{ tenant: 'default', start: 0, length: value.length }])
  const ids = decodeTraces(value).resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map(span => span.traceId)),
  )
  const places = ids.flatMap((id, at) => (id === trace.traceId ? [at] : []))
  expect(places).toHaveLength(10)
  expect((places.at(-1) ?? 0) - (places[0] ?? 0)).toBe(9)
})

test('a linger lets a second append leave while the first is under way; 0 lets it wait', async () => {
  for (const [linger, appends] of [
    ['5ms', 2],
    ['0ms', 1],
  ] as const) {
    started = await startReceiver({ linger })
    const { bus } = started
    const { opened, open } = gate()
    bus.before = () => opened
    const answers = [post(started, '/v1/traces', one)]
    await until(() => bus.appends === 1)
    answers.push(post(started, '/v1/traces', one))
    await sleep(60)
    expect(bus.appends).toBe(appends)
    open()
    await Promise.all(answers)
    await started.receiver.stop()
  }
})

test('while appends fail the receiver is not ready, and says so no longer than it knows', async () => {
  started = await startReceiver()
  const { bus, clock, health } = started
  expect((await health.read()).ready).toBe(true)
  bus.before = () => Promise.reject(outage)
  await post(started, '/v1/traces', one)
  expect(await health.read()).toMatchObject({ ready: false, parts: { bus: { ready: false } } })
  clock.advanceMs(unreadyMs - 1)
  expect((await health.read()).ready).toBe(false)
  clock.advanceMs(1)
  expect((await health.read()).ready).toBe(true)
  await post(started, '/v1/traces', one)
  bus.before = () => {}
  await post(started, '/v1/traces', one)
  expect((await health.read()).ready).toBe(true)
})

test('stop() answers what was taken, refuses what comes, and may be called twice', async () => {
  started = await startReceiver()
  const { bus, receiver, health, url } = started
  const { opened, open } = gate()
  bus.before = () => opened
  const answer = post(started, '/v1/traces', one)
  await until(() => bus.appends === 1)
  const stopped = receiver.stop()
  expect((await health.read()).parts.receiver?.ready).toBe(false)
  await expect(fetch(`${url}/v1/traces`)).rejects.toThrow()
  open()
  expect((await answer).status).toBe(200)
  await stopped
  await receiver.stop()
  expect(await bus.spans()).toHaveLength(1)
})

test('stop() waits stopWaitMax for a bus that does not answer, and no longer', async () => {
  started = await startReceiver({ stopWaitMax: '20ms' })
  const { bus, receiver } = started
  bus.before = () => new Promise(() => {})
  const answer = post(started, '/v1/traces', one).catch(() => 'gone')
  await until(() => bus.appends === 1)
  await receiver.stop()
  expect(await answer).toBe('gone')
})

test('stop() waits for no client that has nothing under way, however long stopWaitMax is', async () => {
  started = await startReceiver({ stopWaitMax: '10min' })
  const { receiver } = started
  const http2 = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\0\0\0\u0004\0\0\0\0\0'}`
  const sockets = [receiver.grpcAddress, receiver.httpAddress].flatMap(address =>
    ['', http2].map(said => {
      const [host, port] = address.split(':')
      const socket = connect(Number(port), host).resume()
      socket.write(said)
      return socket
    }),
  )
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  const closed = sockets.map(socket => once(socket, 'close'))
  await post(started, '/v1/traces', one)
  await receiver.stop()
  await Promise.all(closed)
})

test('stop() hangs up on clients that do not go away by themselves', async () => {
  started = await startReceiver({ stopWaitMax: '20ms' })
  const { receiver } = started
  const sockets = [receiver.grpcAddress, receiver.httpAddress, receiver.httpAddress].map(
    address => {
      const [host, port] = address.split(':')
      return connect(Number(port), host).resume()
    },
  )
  const closed = sockets.map(socket => new Promise(resolve => socket.once('close', resolve)))
  sockets[2]?.write('POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n')
  sockets[2]?.write('content-type: application/json\r\n\r\n{')
  await until(() => receiver.bytesInFlight === 1)
  await receiver.stop()
  await Promise.all(closed)
})

test('a request sent twice is on the bus twice, byte for byte: one span id, for the fold to count once', async () => {
  started = await startReceiver()
  const { traceId } = spanJson(1)
  const request = requestProto(spanJson(1), spanJson(2, { traceId }))
  for (const _ of [1, 2]) expect((await post(started, '/v1/traces', request)).status).toBe(200)
  const spans = (await started.bus.spans()).map(({ span }) => span)
  expect(spans).toHaveLength(4)
  expect(new Set(spans.map(span => span.spanId)).size).toBe(2)
  expect(spans.slice(0, 2)).toEqual(spans.slice(2))
})
