import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import {
  decodeExportResponse,
  decodeStatus,
  exportResponseFromJson,
  statusFromJson,
} from '@winnow/otlp'
import { afterEach, expect, test } from 'vitest'
import {
  media,
  post,
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const signals = ['traces', 'logs', 'metrics'] as const
const two = [spanJson(1), spanJson(2)] as const

test('JSONHTTP: spans as JSON are on the bus when the answer comes, and the answer is {}', async () => {
  started = await startReceiver()
  const response = await post(started, '/v1/traces', requestJson(...two))
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe(media.json)
  expect(await response.text()).toBe('{}')
  expect((await started.bus.spans()).map(({ span }) => span.name).sort()).toEqual([
    'span 1',
    'span 2',
  ])
})

test('ProtoHTTP: spans as protobuf are on the bus when the answer comes, and the answer is empty', async () => {
  started = await startReceiver()
  const response = await post(started, '/v1/traces', requestProto(...two))
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe(media.protobuf)
  expect((await response.bytes()).length).toBe(0)
  expect(await started.bus.spans()).toHaveLength(2)
})

test('a content type is matched as a media type: case and parameters say nothing', async () => {
  started = await startReceiver()
  const proto = requestProto(...two)
  for (const type of ['application/x-protobuf; charset=utf-8', 'Application/X-Protobuf']) {
    const response = await post(started, '/v1/traces', proto, { 'content-type': type })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, media.protobuf])
  }
  for (const type of ['APPLICATION/JSON', 'application/json;charset=UTF-8']) {
    const response = await post(started, '/v1/traces', requestJson(...two), {
      'content-type': type,
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([200, media.json])
  }
})

test('HandleInvalidRequests: another method is 405, another content type 415, another path 404', async () => {
  started = await startReceiver()
  const { url, metrics } = started
  for (const signal of signals) {
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']) {
      const response = await fetch(`${url}/v1/${signal}`, { method })
      expect([method, response.status]).toEqual([method, 405])
      expect(response.headers.get('allow')).toBe('POST')
    }
    for (const type of ['text/plain', 'application/xml', 'application/jsonx', 'invalid']) {
      const response = await post(started, `/v1/${signal}`, 'x', { 'content-type': type })
      expect([type, response.status]).toEqual([type, 415])
      expect(statusFromJson(await response.bytes()).message).toContain('application/x-protobuf')
    }
  }
  for (const path of ['/', '/v1', '/v1/trace', '/v1/traces/', '/V1/traces', '/v2/traces']) {
    expect([path, (await post(started, path, '{}')).status]).toEqual([path, 404])
  }
  const text = await metrics.text()
  expect(text).toContain('winnow_requests_refused_total{reason="path_unknown"} 6')
  expect(text).toContain('winnow_requests_refused_total{reason="content_type"} 12')
})

test('NoContentType: a request without a content type is 415', async () => {
  started = await startReceiver()
  const body = requestProto(...two)
  const response = await fetch(`${started.url}/v1/traces`, {
    method: 'POST',
    body: new Uint8Array(body),
  })
  expect(response.status).toBe(415)
})

test('InvalidContentEncoding: an unknown encoding is 415 and names those that are taken', async () => {
  started = await startReceiver()
  for (const encoding of ['br', 'snappy', 'gzip, gzip']) {
    const response = await post(started, '/v1/traces', '{}', { 'content-encoding': encoding })
    expect(response.status).toBe(415)
    expect(response.headers.get('accept-encoding')).toBe('identity,gzip,zstd,deflate')
    expect(statusFromJson(await response.bytes()).message).toContain('gzip')
  }
  const lie = await post(started, '/v1/traces', requestJson(...two), { 'content-encoding': 'gzip' })
  expect(lie.status).toBe(400)
})

test.each([
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
  ['deflate', deflateSync],
  ['identity', (bytes: Uint8Array) => bytes],
] as const)('HTTP takes %s, protobuf and JSON', async (encoding, compress) => {
  started = await startReceiver()
  const headers = { 'content-encoding': encoding }
  const proto = compress(requestProto(...two))
  expect((await post(started, '/v1/traces', proto, headers)).status).toBe(200)
  const json = compress(Buffer.from(requestJson(...two)))
  const asJson = { ...headers, 'content-type': media.json }
  expect((await post(started, '/v1/traces', json, asJson)).status).toBe(200)
  expect(await started.bus.spans()).toHaveLength(4)
})

