// A cluster where the program may make nothing: what `winnow topics --plan` prints is run with Kafka's
// own tools, and then every target works with a user that has exactly the rights of the plan.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OtlpClient, trace48f, trace48fId } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import {
  type RunningTarget,
  startTarget,
  type TargetName,
  winnow,
} from '../support/winnow-process.ts'
import { adminOf } from './kafka/clients.ts'
import { runKafkaTool } from './kafka/native.ts'
import { startKafka, type TestKafka } from './kafka.ts'
import { refuse } from './refuse.ts'

const names = ['query', 'writer', 'sampler', 'assembler', 'receiver'] as const
const password = 'right'
const users = ['stranger', ...names.map(name => `winnow-${name}`)]
const started = await startKafka({
  fresh: true,
  sasl: { username: 'broker', password },
  config: {
    'listener.name.sasl_plaintext.plain.sasl.jaas.config':
      'org.apache.kafka.common.security.plain.PlainLoginModule required ' +
      `${users.map(user => `user_${user}="${password}"`).join(' ')};`,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
  },
})
const fact = test.runIf(started.server !== undefined)

let kafka: TestKafka
let data: string

beforeAll(() => {
  if (started.server === undefined) return
  kafka = started.server
  data = mkdtempSync(join(tmpdir(), 'winnow-plan-'))
})

afterAll(async () => {
  await kafka?.stop()
  if (data !== undefined) rmSync(data, { recursive: true })
})

const topicKeys = { WINNOW_TOPICS_PARTITIONS: '3', WINNOW_TOPICS_REPLICATION: '1' }

const as = (user: string): Record<string, string> => ({
  ...topicKeys,
  WINNOW_BUS: `kafka://${kafka.saslBroker}`,
  WINNOW_KAFKA_SASL_MECHANISM: 'plain',
  WINNOW_KAFKA_SASL_USERNAME: user,
  WINNOW_KAFKA_SASL_PASSWORD: password,
})

test('a broker is to be had', ({ skip }) => {
  if (started.server === undefined) refuse(skip, started.why)
})

fact('without a right the topics are told to be out of sight, with the remedy', async () => {
  const { code, stdout } = await winnow(['topics'], as('stranger'))
  expect([code, stdout]).toEqual([1, expect.stringContaining('winnow.spans.1')])
  expect(stdout).toContain('this user may not describe it, if it is there')
  const start = await winnow(['sampler', '--data', data], as('stranger'))
  expect(start.code).toBe(2)
  expect(start.stderr).toMatch(/TOPIC_AUTHORIZATION_FAILED.*winnow topics --plan/)
})

fact('the lines of the plan are what Kafka’s tools take', async () => {
  // The plain listener is the administrator's.
  const plan = await winnow(['topics', '--plan'], { ...topicKeys, WINNOW_BUS: kafka.url })
  expect(plan.code).toBe(0)
  const commands = plan.stdout.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  const isTopic = (line: string): boolean => line.startsWith('kafka-topics.sh')
  for (const kind of [commands.filter(isTopic), commands.filter(line => !isTopic(line))]) {
    for (let at = 0; at < kind.length; at += 4) {
      await Promise.all(kind.slice(at, at + 4).map(runKafkaTool))
    }
  }
  expect(commands.filter(isTopic)).toHaveLength(5)
})

fact('with the plan’s topics and rights each target does its work as its own user', async () => {
  const targets: Partial<Record<TargetName, RunningTarget>> = {}
  try {
    for (const name of names) {
      targets[name] = await startTarget(name, { data, env: as(`winnow-${name}`) })
    }
    const client = new OtlpClient({
      transport: 'grpc',
      address: targets.receiver?.otlpGrpc ?? '',
    })
    await client.sendTraces(trace48f({ startMs: Date.now() }))
    client.close()
    const api = `http://${targets.query?.api}/api/v1`
    await vi.waitFor(async () => {
      const answer = await fetch(`${api}/traces/${trace48fId}`)
      expect(answer.status).toBe(200)
    }, waits)
    await vi.waitFor(async () => {
      const { code, stdout } = await winnow(['verify', '--url', `http://${targets.query?.api}`])
      expect([code, stdout]).toEqual([0, expect.stringContaining('BALANCED')])
    }, waits)
    for (const name of names) {
      expect(targets[name]?.stderr(), name).not.toContain('AUTHORIZATION_FAILED')
    }
  } finally {
    for (const target of Object.values(targets)) await target.kill9()
  }
})

fact(
  'topics of the plan are as the configuration wants them, also for who only reads',
  async () => {
    const { code, stdout } = await winnow(['topics', '--json'], as('winnow-receiver'))
    expect(JSON.parse(stdout)).toMatchObject({ fits: true })
    expect(code).toBe(0)
  },
)

fact('a topic that was changed differs: what, found, wanted and the command', async () => {
  await adminOf(kafka.broker, async admin => {
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: 2,
          name: 'winnow.decisions.1',
          configEntries: [
            { name: 'retention.ms', value: '3600000' },
            { name: 'segment.ms', value: '604800000' },
          ],
        },
      ],
    })
  })
  const { code, stdout } = await winnow(['topics'], { ...topicKeys, WINNOW_BUS: kafka.url })
  expect(code).toBe(1)
  expect(stdout).toMatch(/✗ winnow\.decisions\.1 .*3 partitions, 1 copy, log id 1-[0-9a-f]{32}/)
  expect(stdout).toContain(
    '✗ retention.ms is 3600000, wanted 345600000: kafka-configs --alter --topic winnow.decisions.1 --add-config retention.ms=345600000',
  )
  expect(stdout).toMatch(/! segment\.ms is 604800000, wanted 3600000/)
  expect(stdout).toMatch(/✓ winnow\.spans\.1/)
})

fact('another partition count differs, and a topic that is missing will be made', async () => {
  const wider = { ...topicKeys, WINNOW_TOPICS_PARTITIONS: '4', WINNOW_BUS: kafka.url }
  const wrong = await winnow(['topics'], wider)
  expect(wrong.code).toBe(1)
  expect(wrong.stdout).toMatch(/partitions is 3, wanted 4: set `topics\.partitions` to 3, or raise/)
  const fresh = await winnow(['topics'], { ...wider, WINNOW_TOPICS_GENERATION: '2' })
  expect([fresh.code, fresh.stdout]).toEqual([0, expect.stringContaining('missing: will be made')])
})

const waits = { timeout: 60_000, interval: 500 }
