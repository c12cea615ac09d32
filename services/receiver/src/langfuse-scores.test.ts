import { request } from 'node:http'
import { apiKeysOf } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { post, type Started, spanJson, startReceiver } from './receiver.fixture.ts'
import { rememberedScoresMax } from './score-traces.ts'

let started: Started
afterEach(() => started.receiver.stop())

const traceId = '48f0a1b2c3d4e5f60718293a4b5c6d7e'
const basic = `Basic ${Buffer.from('pk-lf-1234:sk-lf-5678').toString('base64')}`

/** Langfuse's JS client, as it writes to the wire. */
function asLangfuse(method: string, path: string, body?: unknown): Promise<[number, unknown]> {
  const text = body === undefined ? '' : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const sent = request(
      `${started.url}${path}`,
      {
        method,
        headers: {
          Authorization: basic,
          'X-Langfuse-Sdk-Name': 'javascript',
          'X-Langfuse-Sdk-Version': '4.2.0',
          'X-Langfuse-Public-Key': 'pk-lf-1234',
          'User-Agent': 'langfuse/4.2.0',
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
      },
      response => {
        const chunks: Buffer[] = []
        response.on('data', chunk => chunks.push(chunk))
        response.on('end', () =>
          resolve([
            response.statusCode ?? 0,
            JSON.parse(Buffer.concat(chunks).toString() || 'null'),
          ]),
        )
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}

/** The id of a score that may be changed under the client's own. */
const own = (id: string) => new RegExp(`^${traceId}\\.${id}~[0-9a-f]{16}$`)

const keyed = () => startReceiver({}, { keys: apiKeysOf({ 'sk-lf-5678': 'acme' }) })

test('a score of every data type becomes the outcome it says, under the tenant of the secret key', async () => {
  started = await keyed()
  const scores = [
    { traceId, name: 'csat', value: 2, dataType: 'NUMERIC', comment: 'rude', environment: 'prod' },
    { traceId, name: 'judge', value: 'fail', dataType: 'CATEGORICAL', configId: null },
    { traceId, name: 'thumb', value: 0, dataType: 'BOOLEAN', observationId: 'A1B2C3D4E5F60718' },
    { traceId, name: 'plain', value: 0.5 },
    { traceId, name: 'tone', value: 'kind', observationId: 'cm-not-a-span' },
  ]
  for (const score of scores) {
    expect(await asLangfuse('POST', '/api/public/scores', score)).toEqual([
      200,
      { id: expect.stringMatching(new RegExp(`^${traceId}\\.`)) },
    ])
  }
  const evidence = await started.bus.evidence()
  expect(evidence).toMatchObject([
    { tenant: 'acme', traceId, name: 'csat', score: 2, comment: 'rude' },
    { name: 'judge', label: 'fail' },
    { name: 'thumb', passed: false, spanId: 'a1b2c3d4e5f60718' },
    { name: 'plain', score: 0.5 },
    { name: 'tone', label: 'kind' },
  ])
  expect(evidence[4]).not.toHaveProperty('spanId')
})

test('a client’s own id is answered as it was sent; sent twice it is one evaluation, and changed a further one', async () => {
  started = await keyed()
  const score = { id: 'feedback-7', traceId, name: 'csat', value: 1 }
  for (let n = 0; n < 2; n++) {
    expect(await asLangfuse('POST', '/api/public/scores', score)).toEqual([
      200,
      { id: 'feedback-7' },
    ])
  }
  const ids = (await started.bus.evidence()).map(one => 'id' in one && one.id)
  expect(ids).toEqual([expect.stringMatching(own('feedback-7')), ids[0]])
  for (const value of [5, 5]) {
    await asLangfuse('POST', '/api/public/scores', { ...score, value, comment: `${value}` })
  }
  const changed = (await started.bus.evidence()).slice(2)
  expect(changed).toMatchObject([{ score: 5 }, { score: 5 }])
  const later = changed.map(one => 'id' in one && one.id)
  expect(later).toEqual([expect.stringMatching(own('feedback-7')), later[0]])
  expect(later[0]).not.toBe(ids[0])
})

test('deleting is a retraction: by the own id where it is remembered, by the whole one anywhere', async () => {
  started = await keyed()
  await asLangfuse('POST', '/api/public/scores', { id: 'f 7', traceId, name: 'x', value: 1 })
  // An id of its own with a space is none here.
  expect(await started.bus.evidence()).toEqual([])
  await asLangfuse('POST', '/api/public/scores', { id: 'f/7', traceId, name: 'x', value: 1 })
  const done = [200, { message: 'Score deleted successfully' }]
  expect(await asLangfuse('DELETE', '/api/public/scores/f%2F7')).toEqual(done)
  expect(await asLangfuse('DELETE', `/api/public/scores/${traceId}.other`)).toEqual(done)
  expect((await started.bus.evidence()).slice(1)).toMatchObject([
    { kind: 'retraction', tenant: 'acme', traceId, id: `${traceId}.f/7` },
    { kind: 'retraction', id: `${traceId}.other` },
  ])
  const [status, body] = await asLangfuse('DELETE', '/api/public/scores/never-sent')
  expect([status, body]).toMatchObject([404, { message: expect.stringContaining('<trace id>') }])
  expect((await asLangfuse('GET', '/api/public/scores/f%2F7'))[0]).toBe(405)
})

test('deleting an id that was said of two traces takes it back of both', async () => {
  started = await keyed()
  const other = 'a'.repeat(32)
  for (const one of [traceId, other]) {
    await asLangfuse('POST', '/api/public/scores', { id: 'f', traceId: one, name: 'x', value: 1 })
  }
  expect((await asLangfuse('DELETE', '/api/public/scores/f'))[0]).toBe(200)
  const retractions = (await started.bus.evidence()).slice(2).map(one => 'id' in one && one.id)
  expect(retractions.toSorted()).toEqual([`${traceId}.f`, `${other}.f`])
})

test('rememberedScoresMax ids are known by themselves, of one more the oldest is not', async () => {
  started = await keyed()
  const batches = Math.ceil(rememberedScoresMax / 1000)
  const score = (n: number) => ({ id: `s${n}`, traceId, name: 'x', value: 1 })
  const send = (from: number, count: number) =>
    asLangfuse('POST', '/api/public/ingestion', {
      batch: Array.from({ length: count }, (_, n) => ({
        id: `e${from + n}`,
        type: 'score-create',
        timestamp: '2026-05-22T10:15:00Z',
        body: score(from + n),
      })),
    })
  for (let n = 0; n < batches; n++) expect((await send(n * 1000, 1000))[0]).toBe(207)
  expect((await asLangfuse('DELETE', '/api/public/scores/s0'))[0]).toBe(200)
  // Deleting was a use of it.
  await send(rememberedScoresMax, 1)
  expect((await asLangfuse('DELETE', '/api/public/scores/s1'))[0]).toBe(404)
  expect((await asLangfuse('DELETE', '/api/public/scores/s2'))[0]).toBe(200)
}, 60_000)

test('a batch as the SDKs queue it is answered event by event: scores are taken, anything else says where it goes', async () => {
  started = await keyed()
  const event = (id: string, type: string, body: object) => ({
    id,
    type,
    timestamp: '2026-05-22T10:15:00Z',
    body,
  })
  const answer = await asLangfuse('POST', '/api/public/ingestion', {
    batch: [
      event('e1', 'score-create', { id: 'a', traceId, name: 'csat', value: 1, environment: 'x' }),
      event('e2', 'trace-create', { id: traceId }),
      event('e3', 'score-create', { id: 'b', sessionId: 's', name: 'csat', value: 1 }),
      event('e4', 'sdk-log', { log: 'x' }),
      event('e5', 'score-create', { id: 'c', traceId, name: 'csat', value: {} }),
    ],
    metadata: { sdk_name: 'javascript' },
  })
  expect(answer).toMatchObject([
    207,
    {
      successes: [
        { id: 'e1', status: 201 },
        { id: 'e4', status: 201 },
      ],
      errors: [
        { id: 'e2', status: 400, message: expect.stringContaining('/v1/traces') },
        { id: 'e3', status: 422, message: expect.stringContaining('32 hex digits') },
        { id: 'e5', status: 400, message: expect.stringContaining('value') },
      ],
    },
  ])
  expect(await started.bus.evidence()).toMatchObject([{ id: expect.stringMatching(own('a')) }])
  expect((await asLangfuse('POST', '/api/public/ingestion', {}))[0]).toBe(400)
})

test('a score that names no trace is 422 with the remedy; other mistakes are 400 in Langfuse’s words', async () => {
  started = await keyed()
  const ask = (more: object) =>
    asLangfuse('POST', '/api/public/scores', { traceId, name: 'csat', value: 1, ...more })
  expect(await ask({ traceId: undefined, sessionId: 'chat-1' })).toMatchObject([
    422,
    { message: expect.stringContaining('32 hex digits'), error: [{ path: ['traceId'] }] },
  ])
  expect(await ask({ traceId: 'cdef-1234' })).toMatchObject([
    400,
    { error: [{ value: 'cdef-1234' }] },
  ])
  for (const more of [
    { value: 2, dataType: 'BOOLEAN' },
    { value: 'two', dataType: 'NUMERIC' },
    { value: null },
    { value: 'long text', dataType: 'TEXT' },
    { value: 'x'.repeat(65) },
  ]) {
    expect(await ask(more), JSON.stringify(more)).toMatchObject([
      400,
      { error: [{ path: ['value'] }] },
    ])
  }
  expect(await started.bus.evidence()).toEqual([])
})

test('a wrong or missing secret is 401, and so is a public key alone', async () => {
  started = await keyed()
  const score = JSON.stringify({ traceId, name: 'csat', value: 1 })
  for (const authorization of [
    '',
    'Basic !',
    `Basic ${Buffer.from('sk-lf-5678').toString('base64')}`,
  ]) {
    const response = await post(started, '/api/public/scores', score, { authorization })
    expect([response.status, await response.json()]).toMatchObject([
      401,
      { message: expect.stringContaining('key') },
    ])
  }
})

test('the spans of Langfuse’s SDKs arrive where those send them', async () => {
  started = await keyed()
  const body = JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [spanJson(1)] }] }] })
  const headers = { authorization: basic }
  expect((await post(started, '/api/public/otel/v1/traces', body, headers)).status).toBe(200)
  expect(await started.bus.spans()).toMatchObject([{ tenant: 'acme' }])
})
