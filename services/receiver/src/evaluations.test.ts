import { createHash } from 'node:crypto'
import { partitionOfHex } from '@winnow/bus'
import {
  decodeExportResponse,
  encodeLogs,
  exportResponseFromJson,
  logsFromJson,
} from '@winnow/otlp'
import { PipelineError } from '@winnow/runtime'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { partitions, post, type Started, startReceiver } from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const path = '/api/v1/evaluations'
const traceId = '48f0a1b2c3d4e5f60718293a4b5c6d7e'
const csat = { traceId, name: 'csat', score: 2 }
const outage = new PipelineError('BUS_UNAVAILABLE', 'no broker answers')

async function ask(
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<[status: number, body: unknown]> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await post(started, path, text, headers)
  expect(response.headers.get('content-type')).toBe('application/json')
  return [response.status, await response.json()]
}

test('an evaluation is on the bus, in the partition of its trace, when the answer comes', async () => {
  started = await startReceiver()
  expect(await ask({ ...csat, id: 'survey-7', comment: 'wrong policy' })).toEqual([
    202,
    { evaluations: [{ id: `${traceId}.survey-7`, state: 'accepted' }] },
  ])
  const [record] = await started.bus.records('evidence')
  expect(record?.partition).toBe(partitionOfHex(traceId, partitions))
  expect(await started.bus.evidence()).toEqual([
    {
      v: 1,
      kind: 'evaluation',
      tenant: 'default',
      traceId,
      id: `${traceId}.survey-7`,
      name: 'csat',
      score: 2,
      comment: 'wrong policy',
    },
  ])
})

test('an array goes to the partitions of its traces; the same content has the same id', async () => {
  started = await startReceiver()
  const others = Array.from({ length: 20 }, (_, n) => ({
    ...csat,
    traceId: createHash('md5').update(String(n)).digest('hex'),
  }))
  const [status, body] = await ask([csat, csat, ...others])
  expect(status).toBe(202)
  const ids = (body as { evaluations: { id: string }[] }).evaluations.map(({ id }) => id)
  expect(ids).toHaveLength(22)
  expect(ids[0]).toBe(ids[1])
  expect(new Set(ids).size).toBe(21)
  for (const { value, partition } of await started.bus.records('evidence')) {
    const { traceId: of } = JSON.parse(Buffer.from(value).toString()) as { traceId: string }
    expect(partition).toBe(partitionOfHex(of, partitions))
  }
})

test('without a trace id: 422 with the remedy; with other mistakes: 422 and each of them', async () => {
  started = await startReceiver()
  expect(await ask({ name: 'csat', score: 2 })).toEqual([
    422,
    {
      error: {
        code: 'TRACE_ID_MISSING',
        field: 'traceId',
        remedy: expect.stringContaining('32 hex digits'),
      },
    },
  ])
  const [status, body] = await ask([csat, { traceId: '48f', name: 'csat', score: 'two' }])
  expect(status).toBe(422)
  expect(body).toMatchObject({
    error: { code: 'TRACE_ID_INVALID', field: '[1].traceId', value: '48f' },
    errors: [{ field: '[1].traceId' }, { field: '[1].score', value: 'two' }],
  })
  expect(await started.bus.evidence()).toEqual([])
})

test('evaluationsMax in one request are taken, one more is 413', async () => {
  started = await startReceiver({ evaluationsMax: 3 })
  expect((await ask([csat, csat, csat]))[0]).toBe(202)
  const [status, body] = await ask([csat, csat, csat, csat])
  expect([status, body]).toMatchObject([413, { error: { code: 'EVALUATIONS_TOO_MANY' } }])
})

test('what is no JSON is 400, a body over its limit 413, another method 405: all as API errors', async () => {
  started = await startReceiver({ evaluationBodyBytesMax: '1KiB' })
  expect(await ask('{"traceId":')).toEqual([
    400,
    { error: { code: 'INVALID_JSON', remedy: expect.stringContaining('JSON') } },
  ])
  const body = JSON.stringify(csat)
  expect((await ask(body + ' '.repeat(1024 - body.length)))[0]).toBe(202)
  const over = await ask(body + ' '.repeat(1025 - body.length))
  expect(over).toMatchObject([
    413,
    { error: { code: 'TOO_LARGE', remedy: expect.stringContaining('evaluationBodyBytesMax') } },
  ])
  const get = await fetch(`${started.url}${path}`)
  expect(get.status).toBe(405)
  expect(await get.json()).toMatchObject({ error: { code: 'METHOD_NOT_ALLOWED' } })
})

