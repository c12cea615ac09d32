import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { createServer as createHttp2Server, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import {
  decodeTraces,
  encodeExportResponse,
  encodeStatus,
  exportResponseToJson,
  fullSuccess,
  statusToJson,
  tracesFromJson,
} from '@winnow/otlp'
import { afterEach, describe, expect, test } from 'vitest'
import { postEvaluations } from './evaluation-client.ts'
import { OtlpClient, type OtlpClientOptions, requestBytes } from './otlp-client.ts'
import { trace48f, trace48fId } from './trace-48f.ts'
import type { TrafficEvaluation } from './traffic-verdicts.ts'

interface Received {
  readonly path: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

const open: { close(): unknown }[] = []

afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
}

/** Answers as scripted, the last answer for ever, and notes what came. */
async function httpServer(answers: readonly Answer[]): Promise<[string, Received[]]> {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const answer = answers[Math.min(received.length, answers.length - 1)]
      const headers: IncomingHttpHeaders = request.headers
      received.push({ path: request.url ?? '', headers, body: Buffer.concat(chunks) })
      response.writeHead(answer?.status ?? 500, answer?.headers).end(answer?.body ?? '')
    })
  })
  return [await listening(server), received]
}

interface GrpcAnswer {
  readonly trailers: Record<string, string>
  readonly message?: Uint8Array
  /** Status in the first headers, without a message. */
  readonly trailersOnly?: boolean
}

async function grpcServer(answers: readonly GrpcAnswer[]): Promise<[string, Received[]]> {
  const received: Received[] = []
  const server = createHttp2Server()
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const answer = answers[Math.min(received.length, answers.length - 1)]
      received.push({ path: headers[':path'] ?? '', headers, body: Buffer.concat(chunks) })
      if (answer === undefined || answer.trailersOnly) {
        stream.respond({ ':status': 200, ...answer?.trailers }, { endStream: true })
        return
      }
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers(answer.trailers))
      const message = answer.message ?? new Uint8Array()
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(message.byteLength, 1)
      stream.end(Buffer.concat([prefix, message]))
    })
  })
  return [await listening(server), received]
}

async function listening(server: Server | Http2Server): Promise<string> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  open.push(server)
  const { port } = server.address() as AddressInfo
  return `127.0.0.1:${port}`
}

/** A client whose pauses are noted, not slept. */
function clientOf(options: OtlpClientOptions): [OtlpClient, number[]] {
  const pausesMs: number[] = []
  const wait = async (ms: number) => void pausesMs.push(ms)
  const client = new OtlpClient({ wait, ...options })
  open.unshift(client)
  return [client, pausesMs]
}

