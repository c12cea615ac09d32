// `winnow doctor` against real servers: before anything was started, beside a running fleet, and where
// something is wrong.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OtlpClient, trace48f } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freePorts, startWinnow, winnow } from '../support/winnow-process.ts'
import { adminOf } from './kafka/clients.ts'
import { startKafka, type TestKafka } from './kafka.ts'
import { refuse } from './refuse.ts'

const started = await startKafka({ fresh: true })
const fact = test.runIf(started.server !== undefined)

let kafka: TestKafka
let data: string

beforeAll(() => {
  if (started.server === undefined) return
  kafka = started.server
  data = mkdtempSync(join(tmpdir(), 'winnow-doctor-'))
})

afterAll(async () => {
  await kafka?.stop()
  if (data !== undefined) rmSync(data, { recursive: true })
})

test('a broker is to be had', ({ skip }) => {
  if (started.server === undefined) refuse(skip, started.why)
})

const env = (): Record<string, string> => ({
  ...freePorts,
  WINNOW_TOPICS_PARTITIONS: '2',
  WINNOW_BUS: kafka.url,
  WINNOW_DATA: data,
  WINNOW_PRIVACY_TOKEN_KEYS: 'what all receivers of this test share',
})

interface Report {
  readonly healthy: boolean
  readonly findings: readonly {
    readonly key: string
    readonly status: string
    readonly found: string
    readonly remedy?: string
  }[]
}

async function doctor(change: Record<string, string> = {}): Promise<Report> {
  const { code, stdout, stderr } = await winnow(['doctor', '--json'], { ...env(), ...change })
  expect(stderr).toBe('')
  const report = JSON.parse(stdout) as Report
  expect(code).toBe(report.healthy ? 0 : 1)
  return report
}

const topicsThere = () =>
  adminOf(kafka.broker, async admin =>
    (await admin.listTopics()).filter(name => name.startsWith('winnow.')),
  )

fact('before a first start all is well, and nothing is made', async () => {
  const { healthy, findings } = await doctor()
  expect(findings.filter(({ status }) => status !== 'ok')).toEqual([])
  expect(healthy).toBe(true)
  expect(findings.map(({ found }) => found).join('\n')).toMatch(
    /kafka:.*1 broker answers in .*\n.*winnow\.spans\.1, .* will be made by the first stage/,
  )
  expect(await topicsThere()).toEqual([])
})

fact('beside a running pipeline it says what it stands on, and disturbs nobody', async () => {
  const running = await startWinnow({ data, env: { ...env() } })
  try {
    const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
    await client.sendTraces(trace48f({ startMs: Date.now() }))
    client.close()
    await vi.waitFor(
      async () => {
        const { healthy, findings } = await doctor({ WINNOW_API: running.api })
        const text = findings.map(({ key, found }) => `${key} ${found}`).join('\n')
        expect(healthy).toBe(true)
        expect(text).toContain('5 topics of 2 partitions as configured; spans stay 24 h')
        expect(text).toContain('this user may do what every target does')
        expect(text).toMatch(/members of groups: .*winnow\.spans\.1\.assembler 1/)
        expect(text).toMatch(/records of format 1 in winnow\.spans\.1, winnow\.evidence\.1/)
        expect(text).toMatch(/sqlite: searched in/)
        expect(text).toMatch(/segments of format 1/)
        expect(text).toContain(`api ${running.api} is in use`)
      },
      { timeout: 60_000, interval: 500 },
    )
    expect(await running.stop()).toBe(0)
  } finally {
    await running.kill9()
  }
})

fact(
  'the topics of others are looked at: there, missing, and of a cluster that is away',
  async () => {
    await adminOf(kafka.broker, async admin =>
      admin.createTopics({ topics: [{ topic: 'otlp_spans', numPartitions: 3 }] }),
    )
    const { healthy, findings } = await doctor({
      WINNOW_KAFKA_SOURCE_TOPICS: '[otlp_spans, otlp_nowhere]',
    })
    expect(healthy).toBe(false)
    const ofSource = findings.filter(({ key }) => key.startsWith('kafkaSource'))
    expect(ofSource).toEqual([
      {
        key: 'kafkaSource.topics',
        status: 'ok',
        found: 'otlp_spans has 3 partitions; no receiver takes from it now',
      },
      {
        key: 'kafkaSource.topics',
        status: 'failed',
        found: 'the broker has no topic otlp_nowhere',
        remedy: 'correct the name, make the topic, or start what writes it',
      },
    ])
    const away = await doctor({
      WINNOW_KAFKA_SOURCE_TOPICS: '[otlp_spans]',
      WINNOW_KAFKA_SOURCE_BROKERS: '127.0.0.1:1',
    })
    expect(away.findings.filter(({ key }) => key === 'kafkaSource')).toEqual([
      expect.objectContaining({
        status: 'failed',
        found: expect.stringMatching(
          /kafkaSource\.brokers.* 127\.0\.0\.1:1.*correct `kafkaSource`/,
        ),
      }),
    ])
  },
)

fact('topics that were made anew are told from those that segments were made of', async () => {
  await adminOf(kafka.broker, async admin => admin.deleteTopics({ topics: await topicsThere() }))
  await vi.waitFor(async () => expect(await topicsThere()).toEqual([]), { timeout: 30_000 })
  const fresh = await startWinnow({ data, env: env() })
  await fresh.kill9()
  const { healthy, findings } = await doctor()
  expect(healthy).toBe(true)
  expect(findings).toContainEqual(
    expect.objectContaining({
      key: 'topics',
      status: 'warning',
      found: expect.stringMatching(
        /the newest segment is of log 1-[0-9a-f]{32}, decisions is log 1-[0-9a-f]{32}: the topic was made anew/,
      ),
    }),
  )
})