test('a bus that does not answer is 503 with Retry-After', async () => {
  started = await startReceiver()
  started.bus.before = () => Promise.reject(outage)
  const response = await post(started, path, JSON.stringify(csat))
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
  expect(await response.json()).toMatchObject({ error: { code: 'UNAVAILABLE' } })
})

test('the tenant of an evaluation is the one of its key, and a page of another origin cannot post one', async () => {
  started = await startReceiver({}, { keys: apiKeysOf({ k: 'acme' }) })
  expect(await ask(csat)).toMatchObject([401, { error: { code: 'UNAUTHENTICATED' } }])
  expect((await ask(csat, { 'x-api-key': 'k' }))[0]).toBe(202)
  expect(await started.bus.evidence()).toMatchObject([{ tenant: 'acme' }])
  const plain = { 'x-api-key': 'k', 'content-type': 'text/plain' }
  expect((await ask(csat, plain))[0]).toBe(202)
  const [status] = await ask(csat, { ...plain, origin: 'https://evil.example' })
  expect(status).toBe(415)
})

const attribute = (key: string, value: object) => ({ key, value })
const outcome = [
  attribute('gen_ai.evaluation.name', { stringValue: 'csat' }),
  attribute('gen_ai.evaluation.score.value', { doubleValue: 2 }),
]
const event = {
  eventName: 'gen_ai.evaluation.result',
  timeUnixNano: '1779444900000000000',
  traceId: traceId.toUpperCase(),
  spanId: 'A1B2C3D4E5F60718',
  attributes: outcome,
}
const logsOf = (...logRecords: object[]): object => ({
  resourceLogs: [{ scopeLogs: [{ scope: { name: 'judge' }, logRecords }] }],
})

test('a gen_ai.evaluation.result log event becomes an evaluation, as JSON and as protobuf', async () => {
  started = await startReceiver()
  const label = attribute('gen_ai.evaluation.score.label', { stringValue: 'fail' })
  const why = attribute('gen_ai.evaluation.explanation', { stringValue: 'wrong policy' })
  const logs = logsOf({ ...event, attributes: [...outcome, label, why] })
  expect(await (await post(started, '/v1/logs', JSON.stringify(logs))).text()).toBe('{}')
  const proto = encodeLogs(logsFromJson(logs).data)
  expect((await post(started, '/v1/logs', proto)).status).toBe(200)
  const [first, second] = await started.bus.evidence()
  expect(first).toEqual({
    v: 1,
    kind: 'evaluation',
    tenant: 'default',
    traceId,
    id: expect.stringMatching(new RegExp(`^${traceId}\\.[0-9a-f]{32}$`)),
    spanId: 'a1b2c3d4e5f60718',
    name: 'csat',
    score: 2,
    label: 'fail',
    source: 'judge',
    atMs: 1779444900000,
    comment: 'wrong policy',
  })
  expect(second).toEqual(first)
})

test('an evaluation outside a context names its trace by gen_ai.response.id, its event by attribute, its score as text', async () => {
  started = await startReceiver()
  const record = {
    attributes: [
      attribute('event.name', { stringValue: 'gen_ai.evaluation.result' }),
      attribute('gen_ai.response.id', { stringValue: traceId.toUpperCase() }),
      attribute('gen_ai.evaluation.name', { stringValue: 'Builtin.Correctness' }),
      attribute('gen_ai.evaluation.score.value', { stringValue: '0.25' }),
      attribute('gen_ai.evaluation.evaluator.id', { stringValue: 'agent-core' }),
    ],
  }
  await post(started, '/v1/logs', JSON.stringify(logsOf(record)))
  expect(await started.bus.evidence()).toMatchObject([
    { traceId, name: 'Builtin.Correctness', score: 0.25, source: 'agent-core' },
  ])
})