describe('over HTTP', () => {
  test('protobuf arrives as it was sent, with the key as a bearer token', async () => {
    const [address, received] = await httpServer([{ status: 200 }])
    const [client] = clientOf({ transport: 'http-protobuf', address, apiKey: 'k1' })
    expect(await client.sendTraces(trace48f())).toEqual({
      acknowledged: true,
      status: 200,
      grpcStatus: null,
      rejected: 0,
      message: '',
      retryAfterMs: null,
      retryable: false,
      attempts: 1,
    })
    const [request] = received
    expect(request?.path).toBe('/v1/traces')
    expect(request?.headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      authorization: 'Bearer k1',
    })
    expect(decodeTraces(request?.body ?? Buffer.alloc(0))).toEqual(trace48f())
  })

  test('JSON arrives as it was sent, compressed, with the key as x-api-key', async () => {
    for (const [compression, expand] of [
      ['gzip', gunzipSync],
      ['zstd', zstdDecompressSync],
    ] as const) {
      const [address, received] = await httpServer([{ status: 200, body: '{}' }])
      const [client] = clientOf({
        transport: 'http-json',
        address,
        compression,
        apiKey: 'k1',
        apiKeyHeader: 'x-api-key',
      })
      expect((await client.sendTraces(trace48f())).acknowledged).toBe(true)
      const [request] = received
      expect(request?.headers).toMatchObject({
        'content-type': 'application/json',
        'content-encoding': compression,
        'x-api-key': 'k1',
      })
      expect(tracesFromJson(expand(request?.body ?? Buffer.alloc(0))).data).toEqual(trace48f())
    }
  })

  test('bytes made once are sent as they are', async () => {
    const [address, received] = await httpServer([{ status: 200 }])
    const [client] = clientOf({ transport: 'http-protobuf', address })
    const bytes = requestBytes(trace48f(), 'http-protobuf')
    await client.sendTraces(bytes)
    await client.sendTraces(bytes)
    expect(received.map(({ body }) => body.equals(bytes))).toEqual([true, true])
  })

  test('logs go to their own path', async () => {
    const [address, received] = await httpServer([{ status: 200 }])
    const [client] = clientOf({ transport: 'http-protobuf', address })
    await client.sendLogs({ resourceLogs: [] })
    expect(received[0]?.path).toBe('/v1/logs')
  })

  test('a partial success is acknowledged and says how many were refused', async () => {
    const result = { rejected: 3, errorMessage: 'span id is zero' }
    const [address] = await httpServer([{ status: 200, body: encodeExportResponse(result) }])
    const [client] = clientOf({ transport: 'http-protobuf', address })
    expect(await client.sendTraces(trace48f())).toMatchObject({
      acknowledged: true,
      rejected: 3,
      message: 'span id is zero',
      attempts: 1,
    })
    const [json] = await httpServer([{ status: 200, body: exportResponseToJson('traces', result) }])
    const [jsonClient] = clientOf({ transport: 'http-json', address: json })
    expect(await jsonClient.sendTraces(trace48f())).toMatchObject({ rejected: 3 })
  })

  test('429 and 503 are sent again after Retry-After, at most attemptsMax times', async () => {
    const busy = {
      status: 429,
      headers: { 'retry-after': '2' },
      body: encodeStatus({ code: 8, message: 'over quota' }),
    }
    const [address, received] = await httpServer([busy, { ...busy, status: 503 }, { status: 200 }])
    const [client, pausesMs] = clientOf({ transport: 'http-protobuf', address })
    expect(await client.sendTraces(trace48f())).toMatchObject({ acknowledged: true, attempts: 3 })
    expect(pausesMs).toEqual([2_000, 2_000])
    expect(received.length).toBe(3)
    const [always, refused] = await httpServer([busy])
    const [twice] = clientOf({ transport: 'http-protobuf', address: always, attemptsMax: 2 })
    expect(await twice.sendTraces(trace48f())).toMatchObject({
      acknowledged: false,
      status: 429,
      message: 'over quota',
      retryAfterMs: 2_000,
      retryable: true,
      attempts: 2,
    })
    expect(refused.length).toBe(2)
  })

  test('without Retry-After the pause doubles, and no pause exceeds retryMsMax', async () => {
    const [address] = await httpServer([{ status: 503 }])
    const [client, pausesMs] = clientOf({ transport: 'http-protobuf', address, retryMsMax: 250 })
    await client.sendTraces(trace48f())
    expect(pausesMs).toEqual([100, 200, 250, 250])
    const delayed = statusToJson({ code: 14, message: '', retryDelayMs: 40 })
    const [json] = await httpServer([{ status: 503, body: delayed }])
    const [jsonClient, jsonPausesMs] = clientOf({
      transport: 'http-json',
      address: json,
      attemptsMax: 2,
    })
    await jsonClient.sendTraces(trace48f())
    expect(jsonPausesMs).toEqual([40])
  })

  test('400, 401, 413 and 500 are not sent again', async () => {
    for (const status of [400, 401, 413, 500]) {
      const [address, received] = await httpServer([{ status, body: 'a page' }])
      const [client] = clientOf({ transport: 'http-json', address })
      const answer = await client.sendTraces(trace48f())
      expect(answer).toMatchObject({ acknowledged: false, status, retryable: false })
      expect(answer.message).toBe('a page')
      expect(received.length).toBe(1)
    }
  })

  test('a server that is not there, or falls silent, is no answer', async () => {
    const [gone] = clientOf({ transport: 'http-protobuf', address: '127.0.0.1:1', attemptsMax: 2 })
    expect(await gone.sendTraces(trace48f())).toMatchObject({
      acknowledged: false,
      status: 0,
      retryable: true,
      attempts: 2,
    })
    const silent = createServer(() => {})
    const address = await listening(silent)
    const [client] = clientOf({
      transport: 'http-protobuf',
      address,
      timeoutMs: 20,
      attemptsMax: 1,
    })
    const answer = await client.sendTraces(trace48f())
    expect(answer).toMatchObject({ acknowledged: false, status: 0 })
    expect(answer.message).toContain('within 20 ms')
    silent.closeAllConnections()
  })
})

