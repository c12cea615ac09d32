// What docker-compose.yml starts, without containers: the Dockerfile's own install line in a folder, the services'
// own commands and variables, run by somebody who may write nowhere but in /data - on a real Kafka, Redis,
// OpenSearch and S3 server, with a real Prometheus whose every panel has data.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeTraces } from '@winnow/otlp'
import { trace48fId, trafficEvents } from '@winnow/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { boardQueries, dataWaits, expectData } from '../support/board-queries.ts'
import { boardEnv, playForBoards, watchingPolicy } from '../support/board-traffic.ts'
import { compose, secretText, stages, winnowEnv } from '../support/compose-file.ts'
import { buildImage, commandOf, type Image, type ImageProcess } from '../support/image.ts'
import { shortWaits } from '../support/winnow-process.ts'
import { adminOf, kafkajs } from './kafka/clients.ts'
import { freePort } from './ports.ts'
import { missingForPrometheus, startPrometheus, type TestPrometheus } from './prometheus.ts'
import { refuse } from './refuse.ts'
import { startStack, type TestStack } from './stack.ts'

const seed = Number(process.env.TEST_SEED ?? 20_261_121)
const started = await startStack()
const { stack } = started
const why = [stack === undefined ? started.why : undefined, missingForPrometheus()].filter(
  one => one !== undefined,
)
const fact = test.runIf(why.length === 0)

const run = `compose-${process.pid}-${Date.now().toString(36)}`
/** Somebody else's, from which the receiver takes too. */
const sourceTopic = `otlp-${run}`
const processes: ImageProcess[] = []
const enough = new AbortController()
const ports: Record<string, string> = {}
let image: Image
let prometheus: TestPrometheus
let traffic: Promise<unknown> = Promise.resolve()

beforeAll(async () => {
  if (why.length > 0) return
  console.info(`seed ${seed}`)
  image = buildImage()
}, 600_000)

afterAll(async () => {
  enough.abort()
  await traffic
  await Promise.all(processes.map(one => one.stop()))
  await prometheus?.stop()
  await stack?.stop()
  image?.remove()
}, 120_000)

test('Kafka, Redis, OpenSearch, an S3 server and a Prometheus are to be had', ({ skip }) => {
  if (why.length > 0) refuse(skip, why.join('; '))
})

fact('the service that makes the bucket makes it, and finds it there the next time', async () => {
  const { bucket } = compose.services
  for (let time = 0; time < 2; time++) {
    const making = image.run(commandOf(bucket ?? {}), await envOf('bucket'))
    expect(await making.exited, making.output()).toBe(0)
  }
})

fact(
  'the five services start, each as an image that may be written nowhere else',
  { timeout: 300_000 },
  async () => {
    await adminOf(stack?.kafka.broker ?? '', async admin =>
      admin.createTopics({ topics: [{ topic: sourceTopic, numPartitions: 1 }] }),
    )
    for (const stage of stages) {
      const service = compose.services[stage]
      const env = {
        ...(await envOf(stage)),
        ...(stage === 'receiver' && { WINNOW_KAFKA_SOURCE_TOPICS: `[${sourceTopic}]` }),
      }
      processes.push(image.run(commandOf(service ?? {}), env))
    }
    for (const [at, stage] of stages.entries()) {
      const healthcheck = async (): Promise<string> => {
        const check = image.run(['node', 'deploy/healthcheck.mjs'], {
          WINNOW_METRICS: ports[`${stage} WINNOW_METRICS`] ?? '',
        })
        return (await check.exited) === 0
          ? 'healthy'
          : `${check.output()}\n${processes[at]?.output()}`
      }
      await expect.poll(healthcheck, { ...dataWaits, message: stage }).toBe('healthy')
    }
  },
)

