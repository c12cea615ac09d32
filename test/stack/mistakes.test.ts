// What strangers get wrong: each mistake ends with one line that names the key, the value and the remedy,
// and never a secret; at the start with the exit code, or at the moment it happens.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashOfKey } from '@winnow/runtime'
import { OtlpClient, TestAuthority, trace48f, trace48fId } from '@winnow/testing'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { metricSum } from '../crash/metrics.ts'
import {
  freePorts,
  type RunningWinnow,
  type RunResult,
  startWinnow,
  winnow,
} from '../support/winnow-process.ts'
import { type Front, loginFront, tlsFront } from './fronts.ts'
import { adminOf } from './kafka/clients.ts'
import { startKafka, type TestKafka } from './kafka.ts'
import { startOpenSearch } from './opensearch.ts'
import { startRedis } from './redis.ts'
import { refuse } from './refuse.ts'
import { startS3 } from './s3.ts'

const secret = 'a-wrong-secret'
const folder = mkdtempSync(join(tmpdir(), 'winnow-mistakes-'))
const authority = new TestAuthority()
const dayMs = 86_400_000
const expired = authority.issue({
  notBefore: new Date(Date.now() - 3 * dayMs),
  notAfter: new Date(Date.now() - dayMs),
})
const ca = join(folder, 'ca.pem')

const [kafka, redis, opensearch, s3] = await Promise.all([
  startKafka({ fresh: true, sasl: { username: 'winnow', password: 'right' } }),
  startRedis({ fresh: true, password: 'right' }),
  startOpenSearch({ fresh: true }),
  startS3({ fresh: true }),
])
const started = [kafka.server, redis.server, opensearch.server, s3.server]

beforeAll(() => writeFileSync(ca, authority.ca))
afterAll(async () => {
  for (const server of started) await server?.stop()
  rmSync(folder, { recursive: true })
})

const onKafka = test.runIf(kafka.server !== undefined)
const onRedis = test.runIf(redis.server !== undefined)
const onOpenSearch = test.runIf(opensearch.server !== undefined)
const onS3 = test.runIf(s3.server !== undefined)

test('all four servers are to be had', ({ skip }) => {
  for (const one of [kafka, redis, opensearch, s3]) if (one.why !== undefined) refuse(skip, one.why)
})

