import { expect, test } from 'vitest'
import {
  type EvaluationMistake,
  evaluationError,
  evaluationIdCharsMax,
  evaluationLimits,
  evaluationMistakesMax,
  evaluationNameBytesMax,
  evaluationStatus,
  evaluationsAccepted,
  evaluationsFrom,
  type Speaker,
  takesBack,
} from './evaluation-input.ts'
import { type EvaluationRecord, evaluationBytesMax } from './evidence.ts'
import { factTextBytesMax } from './facts.ts'

const traceId = '48f0a1b2c3d4e5f60718293a4b5c6d7e'

function taken(input: unknown, limits = evaluationLimits): readonly EvaluationRecord[] {
  const read = evaluationsFrom('acme', input, { limits })
  if (read.kind === 'mistakes') throw new Error(JSON.stringify(read.mistakes))
  return read.records as readonly EvaluationRecord[]
}

function mistakesOf(input: unknown, limits = evaluationLimits): readonly EvaluationMistake[] {
  const read = evaluationsFrom('acme', input, { limits })
  return read.kind === 'mistakes' ? read.mistakes : []
}

test('one object becomes one record under its trace, and the tenant is the caller’s', () => {
  const input = {
    id: 'survey-7',
    traceId: traceId.toUpperCase(),
    spanId: 'A1B2C3D4E5F60718',
    name: 'csat',
    score: 2,
    label: 'unhappy',
    passed: false,
    source: 'survey',
    at: '2026-05-22T10:19:00.250+02:00',
    comment: 'wrong policy',
  }
  expect(taken(input)).toEqual([
    {
      v: 1,
      kind: 'evaluation',
      tenant: 'acme',
      traceId,
      id: `${traceId}.survey-7`,
      spanId: 'a1b2c3d4e5f60718',
      name: 'csat',
      score: 2,
      label: 'unhappy',
      passed: false,
      source: 'survey',
      atMs: Date.UTC(2026, 4, 22, 8, 19, 0, 250),
      comment: 'wrong policy',
    },
  ])
})

test('without an id of the client’s a retry is the same evaluation, and other content another', () => {
  const [first] = taken({ traceId, name: 'csat', score: 2, comment: null })
  const [again] = taken({ score: '2', name: 'csat', traceId: traceId.toUpperCase() })
  const [other] = taken({ traceId, name: 'csat', score: 3 })
  expect(first?.id).toMatch(new RegExp(`^${traceId}\\.[0-9a-f]{32}$`))
  expect(again).toEqual(first)
  expect(other?.id).not.toBe(first?.id)
})

test('a score may come as a numeric string, and as nothing else', () => {
  expect(taken({ traceId, name: 'csat', score: '4.5' })[0]?.score).toBe(4.5)
  expect(taken({ traceId, name: 'csat', score: '-1e-3' })[0]?.score).toBe(-0.001)
  for (const score of ['', ' 2', 'two', 'NaN', '0x10', '1e999', true, [2], Number.NaN]) {
    expect(mistakesOf({ traceId, name: 'csat', score })).toMatchObject([{ field: 'score' }])
  }
})

test('without a trace id the mistake says where to find it, with a bad one what it looks like', () => {
  expect(mistakesOf({ name: 'csat', score: 2 })).toMatchObject([
    {
      code: 'TRACE_ID_MISSING',
      field: 'traceId',
      remedy: expect.stringContaining('32 hex digits'),
    },
  ])
  for (const bad of ['48f', '0'.repeat(32), 48, `${traceId}0`]) {
    expect(mistakesOf({ traceId: bad, name: 'csat', score: 2 })).toMatchObject([
      { code: 'TRACE_ID_INVALID', field: 'traceId', value: String(bad) },
    ])
  }
})

test('every mistake of an array is named with its place, and nothing of it is taken', () => {
  const input = [
    { traceId, name: 'csat', score: 2 },
    { traceId, name: ' ', score: 'two', lable: 'x' },
    'csat=2',
    { traceId, name: 'judge', comment: 'fine' },
    { traceId, name: 'judge', passed: 'no', at: '2026-05-22 10:15', spanId: '12', id: 'a b' },
  ]
  const fields = mistakesOf(input).map(({ code, field }) => `${code} ${field}`)
  expect(fields).toEqual([
    'FIELD_UNKNOWN [1].lable',
    'FIELD_INVALID [1].name',
    'FIELD_INVALID [1].score',
    'TRACE_ID_MISSING [2].traceId',
    'FIELD_INVALID [2].name',
    'OUTCOME_MISSING [2]',
    'OUTCOME_MISSING [3]',
    'FIELD_INVALID [4].id',
    'FIELD_INVALID [4].spanId',
    'FIELD_INVALID [4].passed',
    'FIELD_INVALID [4].at',
  ])
})

