import { evaluationBytesMax, requestReasonBytesMax } from '@winnow/model'
import { expect, test } from 'vitest'
import { evaluationOf, idBytesMax, parseEvidence } from './evidence-record.ts'
import { evaluation, request, root, slice, summary, traceIdOf } from './fixtures.ts'

const id = traceIdOf(1)
const parse = (record: unknown) =>
  parseEvidence(Buffer.from(JSON.stringify(record)), 'evidence/0@7')
const mistake = (record: unknown) => {
  const parsed = parse(record)
  return parsed.ok ? undefined : parsed.mistake
}

test('what an assembler, a receiver and a query write is read back as it was', () => {
  const records = [
    summary(id, [slice(1, [{ id: 1 }], root(9, { services: ['a'], rv: '0', th: '8' }))]),
    evaluation(id, { name: 'csat', score: 2, comment: 'x' }),
    request(id),
  ]
  for (const record of records) expect(parse(record)).toEqual({ ok: true, evidence: record })
})

test('a mistake names its field and never its value', () => {
  const good = summary(id, [slice(1, [{ id: 1 }])])
  const facts = (change: object) => ({ ...good, slices: [slice(1, [{ id: 1 }], change)] })
  const [packed] = good.slices.map(({ text }) => text)
  const cases: [unknown, string][] = [
    [5, 'not an object'],
    [null, 'not an object'],
    [{ ...good, v: 0 }, 'v'],
    [{ ...good, kind: 'rollup' }, 'kind'],
    [{ ...good, tenant: '' }, 'tenant'],
    [{ ...good, traceId: id.toUpperCase().replace('A', 'G') }, 'traceId'],
    [{ ...good, slices: [] }, 'slices'],
    [{ ...good, slices: [null] }, 'slices'],
    [{ ...good, slices: [packed, packed?.slice(4)] }, 'slices'],
    [{ ...good, slices: [`${packed}!`] }, 'slices'],
    [{ ...good, slices: { 0: packed } }, 'slices'],
    [{ ...good, reason: 'bored' }, 'reason'],
    [{ ...good, missingParents: -1 }, 'missingParents'],
    [{ ...good, closedAtMs: null }, 'closedAtMs'],
    [facts({ roots: [null] }), 'slices'],
    [facts({ roots: [{ spanId: '1', durationMs: 1, startNs: '-1' }] }), 'slices'],
    [facts({ errors: [null] }), 'slices'],
    [facts({ outcomes: [{}] }), 'slices'],
    [facts({ services: [7] }), 'slices'],
    [facts({ th: 8 }), 'slices'],
    [facts({ ignored: '8' }), 'slices'],
    [{ ...evaluation(id, { name: 'x' }), score: null }, 'score'],
    [{ ...evaluation(id, { name: 'x' }), passed: 'yes' }, 'passed'],
    [{ ...evaluation(id, { name: 'x' }), label: 3 }, 'label'],
    [{ ...evaluation(id, { name: 'x' }), id: undefined }, 'id'],
  ]
  for (const [record, field] of cases) expect(mistake(record), field).toBe(field)
  expect(parseEvidence(Buffer.from([0xff, 0x7b]), 'x')).toEqual({ ok: false, mistake: 'not JSON' })
})

test('texts are taken at their limit and refused one byte past it', () => {
  const at = (bytes: number) => mistake(evaluation(id, { name: 'n'.repeat(bytes), id: 'i' }))
  expect([at(idBytesMax), at(idBytesMax + 1)]).toEqual([undefined, 'name'])
  const reason = (bytes: number) => mistake(request(id, { reason: 'r'.repeat(bytes) }))
  expect([reason(requestReasonBytesMax), reason(requestReasonBytesMax + 1)]).toEqual([
    undefined,
    'reason',
  ])
  const base = Buffer.byteLength(
    JSON.stringify(evaluationOf(evaluation(id, { name: 'n', label: '' }))),
  )
  const label = (bytes: number) =>
    mistake(evaluation(id, { name: 'n', label: 'l'.repeat(bytes - base) }))
  expect([label(evaluationBytesMax), label(evaluationBytesMax + 1)]).toEqual([
    undefined,
    'its size',
  ])
})

test('a newer format is refused by name and place', () => {
  expect(() => parse({ ...request(id), v: 2 })).toThrow(
    expect.objectContaining({
      code: 'DATA_CORRUPT',
      message: expect.stringMatching(/evidence\/0@7.*format 2/),
    }),
  )
})

test('an evaluation’s comment is content and stays behind', () => {
  expect(evaluationOf(evaluation(id, { name: 'csat', score: 1, comment: 'secret' }))).toEqual({
    id: `${id}.csat`,
    name: 'csat',
    score: 1,
  })
})
