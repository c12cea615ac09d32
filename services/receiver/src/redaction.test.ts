import { exportResponseFromJson } from '@winnow/otlp'
import { detectedKinds, Redactors, SharedTokenKeys, type TokenKeys } from '@winnow/privacy'
import { PipelineError } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import {
  post,
  requestJson,
  requestProto,
  type Started,
  spanJson,
  startReceiver,
} from './receiver.fixture.ts'

let started: Started
afterEach(() => started.receiver.stop())

const mail = 'maria.lopez@example.com'
const shared = new SharedTokenKeys([{ id: 5, bytes: Buffer.alloc(32, 1) }])

async function start(keys: TokenKeys = shared, off: readonly string[] = []): Promise<Started> {
  const redactors = new Redactors(
    keys,
    tenant => ({ redact: !off.includes(tenant), kinds: detectedKinds, patterns: [] }),
    () => 0,
  )
  started = await startReceiver({}, { redactors })
  return started
}

const said = (key: string, stringValue: string) => ({ key, value: { stringValue } })
const span = spanJson(1, {
  name: `mail ${mail}`,
  attributes: [said('input.value', `{"to":"${mail}"}`), said('db.password', 'correct horse')],
  events: [{ name: 'sent', timeUnixNano: '1', attributes: [said('to', mail)] }],
  status: { code: 2, message: `no such user: ${mail}` },
})

test('spans are redacted before the bus, and are the same whichever way they came', async () => {
  await start()
  expect((await post(started, '/v1/traces', requestJson(span))).status).toBe(200)
  expect((await post(started, '/v1/traces', requestProto(span))).status).toBe(200)
  const [first, second] = await started.bus.spans()
  expect(first?.span).toEqual(second?.span)
  const text = JSON.stringify(first?.span, (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  )
  expect(text).not.toMatch(/maria|correct horse/)
  const [token] = /<email:e_5[0-9a-f]{11}>/.exec(text) ?? []
  expect(text.split(token ?? ' ')).toHaveLength(5)
  const metrics = await started.metrics.registry.metrics()
  expect(metrics).toContain('winnow_redacted_total{kind="email",service="refund-bot"} 8')
  expect(metrics).toContain('winnow_redacted_total{kind="secret",service="refund-bot"} 2')
})

test('a value that comes again has the same token and is counted again, but for keys that spare it', async () => {
  await start()
  const address = '10.4.7.21'
  const same = spanJson(1, {
    name: address,
    attributes: [
      said('app.version', address),
      said('network.peer.address', address),
      said('db.version', address),
      said('host.ip', address),
      said(address, 'as a key'),
    ],
  })
  for (let time = 0; time < 2; time++) {
    expect((await post(started, '/v1/traces', requestJson(same))).status).toBe(200)
  }
  const spans = await started.bus.spans()
  expect(spans[0]?.span).toEqual(spans[1]?.span)
  const { name, attributes = [] } = spans[1]?.span ?? {}
  expect(name).toMatch(/^<ip:e_5[0-9a-f]{11}>$/)
  expect(attributes).toEqual([
    said('app.version', address),
    said('network.peer.address', `${name}`),
    said('db.version', address),
    said('host.ip', `${name}`),
    said(`${name}`, 'as a key'),
  ])
  const metrics = await started.metrics.registry.metrics()
  expect(metrics).toContain('winnow_redacted_total{kind="ip",service="refund-bot"} 8')
})

test('outcomes are redacted however they come, with their ids, and can still be taken back', async () => {
  await start()
  const traceId = spanJson(1).traceId
  const one = { id: mail, traceId, name: 'csat', score: 2, comment: `ask ${mail}` }
  const answer = await post(started, '/api/v1/evaluations', JSON.stringify(one))
  expect(answer.status).toBe(202)
  expect(await answer.text()).not.toContain(mail)
  const score = { id: mail, traceId, name: 'judge', value: 0, dataType: 'BOOLEAN', comment: mail }
  const stored = await post(started, '/api/public/scores', JSON.stringify(score))
  expect(stored.status).toBe(200)
  const path = `${started.url}/api/public/scores/${encodeURIComponent(mail)}`
  expect((await fetch(path, { method: 'DELETE' })).status).toBe(200)
  const event = {
    traceId,
    eventName: 'gen_ai.evaluation.result',
    attributes: [
      said('gen_ai.evaluation.name', 'judge'),
      said('gen_ai.evaluation.score.label', 'fail'),
      said('gen_ai.evaluation.explanation', `${mail} said no`),
    ],
  }
  const logs = { resourceLogs: [{ scopeLogs: [{ logRecords: [event] }] }] }
  expect((await post(started, '/v1/logs', JSON.stringify(logs))).status).toBe(200)
  const evidence = await started.bus.evidence()
  expect(evidence.map(({ kind }) => kind).sort()).toEqual([
    'evaluation',
    'evaluation',
    'evaluation',
    'retraction',
  ])
  expect(JSON.stringify(evidence)).not.toContain(mail)
  expect(JSON.stringify(evidence).split('<email:e_5').length).toBeGreaterThan(4)
})

test('the id of an evaluation is one by every route, with the trace’s before it and without', async () => {
  await start()
  const { traceId } = spanJson(1)
  const phone = '415-555-2671'
  for (const own of [mail, phone]) {
    const whole = `${traceId}.${own}`
    for (const id of [own, whole]) {
      const one = { id, traceId, name: 'csat', score: 2 }
      expect((await post(started, '/api/v1/evaluations', JSON.stringify(one))).status).toBe(202)
    }
    const event = {
      eventName: 'gen_ai.evaluation.result',
      attributes: [
        said('gen_ai.evaluation.name', 'csat'),
        said('gen_ai.evaluation.score.label', 'fail'),
        said('log.record.uid', whole),
        said('trace_id', traceId),
      ],
    }
    const logs = { resourceLogs: [{ scopeLogs: [{ logRecords: [event] }] }] }
    expect((await post(started, '/v1/logs', JSON.stringify(logs))).status).toBe(200)
    const path = `${started.url}/api/public/scores/${encodeURIComponent(whole)}`
    expect((await fetch(path, { method: 'DELETE' })).status).toBe(200)
  }
  const ids = (await started.bus.evidence()).map(one =>
    one.kind === 'evaluation' || one.kind === 'retraction' ? one.id : one.kind,
  )
  expect(ids).toHaveLength(8)
  // Each of the two things is one id, four times.
  expect(new Set(ids).size).toBe(2)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}\.<(email|phone):e_5[0-9a-f]{11}>$/)
})