const hostOf = (url: string): string => url.replace(/^\w+:\/\//, '')
const nobody = '127.0.0.1:1'

let folders = 0
const newFolder = (): string => join(folder, `${folders++}`)

/** `winnow up` that cannot start: its one line, whatever it is told of on the way. */
async function refused(
  env: Record<string, string>,
): Promise<Pick<RunResult, 'code'> & { line: string }> {
  const { code, stderr } = await winnow(['up'], {
    ...freePorts,
    WINNOW_TOPICS_PARTITIONS: '2',
    WINNOW_DATA: newFolder(),
    ...env,
  })
  expect(stderr).not.toContain(secret)
  const lines = stderr.split('\n').filter(line => line.startsWith('winnow: '))
  expect(lines, stderr).toHaveLength(1)
  // Anything else would be read first.
  expect(
    stderr.split('\n').filter(line => /"kind":"(bus\.client|thread\.failed)"/.test(line)),
  ).toEqual([])
  return { code, line: lines[0] ?? '' }
}

/** `winnow up` that starts, and works without what is wrong: what it logged, and what `/readyz` says. */
async function running(env: Record<string, string>): Promise<RunningWinnow> {
  const up = await startWinnow({ env, data: newFolder() })
  onTestFinished(() => up.kill9())
  return up
}

async function readiness(up: RunningWinnow) {
  const answer = await fetch(`http://${up.metrics}/readyz`)
  const body = (await answer.json()) as {
    readonly ready: boolean
    readonly degraded: boolean
    readonly parts: Readonly<Record<string, { readonly ready: boolean; readonly detail?: string }>>
  }
  return { status: answer.status, ...body }
}

/** `winnow doctor`: the lines of what would not work. */
async function doctor(env: Record<string, string>): Promise<string> {
  const { code, stdout } = await winnow(['doctor'], {
    ...freePorts,
    WINNOW_TOPICS_PARTITIONS: '2',
    WINNOW_DATA: newFolder(),
    ...env,
  })
  expect(stdout).not.toContain(secret)
  expect(code).toBe(1)
  const wrong = stdout.split('\n').filter(line => line.startsWith('✗'))
  expect(wrong.length, stdout).toBeGreaterThan(0)
  return wrong.join('\n')
}

async function behind(front: Promise<Front>): Promise<string> {
  const { address, close } = await front
  onTestFinished(close)
  return address
}

const { broker, saslBroker } = kafka.server ?? ({} as Partial<TestKafka>)

onKafka('no broker at the address: bus, the address and what to do, exit 3', async () => {
  const env = { WINNOW_BUS: `kafka://${nobody}` }
  const [{ code, line }, found] = await Promise.all([refused(env), doctor(env)])
  const said = /`bus` 127\.0\.0\.1:1: .*ECONNREFUSED.*; start a broker there, or correct `bus`/
  expect(line).toMatch(said)
  expect(code).toBe(3)
  expect(found).toMatch(said)
})

onKafka('a wrong password of Kafka: the keys of the login, exit 2', async () => {
  const env = {
    WINNOW_BUS: `kafka://${saslBroker}`,
    WINNOW_KAFKA_SASL_MECHANISM: 'plain',
    WINNOW_KAFKA_SASL_USERNAME: 'winnow',
    WINNOW_KAFKA_SASL_PASSWORD: secret,
  }
  const { code, line } = await refused(env)
  expect(line).toContain(`\`bus\` ${saslBroker}`)
  expect(line).toMatch(
    /correct `kafka\.saslMechanism`, `kafka\.saslUsername` or `kafka\.saslPassword`/,
  )
  expect(code).toBe(2)
  expect(await doctor(env)).toMatch(/`kafka\.saslPassword`/)
})

onKafka('an expired certificate of Kafka: whose, and to renew it, exit 2', async () => {
  const address = await behind(tlsFront(expired, broker ?? ''))
  const env = {
    WINNOW_BUS: `kafka://${address}`,
    WINNOW_KAFKA_TLS: 'true',
    WINNOW_KAFKA_CA_FILE: ca,
  }
  const { code, line } = await refused(env)
  expect(line).toMatch(
    /certificate has expired; have the certificate of the brokers at `bus` renewed/,
  )
  expect(line).toContain(address)
  expect(code).toBe(2)
})

onKafka('topics of another partition count: both counts and both remedies, exit 2', async () => {
  const env = { WINNOW_BUS: `kafka://${broker}`, WINNOW_TOPICS_PREFIX: 'counted' }
  const first = await running({ ...env, WINNOW_TOPICS_PARTITIONS: '2' })
  expect(await first.stop()).toBe(0)
  const other = { ...env, WINNOW_TOPICS_PARTITIONS: '3' }
  const { code, line } = await refused(other)
  expect(line).toMatch(
    /topic counted\.spans\.1 has 2 partitions, `topics\.partitions` is 3: set `topics\.partitions` to 2, or raise `topics\.generation`/,
  )
  expect(code).toBe(2)
  expect(await doctor(other)).toMatch(/counted\.spans\.1 has partitions 2, wanted 3; set `topics/)
})

onRedis(
  'no Redis at the address: it works without, one line a stage, and is degraded',
  async () => {
    const env = { WINNOW_BUFFER: `redis://${nobody}` }
    const up = await running(env)
    const { status, ready, degraded, parts } = await readiness(up)
    expect([status, ready, degraded]).toEqual([200, true, true])
    expect(parts.buffer?.detail).toMatch(
      /redis:\/\/127\.0\.0\.1:1: connect ECONNREFUSED .*; the bus is read instead, .*address of buffer/,
    )
    const lines = up
      .stderr()
      .split('\n')
      .filter(line => line.includes('buffer.degraded'))
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines)
      expect(line).toMatch(/"remedy":"see whether a Redis answers at the address of buffer\b/)
    expect(await doctor(env)).toMatch(/✗ buffer .*redis:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/)
  },
)

onRedis('a wrong password and an expired certificate of Redis name their keys', async () => {
  const password = {
    WINNOW_BUFFER: redis.server?.url ?? '',
    WINNOW_REDIS_PASSWORD: secret,
  }
  const up = await running(password)
  expect((await readiness(up)).parts.buffer?.detail).toMatch(
    /WRONGPASS.*redis\.username and redis\.password/,
  )
  expect(up.stderr()).not.toContain(secret)
  expect(await doctor(password)).toMatch(/✗ buffer .*redis\.username and redis\.password/)
  const address = await behind(tlsFront(expired, hostOf(redis.server?.url ?? '')))
  const certificate = {
    WINNOW_BUFFER: `redis://${address}`,
    WINNOW_REDIS_PASSWORD: 'right',
    WINNOW_REDIS_TLS: 'true',
    WINNOW_REDIS_CA_FILE: ca,
  }
  expect(await doctor(certificate)).toMatch(
    /✗ buffer .*certificate has expired; have the certificate of the Redis at buffer renewed/,
  )
})

onOpenSearch('no OpenSearch at the address: not ready, with the key and the address', async () => {
  const env = { WINNOW_HOT: `http://${nobody}` }
  const up = await running(env)
  const { status, parts } = await readiness(up)
  expect(status).toBe(503)
  const said =
    /hot +http:\/\/127\.0\.0\.1:1 does not answer: .*ECONNREFUSED.*; start it, or correct the address in hot/
  expect(parts.hot?.detail).toMatch(said)
  expect(parts.writer?.ready).toBe(false)
  expect(parts.receiver?.ready).toBe(true)
  expect((await fetch(`http://${up.metrics}/healthz`)).status).toBe(200)
  expect(await doctor(env)).toMatch(said)
})

onOpenSearch(
  'a wrong password and an expired certificate of OpenSearch name their keys, exit 2',
  async () => {
    const server = hostOf(opensearch.server?.url ?? '')
    const guarded = await behind(loginFront({ username: 'winnow', password: 'right' }, server))
    const login = {
      WINNOW_HOT: `http://${guarded}`,
      WINNOW_OPENSEARCH_USERNAME: 'winnow',
      WINNOW_OPENSEARCH_PASSWORD: secret,
    }
    const wrong = await refused(login)
    expect(wrong.line).toContain(
      `hot http://${guarded} refuses opensearch.username or opensearch.password (401): correct them`,
    )
    expect(wrong.code).toBe(2)
    expect(await doctor(login)).toMatch(/✗ hot .*opensearch\.password/)
    const address = await behind(tlsFront(expired, server))
    const old = await refused({ WINNOW_HOT: `https://${address}`, WINNOW_OPENSEARCH_CA_FILE: ca })
    expect(old.line).toMatch(/certificate has expired; have its certificate renewed/)
    expect(old.line).toContain(address)
    expect(old.code).toBe(2)
  },
)

onS3('no S3 at the address: s3.endpoint, its value and what to do, exit 3', async () => {
  const { code, line } = await refused({
    ...s3.server?.env,
    WINNOW_S3_ENDPOINT: `http://${nobody}`,
  })
  expect(line).toMatch(
    /s3\.endpoint http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED: see that the server runs and that s3\.endpoint is its address/,
  )
  expect(code).toBe(3)
})

onS3(
  'a wrong secret, a missing bucket and an expired certificate of S3 name their keys, exit 2',
  async () => {
    const env = { ...s3.server?.env }
    const login = await refused({ ...env, WINNOW_S3_SECRET_ACCESS_KEY: secret })
    expect(login.line).toMatch(/correct s3\.accessKeyId and s3\.secretAccessKey/)
    const missing = { ...env, WINNOW_BLOBS: 's3://nobody-made-this' }
    const bucket = await refused(missing)
    expect(bucket.line).toMatch(
      /s3:\/\/nobody-made-this .*make the bucket, or name another one in blobs/,
    )
    expect(await doctor(missing)).toMatch(/✗ blobs .*make the bucket/)
    const address = await behind(tlsFront(expired, hostOf(s3.server?.endpoint ?? '')))
    const old = await refused({
      ...env,
      WINNOW_S3_ENDPOINT: `https://${address}`,
      WINNOW_S3_CA_FILE: ca,
    })
    expect(old.line).toMatch(/CERT_HAS_EXPIRED.*have that renewed/)
    expect([login.code, bucket.code, old.code]).toEqual([2, 2, 2])
  },
)

test('an expired certificate of our own is found before anybody meets it', async () => {
  const file = join(folder, 'expired.pem')
  writeFileSync(file, expired.cert)
  const found = await doctor({ WINNOW_KAFKA_TLS: 'true', WINNOW_KAFKA_CA_FILE: file })
  expect(found).toMatch(
    /✗ kafka\.caFile .*expired\.pem has expired at .*; put a new certificate there/,
  )
})

onKafka(
  'topics that are made anew under a running pipeline: it ends, and says which and what to do',
  async () => {
    const env = { WINNOW_BUS: `kafka://${broker}`, WINNOW_TOPICS_PREFIX: 'anew' }
    const up = await running(env)
    await sendTrace(up.otlpGrpc)
    await vi.waitFor(async () => expect(await stateOf(up.api)).toBe('kept'), waits)
    // A position that it commits behind the new topics' ends would be another mistake, with its own line.
    await vi.waitFor(async () => {
      for (const group of ['assembler', 'sampler', 'writer-hot']) {
        const lag = await metricSum(up.metrics, `winnow_bus_lag_records{group="${group}"}`)
        expect([group, lag]).toEqual([group, 0])
      }
    }, waits)
    await adminOf(broker ?? '', async admin => {
      const topics = (await admin.listTopics()).filter(name => name.startsWith('anew.'))
      await admin.deleteTopics({ topics })
    })
    const other = await running(env)
    expect(await up.exited).toBe(70)
    const said = up
      .stderr()
      .split('\n')
      .filter(line => line.startsWith('winnow: '))
    expect(said).toEqual([
      expect.stringMatching(
        // Whoever meets it first: who reads on, or who fetches one record.
        /anew\.\w+\.1\/\d[^:]*: the topic was deleted and made again, .*start again/,
      ),
    ])
    // Started again, as the other was, it goes on with what is there.
    await sendTrace(other.otlpGrpc)
    await vi.waitFor(async () => expect((await readiness(other)).ready).toBe(true), waits)
  },
)

onOpenSearch(
  'an index that turns read-only: not ready, with the index and how to lift it',
  async () => {
    const { url = '' } = opensearch.server ?? {}
    const up = await running({ WINNOW_HOT: url, WINNOW_OPENSEARCH_REPLICAS: '0' })
    await sendTrace(up.otlpGrpc)
    const indices = async () => (await fetch(`${url}/_cat/indices/winnow-*?h=index`)).text()
    await vi.waitFor(async () => expect(await indices()).toContain('winnow-traces-'), waits)
    const block = async (value: boolean | null) => {
      const answer = await fetch(`${url}/winnow-*/_settings`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ 'index.blocks.write': value }),
      })
      expect(answer.status).toBe(200)
    }
    await block(true)
    // Another revision has to be written.
    await evaluate(up.api)
    const told =
      /index winnow-\w+-[\w-]+ is read-only .*PUT \/winnow-[\w-]+\/_settings {"index\.blocks\.write":null}/
    await vi.waitFor(async () => {
      const { ready, parts } = await readiness(up)
      expect([ready, parts.hot?.detail]).toEqual([false, expect.stringMatching(told)])
    }, waits)
    expect(await doctor({ WINNOW_HOT: url })).toMatch(/✗ hot +index winnow-\S+ takes no writes/)
    await block(null)
    await vi.waitFor(async () => expect((await readiness(up)).ready).toBe(true), waits)
  },
)