test('an undecodable body is 400 with a google.rpc.Status in the request’s encoding', async () => {
  started = await startReceiver()
  for (const signal of signals) {
    const proto = await post(started, `/v1/${signal}`, Buffer.from([10, 200, 1]))
    expect([proto.status, proto.headers.get('content-type')]).toEqual([400, media.protobuf])
    expect(decodeStatus(await proto.bytes())).toMatchObject({
      code: 3,
      message: expect.stringContaining('protobuf'),
    })
    expect(proto.headers.get('retry-after')).toBeNull()
    const json = await post(started, `/v1/${signal}`, '{"resourceSpans": [')
    expect([json.status, json.headers.get('content-type')]).toEqual([400, media.json])
    expect(statusFromJson(await json.bytes())).toMatchObject({
      code: 3,
      message: expect.stringContaining('JSON'),
    })
  }
  expect(await started.bus.spans()).toEqual([])
})

test('an empty request and empty envelopes are a full success, and append nothing', async () => {
  started = await startReceiver()
  for (const signal of signals) {
    expect(await (await post(started, `/v1/${signal}`, '{}')).text()).toBe('{}')
    expect((await (await post(started, `/v1/${signal}`, Buffer.alloc(0))).bytes()).length).toBe(0)
  }
  const envelopes = ['{"resourceSpans":[]}', '{"resourceSpans":[{}]}', requestJson()]
  for (const body of envelopes) {
    expect(await (await post(started, '/v1/traces', body)).text()).toBe('{}')
  }
  expect((await post(started, '/v1/traces', requestProto())).status).toBe(200)
  expect(started.bus.appends).toBe(0)
})

test('a bad span is refused alone: 200 with rejected_spans, the first reasons and the ids', async () => {
  started = await startReceiver()
  const good = spanJson(1)
  const bad = [spanJson(2, { traceId: '00' }), spanJson(3, { spanId: '0'.repeat(16) })]
  const json = await post(started, '/v1/traces', requestJson(bad[0] ?? {}, good, bad[1] ?? {}))
  expect(json.status).toBe(200)
  const result = exportResponseFromJson('traces', await json.bytes())
  expect(result.rejected).toBe(2)
  expect(result.errorMessage).toContain('2 of 3 spans refused')
  expect(result.errorMessage).toContain(spanJson(2).spanId)
  expect(result.errorMessage).toContain('traceId')

  const proto = requestProto(good, spanJson(4))
  // The id's last byte: the span keeps its 16 bytes, all zero.
  const at = proto.indexOf(Buffer.from(spanJson(4).traceId, 'hex'))
  proto.fill(0, at, at + 16)
  const answer = await post(started, '/v1/traces', proto)
  expect(answer.status).toBe(200)
  const partial = decodeExportResponse(await answer.bytes())
  expect(partial.rejected).toBe(1)
  expect(partial.errorMessage).toContain(`span ${spanJson(4).spanId}`)
  expect((await started.bus.spans()).map(({ span }) => span.name)).toEqual(['span 1', 'span 1'])
  const text = await started.metrics.text()
  expect(text).toContain('winnow_spans_rejected_total{reason="json"} 2')
  expect(text).toContain('winnow_spans_rejected_total{reason="trace_id"} 1')
  expect(text).toContain('winnow_spans_received_total{tenant="default",transport="http/json"} 1')
  expect(text).toContain(
    'winnow_spans_received_total{tenant="default",transport="http/protobuf"} 1',
  )
})

test('a request of bad spans alone is 200, all rejected, and the answer stays short', async () => {
  started = await startReceiver()
  const spans = Array.from({ length: 5000 }, (_, n) => spanJson(n, { kind: 'SPAN_KIND_SERVER' }))
  const response = await post(started, '/v1/traces', requestJson(...spans))
  const text = await response.text()
  const result = exportResponseFromJson('traces', text)
  expect(result.rejected).toBe(5000)
  expect(result.errorMessage).toContain('kind')
  expect(text.length).toBeLessThan(4096)
})

test('a warning alone is rejected_spans = 0 with a message: an end before the start, a clock ahead', async () => {
  started = await startReceiver({ clockSkewMax: '10min' })
  const { clock } = started
  const ns = (ms: number): string => `${clock.nowMs() + ms}000000`
  const warn = async (...spans: object[]) =>
    exportResponseFromJson(
      'traces',
      await (await post(started, '/v1/traces', requestJson(...spans))).bytes(),
    )
  const times = (start: number, end: number) => ({
    startTimeUnixNano: ns(start),
    endTimeUnixNano: ns(end),
  })
  const backward = await warn(spanJson(1, times(0, -1)), spanJson(2))
  expect(backward.rejected).toBe(0)
  expect(backward.errorMessage).toContain('1 spans end before they start')
  expect(backward.errorMessage).toContain(spanJson(1).traceId)
  expect((await warn(spanJson(1, { endTimeUnixNano: '0' }))).errorMessage).toContain('end before')
  const limit = 10 * 60_000
  expect(await warn(spanJson(1, times(limit, limit)))).toEqual({ rejected: 0, errorMessage: '' })
  const early = await warn(spanJson(1, times(limit + 1, limit + 1)))
  expect(early.rejected).toBe(0)
  expect(early.errorMessage).toContain('clockSkewMax')
  expect(await started.bus.spans()).toHaveLength(5)
})