test('what redaction makes longer is charged, and given back', async () => {
  await start()
  const attributes = Array.from({ length: 2_000 }, (_, n) => said('to', `m${n}@b.co`))
  const body = requestProto(spanJson(1, { attributes }))
  let held = 0
  started.bus.before = () => {
    held = started.receiver.bytesInFlight
  }
  expect((await post(started, '/v1/traces', body)).status).toBe(200)
  const [record] = await started.bus.records('spans')
  const grown = record?.value.length ?? 0
  expect(grown).toBeGreaterThan(1.3 * body.length)
  expect(held).toBeGreaterThanOrEqual(grown)
  expect(started.receiver.bytesInFlight).toBe(0)
})

test('a span that redaction makes too large is refused with these words, as is an id', async () => {
  await start()
  const attributes = Array.from({ length: 36_000 }, (_, n) => said('t', `m${n}@b.co`))
  const large = await post(started, '/v1/traces', requestProto(spanJson(1, { attributes })))
  const errorMessage = Buffer.from(await large.arrayBuffer()).toString('latin1')
  expect(errorMessage).toMatch(/1048576 bytes after redaction \(spanBytesMax\)/)
  const id = Array.from({ length: 15 }, (_, n) => `m${n}@b.co`).join('/')
  const one = { id, traceId: spanJson(1).traceId, name: 'csat', score: 2 }
  const answer = await post(started, '/api/v1/evaluations', JSON.stringify(one))
  expect(answer.status).toBe(422)
  expect(await answer.text()).toContain('it is measured after redaction')
})

test('no answer quotes what was sent', async () => {
  await start()
  const bad = spanJson(2, { kind: mail, attributes: [{ key: mail, value: mail }] })
  const spans = await post(started, '/v1/traces', requestJson(bad))
  const { errorMessage } = exportResponseFromJson('traces', await spans.bytes())
  expect(errorMessage).not.toContain(mail)
  const traceId = 'b'.repeat(31)
  for (const body of [{ [mail]: 1 }, { traceId: mail }, { traceId, name: mail, score: mail }]) {
    const answer = await post(started, '/api/v1/evaluations', JSON.stringify(body))
    expect(answer.status).toBe(422)
    expect(await answer.text()).not.toContain(mail)
  }
})

test('nothing is taken while the keys of a tenant cannot be read, and nothing kept of it', async () => {
  let answers = false
  await start({
    keys: async tenant => {
      if (!answers) throw new PipelineError('STORE_UNAVAILABLE', 'no keys')
      return shared.keys(tenant)
    },
  })
  for (const [path, body] of [
    ['/v1/traces', requestJson(span)],
    ['/api/v1/evaluations', '{}'],
  ] as const) {
    const refused = await post(started, path, body)
    expect(refused.status).toBe(503)
  }
  expect(started.receiver.bytesInFlight).toBe(0)
  answers = true
  expect((await post(started, '/v1/traces', requestJson(span))).status).toBe(200)
  expect(await started.bus.spans()).toHaveLength(1)
})

test('damaged keys refuse what may come again, and readiness says which', async () => {
  for (const code of ['CONFIG_INVALID', 'DATA_CORRUPT'] as const) {
    let isDamaged = true
    await start({
      keys: async tenant => {
        if (isDamaged) throw new PipelineError(code, 'default.tokens has mode 666')
        return shared.keys(tenant)
      },
    })
    const refused = await post(started, '/v1/traces', requestProto(span))
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).not.toBeNull()
    const { ready, parts } = await started.health.read()
    expect(ready).toBe(false)
    expect(parts.redaction?.detail).toMatch(/tenant default cannot be read.*mode 666/)
    isDamaged = false
    expect((await started.health.read()).parts.redaction).toEqual({ ready: true })
    expect((await post(started, '/v1/traces', requestProto(span))).status).toBe(200)
    if (code === 'CONFIG_INVALID') await started.receiver.stop()
  }
})

test('a tenant without redaction has what it sent', async () => {
  await start(shared, ['default'])
  await post(started, '/v1/traces', requestProto(span))
  expect((await started.bus.spans())[0]?.span.name).toBe(`mail ${mail}`)
})
