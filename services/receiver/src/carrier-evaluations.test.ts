import { afterEach, expect, test } from 'vitest'
import { carriedOutcomesMax, carrierOutcomesMax } from './carrier-evaluations.ts'
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

const target = { traceId: '48f0a1b2c3d4e5f60718293a4b5c6d7e', spanId: 'a1b2c3d4e5f60718' }

const attributes = (values: Readonly<Record<string, string | number>>) =>
  Object.entries(values).map(([key, value]) => ({
    key,
    value: typeof value === 'number' ? { doubleValue: value } : { stringValue: value },
  }))

const carrier = (values: Readonly<Record<string, string | number>>, more: object = {}) =>
  spanJson(1, { links: [target], attributes: attributes(values), ...more })

const send = async (...spans: object[]) => {
  const answer = await post(started, '/v1/traces', requestJson(...spans))
  return [answer.status, await answer.json()]
}

test('what a span with one link says is an evaluation of the trace that it links, and the span goes its way', async () => {
  started = await startReceiver()
  const span = carrier({
    'annotations.0.annotation.name': 'judge',
    'annotations.0.annotation.label': 'fail',
    'annotations.0.annotation.explanation': 'wrong policy',
    'annotations.0.annotation.annotator_kind': 'HUMAN',
    'trace.evaluations.0.evaluation.name': 'csat',
    'trace.evaluations.0.evaluation.score': 2,
  })
  expect(await send(span)).toEqual([200, {}])
  expect((await post(started, '/v1/traces', requestProto(span))).status).toBe(200)
  const evidence = await started.bus.evidence()
  expect(evidence.slice(0, 2)).toEqual([
    {
      v: 1,
      kind: 'evaluation',
      tenant: 'default',
      traceId: target.traceId,
      id: expect.stringMatching(/\.carried-[0-9a-f]{32}$/),
      name: 'judge',
      spanId: target.spanId,
      label: 'fail',
      source: `span:${span.spanId}`,
      comment: 'wrong policy',
    },
    expect.objectContaining({ name: 'csat', score: 2 }),
  ])
  expect(evidence.slice(2), 'sent again it is the same').toEqual(evidence.slice(0, 2))
  expect(await started.bus.spans()).toHaveLength(2)
})

test('an event of such a span is about the span itself, as that of a consumer that links its producer', async () => {
  started = await startReceiver()
  const event = {
    name: 'gen_ai.evaluation.result',
    attributes: attributes({
      'gen_ai.evaluation.name': 'csat',
      'gen_ai.evaluation.score.value': '1',
    }),
  }
  expect(await send(carrier({}, { events: [event] }))).toEqual([200, {}])
  expect(await started.bus.evidence()).toEqual([])
  expect(await started.bus.spans()).toHaveLength(1)
})

test('the same result in both words is one, and so it is over carriers under the sender’s identifier; another one is not', async () => {
  started = await startReceiver()
  const both = {
    'annotations.0.annotation.name': 'judge',
    'annotations.0.annotation.score': 0.1,
    'evaluations.3.evaluation.name': 'judge',
    'evaluations.3.evaluation.score': 0.1,
  }
  const identified = (n: number, score: number) =>
    spanJson(n, {
      links: [target],
      attributes: attributes({
        'evaluations.0.evaluation.name': 'judge',
        'evaluations.0.evaluation.score': score,
        'evaluations.0.evaluation.identifier': 'judge-v2',
      }),
    })
  await send(carrier(both), identified(2, 1), identified(3, 1), identified(2, 0))
  const ids = (await started.bus.evidence()).map(one => 'id' in one && one.id)
  expect(ids).toHaveLength(5)
  const [word, other, first, again, update] = ids
  expect([other, again, new Set([word, first, update]).size]).toEqual([word, first, 3])
})

test('without a link, or with two, it judges itself: nothing is sent elsewhere', async () => {
  started = await startReceiver()
  const values = { 'annotations.0.annotation.name': 'judge', 'annotations.0.annotation.score': 0 }
  await send(carrier(values, { links: [] }), carrier(values, { links: [target, target] }))
  expect(await started.bus.evidence()).toEqual([])
})