test('who speaks in a log record is its process where no evaluator is named; its uid is the id', async () => {
  started = await startReceiver()
  const resource = { attributes: [attribute('service.name', { stringValue: 'grader' })] }
  const uid = attribute('log.record.uid', { stringValue: '01J' })
  const retracted = attribute('winnow.evaluation.retracted', { boolValue: true })
  const logRecords = [
    { ...event, attributes: [...outcome, uid] },
    { ...event, attributes: [uid, retracted] },
    { ...event, attributes: [retracted] },
  ]
  const logs = { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }
  const answer = await post(started, '/v1/logs', JSON.stringify(logs))
  const { rejected, errorMessage } = exportResponseFromJson('logs', await answer.bytes())
  expect([rejected, errorMessage]).toEqual([1, expect.stringContaining('give the id')])
  expect(await started.bus.evidence()).toMatchObject([
    { kind: 'evaluation', id: `${traceId}.01J`, source: 'service:grader' },
    { kind: 'retraction', id: `${traceId}.01J`, source: 'service:grader' },
  ])
})

test('a feature flag’s evaluation is the arm of its trace, under its newest and its older names', async () => {
  started = await startReceiver()
  const flag = { ...event, eventName: 'feature_flag.evaluation' }
  const key = attribute('feature_flag.key', { stringValue: 'terser' })
  const logs = logsOf(
    {
      ...flag,
      attributes: [key, attribute('feature_flag.result.variant', { stringValue: 'B' })],
    },
    { ...flag, attributes: [key, attribute('feature_flag.variant', { stringValue: 'A' })] },
    { ...flag, attributes: [key] },
  )
  const answer = await post(started, '/v1/logs', JSON.stringify(logs))
  const { rejected, errorMessage } = exportResponseFromJson('logs', await answer.bytes())
  expect([rejected, errorMessage]).toEqual([
    1,
    expect.stringContaining('feature_flag.result.variant: give experiment and variant together'),
  ])
  expect(await started.bus.evidence()).toMatchObject([
    { traceId, experiment: 'terser', variant: 'B' },
    { traceId, experiment: 'terser', variant: 'A' },
  ])
})

test('every other log record is rejected with a reason, and the evaluations among them are taken', async () => {
  started = await startReceiver()
  const bad = [
    { body: { stringValue: 'a line' } },
    { ...event, traceId: '', spanId: '' },
    { ...event, attributes: [attribute('gen_ai.evaluation.name', { stringValue: 'csat' })] },
    { ...event, attributes: outcome.slice(1) },
    { ...event, traceId: 'no hex' },
    {
      ...event,
      attributes: [
        ...outcome.slice(0, 1),
        attribute('gen_ai.evaluation.score.value', { stringValue: 'two' }),
      ],
    },
  ]
  const answer = await post(started, '/v1/logs', JSON.stringify(logsOf(...bad, event)))
  expect(answer.status).toBe(200)
  const { rejected, errorMessage } = exportResponseFromJson('logs', await answer.bytes())
  expect(rejected).toBe(bad.length)
  expect(errorMessage).toContain('6 of 7 log records refused')
  expect(errorMessage).toContain('traceId of the log record is a string of 6 characters')
  expect(errorMessage).toContain(
    'only the events gen_ai.evaluation.result and feature_flag.evaluation are taken',
  )
  expect(errorMessage).toContain('names no trace')
  expect(errorMessage).toContain('gen_ai.evaluation.name')
  expect(await started.bus.evidence()).toHaveLength(1)
})

test('logs posted as traces are refused with a hint, and so are traces posted as logs', async () => {
  started = await startReceiver()
  const proto = encodeLogs(logsFromJson(logsOf(event, event)).data)
  const answer = await post(started, '/v1/traces', proto)
  expect(answer.status).toBe(200)
  const { rejected, errorMessage } = decodeExportResponse(await answer.bytes())
  expect(rejected).toBe(2)
  expect(errorMessage).toContain('post logs to /v1/logs')
  const json = await post(started, '/v1/traces', JSON.stringify(logsOf(event)))
  expect(json.status).toBe(400)
  expect(await json.text()).toContain('/v1/logs')
  expect((await post(started, '/v1/logs', '{"resourceSpans":[]}')).status).toBe(400)
  expect(await started.bus.spans()).toEqual([])
})
