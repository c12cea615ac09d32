import { connect, constants } from 'node:http2'
import { gzipSync } from 'node:zlib'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { decodeExportResponse, decodeStatus, encodeLogs, type RpcStatus } from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { requestProto, type Started, spanJson, startReceiver } from './receiver.fixture.ts'

const paths = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
} as const

let started: Started
let client: Client
afterEach(async () => {
  client.close()
  await started.receiver.stop()
})

async function start(...given: Parameters<typeof startReceiver>): Promise<void> {
  started = await startReceiver(...given)
  client = new Client(started.grpc, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
  })
}

type Answer =
  | { readonly ok: Uint8Array }
  | { readonly code: number; readonly message: string; readonly details: RpcStatus }

function call(path: string, message: Uint8Array, metadata = new Metadata()): Promise<Answer> {
  return new Promise(resolve => {
    const same = (bytes: Buffer): Buffer => bytes
    const done = (error: ServiceError | null, answer?: Buffer): void => {
      if (error === null) {
        resolve({ ok: answer ?? Buffer.alloc(0) })
        return
      }
      const details = error.metadata.get('grpc-status-details-bin')[0]
      resolve({
        code: error.code,
        message: error.details,
        details: decodeStatus(details instanceof Buffer ? details : Buffer.alloc(0)),
      })
    }
    client.makeUnaryRequest(path, same, same, Buffer.from(message), metadata, done)
  })
}

const two = requestProto(spanJson(1), spanJson(2))

/** A span whose message has exactly this many bytes more than one with empty text. */
const padded = (length: number) =>
  requestProto(
    spanJson(1, { attributes: [{ key: 'k', value: { stringValue: 'x'.repeat(length) } }] }),
  )

test('gRPC unary: traces are on the bus when the answer comes, and the answer is empty', async () => {
  await start()
  expect(await call(paths.traces, two)).toEqual({ ok: Buffer.alloc(0) })
  expect(await started.bus.spans()).toHaveLength(2)
  expect(await started.metrics.text()).toContain(
    'winnow_spans_received_total{tenant="default",transport="grpc"} 2',
  )
})

test('gRPC answers the logs and the metrics service, with what it does not take', async () => {
  await start()
  expect(await call(paths.logs, Buffer.alloc(0))).toEqual({ ok: Buffer.alloc(0) })
  const record = {
    timeUnixNano: 1n,
    observedTimeUnixNano: 1n,
    severityNumber: 9,
    severityText: 'INFO',
    attributes: [],
    droppedAttributesCount: 0,
    flags: 0,
    traceId: '',
    spanId: '',
    eventName: '',
  }
  const resource = { attributes: [], droppedAttributesCount: 0 }
  const scope = { name: '', version: '', attributes: [], droppedAttributesCount: 0 }
  const logs = encodeLogs({
    resourceLogs: [
      { resource, schemaUrl: '', scopeLogs: [{ scope, logRecords: [record], schemaUrl: '' }] },
    ],
  })
  const answer = await call(paths.logs, logs)
  expect('ok' in answer && decodeExportResponse(answer.ok)).toEqual({
    rejected: 1,
    errorMessage: expect.stringContaining('gen_ai.evaluation.result'),
  })
  // ResourceMetrics { ScopeMetrics { Metric { gauge { one empty point } } } }
  const metrics = Buffer.from([10, 8, 18, 6, 18, 4, 42, 2, 10, 0])
  const points = await call(paths.metrics, metrics)
  expect('ok' in points && decodeExportResponse(points.ok)).toEqual({
    rejected: 1,
    errorMessage: expect.stringContaining('no metrics'),
  })
})

test('gRPC with gzip is taken, and a flag without a name of a compression is refused', async () => {
  await start()
  client.close()
  client = new Client(started.grpc, credentials.createInsecure(), {
    'grpc.default_compression_algorithm': 2,
  })
  expect(await call(paths.traces, two)).toEqual({ ok: Buffer.alloc(0) })
  expect(await started.bus.spans()).toHaveLength(2)
  const raw = await rawCall(frame(gzipSync(two), 1))
  expect(raw['grpc-status']).toBe(String(status.INVALID_ARGUMENT))
})

