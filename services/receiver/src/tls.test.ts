import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, type SecureContextOptions } from 'node:tls'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'
import { headersBytesMax, type ServerTls } from '@winnow/runtime'
import { TestAuthority, type TestCertificate } from '@winnow/testing'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import {
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'

const authority = new TestAuthority()
const { ca } = authority
const tracesPath = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'

let started: Started
afterEach(() => started.receiver.stop())

/** A certificate in force, which a test may renew. */
class TestTls implements ServerTls {
  context: SecureContextOptions
  readonly asksClients: boolean
  readonly #listeners = new Set<() => void>()

  constructor(pair: TestCertificate, clientCa?: string) {
    this.context = { ...pair, ...(clientCa !== undefined && { ca: clientCa }) }
    this.asksClients = clientCa !== undefined
  }

  onRenewed(renewed: () => void): () => void {
    this.#listeners.add(renewed)
    return () => this.#listeners.delete(renewed)
  }

  renew(pair: TestCertificate): void {
    this.context = { ...this.context, ...pair }
    for (const renewed of this.#listeners) renewed()
  }
}

const same = (bytes: Buffer): Buffer => bytes

function exportOver(client: Client): Promise<ServiceError | null> {
  const message = Buffer.from(requestProto(spanJson(1)))
  const options = { deadline: Date.now() + 20_000 }
  return new Promise(resolve => {
    client.makeUnaryRequest(tracesPath, same, same, message, options, error => resolve(error))
  })
}

function grpcClient(pair?: TestCertificate, trusted = ca): Client {
  const key = pair === undefined ? null : Buffer.from(pair.key)
  const cert = pair === undefined ? null : Buffer.from(pair.cert)
  const client = new Client(started.grpc, credentials.createSsl(Buffer.from(trusted), key, cert))
  onTestFinished(() => client.close())
  return client
}

function httpPost(options: SecureContextOptions, body = requestJson(spanJson(1))): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const sent = request(`https://${started.receiver.httpAddress}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    agent: false,
    ...options,
  })
  sent.on('error', reject)
  sent.on('response', response => {
    response.resume()
    response.once('end', () => resolve(response.statusCode ?? 0))
  })
  sent.end(body)
  return promise
}

test('gRPC over TLS: grpc-js with the authority gets through, without it or in plain text it does not', async () => {
  started = await startReceiver({}, { tls: new TestTls(authority.issue()) })
  expect(await exportOver(grpcClient())).toBeNull()
  const stranger = await exportOver(grpcClient(undefined, new TestAuthority().ca))
  expect(stranger?.code).toBe(status.UNAVAILABLE)
  const plain = new Client(started.grpc, credentials.createInsecure())
  onTestFinished(() => plain.close())
  expect((await exportOver(plain))?.code).toBe(status.UNAVAILABLE)
  expect(await started.bus.spans()).toHaveLength(1)
})

test('ALPN: gRPC speaks h2 alone, OTLP over HTTP h2 and http/1.1', async () => {
  started = await startReceiver({}, { tls: new TestTls(authority.issue()) })
  const agreed = async (address: string, protocols: string[]): Promise<string | false | null> => {
    const [host = '', port] = address.split(':')
    const socket = connectTls({ host, port: Number(port), ca, ALPNProtocols: protocols })
    const refused = once(socket, 'error').then(() => 'refused')
    const settled = once(socket, 'secureConnect').then(() => socket.alpnProtocol)
    const protocol = await Promise.race([settled, refused]).finally(() => socket.destroy())
    return protocol
  }
  const { grpcAddress, httpAddress } = started.receiver
  expect(await agreed(grpcAddress, ['h2', 'http/1.1'])).toBe('h2')
  expect(await agreed(grpcAddress, ['http/1.1'])).toBe('refused')
  expect(await agreed(httpAddress, ['http/1.1', 'h2'])).toBe('h2')
  expect(await agreed(httpAddress, ['http/1.1'])).toBe('http/1.1')
})

const exporters: readonly [string, (to: Started) => SpanExporter][] = [
  [
    'gRPC',
    to =>
      new GrpcExporter({
        url: `https://${to.grpc}`,
        credentials: credentials.createSsl(Buffer.from(ca)),
      }),
  ],
  [
    'http/protobuf',
    to =>
      new ProtoExporter({
        url: `https://${to.receiver.httpAddress}/v1/traces`,
        httpAgentOptions: { ca } as object,
      }),
  ],
  [
    'http/json',
    to =>
      new JsonExporter({
        url: `https://${to.receiver.httpAddress}/v1/traces`,
        httpAgentOptions: { ca } as object,
      }),
  ],
]