test('texts are taken at their limit and refused one byte past it', () => {
  const limits = { evaluationsMax: 2, commentBytesMax: 10 }
  const base = { traceId, name: 'judge', passed: true }
  const rows: readonly [string, number][] = [
    ['name', evaluationNameBytesMax],
    ['label', factTextBytesMax],
    ['source', evaluationNameBytesMax],
    ['comment', limits.commentBytesMax],
    ['id', evaluationIdCharsMax],
  ]
  for (const [field, max] of rows) {
    expect(taken({ ...base, [field]: 'x'.repeat(max) }, limits)).toHaveLength(1)
    expect(mistakesOf({ ...base, [field]: 'x'.repeat(max + 1) }, limits)).toMatchObject([
      { code: 'FIELD_INVALID', field, remedy: expect.stringContaining(String(max)) },
    ])
  }
  expect(mistakesOf({ ...base, comment: 'é'.repeat(6) }, limits)).toHaveLength(1)
})

test('a request holds evaluationsMax evaluations and not one more', () => {
  const limits = { evaluationsMax: 3, commentBytesMax: 10 }
  const one = { traceId, name: 'csat', score: 2 }
  expect(taken([one, one, one], limits)).toHaveLength(3)
  const mistakes = mistakesOf([one, one, one, one], limits)
  expect(mistakes).toMatchObject([{ code: 'EVALUATIONS_TOO_MANY', value: '4' }])
  expect(evaluationStatus(mistakes)).toBe(413)
  expect(evaluationStatus(mistakesOf({}))).toBe(422)
})

test('a hostile body is answered with a bounded number of short mistakes', () => {
  const unknown = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`k${n}`, n]))
  expect(mistakesOf(Array.from({ length: 900 }, () => unknown))).toHaveLength(evaluationMistakesMax)
  const long = mistakesOf({ traceId: 'x'.repeat(100_000), name: 'csat', score: 2 })
  expect(JSON.stringify(long).length).toBeLessThan(400)
  for (const body of [null, 3, 'x', [], [[]], { __proto__: { traceId } }]) {
    expect(JSON.stringify(mistakesOf(body)).length).toBeLessThan(1000)
  }
})

test('the answers: accepted ids, the first mistake, and all where there are more', () => {
  const records = taken({ id: 'a', traceId, name: 'csat', score: 2 })
  expect(evaluationsAccepted(records)).toEqual({
    evaluations: [{ id: `${traceId}.a`, state: 'accepted' }],
  })
  const one = mistakesOf({ name: 'csat', score: 2 })
  expect(evaluationError(one)).toEqual({ error: one[0] })
  const two = mistakesOf({ score: 2 })
  expect(evaluationError(two)).toEqual({ error: two[0], errors: two })
})

test('a value nested deeper than a stack is high is refused by what it is', () => {
  const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)
  const input = evaluationsFrom('acme', { traceId: deep, name: { a: 1 }, score: 1 })
  expect(
    input.kind === 'mistakes' && input.mistakes.map(({ field, value }) => [field, value]),
  ).toEqual(
    expect.arrayContaining([
      ['traceId', '[…]'],
      ['name', '{…}'],
    ]),
  )
})

test('an evaluation is taken back by its id, as it was sent or as it was answered', () => {
  const expected = [
    { v: 1, kind: 'retraction', tenant: 'acme', traceId, id: `${traceId}.survey-7` },
  ]
  expect(taken({ id: 'survey-7', traceId, retracted: true })).toEqual(expected)
  const whole = `${traceId.toUpperCase()}.survey-7`
  expect(taken({ id: whole, traceId, retracted: true })).toEqual(expected)
  expect(taken({ id: whole, traceId, name: 'csat', score: 2 })[0]?.id).toBe(`${traceId}.survey-7`)
  const at = '2026-05-22T10:15:00Z'
  expect(taken({ id: 'a', traceId, retracted: true, source: 'me', at })).toMatchObject([
    { source: 'me', atMs: Date.parse(at) },
  ])
})