test('an outcome that cannot be taken is left out and said, and its span is taken', async () => {
  started = await startReceiver()
  const long = {
    'annotations.0.annotation.name': 'j',
    'annotations.0.annotation.label': 'x'.repeat(65),
  }
  const remark = {
    'annotations.0.annotation.name': 'j',
    'annotations.0.annotation.explanation': 'x',
  }
  const nowhere = { links: [{ traceId: '', spanId: '' }] }
  const [status, body] = await send(
    carrier(long),
    carrier(remark),
    carrier({ 'annotations.0.annotation.name': 'j', 'annotations.0.annotation.score': 1 }, nowhere),
  )
  const { errorMessage } = (body as { partialSuccess: { errorMessage: string } }).partialSuccess
  expect(status).toBe(200)
  expect(errorMessage).toContain('accepted, but 2 outcomes left out')
  expect(errorMessage).toMatch(/label: send text of 1 to 64 bytes.*traceId: /)
  expect(await started.bus.evidence()).toEqual([])
  expect(await started.bus.spans()).toHaveLength(3)
})

test('a judgement is not lost for a remark: what of it cannot be taken is left out, and that is said', async () => {
  started = await startReceiver({ evaluationCommentBytesMax: '1KiB' })
  const annotation = (more: Readonly<Record<string, string | number>>) =>
    attributes({ 'annotations.0.annotation.name': 'j', ...more })
  const of = (more: Readonly<Record<string, string | number>>) =>
    spanJson(1, { links: [target], attributes: annotation(more) })
  const [status, body] = await send(
    of({ 'annotations.0.annotation.score': 0.1, 'annotations.0.annotation.label': 'x'.repeat(65) }),
    of({ 'annotations.0.annotation.score': 'n/a', 'annotations.0.annotation.label': 'fail' }),
    of({
      'annotations.0.annotation.score': 0,
      'annotations.0.annotation.explanation': `e${'ä'.repeat(512)}`,
    }),
    of({
      'annotations.0.annotation.score': 1,
      'annotations.0.annotation.explanation': 'ä'.repeat(512),
    }),
  )
  expect(status).toBe(200)
  expect(JSON.stringify(body)).toMatch(/but 3 outcomes shortened: .*label: send text of 1 to 64/)
  const evidence = await started.bus.evidence()
  expect(evidence).toMatchObject([
    { score: 0.1 },
    { label: 'fail' },
    { score: 0, comment: `e${'ä'.repeat(511)}` },
    { score: 1, comment: 'ä'.repeat(512) },
  ])
  expect([evidence[0], evidence[1]].map(one => Object.keys(one ?? {}))).toEqual([
    expect.not.arrayContaining(['label']),
    expect.not.arrayContaining(['score']),
  ])
})

const many = (count: number) => {
  const values: Record<string, string | number> = {}
  for (let n = 0; n < count; n++) {
    values[`annotations.${n}.annotation.name`] = `n${n}`
    values[`annotations.${n}.annotation.score`] = n
  }
  return carrier(values)
}

test('carrierOutcomesMax of one span are taken, of more the answer says how many are not', async () => {
  started = await startReceiver()
  expect(await send(many(carrierOutcomesMax))).toEqual([200, {}])
  expect(await started.bus.evidence()).toHaveLength(carrierOutcomesMax)
  const [, body] = await send(many(carrierOutcomesMax + 3), many(1))
  expect(JSON.stringify(body)).toMatch(/but 3 outcomes left out.*carrierOutcomesMax/)
  expect(await started.bus.evidence()).toHaveLength(2 * carrierOutcomesMax + 1)
})

test('a batch of carriers is taken whole, however many evaluations one request of the API may have', async () => {
  started = await startReceiver({ evaluationsMax: 1 })
  expect(await send(many(2), many(2), many(1))).toEqual([200, {}])
  expect(await started.bus.evidence()).toHaveLength(5)
})

test('carriedOutcomesMax of one request are taken, of more the answer says how many are not', async () => {
  started = await startReceiver()
  const full = carriedOutcomesMax / carrierOutcomesMax
  const whole = many(carrierOutcomesMax)
  const spans = Array.from({ length: full }, () => whole)
  expect((await post(started, '/v1/traces', requestProto(...spans))).status).toBe(200)
  expect(await started.bus.evidence()).toHaveLength(carriedOutcomesMax)
  const [, body] = await send(...spans, many(2), many(carrierOutcomesMax + 1))
  const left = 2 + carrierOutcomesMax + 1
  expect(JSON.stringify(body)).toMatch(
    new RegExp(`but ${left} outcomes left out.*carriedOutcomesMax`),
  )
  expect(await started.bus.evidence()).toHaveLength(2 * carriedOutcomesMax)
}, 60_000)

test('a bus that does not take the outcome has not taken the request', async () => {
  started = await startReceiver()
  started.bus.before = topic => {
    if (topic.includes('evidence')) throw new Error('no')
  }
  const values = { 'annotations.0.annotation.name': 'judge', 'annotations.0.annotation.score': 0 }
  expect((await send(carrier(values)))[0]).not.toBe(200)
})
