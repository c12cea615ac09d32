import type { ServerResponse } from 'node:http'
import { encodeLogs, logsFromJson, tracesFromJson } from '@winnow/otlp'
import {
  Names,
  Presidio,
  Redactors,
  SharedTokenKeys,
  sharedTokenKeysOf,
  Tokens,
} from '@winnow/privacy'
import { OtlpClient } from '@winnow/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  answer,
  startDetector,
  type TestDetector,
} from '../../../packages/privacy/src/names/detector.fixture.ts'
import {
  post,
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'

const name = 'Maria Lopez'
const secrets = [{ id: 5, bytes: Buffer.alloc(32, 1) }]
const token = new Tokens(sharedTokenKeysOf(secrets, 'default')).token('person', 'maria lopez')

let server: TestDetector
let names: Names
let started: Started
beforeEach(async () => {
  server = await startDetector([name])
})
afterEach(async () => {
  await started.receiver.stop()
  names.close()
  await server.close()
})

async function start(waitMaxMs = 30_000): Promise<void> {
  const redactors = new Redactors(
    new SharedTokenKeys(secrets),
    () => ({ redact: true, kinds: ['email', 'secret'], patterns: [] }),
    () => 0,
  )
  const detector = new Presidio({
    url: server.url,
    entities: ['PERSON'],
    scoreMin: 0.5,
    connectionsMax: 8,
  })
  names = new Names({
    detector,
    languageOf: () => 'en',
    limits: {
      waitMaxMs,
      batchBytesMax: 65_536,
      batchTextsMax: 100,
      textBytesMax: 262_144,
      textsMax: 1_000,
      failuresMax: 2,
      pauseMs: 60_000,
      slotsMax: 8,
      slotsPerOwnerMax: 4,
      waitingPerOwnerMax: 100,
    },
    onUnscanned: (tenant, reason, count) =>
      started.metrics.unscanned.inc({ tenant, reason }, count),
    nowMs: () => performance.now(),
  })
  started = await startReceiver({}, { redactors, names })
}

const said = (key: string, stringValue: string) => ({ key, value: { stringValue } })
const list = (...values: object[]) => ({ arrayValue: { values } })
const messages = JSON.stringify([
  { role: 'user', content: `I am ${name}, mail m.lopez@example.com` },
])
const prose = `${'word '.repeat(13)}${name}`
const span = spanJson(1, {
  name: `turn of ${name}`,
  attributes: [
    said('input.value', `😀 ${name} asks`),
    said('gen_ai.input.messages', messages),
    said('gen_ai.request.model', 'Claude Maria Lopez'),
    said('session.id', prose),
    said('app.unheard.of', name),
    said('db.password', name),
    { key: 'app.list', value: list({ stringValue: name }, { stringValue: 'refund' }) },
    { key: 'user.id', value: { kvlistValue: { values: [said('service.name', name)] } } },
    { key: 'app.bytes', value: { bytesValue: Buffer.from(`by ${name}`).toString('base64') } },
    { key: 'app.image', value: { bytesValue: Buffer.from([0xff, 0xd8, 0x4d]).toString('base64') } },
  ],
  events: [{ name: 'sent', timeUnixNano: '1', attributes: [said('exception.message', name)] }],
  links: [{ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), attributes: [said('why', name)] }],
  status: { code: 2, message: `no such user: ${name}` },
})

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, one) =>
    typeof one === 'bigint' ? String(one) : Buffer.isBuffer(one) ? one.toString() : one,
  )

test('names in free text are tokens before the bus, whichever way they came, and names of programs stay', async () => {
  await start()
  expect((await post(started, '/v1/traces', requestJson(span))).status).toBe(200)
  expect((await post(started, '/v1/traces', requestProto(span))).status).toBe(200)
  const grpc = new OtlpClient({ transport: 'grpc', address: started.grpc })
  await grpc.sendTraces(tracesFromJson(requestJson(span)).data)
  grpc.close()
  const spans = await started.bus.spans()
  expect(spans).toHaveLength(3)
  for (const one of spans) expect(one.span).toEqual(spans[0]?.span)
  const [first] = spans
  const values = new Map(first?.span.attributes.map(({ key, value }) => [key, value]))
  expect(values.get('input.value')).toEqual({ stringValue: `😀 ${token} asks` })
  const content = JSON.parse(
    (values.get('gen_ai.input.messages') as { stringValue: string }).stringValue,
  )
  expect(content[0]).toMatchObject({ role: 'user' })
  expect(content[0].content).toMatch(new RegExp(`^I am ${token}, mail <email:e_5\\w{11}>$`))
  expect(values.get('session.id')).toEqual({ stringValue: prose.replace(name, token) })
  expect(values.get('app.unheard.of')).toEqual({ stringValue: token })
  expect(shown(values.get('db.password'))).toMatch(/<secret:e_5/)
  expect(values.get('app.list')).toEqual(list({ stringValue: token }, { stringValue: 'refund' }))
  expect(shown(values.get('user.id'))).toContain(token)
  expect(first?.span.events[0]?.attributes).toEqual([said('exception.message', token)])
  expect(first?.span.links[0]?.attributes).toEqual([said('why', token)])
  expect(first?.span.status.message).toBe(`no such user: ${token}`)
  // A name of a span, a model: what programs write.
  expect(first?.span.name).toBe(`turn of ${name}`)
  expect(values.get('gen_ai.request.model')).toEqual({ stringValue: 'Claude Maria Lopez' })
  const bytes = (values.get('app.bytes') as { bytesValue: Uint8Array }).bytesValue
  expect(Buffer.from(bytes).toString()).toBe(`by ${token}`)
  const metrics = await started.metrics.registry.metrics()
  expect(metrics).toContain('winnow_redacted_total{kind="person",service="refund-bot"} 30')
  // What is found by others is gone before anything is asked.
  expect(JSON.stringify(server.asked)).not.toContain('m.lopez@')
  expect(JSON.stringify(server.asked)).not.toContain('Claude')
})

