import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { decodeExportResponse, decodeStatus, statusFromJson } from '@winnow/otlp'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { receiverConfigSchema } from './config.ts'
import {
  media,
  post,
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'
import { lagHoldMs } from './receiver.ts'

let started: Started
afterEach(() => started.receiver.stop())

/** A request of exactly so many bytes. */
function requestOf(bytes: number): Buffer {
  const padded = (length: number): Buffer =>
    requestProto(
      spanJson(1, { attributes: [{ key: 'k', value: { stringValue: 'x'.repeat(length) } }] }),
    )
  const made = padded(bytes - (padded(bytes - 200).length - (bytes - 200)))
  expect(made.length).toBe(bytes)
  return made
}

/** A request whose body the test sends by itself. */
function open(headers: Readonly<Record<string, string | number>>): {
  readonly sending: ClientRequest
  readonly answer: Promise<IncomingMessage>
} {
  const sending = request(`${started.url}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': media.protobuf, ...headers },
  })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sending.on('response', resolve).on('error', reject)
  })
  return { sending, answer }
}

async function statusOf(answer: Promise<IncomingMessage>): Promise<number | undefined> {
  const response = await answer
  response.resume()
  return response.statusCode
}

async function until(is: () => boolean): Promise<void> {
  while (!is()) await sleep(1)
}

test('HTTPMaxRequestBodySize: a body at the limit is taken, one byte more is 413 and not retryable', async () => {
  const limit = 64 * 1024
  started = await startReceiver({ requestBytesMax: '64KiB' })
  expect((await post(started, '/v1/traces', requestOf(limit))).status).toBe(200)
  const over = await post(started, '/v1/traces', requestOf(limit + 1))
  expect([over.status, over.headers.get('retry-after')]).toEqual([413, null])
  const zip = { 'content-encoding': 'gzip' }
  expect((await post(started, '/v1/traces', gzipSync(requestOf(limit)), zip)).status).toBe(200)
  expect((await post(started, '/v1/traces', gzipSync(requestOf(limit + 1)), zip)).status).toBe(413)
  expect(started.receiver.bytesInFlight).toBe(0)
  expect(await started.metrics.text()).toContain(
    'winnow_requests_refused_total{reason="too_large"} 2',
  )
})

test('a bomb is 413 after the limit, whatever it would become', async () => {
  started = await startReceiver({ requestBytesMax: '1MiB' })
  const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024))
  const before = process.memoryUsage().arrayBuffers
  const refused = await post(started, '/v1/traces', bomb, { 'content-encoding': 'gzip' })
  expect(refused.status).toBe(413)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
})

test('a client that is refused in the middle of its body still reads why', async () => {
  started = await startReceiver({ requestBytesMax: '64KiB' })
  const { sending, answer } = open({ 'transfer-encoding': 'chunked' })
  for (let n = 0; n < 20; n++) sending.write(Buffer.alloc(64 * 1024))
  sending.end()
  expect(await statusOf(answer)).toBe(413)
  const announced = open({ 'content-length': 10_000_000 })
  announced.sending.write(Buffer.alloc(100))
  expect(await statusOf(announced.answer)).toBe(413)
  announced.sending.destroy()
})

test('bytes in flight are limited in all: at the limit 429 with Retry-After, memory flat, then served again', async () => {
  started = await startReceiver({
    requestBytesMax: '64KiB',
    inflightBytesMax: '128KiB',
    inflightBytesPerTenantMax: '128KiB',
  })
  const body = requestOf(64 * 1024)
  let release = (): void => {}
  started.bus.before = () =>
    new Promise(resolve => {
      release = () => resolve()
    })
  const first = post(started, '/v1/traces', body)
  await until(() => started.bus.appends === 1)
  const refused = await Promise.all(
    Array.from({ length: 8 }, () => post(started, '/v1/traces', body)),
  )
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([429]))
  expect(refused[0]?.headers.get('retry-after')).toBe('1')
  const { code, retryDelayMs } = decodeStatus((await refused[0]?.bytes()) ?? new Uint8Array())
  expect([code, retryDelayMs]).toEqual([8, 1000])
  expect(started.receiver.bytesInFlight).toBeLessThan(128 * 1024)
  started.bus.before = () => {}
  release()
  expect((await first).status).toBe(200)
  expect((await post(started, '/v1/traces', body)).status).toBe(200)
  expect(started.receiver.bytesInFlight).toBe(0)
})

const many = (count: number): object[] => Array.from({ length: count }, (_, n) => spanJson(n))

test('one tenant floods and gets its own 429s; another is served', async () => {
  started = await startReceiver(
    { requestBytesMax: '64KiB', inflightBytesPerTenantMax: '64KiB' },
    {
      keys: apiKeysOf({ a: 'acme', b: 'beta' }),
    },
  )
  const flood = open({ 'x-api-key': 'a', 'transfer-encoding': 'chunked' })
  const body = requestOf(64 * 1024)
  flood.sending.write(body.subarray(0, 60 * 1024))
  await until(() => started.receiver.bytesInFlight === 60 * 1024)
  const acme = await post(started, '/v1/traces', body, { 'x-api-key': 'a' })
  expect(acme.status).toBe(429)
  expect((await post(started, '/v1/traces', body, { 'x-api-key': 'b' })).status).toBe(200)
  flood.sending.end(body.subarray(60 * 1024))
  expect(await statusOf(flood.answer)).toBe(200)
  expect((await started.bus.spans()).map(({ tenant }) => tenant).sort()).toEqual(['acme', 'beta'])
})

test('a body that does not come to its end is 429 after bodyWaitMax, and holds nothing any more', async () => {
  started = await startReceiver({ bodyWaitMax: '20ms' })
  const { sending, answer } = open({ 'content-length': 1000 })
  sending.write('x')
  const response = await answer
  expect(response.statusCode).toBe(429)
  response.resume()
  await until(() => started.receiver.bytesInFlight === 0)
  // What is left is read for as long again, then the connection is closed.
  await new Promise(resolve => sending.on('close', resolve))
})

test('a client that goes away in its body leaves nothing in flight', async () => {
  started = await startReceiver()
  const { sending, answer } = open({ 'content-length': 1000 })
  answer.catch(() => {})
  sending.write('x')
  await until(() => started.receiver.bytesInFlight > 0)
  sending.destroy()
  await until(() => started.receiver.bytesInFlight === 0)
})

test('a span at spanBytesMax is taken whole, one byte more is refused alone with the remedy', async () => {
  started = await startReceiver({ spanBytesMax: '4KiB' })
  const sized = (bytes: number): object => {
    const span = (length: number) =>
      spanJson(1, { attributes: [{ key: 'k', value: { stringValue: 'x'.repeat(length) } }] })
    const message = (length: number): number => {
      const empty = requestProto().length
      // ResourceSpans and ScopeSpans have lengths of two bytes, the span a tag and two.
      return requestProto(span(length)).length - empty - 5
    }
    return span(bytes - (message(bytes) - bytes))
  }
  const at = await post(started, '/v1/traces', requestProto(sized(4096)))
  expect(decodeExportResponse(await at.bytes())).toEqual({ rejected: 0, errorMessage: '' })
  const over = await post(started, '/v1/traces', requestProto(sized(4097), spanJson(2)))
  const result = decodeExportResponse(await over.bytes())
  expect(result.rejected).toBe(1)
  expect(result.errorMessage).toContain('larger than 4096 bytes (spanBytesMax); shorten')
  const names = (await started.bus.spans()).map(({ span }) => span.name).sort()
  expect(names).toEqual(['span 1', 'span 2'])
})

test('an attribute of nearly a megabyte arrives whole: nothing is truncated', async () => {
  started = await startReceiver()
  const text = 'ünïcode '.repeat(100_000)
  const span = spanJson(1, { attributes: [{ key: 'k', value: { stringValue: text } }] })
  expect((await post(started, '/v1/traces', requestProto(span))).status).toBe(200)
  const [arrived] = await started.bus.spans()
  expect(arrived?.span.attributes).toEqual([{ key: 'k', value: { stringValue: text } }])
})

test('a trace of many spans is cut into slices of sliceSpansMax, none lost and in order', async () => {
  started = await startReceiver({ sliceSpansMax: 100 })
  const { traceId } = spanJson(1)
  const spans = many(1001).map(span => ({ ...span, traceId }))
  expect((await post(started, '/v1/traces', requestProto(...spans))).status).toBe(200)
  const names = (await started.bus.spans()).map(({ span }) => span.name)
  expect(names).toEqual(spans.map((_, n) => `span ${n}`))
  expect((await started.bus.records('spans')).length).toBe(11)
})

test('tiny spans under a large resource become no more than composedBytesMax', async () => {
  started = await startReceiver({ composedBytesMax: '1MiB' })
  const attributes = [{ key: 'k', value: { stringValue: 'x'.repeat(10_000) } }]
  const body = JSON.stringify({
    resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans: many(200) }] }],
  })
  const response = await post(started, '/v1/traces', body)
  expect(response.status).toBe(413)
  expect(statusFromJson(await response.bytes()).message).toContain('composedBytesMax')
  expect(started.receiver.bytesInFlight).toBe(0)
  expect((await post(started, '/v1/traces', requestJson(spanJson(1)))).status).toBe(200)
  expect(await started.bus.spans()).toHaveLength(1)
})

test('a request larger than the bus takes at once is appended piece by piece', async () => {
  started = await startReceiver()
  const text = 'x'.repeat(100_000)
  const { traceId } = spanJson(1)
  const attributes = [{ key: 'k', value: { stringValue: text } }]
  const spans = many(300).map(span => ({ ...span, traceId, attributes }))
  expect((await post(started, '/v1/traces', requestProto(...spans))).status).toBe(200)
  expect(await started.bus.spans()).toHaveLength(300)
  expect(started.bus.appends).toBeGreaterThan(7)
})

test('the writer’s lag holds acknowledgements above a half and refuses at 1', async () => {
  let lag = 0
  started = await startReceiver({ lagHoldMax: '40ms' }, { lagging: () => lag })
  expect((await post(started, '/v1/traces', '{}')).status).toBe(200)
  lag = 1
  const refused = await post(started, '/v1/traces', '{}')
  expect(refused.status).toBe(429)
  expect(statusFromJson(await refused.bytes()).message).toContain('writer')
  lag = 0.75
  expect((await post(started, '/v1/traces', '{}')).status).toBe(200)
  const holds = [0, 0.5, 0.75, 1, 2].map(at => lagHoldMs(at, 40))
  expect(holds).toEqual([0, 0, 20, 40, 40])
})

test('a connection more than connectionsMax is closed', async () => {
  started = await startReceiver({ connectionsMax: 1 })
  const first = open({ 'content-length': 1 })
  first.sending.flushHeaders()
  await sleep(5)
  await expect(open({ 'content-length': 1 }).answer).rejects.toThrow()
  first.sending.end('x')
  expect(await statusOf(first.answer)).toBe(400)
})

test('limits that contradict one another are refused with the key and the reason', async () => {
  started = await startReceiver()
  const mistakes: readonly [Record<string, unknown>, string][] = [
    [{ recordBytesTarget: '5MiB' }, 'recordBytesTarget'],
    [{ spanBytesMax: '3MiB' }, 'spanBytesMax'],
    [{ requestBytesMax: '65MiB' }, 'requestBytesMax'],
    [{ inflightBytesMax: '32MiB' }, 'requestBytesMax'],
    [{ linger: 50 }, 'linger'],
    [{ unknown: 1 }, 'unknown'],
  ]
  for (const [config, key] of mistakes) {
    const result = receiverConfigSchema.safeParse(config)
    expect(JSON.stringify(result.error?.issues)).toContain(key)
  }
  expect(receiverConfigSchema.parse(undefined).appendWaitMax).toBe(5000)
})
