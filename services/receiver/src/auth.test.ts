import { createHash } from 'node:crypto'
import { statusFromJson } from '@winnow/otlp'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { post, requestJson, type Started, spanJson, startReceiver } from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex')
const keys = apiKeysOf({ 'key-of-acme': 'acme', 'key-of-beta': 'beta' })
const claimsBeta = requestJson(
  spanJson(1, { attributes: [{ key: 'tenant', value: { stringValue: 'beta' } }] }),
)

test('with keys, none or an unknown one is 401 with a Status, never a 5xx', async () => {
  started = await startReceiver({}, { keys })
  const wrong: Record<string, string>[] = [
    {},
    { authorization: 'Bearer wrong' },
    { authorization: 'key-of-acme' },
    { authorization: 'Basic key-of-acme' },
    { 'x-api-key': '' },
    { 'x-api-key': sha256('key-of-acme') },
  ]
  for (const headers of wrong) {
    for (const path of ['/v1/traces', '/v1/logs', '/v1/metrics']) {
      const response = await post(started, path, '{}', headers)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      expect(statusFromJson(await response.bytes()).code).toBe(16)
    }
  }
  expect(await started.metrics.text()).toContain(
    'winnow_requests_refused_total{reason="unauthenticated"} 18',
  )
})

test('the tenant comes from the key, whatever the attributes say', async () => {
  started = await startReceiver({}, { keys })
  const bearer = { authorization: 'Bearer key-of-acme' }
  expect((await post(started, '/v1/traces', claimsBeta, bearer)).status).toBe(200)
  const apiKey = { 'x-api-key': 'key-of-beta' }
  expect((await post(started, '/v1/traces', requestJson(spanJson(2)), apiKey)).status).toBe(200)
  const tenants = (await started.bus.spans()).map(({ tenant, span }) => `${tenant} ${span.name}`)
  expect(tenants.sort()).toEqual(['acme span 1', 'beta span 2'])
})

test('without keys any credential is ignored and the tenant is default', async () => {
  started = await startReceiver()
  for (const headers of [{}, { authorization: 'Bearer anything' }, { 'x-api-key': 'x' }]) {
    expect((await post(started, '/v1/traces', claimsBeta, headers)).status).toBe(200)
  }
  const tenants = (await started.bus.spans()).map(({ tenant }) => tenant)
  expect(tenants).toEqual(['default', 'default', 'default'])
})

test('two tenants with one trace id share a record and no slice', async () => {
  started = await startReceiver({ linger: '0ms' }, { keys })
  const { bus } = started
  let open = (): void => {}
  bus.before = () =>
    new Promise(resolve => {
      open = () => resolve()
    })
  const send = (key: string, n: number): Promise<Response> =>
    post(started, '/v1/traces', requestJson(spanJson(n, { traceId: spanJson(1).traceId })), {
      'x-api-key': key,
    })
  const answers = [send('key-of-acme', 1)]
  while (bus.appends === 0) await new Promise(setImmediate)
  for (const [key, n] of [
    ['key-of-acme', 2],
    ['key-of-beta', 3],
    ['key-of-acme', 4],
  ] as const) {
    answers.push(send(key, n))
  }
  await new Promise(resolve => setTimeout(resolve, 30))
  bus.before = () => {}
  open()
  await Promise.all(answers)
  expect(await bus.records('spans')).toHaveLength(2)
  const spans = (await bus.spans()).map(({ tenant, span }) => `${tenant} ${span.name}`)
  expect(spans.slice(1).sort()).toEqual(['acme span 2', 'acme span 4', 'beta span 3'])
})