test('gRPC with an unknown encoding is UNIMPLEMENTED and names those that are taken', async () => {
  await start()
  const headers = await rawCall(frame(two, 1), { 'grpc-encoding': 'snappy' })
  expect(headers['grpc-status']).toBe(String(status.UNIMPLEMENTED))
  expect(headers['grpc-accept-encoding']).toBe('identity,gzip,zstd,deflate')
})

test('gRPC: an unknown method is UNIMPLEMENTED, and no gRPC at all an HTTP status', async () => {
  await start()
  const answer = await call('/opentelemetry.proto.collector.trace.v1.TraceService/Other', two)
  expect(answer).toMatchObject({ code: status.UNIMPLEMENTED })
  const plain = await rawCall(two, { 'content-type': 'application/x-protobuf' })
  expect(plain[':status']).toBe(415)
  expect((await rawCall(two, { ':method': 'GET' }))[':status']).toBe(405)
})

test('gRPC: an undecodable message is INVALID_ARGUMENT, not retryable', async () => {
  await start()
  for (const path of Object.values(paths)) {
    const answer = await call(path, Buffer.from([10, 200, 1]))
    expect(answer).toMatchObject({ code: status.INVALID_ARGUMENT, details: { code: 3 } })
    expect('details' in answer && answer.details.retryDelayMs).toBeUndefined()
  }
})

test('gRPC: a cut message, none, two, and a strange flag are INVALID_ARGUMENT', async () => {
  await start()
  const whole = frame(two, 0)
  const bad = [
    Buffer.alloc(0),
    whole.subarray(0, 4),
    whole.subarray(0, -1),
    Buffer.concat([whole, whole]),
    frame(two, 2),
  ]
  for (const bytes of bad) {
    expect((await rawCall(bytes))['grpc-status']).toBe(String(status.INVALID_ARGUMENT))
  }
  expect((await rawCall(whole))['grpc-status']).toBe('0')
  expect(await started.bus.spans()).toHaveLength(2)
})

test('gRPC: refused spans are OK with rejected_spans and the reasons', async () => {
  await start({ spanBytesMax: '1KiB' })
  const large = { attributes: [{ key: 'k', value: { stringValue: 'x'.repeat(1024) } }] }
  const answer = await call(paths.traces, requestProto(spanJson(1), spanJson(2, large)))
  expect('ok' in answer && decodeExportResponse(answer.ok)).toEqual({
    rejected: 1,
    errorMessage: expect.stringContaining('spanBytesMax'),
  })
  expect(await started.bus.spans()).toHaveLength(1)
})

test('GRPCMaxRecvSize: a message at the limit is taken, one byte more is RESOURCE_EXHAUSTED without RetryInfo', async () => {
  const limit = 64 * 1024
  await start({ requestBytesMax: '64KiB' })
  const overhead = padded(limit - 200).length - (limit - 200)
  const at = padded(limit - overhead)
  expect(at.length).toBe(limit)
  expect(await call(paths.traces, at)).toEqual({ ok: Buffer.alloc(0) })
  for (const message of [padded(limit - overhead + 1), Buffer.alloc(30 * 1024 * 1024)]) {
    const answer = await call(paths.traces, message)
    expect(answer).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      message: expect.stringContaining('requestBytesMax'),
    })
    expect('details' in answer && answer.details.retryDelayMs).toBeUndefined()
  }
  const bomb = frame(gzipSync(Buffer.alloc(50 * 1024 * 1024)), 1)
  const refused = await rawCall(bomb, { 'grpc-encoding': 'gzip' })
  expect(refused['grpc-status']).toBe(String(status.RESOURCE_EXHAUSTED))
})

test('gRPC: a batch over the 4 MiB of gRPC libraries is taken', async () => {
  await start()
  const attributes = [{ key: 'k', value: { stringValue: 'x'.repeat(900_000) } }]
  const spans = Array.from({ length: 12 }, (_, n) => spanJson(n, { attributes }))
  expect(await call(paths.traces, requestProto(...spans))).toEqual({ ok: Buffer.alloc(0) })
  expect(await started.bus.spans()).toHaveLength(12)
})

