import type { RuleAnswer, SpanOutcome } from '@winnow/model'
import { expect, test } from 'vitest'
import { root, slice, spanIdOf } from './fixtures.ts'
import { foldTrace, type Outcome } from './fold.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import { ruleEnvironment } from './revision.fixture.ts'
import { compilePolicy, compileRule } from './rules.ts'
import { thresholdHex } from './threshold-hex.ts'

const policy = compilePolicy(defaultPolicy)
const spanId = spanIdOf(1)

function answer(name: string, outcomes: readonly Outcome[]): RuleAnswer {
  const stated = outcomes.filter((o): o is SpanOutcome => o.spanId !== undefined)
  const sent = outcomes.filter(o => o.spanId === undefined).map((o, id) => ({ ...o, id: `${id}` }))
  const facts = foldTrace([slice(1, [{ id: 1 }], root(9, { outcomes: stated }))], sent)
  return find(policy.answer(facts, ruleEnvironment()), name)
}

function find(answers: readonly RuleAnswer[], name: string): RuleAnswer {
  return answers.find(found => found.name === name) as RuleAnswer
}

test('trace 48f: citation, CSAT and outcome fail with values and spans, its judge passed', () => {
  const outcomes: SpanOutcome[] = [
    { name: 'csat', spanId: '0100000000000000', score: 2 },
    { name: 'outcome.policy_correct', spanId: '0100000000000000', passed: false },
    { name: 'citation', spanId: '0700000000000000', extracted: 2, supported: 1, unsupported: 1 },
    { name: 'judge', spanId: '0800000000000000', score: 1, label: 'policy_correct' },
  ]
  const facts = foldTrace([slice(1, [{ id: 1 }], root(2_608, { outcomes }))])
  const answers = policy.answer(facts, ruleEnvironment())
  expect(answers).toEqual([
    { name: 'span-error', matched: false, probability: 1, value: 0, threshold: 0 },
    {
      name: 'judge-failed',
      matched: false,
      probability: 1,
      value: 1,
      threshold: 0.5,
      spanId: '0800000000000000',
      detail: { judged: 1, passed: 1 },
    },
    {
      name: 'citation-failed',
      matched: true,
      probability: 1,
      value: 1,
      threshold: 0,
      spanId: '0700000000000000',
      detail: { extracted: 2, supported: 1, unsupported: 1 },
    },
    {
      name: 'low-csat',
      matched: true,
      probability: 1,
      value: 2,
      threshold: 2,
      spanId: '0100000000000000',
    },
    {
      name: 'outcome-failed',
      matched: true,
      probability: 1,
      value: false,
      spanId: '0100000000000000',
      detail: { outcome: 'outcome.policy_correct', failed: 1 },
    },
    {
      name: 'slow',
      matched: false,
      probability: 1,
      value: 2_608,
      spanId,
      detail: { key: 's o', count: 0 },
    },
    { name: 'active-variant', matched: false, probability: 1 },
    {
      name: 'ordinary',
      matched: true,
      probability: 0.1,
      value: '00000000000000',
      threshold: 'e6666666666666',
    },
  ])
})

test('a judge fails by flag, label or score, each at its boundary', () => {
  const cases: [Partial<Outcome>, boolean, RuleAnswer['value']][] = [
    [{ passed: false, score: 1 }, true, false],
    [{ passed: true }, false, true],
    [{ label: ' FAILED ' }, true, ' FAILED '],
    [{ label: 'failing' }, false, 'failing'],
    [{ score: 0.49 }, true, 0.49],
    [{ score: 0.5 }, false, 0.5],
    [{ score: 0 }, true, 0],
    [{ score: -1 }, false, -1],
    [{ score: 3 }, false, 3],
    [{}, false, undefined],
  ]
  for (const [outcome, matched, value] of cases) {
    for (const from of [{ spanId }, {}]) {
      const found = answer('judge-failed', [{ name: 'judge', ...outcome, ...from }])
      expect([found.matched, found.value], JSON.stringify(outcome)).toEqual([matched, value])
    }
  }
  expect(answer('judge-failed', [{ name: 'jury', passed: false }]).matched).toBe(false)
})

test('what a condition of the configuration has settled is not judged by score or label again', () => {
  const judge = (more: Partial<Outcome>) =>
    answer('judge-failed', [{ name: 'judge', settled: true, ...more }]).matched
  expect(judge({ passed: true, score: 0.1, label: 'fail' })).toBe(false)
  expect(judge({ passed: false, score: 0.9 })).toBe(true)
  const csat = (more: Partial<Outcome>) =>
    answer('low-csat', [{ name: 'csat', settled: true, ...more }]).matched
  expect([csat({ passed: true, score: 1 }), csat({ passed: false, score: 1 })]).toEqual([
    false,
    true,
  ])
})

