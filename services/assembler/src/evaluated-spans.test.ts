import { OutcomeMap, type OutcomeRule, type SliceFacts } from '@winnow/model'
import {
  type AnyValue,
  emptySpan,
  encodeTraces,
  type KeyValue,
  type Span,
  type SpanEvent,
  SpanTable,
  scanTraces,
} from '@winnow/otlp'
import { expect, test } from 'vitest'
import { annotationsMax } from './annotation-facts.ts'
import { factInterest } from './fact-interest.ts'
import { summarised } from './packed-slice.fixture.ts'
import { SliceFactsExtractor } from './slice-facts.ts'

const spanId = '00000000000000a1'
const link = {
  traceId: 'b'.repeat(32),
  spanId: '00000000000000b1',
  traceState: '',
  attributes: [],
  droppedAttributesCount: 0,
  flags: 0,
}

type Values = Readonly<Record<string, string | number | boolean>>

test('annotations and evaluations of a span are its outcomes, of either scope, members in any order', () => {
  const outcomes = outcomesOf({
    'annotations.0.annotation.score': 0.2,
    'annotations.0.annotation.explanation': 'because',
    'annotations.0.annotation.name': 'judge',
    'evaluations.12.evaluation.name': 'csat',
    'evaluations.12.evaluation.score': '2',
    'trace.annotations.0.annotation.name': 'tone',
    'trace.annotations.0.annotation.label': 'rude',
    'trace.evaluations.1.evaluation.name': 'judge',
    'trace.evaluations.1.evaluation.label': 'fail',
  })
  expect(outcomes).toEqual([
    { name: 'judge', spanId, score: 0.2 },
    { name: 'csat', spanId, score: 2 },
    { name: 'outcome.tone', spanId, label: 'rude' },
    { name: 'judge', spanId, label: 'fail' },
  ])
})

test('a session’s, one without a name, and what only looks like one are none; both words of one result are one', () => {
  expect(
    outcomesOf({
      'session.annotations.0.annotation.name': 'judge',
      'session.annotations.0.annotation.score': 0,
      'annotations.0.annotation.score': 0,
      'annotations.x.annotation.name': 'judge',
      'annotations.0.evaluation.name': 'judge',
      'evaluations.notes': 'judge',
      'trace.annotations_count': 1,
    }),
  ).toEqual([])
  expect(
    outcomesOf({
      'annotations.0.annotation.name': 'judge',
      'annotations.0.annotation.score': 0,
      'evaluations.4.evaluation.name': 'judge',
      'evaluations.4.evaluation.score': 0,
    }),
  ).toHaveLength(1)
})

test('annotations of a span with one link judge another; its events and its own attributes are about itself', () => {
  const values = {
    'annotations.0.annotation.name': 'judge',
    'annotations.0.annotation.label': 'fail',
    'outcome.resolved': false,
  }
  const events = [eventOf({ 'gen_ai.evaluation.name': 'csat', 'gen_ai.evaluation.score.value': 1 })]
  const own = [
    { name: 'csat', spanId, score: 1 },
    { name: 'outcome.resolved', spanId, passed: false },
  ]
  const stated = outcomesOf(values, { links: [link], events })
  expect(stated.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual(own)
  expect(outcomesOf(values, { events })).toHaveLength(3)
  expect(outcomesOf(values, { links: [link, link], events })).toHaveLength(3)
})

test('annotationsMax of one span are looked at, one more is said to be missing', () => {
  const of = (count: number) => {
    const values: Record<string, string> = {}
    for (let n = 0; n < count; n++) {
      values[`annotations.${n}.annotation.name`] = 'judge'
      values[`annotations.${n}.annotation.label`] = `l${n % 8}`
    }
    return factsOf(values).truncated
  }
  expect([of(annotationsMax), of(annotationsMax + 1)]).toEqual([undefined, true])
})

const rules: readonly OutcomeRule[] = [
  { from: { attribute: 'app.stars' }, to: 'csat' },
  { from: { attribute: 'app.ok' }, to: 'resolved' },
  { from: { attribute: 'app.tone' }, to: 'tone', failWhen: { label: ['rude'] } },
  { from: { attribute: 'outcome.nps' }, to: 'nps', failWhen: { scoreBelow: 7 } },
  { from: { evaluation: 'toxicity' }, to: 'judge', failWhen: { scoreAbove: 0.7 } },
]

test('an attribute that the configuration names is the outcome it says, and fails by its conditions', () => {
  expect(
    outcomesOf(
      { 'app.stars': '2', 'app.ok': false, 'app.tone': 'Rude', 'outcome.nps': 3 },
      {},
      rules,
    ),
  ).toEqual([
    { name: 'csat', spanId, score: 2 },
    { name: 'outcome.resolved', spanId, passed: false },
    { name: 'outcome.tone', spanId, label: 'Rude', passed: false, settled: true },
    { name: 'outcome.nps', spanId, score: 3, passed: false, settled: true },
  ])
  expect(outcomesOf({ 'app.stars': 2, 'app.tone': 'rude' })).toEqual([])
  const long = factsOf({ 'app.tone': 'x'.repeat(65) }, {}, rules)
  expect([long.outcomes, long.ignored]).toEqual([undefined, 1])
})

test('an evaluation that the configuration names, of an event or an annotation, is mapped alike', () => {
  const judged = (passed: boolean, score: number) => [
    { name: 'judge', spanId, score, passed, settled: true },
  ]
  for (const score of [0.1, 0.9]) {
    const event = eventOf({
      'gen_ai.evaluation.name': 'toxicity',
      'gen_ai.evaluation.score.value': score,
    })
    expect(outcomesOf({}, { events: [event] }, rules)).toEqual(judged(score < 0.7, score))
    const annotation = {
      'annotations.0.annotation.name': 'toxicity',
      'annotations.0.annotation.score': score,
    }
    expect(outcomesOf(annotation, {}, rules)).toEqual(judged(score < 0.7, score))
  }
})

function keyValues(values: Values): KeyValue[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }))
}

function anyValue(value: string | number | boolean): AnyValue {
  if (typeof value === 'string') return { stringValue: value }
  return typeof value === 'number' ? { doubleValue: value } : { boolValue: value }
}

function eventOf(values: Values): SpanEvent {
  const name = 'gen_ai.evaluation.result'
  return { timeUnixNano: 1n, name, attributes: keyValues(values), droppedAttributesCount: 0 }
}

function outcomesOf(
  values: Values,
  more: Partial<Span> = {},
  mapping: readonly OutcomeRule[] = [],
) {
  return factsOf(values, more, mapping).outcomes ?? []
}

function factsOf(
  values: Values,
  more: Partial<Span> = {},
  mapping: readonly OutcomeRule[] = [],
): SliceFacts {
  const span = {
    ...emptySpan,
    traceId: 'a'.repeat(32),
    spanId,
    attributes: keyValues(values),
    ...more,
  }
  const scope = { name: '', version: '', attributes: [], droppedAttributesCount: 0 }
  const resource = { attributes: [], droppedAttributesCount: 0 }
  const scopeSpans = [{ scope, spans: [span], schemaUrl: '' }]
  const bytes = encodeTraces({ resourceSpans: [{ resource, scopeSpans, schemaUrl: '' }] })
  const wanted = factInterest([], new OutcomeMap(mapping))
  const table = new SpanTable()
  scanTraces(bytes, 0, bytes.length, table, wanted.interest)
  const facts = new SliceFactsExtractor(wanted).pack(table, 0, table.length)
  return summarised({ facts, spanCount: table.length }).facts as SliceFacts
}