test('gRPC: with keys, one is wanted as metadata, and its tenant is the one of the spans', async () => {
  await start({}, { keys: apiKeysOf({ secret: 'acme' }) })
  const metadata = (name: string, value: string): Metadata => {
    const made = new Metadata()
    made.set(name, value)
    return made
  }
  for (const refused of [new Metadata(), metadata('x-api-key', 'wrong')]) {
    const answer = await call(paths.traces, two, refused)
    expect(answer).toMatchObject({ code: status.UNAUTHENTICATED })
    expect('details' in answer && answer.details.retryDelayMs).toBeUndefined()
  }
  expect(await call(paths.traces, two, metadata('authorization', 'Bearer secret'))).toEqual({
    ok: Buffer.alloc(0),
  })
  expect(await call(paths.traces, two, metadata('x-api-key', 'secret'))).toEqual({
    ok: Buffer.alloc(0),
  })
  const tenants = (await started.bus.spans()).map(({ tenant }) => tenant)
  expect(tenants).toEqual(['acme', 'acme', 'acme', 'acme'])
})

test('gRPC: back-pressure is RESOURCE_EXHAUSTED or UNAVAILABLE with RetryInfo', async () => {
  let lag = 1
  await start({ retryDelay: '1500ms' }, { lagging: () => lag })
  expect(await call(paths.traces, two)).toMatchObject({
    code: status.RESOURCE_EXHAUSTED,
    details: { code: 8, retryDelayMs: 1500 },
  })
  lag = 0
  started.bus.before = () => {
    throw new PipelineError('BUS_UNAVAILABLE', 'no broker; 100 % „off“')
  }
  expect(await call(paths.traces, two)).toMatchObject({
    code: status.UNAVAILABLE,
    message: 'no broker; 100 % „off“',
    details: { code: 14, retryDelayMs: 1500 },
  })
  started.bus.before = () => {
    throw new TypeError('secret')
  }
  const defect = await call(paths.traces, two)
  expect(defect).toMatchObject({ code: status.INTERNAL })
  expect('message' in defect && defect.message).toBe(
    'this is a defect; the log of the receiver has its stack',
  )
})

test('gRPC: a client with a retry policy sends again what an outage refused, and all of it arrives', async () => {
  await start({ retryDelay: '5ms' })
  client.close()
  const name = [{ service: 'opentelemetry.proto.collector.trace.v1.TraceService' }]
  const retryPolicy = {
    maxAttempts: 4,
    initialBackoff: '0.01s',
    maxBackoff: '0.02s',
    backoffMultiplier: 1,
    retryableStatusCodes: ['UNAVAILABLE'],
  }
  client = new Client(started.grpc, credentials.createInsecure(), {
    'grpc.service_config': JSON.stringify({ methodConfig: [{ name, retryPolicy }] }),
  })
  let refusals = 0
  started.bus.before = () => {
    if (refusals++ < 2) throw new PipelineError('BUS_UNAVAILABLE', 'no broker answers')
  }
  expect(await call(paths.traces, requestProto(spanJson(1)))).toEqual({ ok: Buffer.alloc(0) })
  expect(refusals).toBe(3)
  expect(await started.bus.spans()).toHaveLength(1)
})

test('gRPC: stop() answers the calls under way, and takes no new one', async () => {
  await start()
  let open = (): void => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  started.bus.before = () => opened
  const answer = call(paths.traces, two)
  while (started.bus.appends === 0) await new Promise(setImmediate)
  const stopped = started.receiver.stop()
  open()
  expect(await answer).toEqual({ ok: Buffer.alloc(0) })
  await stopped
  expect(await call(paths.traces, two)).toMatchObject({ code: status.UNAVAILABLE })
})

/** One call as its bytes are, without a client that would mend them: the response's headers, or trailers. */
function rawCall(
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown>> {
  const session = connect(`http://${started.grpc}`)
  return new Promise((resolve, reject) => {
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': paths.traces,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      },
      { endStream: false },
    )
    let seen: Record<string, unknown> = {}
    const note = (given: Record<string, unknown>): void => {
      seen = { ...seen, ...given }
    }
    stream.on('response', note).on('trailers', note)
    stream.on('error', error => (seen[':status'] === undefined ? reject(error) : undefined))
    stream.on('close', () => {
      session.close()
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR || seen[':status'] !== undefined)
        resolve(seen)
    })
    stream.resume()
    stream.end(bytes)
  })
}

function frame(message: Uint8Array, flag: number): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}