test('HTTP/1.1 keeps the connection, and two requests may come in one piece', async () => {
  started = await startReceiver()
  const body = requestJson(...two)
  const request = `POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const [host = '', port = ''] = started.receiver.httpAddress.split(':')
  const socket = connect(Number(port), host)
  let received = ''
  const done = new Promise<void>(resolve =>
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString()
      if (received.split('HTTP/1.1 200').length === 4) resolve()
    }),
  )
  socket.write(request.slice(0, 1))
  await new Promise(resolve => setTimeout(resolve, 5))
  socket.write(request.slice(1, 40))
  await new Promise(resolve => setTimeout(resolve, 5))
  socket.write(request.slice(40) + request + request.slice(0, 200))
  socket.write(request.slice(200))
  await done
  socket.destroy()
  expect(await started.bus.spans()).toHaveLength(6)
})

test('HTTP/2 without TLS is served on the same port, many requests on one connection', async () => {
  started = await startReceiver()
  const session = connectHttp2(started.url, { maxSessionMemory: 256 })
  const body = Buffer.alloc(900_000)
  const big = spanJson(1, {
    attributes: [{ key: 'text', value: { stringValue: body.toString('hex').slice(0, 900_000) } }],
  })
  const proto = requestProto(big)
  const ask = (): Promise<[number | undefined, string | undefined]> =>
    new Promise((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/v1/traces',
        'content-type': media.protobuf,
      })
      stream.on('response', headers => {
        stream.resume()
        stream.on('end', () => resolve([headers[':status'], headers['content-type']]))
      })
      stream.on('error', reject)
      stream.end(proto)
    })
  const answers = await Promise.all(Array.from({ length: 32 }, ask))
  expect(new Set(answers.map(String))).toEqual(new Set([`200,${media.protobuf}`]))
  session.close()
  expect(await started.bus.spans()).toHaveLength(32)
})

test('HTTP/2: a request that is refused early does not end the connection', async () => {
  started = await startReceiver({ requestBytesMax: '64KiB' })
  const session = connectHttp2(started.url)
  const ask = (body: Buffer): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/v1/traces',
        'content-type': media.protobuf,
      })
      stream.on('response', headers => {
        stream.resume()
        resolve(headers[':status'])
      })
      stream.on('error', reject)
      stream.end(body)
    })
  expect(await ask(Buffer.alloc(8 * 1024 * 1024))).toBe(413)
  expect(await ask(requestProto(...two))).toBe(200)
  expect(session.destroyed).toBe(false)
  session.destroy()
})

test('browsers of a listed origin may ask first and read the answer, others may not', async () => {
  started = await startReceiver({ corsOrigins: ['https://app.example'] })
  const preflight = (origin: string): Promise<Response> =>
    fetch(`${started.url}/v1/traces`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    })
  const listed = await preflight('https://app.example')
  expect(listed.status).toBe(204)
  expect(listed.headers.get('access-control-allow-origin')).toBe('https://app.example')
  expect(listed.headers.get('access-control-allow-headers')).toContain('x-api-key')
  const other = await preflight('https://evil.example')
  expect(other.status).toBe(405)
  expect(other.headers.get('access-control-allow-origin')).toBeNull()
  const answer = await post(started, '/v1/traces', '{}', { origin: 'https://app.example' })
  expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example')
  expect(answer.headers.get('vary')).toBe('origin')
  const plain = await post(started, '/v1/traces', '{}', { origin: 'https://evil.example' })
  expect(plain.headers.get('access-control-allow-origin')).toBeNull()
})

test('metrics are answered: every data point is rejected with a reason', async () => {
  started = await startReceiver()
  const points = [{ asInt: '1' }, { asInt: '2' }]
  const body = {
    resourceMetrics: [{ scopeMetrics: [{ metrics: [{ sum: { dataPoints: points } }] }] }],
  }
  const response = await post(started, '/v1/metrics', JSON.stringify(body))
  expect(response.status).toBe(200)
  const result = exportResponseFromJson('metrics', await response.bytes())
  expect(result.rejected).toBe(2)
  expect(result.errorMessage).toContain('no metrics are kept here')
})