describe('over gRPC', () => {
  const ok = { 'grpc-status': '0' }

  test('a request arrives framed, gzipped or not, with the key as metadata', async () => {
    for (const compression of ['none', 'gzip'] as const) {
      const [address, received] = await grpcServer([{ trailers: ok }])
      const [client] = clientOf({ transport: 'grpc', address, compression, apiKey: 'k1' })
      expect(await client.sendTraces(trace48f())).toMatchObject({
        acknowledged: true,
        status: 200,
        grpcStatus: 0,
        attempts: 1,
      })
      const [request] = received
      expect(request?.path).toBe('/opentelemetry.proto.collector.trace.v1.TraceService/Export')
      expect(request?.headers).toMatchObject({
        'content-type': 'application/grpc+proto',
        te: 'trailers',
        authorization: 'Bearer k1',
      })
      const frame = request?.body ?? Buffer.alloc(5)
      expect(frame[0]).toBe(compression === 'gzip' ? 1 : 0)
      expect(frame.readUInt32BE(1)).toBe(frame.byteLength - 5)
      const message = frame.subarray(5)
      expect(decodeTraces(compression === 'gzip' ? gunzipSync(message) : message)).toEqual(
        trace48f(),
      )
    }
  })

  test('a partial success is read from the message', async () => {
    const message = encodeExportResponse({ ...fullSuccess, rejected: 1, errorMessage: 'one' })
    const [address] = await grpcServer([{ trailers: ok, message }])
    const [client] = clientOf({ transport: 'grpc', address })
    expect(await client.sendTraces(trace48f())).toMatchObject({ rejected: 1, message: 'one' })
  })

  test('UNAVAILABLE is sent again after RetryInfo, RESOURCE_EXHAUSTED only with it', async () => {
    const details = (code: number, retryDelayMs?: number) =>
      Buffer.from(
        encodeStatus({
          code,
          message: '',
          ...(retryDelayMs === undefined ? {} : { retryDelayMs }),
        }),
      ).toString('base64')
    const [address] = await grpcServer([
      { trailers: { 'grpc-status': '14', 'grpc-status-details-bin': details(14, 30) } },
      { trailers: { 'grpc-status': '8', 'grpc-status-details-bin': details(8, 60) } },
      { trailers: { 'grpc-status': '8', 'grpc-message': 'too%20large' }, trailersOnly: true },
    ])
    const [client, pausesMs] = clientOf({ transport: 'grpc', address })
    expect(await client.sendTraces(trace48f())).toMatchObject({
      acknowledged: false,
      grpcStatus: 8,
      message: 'too large',
      retryable: false,
      attempts: 3,
    })
    expect(pausesMs).toEqual([30, 60])
  })

  test('a lost connection is made anew', async () => {
    const [address] = await grpcServer([{ trailers: ok }])
    const [client] = clientOf({ transport: 'grpc', address, attemptsMax: 1 })
    expect((await client.sendTraces(trace48f())).acknowledged).toBe(true)
    client.close()
    expect((await client.sendTraces(trace48f())).acknowledged).toBe(true)
    const [gone] = clientOf({ transport: 'grpc', address: '127.0.0.1:1', attemptsMax: 1 })
    expect(await gone.sendTraces(trace48f())).toMatchObject({ status: 0, retryable: true })
  })

  test('zstd is refused: gRPC servers do not know it', () => {
    expect(
      () => new OtlpClient({ transport: 'grpc', address: 'x:1', compression: 'zstd' }),
    ).toThrow('compression is zstd over gRPC')
  })
})

test('evaluations are posted with the fields of the API, again where the server is busy', async () => {
  const evaluation: TrafficEvaluation = {
    kind: 'evaluation',
    tenant: 'acme',
    atMs: 1_760_000_009_000,
    madeAtMs: 1_760_000_000_000,
    id: 'ev-1',
    traceId: trace48fId,
    name: 'csat',
    score: 2,
    source: 'survey',
  }
  const [address, received] = await httpServer([
    { status: 503, headers: { 'retry-after': '1' } },
    { status: 202, body: '{"evaluations":[]}' },
  ])
  const pausesMs: number[] = []
  const wait = async (ms: number) => void pausesMs.push(ms)
  const answer = await postEvaluations({ address, apiKey: 'k1', wait }, [evaluation])
  expect(answer).toEqual({ status: 202, body: { evaluations: [] } })
  expect(pausesMs).toEqual([1_000])
  expect(received[1]).toMatchObject({
    path: '/api/v1/evaluations',
    headers: { authorization: 'Bearer k1' },
  })
  expect(JSON.parse(received[1]?.body.toString() ?? '')).toEqual([
    {
      id: 'ev-1',
      traceId: trace48fId,
      name: 'csat',
      score: 2,
      source: 'survey',
      at: '2025-10-09T08:53:20.000Z',
    },
  ])
})
