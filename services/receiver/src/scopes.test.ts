import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { decodeStatus, statusFromJson } from '@winnow/otlp'
import { type Scope, scopes } from '@winnow/runtime'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import {
  media,
  nowMs,
  post,
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

/** Every call there is, and the one scope that opens it. */
const calls: readonly [path: string, scope: Scope, body: string][] = [
  ['/v1/traces', 'ingest', requestJson(spanJson(1))],
  ['/v1/logs', 'evaluate', '{}'],
  ['/v1/metrics', 'ingest', '{}'],
  [
    '/api/v1/evaluations',
    'evaluate',
    JSON.stringify({ traceId: spanJson(1).traceId, name: 'csat', score: 2 }),
  ],
]
const otlp = 'opentelemetry.proto.collector'
const grpcCalls: readonly [path: string, scope: Scope][] = [
  [`/${otlp}.trace.v1.TraceService/Export`, 'ingest'],
  [`/${otlp}.logs.v1.LogsService/Export`, 'evaluate'],
  [`/${otlp}.metrics.v1.MetricsService/Export`, 'ingest'],
]

/** A key with one scope each, and one without the named one. */
const keys = apiKeysOf({
  ...Object.fromEntries(scopes.map(one => [`only-${one}`, { tenant: 'acme', scopes: [one] }])),
  ...Object.fromEntries(
    scopes.map(one => [
      `all-but-${one}`,
      { tenant: 'acme', scopes: scopes.filter(other => other !== one) },
    ]),
  ),
  passing: { tenant: 'acme', scopes, expiresAtMs: nowMs + 60_000 },
})

test('a known key without the scope is 403 PERMISSION_DENIED: it names the scope, never the key', async () => {
  started = await startReceiver({}, { keys })
  for (const [path, scope, body] of calls) {
    for (const only of scopes) {
      const key = `only-${only}`
      const answer = await post(started, path, body, { 'x-api-key': key })
      expect([path, only, answer.ok]).toEqual([path, only, only === scope])
      await answer.body?.cancel()
    }
    const key = `all-but-${scope}`
    const refused = await post(started, path, body, { authorization: `Bearer ${key}` })
    expect(refused.status).toBe(403)
    expect(refused.headers.get('retry-after')).toBeNull()
    expect(refused.headers.get('www-authenticate')).toBe(
      `Bearer error="insufficient_scope", scope="${scope}"`,
    )
    const text = await refused.text()
    expect(text).toContain(`this key lacks the scope ${scope}; use one that has it`)
    expect(text).not.toContain(key)
    if (path.startsWith('/v1')) expect(statusFromJson(Buffer.from(text)).code).toBe(7)
    else expect(JSON.parse(text).error.code).toBe('PERMISSION_DENIED')
  }
  expect(await started.metrics.text()).toContain('reason="permission_denied"')
})

test('403 has the encoding of its request too', async () => {
  started = await startReceiver({}, { keys })
  const headers = { 'x-api-key': 'only-read' }
  const refused = await post(started, '/v1/traces', requestProto(spanJson(1)), headers)
  expect(refused.status).toBe(403)
  expect(refused.headers.get('content-type')).toBe(media.protobuf)
  expect(decodeStatus(await refused.bytes()).code).toBe(7)
})

test('gRPC: a known key without the scope is PERMISSION_DENIED and names the scope', async () => {
  started = await startReceiver({}, { keys })
  const client = new Client(started.grpc, credentials.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  const send = (path: string, key: string): Promise<ServiceError | null> => {
    const metadata = new Metadata()
    metadata.set('x-api-key', key)
    return new Promise(resolve => {
      client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, error => resolve(error))
    })
  }
  try {
    for (const [path, scope] of grpcCalls) {
      for (const only of scopes) {
        const error = await send(path, `only-${only}`)
        if (only === scope) expect([path, error]).toEqual([path, null])
        else {
          expect(error?.code).toBe(status.PERMISSION_DENIED)
          expect(error?.details).toBe(`this key lacks the scope ${scope}; use one that has it`)
        }
      }
    }
  } finally {
    client.close()
  }
})

test('a key that has expired is 401 and says so', async () => {
  started = await startReceiver({}, { keys })
  const headers = { 'x-api-key': 'passing' }
  expect((await post(started, '/v1/traces', '{}', headers)).status).toBe(200)
  started.clock.advanceMs(60_000)
  const late = await post(started, '/v1/traces', '{}', headers)
  expect(late.status).toBe(401)
  expect(await late.text()).toContain('this key has expired')
})