test.each(exporters)(
  'the OpenTelemetry JS exporter over %s and TLS delivers every span',
  async (_, exporterOf) => {
    started = await startReceiver({}, { tls: new TestTls(authority.issue()) })
    const processor = new BatchSpanProcessor(exporterOf(started))
    const provider = new BasicTracerProvider({ spanProcessors: [processor] })
    const tracer = provider.getTracer('t')
    const root = tracer.startSpan('root', { kind: SpanKind.SERVER })
    const within = trace.setSpan(ROOT_CONTEXT, root)
    for (let n = 1; n < 50; n++) tracer.startSpan(`step ${n}`, {}, within).end()
    root.end()
    await provider.forceFlush()
    await provider.shutdown()
    expect(await started.bus.spans()).toHaveLength(50)
  },
)

test('OTLP over HTTP/2 and TLS: many requests on one connection', async () => {
  started = await startReceiver({}, { tls: new TestTls(authority.issue()) })
  const session = connectHttp2(`https://${started.receiver.httpAddress}`, { ca })
  onTestFinished(() => session.destroy())
  const statuses = Array.from({ length: 20 }, async (_, n) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v1/traces',
      'content-type': 'application/json',
    })
    stream.end(requestJson(spanJson(n)))
    const [headers] = await once(stream, 'response')
    stream.resume()
    return headers[':status']
  })
  expect(new Set(await Promise.all(statuses))).toEqual(new Set([200]))
  expect(await started.bus.spans()).toHaveLength(20)
})

test('a client that another authority vouches for is let in, one without a certificate is not', async () => {
  const clients = new TestAuthority('clients')
  const pair = clients.issue({ name: 'checkout' })
  started = await startReceiver({}, { tls: new TestTls(authority.issue(), clients.ca) })
  expect(await exportOver(grpcClient(pair))).toBeNull()
  expect(await httpPost({ ca, ...pair })).toBe(200)
  expect((await exportOver(grpcClient()))?.code).toBe(status.UNAVAILABLE)
  await expect(httpPost({ ca })).rejects.toThrow()
  await expect(httpPost({ ca, ...authority.issue() })).rejects.toThrow()
})

test('a renewed certificate holds for the next connection, and those that are open go on', async () => {
  const old = authority.issue()
  const next = new TestAuthority('next')
  const tls = new TestTls(old)
  started = await startReceiver({}, { tls })
  const client = grpcClient()
  expect(await exportOver(client)).toBeNull()
  tls.renew(next.issue())
  expect(await exportOver(client)).toBeNull()
  expect(await httpPost({ ca: next.ca })).toBe(200)
  await expect(httpPost({ ca })).rejects.toThrow()
  expect(await exportOver(grpcClient(undefined, next.ca))).toBeNull()
})

test('connections in the middle of a handshake do not hold the stop', async () => {
  started = await startReceiver({}, { tls: new TestTls(authority.issue()) })
  const ended = [started.receiver.grpcAddress, started.receiver.httpAddress].map(async address => {
    const [host = '', port] = address.split(':')
    const socket = connectTcp(Number(port), host)
    socket.on('error', () => {})
    await once(socket, 'connect')
    return once(socket, 'close')
  })
  await exportOver(grpcClient())
  await started.receiver.stop()
  await Promise.all(ended)
})

test('headers at headersBytesMax pass, more are 431, over HTTP/2 the stream is reset', async () => {
  started = await startReceiver()
  const { httpAddress } = started.receiver
  /** Counted as Node does over HTTP/1.1: the path, the names and the values. */
  const over = async (bytes: number): Promise<string> => {
    const [host = '', port] = httpAddress.split(':')
    const socket = connectTcp(Number(port), host)
    onTestFinished(() => {
      socket.destroy()
    })
    const fixed = ['/v1/metrics', 'host', 'x', 'content-type', 'application/json', 'content-length', '2', 'x-pad'] // biome-ignore format: a list
    const pad = 'x'.repeat(bytes - fixed.join('').length)
    socket.write(
      `POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx-pad: ${pad}\r\n\r\n{}`,
    )
    const [answer] = await once(socket, 'data')
    return String(answer).slice(0, 12)
  }
  expect(await over(headersBytesMax - 1)).toBe('HTTP/1.1 200')
  expect(await over(headersBytesMax)).toBe('HTTP/1.1 431')
  const session = connectHttp2(`http://${httpAddress}`)
  onTestFinished(() => session.destroy())
  session.on('error', () => {})
  const over2 = async (bytes: number): Promise<unknown> => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v1/traces',
      'content-type': 'application/json',
      'x-pad': 'x'.repeat(bytes),
    })
    stream.end('{}')
    const answered = once(stream, 'response').then(([headers]) => headers[':status'])
    return answered.catch((error: Error) => (error as { code?: string }).code)
  }
  expect(await over2(headersBytesMax - 1024)).toBe(200)
  expect(await over2(headersBytesMax)).toBe('ERR_HTTP2_STREAM_ERROR')
})