test('outcomes are looked at too, as JSON and as log records', async () => {
  await start()
  const { traceId } = span
  const one = { traceId, name: 'csat', score: 2, label: 'bad', comment: `ask ${name}` }
  expect((await post(started, '/api/v1/evaluations', JSON.stringify(one))).status).toBe(202)
  const event = {
    traceId,
    eventName: 'gen_ai.evaluation.result',
    body: { stringValue: name },
    attributes: [
      said('gen_ai.evaluation.name', 'judge'),
      said('gen_ai.evaluation.score.label', 'fail'),
      said('gen_ai.evaluation.explanation', `${name} said no`),
    ],
  }
  const logs = { resourceLogs: [{ scopeLogs: [{ logRecords: [event] }] }] }
  expect((await post(started, '/v1/logs', JSON.stringify(logs))).status).toBe(200)
  const evidence = await started.bus.evidence()
  expect(evidence).toHaveLength(2)
  expect(evidence).toMatchObject([{ comment: `ask ${token}` }, { comment: `${token} said no` }])
  expect(evidence).toMatchObject([{ label: 'bad' }, { label: 'fail' }])
})

test('with the detector down everything is acknowledged, and no text passes', async () => {
  await start()
  await server.close()
  for (let n = 0; n < 3; n++) {
    const sent = await post(started, '/v1/traces', requestProto(span, spanJson(2)))
    expect(await sent.text()).toBe('')
    expect(sent.status).toBe(200)
  }
  const one = { traceId: span.traceId, name: 'csat', score: 2, comment: `ask ${name}` }
  expect((await post(started, '/api/v1/evaluations', JSON.stringify(one))).status).toBe(202)
  expect(await started.bus.evidence()).toMatchObject([{ comment: '<unscanned>', score: 2 }])
  const spans = await started.bus.spans()
  expect(spans).toHaveLength(6)
  for (const { span: each } of spans) {
    const { name: spanName, attributes, ...rest } = each
    expect(shown(rest)).not.toContain('Maria')
    const others = attributes.filter(({ key }) => key !== 'gen_ai.request.model')
    expect(shown(others)).not.toContain('Maria')
    expect(spanName).toBeTruthy()
    if (attributes.length === 0) continue
    const values = new Map(attributes.map(({ key, value }) => [key, value]))
    expect(values.get('gen_ai.input.messages')).toEqual({
      stringValue: '[{"role":"user","content":"<unscanned>"}]',
    })
    expect(values.get('app.list')).toEqual(
      list({ stringValue: '<unscanned>' }, { stringValue: 'refund' }),
    )
  }
  const metrics = await started.metrics.registry.metrics()
  expect(metrics).toMatch(/winnow_unscanned_texts_total\{tenant="default",reason="down"\} \d+/)
  const health = await started.health.read()
  expect(health).toMatchObject({ ready: true, degraded: true })
  expect(health.parts.names?.detail).toContain('ECONNREFUSED')
  expect(JSON.stringify(health)).not.toContain('Maria')
})

test('a detector that hangs holds a request for its time and no longer, and room is given back', async () => {
  await start(200)
  server.misbehave = () => {}
  expect((await post(started, '/v1/traces', requestProto(span))).status).toBe(200)
  expect(shown((await started.bus.spans())[0]?.span.attributes)).toContain('<unscanned>')
  expect(started.receiver.bytesInFlight).toBe(0)
  server.misbehave = response => answer(response, [[{ start: 0, end: 10_000 }]])
  expect((await post(started, '/v1/traces', requestJson(span))).status).toBe(200)
  expect(started.receiver.bytesInFlight).toBe(0)
  const broken = Buffer.concat([requestProto(span), Buffer.from([0x0a, 0x7f])])
  expect((await post(started, '/v1/traces', broken)).status).toBe(400)
  expect(started.receiver.bytesInFlight).toBe(0)
})

test('while a detector is asked a request counts twice, spans, log records and outcomes', async () => {
  await start()
  // A text without a name is asked about once.
  let asked = 0
  const textOf = (): string => `${'Ask '.repeat(500)}${asked++}`
  const span3 = () => spanJson(3, { attributes: [said('input.value', textOf())] })
  const logs = () => {
    const attributes = [
      said('gen_ai.evaluation.name', 'judge'),
      said('gen_ai.evaluation.score.label', 'fail'),
      said('gen_ai.evaluation.explanation', textOf()),
    ]
    const event = { traceId: span.traceId, eventName: 'gen_ai.evaluation.result', attributes }
    return JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [event] }] }] })
  }
  const one = { traceId: span.traceId, name: 'csat', score: 2, comment: textOf() }
  for (const [path, body] of [
    ['/v1/traces', requestJson(span3())],
    ['/v1/traces', requestProto(span3())],
    ['/v1/logs', logs()],
    ['/v1/logs', Buffer.from(encodeLogs(logsFromJson(Buffer.from(logs())).data))],
    ['/api/v1/evaluations', JSON.stringify(one)],
  ] as const) {
    const hanging = Promise.withResolvers<ServerResponse>()
    server.misbehave = hanging.resolve
    const sent = post(started, path, body)
    const response = await hanging.promise
    expect(started.receiver.bytesInFlight, path).toBeGreaterThan(1.9 * 2_000)
    answer(response, [])
    expect((await sent).ok, path).toBe(true)
    expect(started.receiver.bytesInFlight, path).toBe(0)
  }
})