fact('trace 48f is kept and can be read through the API', { timeout: 200_000 }, async () => {
  const target = {
    otlpGrpc: ports['receiver WINNOW_OTLP_GRPC'] ?? '',
    otlpHttp: ports['receiver WINNOW_OTLP_HTTP'] ?? '',
    api: ports['query WINNOW_API'] ?? '',
  }
  traffic = Promise.all([playForBoards(target, seed, enough.signal), playForSource()])
  const status = async () =>
    (await fetch(`http://${target.api}/api/v1/traces/${trace48fId}`)).status
  await expect.poll(status, dataWaits).toBe(200)
  const why48f = await (await fetch(`http://${target.api}/api/v1/traces/${trace48fId}/why`)).json()
  expect(why48f).toMatchObject({ state: 'kept' })
})

fact('a Prometheus with the shipped configuration scrapes them all', async () => {
  prometheus = await startPrometheus(stages.map(stage => ports[`${stage} WINNOW_METRICS`] ?? ''))
  const up = async () => (await prometheus.query('up{job="winnow"} == 1')).length
  await expect.poll(up, dataWaits).toBe(stages.length)
})

// test/stack/dashboards.test.ts asks the others of one process.
for (const { name, expr } of boardQueries.filter(({ needs }) => needs !== 'one process')) {
  fact(`${name}: there is data`, () => expectData(prometheus, expr))
}

fact('the alert on the trace buffer looks at a metric that is there', () =>
  expectData(prometheus, 'winnow_trace_buffer_up'),
)

fact('every service ends with 0 on SIGTERM', { timeout: 120_000 }, async () => {
  enough.abort()
  await traffic
  for (const [at, stage] of stages.entries()) {
    expect(await processes[at]?.stop(), `${stage}: ${processes[at]?.output()}`).toBe(0)
  }
})

/**
 * The variables that docker-compose.yml gives a service, with the test's servers in the place of its hosts, listeners
 * on free ports of this machine, and waits that a test can sit through.
 */
async function envOf(name: string): Promise<Record<string, string>> {
  const { kafka, redis, opensearch, s3: store } = stack as TestStack
  const hosts: Readonly<Record<string, string>> = {
    'kafka://kafka:9092': kafka.url,
    'redis://redis:6379': redis.url,
    'http://opensearch:9200': opensearch.url,
    'http://s3:7070': store.endpoint,
    's3://winnow': `s3://${run}`,
    winnow: store.accessKeyId,
    '/run/secrets/s3-secret-access-key': file('s3-secret-access-key', `${store.secretAccessKey}\n`),
    '/run/secrets/token-keys': file('token-keys', secretText('/run/secrets/token-keys')),
  }
  const env: Record<string, string> = {}
  for (const [key, value] of Object.entries(winnowEnv(name))) {
    const [, port] = /^0\.0\.0\.0:(\d+)$/.exec(value) ?? []
    if (port === undefined) {
      env[key] = hosts[value] ?? value
      continue
    }
    const address = `127.0.0.1:${await freePort()}`
    ports[`${name} ${key}`] = address
    env[key] = address
  }
  expect(Object.values(env).join(' ')).not.toMatch(/\/run\/secrets|:9092$|:7070/)
  return {
    ...env,
    ...shortWaits,
    ...boardEnv,
    WINNOW_DATA: image.data,
    WINNOW_POLICY: file('policy.yaml', watchingPolicy),
    WINNOW_TOPICS_PREFIX: run,
    WINNOW_OPENSEARCH_INDEX_PREFIX: run,
  }
}

/** A trace a second by way of somebody else's topic, as the Collector's Kafka exporter writes it. */
async function playForSource(): Promise<void> {
  const brokers = [stack?.kafka.broker ?? '']
  const kafka = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING })
  const producer = kafka.producer()
  await producer.connect()
  for (let at = 0; !enough.signal.aborted; at++) {
    const events = trafficEvents({ seed: seed - at, traces: 1, startMs: Date.now(), quick: true })
    for (const event of events) {
      if (event.kind !== 'request') continue
      const value = Buffer.from(encodeTraces(event.data))
      await producer.send({ topic: sourceTopic, messages: [{ value }] })
    }
    await sleep(1000)
  }
  await producer.disconnect()
}

/** Beside the data, readable for whoever runs the image. */
function file(name: string, text: string): string {
  const folder = join(image.data, '..', 'files')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(folder, 0o755)
  return path
}
