import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { Random } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { post, requestJson, type Started, spanJson, startReceiver } from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const seed = Number(process.hrtime.bigint() % 1_000_000n)

/** In [0, below). */
function randomOf(start: number): (below: number) => number {
  const random = new Random(start)
  return below => random.unit() * below
}

/** A few bytes changed, cut out, doubled, or put elsewhere. */
function mutated(bytes: Uint8Array, random: (below: number) => number): Buffer {
  let made = Buffer.from(bytes)
  for (let n = 1 + random(4); n > 0; n--) {
    const at = Math.floor(random(made.length))
    const length = Math.floor(random(8))
    const way = Math.floor(random(4))
    if (way === 0) made[at] = Math.floor(random(256))
    else if (way === 1) made = Buffer.concat([made.subarray(0, at), made.subarray(at + length)])
    else if (way === 2) made = Buffer.concat([made.subarray(0, at + length), made.subarray(at)])
    else made = made.subarray(0, at)
  }
  return made
}

const example = (name: string): Buffer =>
  readFileSync(new URL(`../examples/${name}`, import.meta.url))

const rounds = 300

test(`fuzz: mutated requests over HTTP are 200 or 400, never a crash or a 500 (seed ${seed})`, async () => {
  started = await startReceiver()
  const random = randomOf(seed)
  const paths = { trace: '/v1/traces', logs: '/v1/logs', metrics: '/v1/metrics' } as const
  const seen = new Map<number, number>()
  for (let round = 0; round < rounds; round++) {
    for (const [name, path] of Object.entries(paths)) {
      const proto = mutated(example(`${name}.pb`), random)
      const json = mutated(example(`${name}.json`), random).toString()
      const answers = [await post(started, path, proto), await post(started, path, json)]
      for (const answer of answers) {
        expect([200, 400]).toContain(answer.status)
        seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
        await answer.arrayBuffer()
      }
    }
  }
  expect(seen.get(200)).toBeGreaterThan(0)
  expect(seen.get(400)).toBeGreaterThan(0)
  // What was acknowledged decodes: the fixture reads every record to its last byte.
  expect((await started.bus.spans()).length).toBeGreaterThan(0)
  const after = await post(started, '/v1/traces', requestJson(spanJson(1)))
  expect(await after.text()).toBe('{}')
  expect(started.receiver.bytesInFlight).toBe(0)
})

test(`fuzz: mutated gzip is 200 or 400, random evaluations 202 or 4xx (seed ${seed})`, async () => {
  started = await startReceiver()
  const random = randomOf(seed + 1)
  const whole = gzipSync(example('trace.pb'))
  const evaluation = JSON.stringify({
    traceId: 'a'.repeat(32),
    name: 'csat',
    score: 2,
    label: 'bad',
  })
  for (let round = 0; round < rounds; round++) {
    const zip = { 'content-encoding': 'gzip' }
    const answer = await post(started, '/v1/traces', mutated(whole, random), zip)
    expect([200, 400]).toContain(answer.status)
    await answer.arrayBuffer()
    const text = mutated(Buffer.from(evaluation), random).toString()
    const told = await post(started, '/api/v1/evaluations', text)
    expect([202, 400, 422]).toContain(told.status)
    await told.arrayBuffer()
  }
  expect(started.receiver.bytesInFlight).toBe(0)
})

test(`fuzz: mutated messages over gRPC are OK or INVALID_ARGUMENT (seed ${seed})`, async () => {
  started = await startReceiver()
  const random = randomOf(seed + 2)
  const client = new Client(started.grpc, credentials.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  const call = (message: Buffer): Promise<number> =>
    new Promise(resolve => {
      const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
      const done = (error: ServiceError | null): void => resolve(error?.code ?? status.OK)
      client.makeUnaryRequest(path, same, same, message, done)
    })
  for (let round = 0; round < rounds; round++) {
    const code = await call(mutated(example('trace.pb'), random))
    expect([status.OK, status.INVALID_ARGUMENT]).toContain(code)
  }
  client.close()
  expect(started.receiver.bytesInFlight).toBe(0)
})