test('a label is shown up to 64 bytes, one byte more is content', () => {
  const of = (bytes: number) =>
    answer('judge-failed', [{ name: 'judge', label: 'l'.repeat(bytes) }]).value
  expect([of(64)?.toString().length, of(65)]).toEqual([64, undefined])
})

test('one failing outcome among passing ones is the one that is shown', () => {
  const judges: Outcome[] = [
    { name: 'judge', spanId: 'a', score: 0.9 },
    { name: 'judge', spanId: 'b', score: 0.2 },
    { name: 'judge', spanId: 'c', score: 0.1 },
  ]
  for (const order of [judges, [...judges].reverse()]) {
    const found = answer('judge-failed', order)
    expect(found).toMatchObject({ matched: true, detail: { judged: 3, passed: 1 } })
    expect(found.spanId).toBe(order === judges ? 'b' : 'c')
  }
})

test('citations fail by either sign or as a judge does, and state counts alone', () => {
  const of = (outcome: Partial<Outcome>) =>
    answer('citation-failed', [{ name: 'citation', ...outcome }])
  expect(of({ unsupported: 1 })).toMatchObject({ matched: true, value: 1, threshold: 0 })
  expect(of({ unsupported: 0 }).matched).toBe(false)
  expect(of({ extracted: 3, supported: 2 })).toMatchObject({ matched: true, value: 1 })
  expect(of({ extracted: 3, supported: 3, unsupported: 0 })).toMatchObject({
    matched: false,
    value: 0,
  })
  expect(of({ extracted: 3 }).matched, 'not said how many hold').toBe(false)
  expect(of({ passed: false })).toMatchObject({ matched: true, value: false })
  expect(of({ label: 'fail', extracted: 1, supported: 1 })).toMatchObject({
    matched: true,
    value: 'fail',
  })
})

test('csat is low at its bound and below, on its scale only, and also as text', () => {
  const of = (outcome: Partial<Outcome>) => answer('low-csat', [{ name: 'csat', ...outcome }])
  expect(of({ score: 2 })).toMatchObject({ matched: true, value: 2, threshold: 2 })
  expect(of({ score: 2.01 }).matched).toBe(false)
  expect(of({ score: 1 }).matched).toBe(true)
  expect(of({ score: 0.99 })).toMatchObject({ matched: false, detail: { ignored: 1 } })
  expect(of({ score: 5.01 })).toMatchObject({ matched: false, detail: { ignored: 1 } })
  expect(of({ label: '2' })).toMatchObject({ matched: true, value: 2 })
  for (const label of ['bad', '', ' '])
    expect(of({ label })).toMatchObject({ detail: { ignored: 1 } })
  const several = answer(
    'low-csat',
    [4, 2, 3].map(score => ({ name: 'csat', score })),
  )
  expect(several).toMatchObject({ matched: true, value: 2 })
})

test('any other outcome fails by its flag alone', () => {
  const of = (outcome: Outcome) => answer('outcome-failed', [outcome]).matched
  expect(of({ name: 'outcome.resolved', spanId, passed: false })).toBe(true)
  expect(of({ name: 'toxicity', passed: false })).toBe(true)
  expect(of({ name: 'csat', passed: false })).toBe(true)
  expect(of({ name: 'toxicity', score: 0 })).toBe(false)
  expect(of({ name: 'judge', passed: false })).toBe(false)
  expect(of({ name: 'citation', passed: false })).toBe(false)
})

test('errors match whether fatal or recovered, and both are told', () => {
  const spans = [
    { id: 2, operation: 5, startMs: 1, error: true },
    { id: 3, operation: 5, startMs: 2 },
  ]
  const answers = policy.answer(foldTrace([slice(1, spans)]), ruleEnvironment())
  expect(find(answers, 'span-error')).toEqual({
    name: 'span-error',
    matched: true,
    probability: 1,
    value: 1,
    threshold: 0,
    spanId: spanIdOf(2),
    detail: { fatal: 0, recovered: 1 },
  })
})

test('slow matches above its bar and not at it, never without a root', () => {
  const rule = compileRule({ kind: 'slow', probability: 1, quantile: 0.99 })
  const bar = ruleEnvironment({ slowBar: () => ({ threshold: 100, count: 700, key: 's o' }) })
  const of = (ms: number) => rule(foldTrace([slice(1, [{ id: 1 }], root(ms))]), bar)
  expect(of(100)).toMatchObject({
    matched: false,
    value: 100,
    threshold: 100,
    detail: { count: 700 },
  })
  expect(of(100.001).matched).toBe(true)
  expect(rule(foldTrace([slice(1, [{ id: 1 }])]), bar)).toEqual({
    name: 'slow',
    matched: false,
    probability: 1,
  })
})