test('one without an id is taken back by saying the same again; a retraction of nothing says what to send', () => {
  const said = { traceId, name: 'judge', label: 'fail' }
  const [first] = taken(said)
  expect(taken({ ...said, retracted: true })).toMatchObject([{ kind: 'retraction', id: first?.id }])
  expect(mistakesOf({ traceId, retracted: true })).toMatchObject([
    { field: 'name', remedy: expect.stringContaining('give the id of the evaluation') },
    { code: 'OUTCOME_MISSING' },
  ])
  expect(mistakesOf({ id: 'a', retracted: true })).toMatchObject([{ code: 'TRACE_ID_MISSING' }])
})

test('an arm of an experiment is an outcome of its own, with both its names', () => {
  const arm = { traceId, name: 'ab', experiment: 'exp', variant: 'B' }
  expect(taken(arm)).toMatchObject([{ experiment: 'exp', variant: 'B' }])
  expect(mistakesOf({ traceId, name: 'ab', variant: 'B' })).toMatchObject([{ field: 'experiment' }])
  expect(mistakesOf({ traceId, name: 'ab', experiment: 'e' })).toMatchObject([{ field: 'variant' }])
})

test('who sends is the source of what names none', () => {
  const read = (input: object) =>
    evaluationsFrom('acme', { traceId, name: 'csat', score: 2, ...input }, { source: 'key:survey' })
  expect(read({})).toMatchObject({ records: [{ source: 'key:survey' }] })
  expect(read({ source: 'me' })).toMatchObject({ records: [{ source: 'me' }] })
})

test('what a decision carries of an outcome is bounded: at the limit it is taken, one byte past it not', () => {
  const wide = (chars: number) => '\u0001'.repeat(chars)
  const id = `${traceId}.i`
  const kept = { name: wide(evaluationNameBytesMax), score: 1, id, source: '' }
  const left = evaluationBytesMax - JSON.stringify(kept).length
  const of = (bytes: number) => ({
    ...kept,
    traceId,
    source: wide(20) + 's'.repeat(bytes - 20 * 6),
  })
  expect(mistakesOf(of(left))).toEqual([])
  expect(mistakesOf(of(left + 1))).toMatchObject([
    { remedy: expect.stringContaining('evaluationBytesMax') },
  ])
  const back = { traceId, id: 'i'.repeat(evaluationIdCharsMax), retracted: true }
  expect(mistakesOf({ ...back, source: wide(40) })).toEqual([])
  expect(mistakesOf({ ...back, source: wide(100) })).toMatchObject([
    { remedy: expect.stringContaining('retractionBytesMax') },
  ])
})

test('where an id may be said anew, another judgement under it is a further evaluation, and taking it back takes back all', () => {
  const idOf = (more: object, speaker: Speaker = { updates: true }) => {
    const read = evaluationsFrom(
      't',
      { traceId, id: 'i', name: 'csat', score: 1, ...more },
      speaker,
    )
    return read.kind === 'evaluations' ? read.records[0]?.id : undefined
  }
  const first = idOf({}) ?? ''
  expect(first).toMatch(new RegExp(`^${traceId}\\.i~[0-9a-f]{16}$`))
  expect(idOf({ score: '1', source: 's', comment: 'c', at: '2026-05-22T10:15:00Z' })).toBe(first)
  for (const more of [{ score: 2 }, { label: 'x' }, { name: 'judge' }]) {
    expect(idOf(more)).not.toBe(first)
    expect(takesBack(`${traceId}.i`, idOf(more) ?? '')).toBe(true)
  }
  expect(idOf({ retracted: true })).toBe(`${traceId}.i`)
  expect(idOf({ score: 2 }, {})).toBe(`${traceId}.i`)
  expect(takesBack(first, first)).toBe(true)
  for (const other of [`${traceId}.j~${'0'.repeat(16)}`, `${traceId}.i~x`, `${traceId}.ii`]) {
    expect(takesBack(`${traceId}.i`, other)).toBe(false)
  }
  const whole = evaluationIdCharsMax
  const long = { id: 'i'.repeat(whole), source: 'longest' }
  expect(idOf(long)).toHaveLength(33 + whole + 17)
})
