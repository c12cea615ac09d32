import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PipelineError } from '@winnow/runtime'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { type Started, startReceiver } from '../../services/receiver/src/receiver.fixture.ts'
import { pythonEnvironment } from './python/environment.ts'
import { refuse } from './refuse.ts'

const run = promisify(execFile)
const made = await pythonEnvironment()
const key = 'key-of-acme'
const keys = apiKeysOf({ [key]: 'acme' })

let started: Started | undefined
afterEach(async () => {
  await started?.receiver.stop()
  started = undefined
})

const protocols = ['grpc', 'http/protobuf'] as const
const rows = protocols.flatMap(protocol => [
  { protocol, gzip: false },
  { protocol, gzip: true },
])

async function exportSpans(
  skip: (note: string) => unknown,
  to: Started,
  protocol: (typeof protocols)[number],
  gzip: boolean,
): Promise<{ readonly result: string; readonly spanIds: readonly string[] }> {
  if ('why' in made) return refuse(skip, made.why)
  const endpoint = protocol === 'grpc' ? `http://${to.grpc}` : `${to.url}/v1/traces`
  const script = join(import.meta.dirname, 'python', 'export.py')
  const env = { ...process.env, API_KEY: key, ...(gzip && { GZIP: '1' }) }
  const { stdout } = await run(made.python, [script, protocol, endpoint, '40'], { env })
  return JSON.parse(stdout) as { result: string; spanIds: string[] }
}

test.for(rows)(
  'the OpenTelemetry Python exporter over $protocol (gzip: $gzip) delivers every span as it was',
  async ({ protocol, gzip }, { skip }) => {
    started = await startReceiver({}, { keys })
    const { result, spanIds } = await exportSpans(skip, started, protocol, gzip)
    expect(result).toBe('SUCCESS')
    const spans = await started.bus.spans()
    expect(spans.map(({ span }) => span.spanId).sort()).toEqual([...spanIds].sort())
    expect(new Set(spans.map(({ tenant }) => tenant))).toEqual(new Set(['acme']))
    const step = spans.find(({ span }) => span.name === 'step 7')?.span
    expect(step).toMatchObject({
      kind: 3,
      attributes: [
        { key: 'text', value: { stringValue: 'ünïcode 🙂' } },
        { key: 'int', value: { intValue: 2n ** 40n } },
        { key: 'double', value: { doubleValue: 0.1 } },
        {
          key: 'list',
          value: { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'b' }] } },
        },
      ],
      events: [{ name: 'gen_ai.choice', attributes: [{ key: 'index', value: { intValue: 7n } }] }],
      links: [{ attributes: [{ key: 'why', value: { stringValue: 'retry' } }] }],
      status: { code: 2, message: 'tool failed' },
    })
  },
)

test.for(protocols)(
  'the Python exporter over %s sends again what an outage refused: every span arrives',
  async (protocol, { skip }) => {
    started = await startReceiver({}, { keys })
    let refusals = 0
    started.bus.before = () => {
      if (refusals++ === 0) throw new PipelineError('BUS_UNAVAILABLE', 'no broker answers')
    }
    const { result, spanIds } = await exportSpans(skip, started, protocol, false)
    expect(result).toBe('SUCCESS')
    const arrived = (await started.bus.spans()).map(({ span }) => span.spanId)
    expect(new Set(arrived)).toEqual(new Set(spanIds))
  },
)