test('what was judged slow stays so, and the same root is not judged again', () => {
  const rule = compileRule({ kind: 'slow', probability: 1, quantile: 0.99 })
  const facts = (ms: number) => foldTrace([slice(1, [{ id: 1 }], root(ms))])
  const barAt = (threshold: number) => ({
    slowBar: () => ({ threshold, count: 700, key: 's o' }),
  })
  const fast = rule(facts(90), ruleEnvironment(barAt(100)))
  const again = ruleEnvironment({ ...barAt(50), earlier: () => fast })
  expect(rule(facts(90), again)).toEqual(fast)
  expect(rule(facts(91), again), 'another root').toMatchObject({ matched: true, threshold: 50 })
  const slow = rule(facts(200), ruleEnvironment(barAt(100)))
  expect(rule(facts(10), ruleEnvironment({ ...barAt(900), earlier: () => slow }))).toEqual(slow)
})

test('slow compares another quantity where the rule names one, once a root', () => {
  const asked: string[] = []
  const bar = (threshold: number) =>
    ruleEnvironment({
      slowBar: (_facts, _quantile, quantity) => {
        asked.push(quantity)
        return { threshold, count: 700, key: 's o' }
      },
    })
  const spans = [{ id: 1, inputTokens: 300, outputTokens: 200, costUsd: 0.02 }]
  const facts = foldTrace([slice(1, spans, root(9))])
  const values = { tokens: 500, cost: 0.02, spans: 1, duration: 9 } as const
  for (const quantity of ['tokens', 'cost', 'spans', 'duration'] as const) {
    const rule = compileRule({ kind: 'slow', probability: 1, quantile: 0.99, quantity })
    expect(rule(facts, bar(values[quantity]))).toMatchObject({ matched: false })
    const above = rule(facts, bar(values[quantity] / 2))
    expect(above).toMatchObject({ matched: true, value: values[quantity] })
    if (quantity !== 'duration') expect(above.detail).toMatchObject({ quantity })
  }
  expect([...new Set(asked)]).toEqual(['tokens', 'cost', 'spans', 'duration'])
  const rule = compileRule({ kind: 'slow', probability: 1, quantile: 0.99, quantity: 'tokens' })
  const first = rule(facts, bar(600))
  const more = foldTrace([slice(1, spans, root(9)), slice(2, [{ id: 2, inputTokens: 900 }])])
  const again = rule(more, { ...bar(600), earlier: () => first })
  expect(again, 'judged with what its root came with').toEqual(first)
})

test('a variant is active before its end and under its cap', () => {
  const { rules } = parsePolicy(`
version: x
rules:
  - kind: active-variant
    variants: [{ experiment: e, variant: B, until: 1970-01-01T00:00:02Z, dailyCap: 2 }]
  - kind: ordinary
`)
  const rule = compileRule(rules[0] as (typeof rules)[number])
  const of = (variant: string, nowMs: number, used: number) =>
    rule(
      foldTrace([slice(1, [{ id: 1 }], { experiment: 'e', variant })]),
      ruleEnvironment({ nowMs, variantUsed: () => used }),
    ).matched
  expect(of('B', 1_999, 1)).toBe(true)
  expect(of('B', 2_000, 1)).toBe(false)
  expect(of('B', 1_999, 2)).toBe(false)
  expect(of('A', 1_999, 0)).toBe(false)
})

test('a rule that throws matches, says so, and the others still answer', () => {
  const thrown: string[] = []
  const broken = compilePolicy(
    defaultPolicy,
    name => thrown.push(name),
    spec => {
      if (spec.kind !== 'low-csat') return compileRule(spec)
      return () => {
        throw new Error('a bug')
      }
    },
  )
  const answers = broken.answer(foldTrace([slice(1, [{ id: 1 }])]), ruleEnvironment())
  expect(find(answers, 'low-csat')).toEqual({
    name: 'low-csat',
    matched: true,
    probability: 1,
    detail: { threw: true },
  })
  expect(answers).toHaveLength(8)
  expect(thrown).toEqual(['low-csat'])
})

test('thresholds as text are the specification’s', () => {
  expect([1, 0.5, 0.25, 0.1, 0.05].map(thresholdHex)).toEqual([
    '00000000000000',
    '80000000000000',
    'c0000000000000',
    'e6666666666666',
    'f3333333333333',
  ])
  expect(thresholdHex(0)).toBe('ffffffffffffff')
})
