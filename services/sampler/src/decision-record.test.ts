import { type Decision, decisionBytesMax, type RuleAnswer } from '@winnow/model'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decisionBytes, readDecision, readDecisionHead } from './decision-record.ts'
import { parseEvidence } from './evidence-record.ts'
import { evaluation, request, root, slice, summary, traceIdOf } from './fixtures.ts'
import { defaultPolicy } from './policy-file.ts'
import { revise } from './revise.ts'
import { revisionContext } from './revision.fixture.ts'
import { compilePolicy } from './rules.ts'
import { noSlices, type Series } from './series.ts'

const id = traceIdOf(1)
const context = revisionContext(compilePolicy(defaultPolicy))
const decisionText = (...of: Parameters<typeof decisionBytes>): string =>
  Buffer.from(decisionBytes(...of)).toString()
const read = (text: string) => readDecision(Buffer.from(text), 'decisions/0@5')

/** Decides on a record of evidence as it was read; the decision with the text of its slices. */
function decide(json: string, series?: Series): { decision: Decision; text: string } {
  const parsed = parseEvidence(Buffer.from(json), 'test')
  if (!parsed.ok) throw new Error(parsed.mistake)
  const revision = revise(series, [{ ...parsed, appendedAtMs: 2_000 }], context)
  if (revision === undefined) throw new Error('nothing new')
  const { decision } = revision
  return { decision, text: decisionText(decision) }
}

const evidence = summary(id, [slice(1, [{ id: 1 }], root(9)), slice(2, [{ id: 2 }])])
const { slices: list, ...head } = evidence
const last = { ...head, slices: list }

test('a decision reads back as it was written, whole and as a head', () => {
  const { decision, text } = decide(JSON.stringify(last))
  const { slices: _, ...rest } = decision
  expect(read(text)).toEqual(decision)
  expect(readDecisionHead(Buffer.from(text), 'test')).toEqual(rest)
})

test('bytes that are no record count for nobody, and a newer format is refused by name', () => {
  for (const text of ['', '{', 'null', '[]', '{"v":1}', '{"v":1,"kind":"decision"}']) {
    expect(read(text), text).toBeUndefined()
  }
  expect(() => read('{"v":2}')).toThrow(/decisions\/0@5.*format 2/)
})

test('a decision repeats its slices as they were read, wherever they stood', () => {
  const text = JSON.stringify(last)
  const spaced = text.replace('"slices":["', '"slices":[ "')
  const other = `{"slices":[5],${text.slice(1)}`
  const nested = `{"x":{"a":1,"slices":[5]},${text.slice(1)}`
  const escaped = text.replace('"slices":["A', '"slices":["\\u0041')
  const first = JSON.stringify({ slices: list, ...head })
  for (const json of [text, spaced, other, nested, escaped, first]) {
    const { decision, text: written } = decide(json)
    const again = read(written)
    expect(again).toEqual(decision)
    expect(decision.slices).toEqual(list)
    const series = { offset: 0, last: decision, earlier: noSlices, isCut: false }
    for (const offset of [0, 3]) {
      const more = decide(JSON.stringify(summary(id, [slice(offset, [{ id: 3 }])])), series)
      expect(read(more.text)).toEqual(more.decision)
    }
  }
})

test('a decision is written as JSON.stringify would, whatever is in its texts and numbers', () => {
  const { decision } = decide(JSON.stringify(last))
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.constantFrom('', '"', '\\', '\n', '\u007f', '\u2028', '\ud800', 'é'),
  )
  const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Infinity, -0, Number.NaN))
  const scalar = fc.oneof(text, number, fc.boolean())
  const answer: fc.Arbitrary<RuleAnswer> = fc.record(
    {
      name: text,
      matched: fc.boolean(),
      probability: number,
      value: scalar,
      threshold: fc.oneof(text, number),
      spanId: text,
      detail: fc.dictionary(text, scalar),
    },
    { requiredKeys: ['name', 'matched', 'probability'] },
  )
  const orNull = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null })
  const changes = fc.record(
    {
      tenant: text,
      primary: text,
      stratum: text,
      policyVersion: text,
      rules: fc.array(answer, { maxLength: 4 }),
      adjustedCount: number,
      costUsd: number,
      inputTokens: number,
      durationMs: orNull(number),
      service: orNull(text),
      operation: orNull(text),
      experiment: orNull(text),
      variant: orNull(text),
      rootSpanId: orNull(text),
      firstSpanAtMs: orNull(fc.nat()),
      complete: orNull(fc.boolean()),
      write: fc.array(fc.nat(), { maxLength: 3 }),
      prev: orNull(fc.nat()),
      inherited: fc.constant(true as const),
      gone: fc.constant(true as const),
      series: fc.constant(true as const),
      writePrev: fc.constant(true as const),
      seriesFrom: fc.record({ offset: fc.nat(), start: fc.nat() }),
      evaluations: fc.constant([
        { ...evaluation(id, { name: 'csat', score: 2 }), effect: 'applied' as const },
      ]),
      requests: fc.constant([request(id)]),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(changes, change => {
      const changed = { ...decision, ...change }
      expect(JSON.parse(decisionText(changed))).toEqual(JSON.parse(JSON.stringify(changed)))
    }),
  )
})

test('no record is longer than its limit: at the limit it is written, one byte past it not', () => {
  const { decision } = decide(JSON.stringify(last))
  const left = decisionBytesMax - Buffer.byteLength(decisionText({ ...decision, tenant: '' }))
  expect(decisionText({ ...decision, tenant: 'x'.repeat(left) })).toHaveLength(decisionBytesMax)
  for (const tenant of ['x'.repeat(left + 1), 'é'.repeat((left + 2) / 2)]) {
    expect(() => decisionText({ ...decision, tenant })).toThrow(`more than ${decisionBytesMax}`)
  }
})