test('a key of another tenant sees nothing, and is told whose key to use', async () => {
  const [own, others, key] = ['team-a-key', 'team-b-key', 'no-key-at-all']
  const config = join(folder, 'keys.yaml')
  writeFileSync(config, `keys:\n  ${hashOfKey(own)}: team-a\n  ${hashOfKey(others)}: team-b\n`)
  const up = await startWinnow({ data: newFolder(), args: ['--config', config] })
  onTestFinished(() => up.kill9())
  await sendTrace(up.otlpGrpc, own)
  const url = ['--url', `http://${up.api}`]
  const why = (as: string) => winnow(['why', trace48fId, ...url, '--key', as])
  await vi.waitFor(async () => expect((await why(own)).code).toBe(0), waits)
  const strange = await why(others)
  expect(strange.stdout).toMatch(
    /Nothing of it has been seen under this tenant: .*check the id, and whose the key is\./,
  )
  expect(strange.code).toBe(1)
  const unknown = await why(key)
  expect(unknown.stderr.trim().split('\n')).toEqual([expect.stringMatching(/--key/)])
  expect(unknown.stderr).not.toContain(key)
  expect(unknown.code).toBe(2)
})

const waits = { timeout: 60_000, interval: 500 }

/** A trace that is kept for its own sake: its citation check failed. */
async function sendTrace(address: string, apiKey?: string): Promise<void> {
  const client = new OtlpClient({
    transport: 'grpc',
    address,
    ...(apiKey !== undefined && { apiKey }),
  })
  await client.sendTraces(trace48f({ startMs: Date.now() }))
  client.close()
}

async function stateOf(api: string): Promise<string> {
  const answer = await fetch(`http://${api}/api/v1/traces/${trace48fId}/why`)
  return ((await answer.json()) as { readonly state: string }).state
}

async function evaluate(api: string): Promise<void> {
  const answer = await fetch(`http://${api}/api/v1/evaluations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([{ traceId: trace48fId, name: 'csat', score: 1 }]),
  })
  expect(answer.ok).toBe(true)
}
