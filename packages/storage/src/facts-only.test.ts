import { unpackSlices } from '@winnow/model'
import { expect, test } from 'vitest'
import { factsHead, factsJson, headText } from './facts-only.ts'
import { sampleDecision } from './samples.ts'

const withPeople = {
  evaluations: [{ id: 'e1', name: 'csat', label: 'priya is angry '.repeat(9), effect: 'applied' }],
  requests: [{ id: 'r1', reason: 'priya is angry' }],
} as const

test('a decision without evaluations or rescues is stored as the text that it came from', () => {
  const { slices: _, ...head } = sampleDecision(1)
  const text = `${JSON.stringify(head)} `
  expect(headText(head, text)).toBe(text)
  expect(headText(head)).toBe(text.trimEnd())
})

test('one that people gave text to is written anew, without it and without slices', () => {
  const decision = sampleDecision(1, withPeople)
  const text = headText(decision, JSON.stringify(decision))
  expect(text).not.toMatch(/priya|slices/)
  expect(JSON.parse(text)).toEqual(factsHead(decision))
})

test('a retraction stays, without a source that is prose; what an evaluation became stays too', () => {
  const facts = {
    name: 'judge',
    sentAs: 'stars',
    settled: true,
    experiment: 'e',
    variant: 'B',
  } as const
  const decision = sampleDecision(1, {
    evaluations: [{ id: 'e1', ...facts, effect: 'applied' }],
    retractions: [
      { id: 'e1', source: 'key:reviews', atMs: 5 },
      { id: 'e2', source: 'priya is angry '.repeat(9) },
    ],
  })
  expect(factsHead(decision)).toMatchObject({
    evaluations: [{ id: 'e1', ...facts }],
    retractions: [{ id: 'e1', source: 'key:reviews', atMs: 5 }, { id: 'e2' }],
  })
  expect(headText(decision, JSON.stringify(decision))).not.toContain('priya')
})

test('a record is the whole decision: as it is, or with facts before its own slices', () => {
  for (const changes of [{}, withPeople]) {
    const { slices, ...head } = sampleDecision(1, changes)
    const record = Buffer.from(JSON.stringify({ ...head, slices }))
    const json = factsJson(head, record, record.indexOf(',"slices":['))
    expect(json === undefined).toBe(changes !== withPeople)
    const read = () => unpackSlices(JSON.parse(Buffer.from(json ?? record).toString()))
    expect(read()).toEqual({ ...factsHead(head), slices })
    if (json === undefined) continue
    expect(Buffer.from(json).toString()).not.toContain('priya')
    // The record is borrowed.
    record.fill(0)
    expect(read()).toMatchObject({ slices })
  }
})
