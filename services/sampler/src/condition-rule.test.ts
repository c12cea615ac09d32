import { type Evaluation, factTextBytesMax, type PackedSlice, type SliceFacts } from '@winnow/model'
import { clearTextWordsMax } from '@winnow/privacy'
import { describe, expect, test, vi } from 'vitest'
import { said, trace, trueOfTrace } from './condition.fixture.ts'
import { conditionFacts } from './condition-facts.ts'
import { readerOf } from './condition-program.ts'
import { conditionRule, statedFactsMax } from './condition-rule.ts'
import { ConditionView, searchedMax, traceRowsMax } from './condition-view.ts'
import { evaluation, root, slice, summary, traceIdOf } from './fixtures.ts'
import { foldTrace } from './fold.ts'
import { parsePolicy } from './policy-file.ts'
import { rederive } from './rederive.ts'
import { revisionContext, ruleEnvironment } from './revision.fixture.ts'
import { compilePolicy, type RuleEnvironment } from './rules.ts'
import { TraceLog } from './trace.fixture.ts'

function answer(
  when: string,
  slices: readonly PackedSlice[],
  evaluations: readonly Evaluation[] = [],
  more: Partial<RuleEnvironment> = {},
) {
  return conditionRule('c', 1, when)(foldTrace(slices, evaluations), ruleEnvironment(more))
}

const matches = (...args: Parameters<typeof answer>): boolean => answer(...args).matched

describe('each fact is what the trace says', () => {
  test.each(trueOfTrace)('%s', when => {
    const close = { closeReason: 'root', complete: true, missingParents: 0 } as const
    expect(matches(when, trace, said, { close })).toBe(true)
  })
})

test('a trace of which nothing is known has every fact, and no condition throws on it', () => {
  const view = new ConditionView(foldTrace([]), ruleEnvironment())
  for (const { name } of conditionFacts) {
    const read = readerOf(name.replace('["…"]', '[]'), 'k')
    if (!name.startsWith('s.')) expect(read(view, undefined), name).toBeDefined()
  }
  expect(matches('spanCount == 0 && durationMs == 0 && service == "" && !hasRoot', [])).toBe(false)
  const bare = slice(1, [{ id: 1 }])
  expect(matches('!(csat < 9) && !(csat > 0) && !(root.durationMs >= 0)', [bare])).toBe(true)
  expect(matches('csat < 9 || root.durationMs >= 0 || judge.score > -1', [])).toBe(false)
})

test.each([
  ['10 / size(models) > 1', true],
  ['size(services) * 9223372036854775807 >= 0', true],
  ['size(models) + 1 == 1 && -1 < size(models)', true],
  ['size(root.name) == 0 && 1 / 3 < 0.4 && 2 in [1, 2.0]', true],
  ['0 / size(models) > 0', false],
])('numbers are floating point and no sum fails: %s', (when, expected) => {
  expect(matches(when, [slice(1, [{ id: 1 }])])).toBe(expected)
})

test('a text is matched as a value is: in Unicode', () => {
  const one = slice(1, [{ id: 1 }], {
    columns: ['a', ':name'],
    rows: [['aé', 'aé']],
    services: ['aé'],
  })
  for (const asked of [
    'attribute["a"].matches("a\\\\p{L}")',
    'services.exists(x, x.matches("a\\\\p{L}"))',
    'spans.exists(s, s.name.matches("^a\\\\p{L}$"))',
  ]) {
    expect(matches(asked, [one]), asked).toBe(true)
  }
})

test('an answer states what was compared: the first fact always, up to three where it matched', () => {
  const when = 'spanCount > 2 && attribute["code"] == 500 && csat < 4 && costUsd > 0'
  expect(answer(when, trace, said)).toEqual({
    name: 'c',
    matched: true,
    probability: 1,
    value: 3,
    detail: { spanCount: 3, 'attribute["code"]': 500, csat: 3 },
  })
  expect(Object.keys(answer(when, trace, said).detail ?? {})).toHaveLength(statedFactsMax)
  expect(answer('spanCount > 3', trace)).toEqual({
    name: 'c',
    matched: false,
    probability: 1,
    value: 3,
  })
  expect(answer('csat < 3.0', trace)).toEqual({ name: 'c', matched: false, probability: 1 })
  expect(answer('true', trace)).toEqual({ name: 'c', matched: true, probability: 1 })
  const label = 'é'.repeat(factTextBytesMax / 2)
  const long = slice(1, [{ id: 1 }], { columns: ['k'], rows: [[label], [{}]] })
  expect(answer('attribute["k"].isPresent()', [long]).value).toBe(label)
})

test('an answer shows what its own condition has found, and not what one before it did', () => {
  const facts = foldTrace(trace)
  const asked = ruleEnvironment()
  const value = (when: string) => conditionRule('c', 1, when)(facts, asked).value
  expect(value('attribute["code"] == 500')).toBe(500)
  expect(value('attribute["code"].isPresent()')).toBe(200)
})

describe('a condition that names what was recorded of no span', () => {
  const asked = 'costUsd > 0 && attribute["tier"] == "gold" && attribute["code"] == 500'
  const named = (offset: number, columns?: string[]) =>
    slice(offset, [{ id: offset }], columns === undefined ? {} : { columns, rows: [] })

  test('says so where it does not match: it may be false for want of that', () => {
    expect(answer(asked, [named(1), named(2, ['tier'])])).toEqual({
      name: 'c',
      matched: false,
      probability: 1,
      value: 0,
      detail: { notRecorded: 'code' },
    })
    expect(answer('attribute["code"] == 500', [named(1)]).detail).toEqual({ notRecorded: 'code' })
    const span = 'spans.exists(s, s.name == "llm" && s.traceState["v"] == "x")'
    expect(answer(span, [named(1, [':name'])]).detail).toEqual({ notRecorded: ':state:v' })
  })

  test('says nothing of it where any slice has it, where it matches, or without spans', () => {
    const partly = [named(1, ['tier']), named(2, ['code'])]
    expect(answer(asked, partly)).toEqual({ name: 'c', matched: false, probability: 1, value: 0 })
    expect(answer('spanCount > 0 || attribute["code"] == 500', [named(1)]).detail).toEqual({
      spanCount: 1,
    })
    expect(answer(asked, []).detail).toBeUndefined()
  })
})

test('rows of slices that name the same columns are told apart by their cells alone', () => {
  const row = (offset: number, services: string[], cell: string) =>
    slice(offset, [{ id: offset }], { columns: ['k', 'n'], rows: [[cell, 1]], services })
  const same = [row(1, ['a'], 'x'), row(2, ['b'], 'x')]
  expect(same[0]?.lists.columns).not.toBe(same[1]?.lists.columns)
  expect(matches('size(spans) == 1', same)).toBe(true)
  expect(matches('size(spans) == 2', [...same, row(3, ['c'], 'y')])).toBe(true)
})

test('an answer states no text that reads like prose', () => {
  const words = (count: number) => Array(count).fill('word').join(' ')
  const asked = (text: string) =>
    answer('attribute["k"].isPresent()', [
      slice(1, [{ id: 1 }], root(9, { columns: ['k'], rows: [[text]] })),
    ])
  const clear = words(clearTextWordsMax)
  expect(asked(clear)).toMatchObject({ value: clear, detail: { 'attribute["k"]': clear } })
  const { matched, value, detail } = asked(words(clearTextWordsMax + 1))
  expect([matched, value, detail]).toEqual([true, undefined, {}])
})

test('rows beyond traceRowsMax are not seen, and truncated says so', () => {
  const rows = (from: number, to: number): Partial<SliceFacts> => ({
    columns: ['n'],
    rows: Array.from({ length: to - from }, (_, at) => [from + at]),
  })
  const full = [slice(1, [{ id: 1 }], rows(0, traceRowsMax)), slice(2, [{ id: 2 }], rows(0, 9))]
  expect(matches(`attribute["n"] == ${traceRowsMax - 1} && !truncated`, full)).toBe(true)
  const over = [...full, slice(3, [{ id: 3 }], rows(traceRowsMax, traceRowsMax + 1))]
  expect(matches(`attribute["n"] == ${traceRowsMax}`, over)).toBe(false)
  expect(matches('truncated', over)).toBe(true)
})

test('distinct values are found without a search for each, and one that shows nothing is one', () => {
  const rows: SliceFacts['rows'] = [[{}], [{}], ...Array.from({ length: 500 }, (_, n) => [`${n}`])]
  const one = slice(1, [{ id: 1 }], { columns: ['k'], rows })
  const view = new ConditionView(foldTrace([one]), ruleEnvironment())
  const [first] = view.spans
  const searches = vi.spyOn(Array.prototype, 'indexOf')
  const { all } = view.values('k')
  // Each row is asked for its column; that is no search among the values.
  const searched = searches.mock.contexts.filter(list => list !== first?.columns)
  searches.mockRestore()
  expect(all).toHaveLength(501)
  expect(searched).toHaveLength(searchedMax)
})

describe('a condition that depends on the order of facts', () => {
  const policy = (when: string) =>
    compilePolicy(
      parsePolicy(
        `version: t\nrules:\n  - { kind: condition, name: c, when: '${when}' }\n  - { kind: ordinary, probability: 0 }\n`,
      ),
    )
  const logOf = (when: string) => {
    const compiled = policy(when)
    return { log: new TraceLog(revisionContext(compiled)), compiled }
  }
  const id = traceIdOf(1)

  test('repeats a match, so that a keep does not turn into a drop, and can be derived again', () => {
    const { log, compiled } = logOf('spanCount < 3')
    log.add(summary(id, [slice(1, [{ id: 1 }, { id: 2 }], root(9))]))
    log.add(summary(id, [slice(2, [{ id: 3 }, { id: 4 }])]))
    const [first, second] = log.decisions
    expect(first).toMatchObject({ verdict: 'keep', primary: 'c' })
    expect(second).toMatchObject({ verdict: 'keep', primary: 'c', spanCount: 4 })
    expect(second?.inherited).toBeUndefined()
    expect(second?.rules[0]).toEqual(first?.rules[0])
    for (const one of log.decisions) expect(rederive(one, compiled).differences).toEqual([])
    const forged = { ...first, rules: [{ ...first?.rules[0], value: 1 }, first?.rules[1]] }
    expect(rederive(forged as never, compiled).agrees).toBe(false)
  })

  test.each([
    'spans.all(s, s.status == "OK")',
    '!spans.exists(s, s.status == "ERROR")',
    'spans.exists_one(s, s.status == "OK")',
    'size(spans) < 2',
  ])('repeats a match of which there is nothing to state: %s', when => {
    const { log, compiled } = logOf(when)
    const row = (status: string) => ({ columns: [':status'], rows: [[status]] })
    log.add(summary(id, [slice(1, [{ id: 1 }], root(9, row('OK')))]))
    const facts = [row('ERROR'), { columns: [':status'], rows: [['OK'], ['OK', 1], ['ERROR']] }]
    log.add(summary(id, [slice(2, [{ id: 3 }], facts[0]), slice(3, [{ id: 4 }], facts[1])]))
    const [first, second] = log.decisions
    expect(first?.rules[0]).toMatchObject({ matched: true, detail: { when: expect.any(String) } })
    expect(second?.rules[0]).toEqual(first?.rules[0])
    expect(second?.inherited).toBeUndefined()
    for (const one of log.decisions) expect(rederive(one, compiled).differences).toEqual([])
  })

  test('is not asked before the trace has a span', () => {
    const { log, compiled } = logOf('spanCount < 3')
    log.add(evaluation(id, { name: 'judge', score: 0.9 }))
    expect(log.last).toMatchObject({ verdict: 'drop', sliceCount: 0 })
    log.add(summary(id, [slice(1, [{ id: 1 }, { id: 2 }, { id: 3 }], root(9))]))
    expect(log.last).toMatchObject({ verdict: 'drop', spanCount: 3 })
    for (const one of log.decisions) expect(rederive(one, compiled).differences).toEqual([])
  })

  test('does not take over the match of another condition under its name', () => {
    const { log } = logOf('spanCount < 3')
    log.add(summary(id, [slice(1, [{ id: 1 }], root(9))]))
    const earlier = log.last?.rules[0]
    const facts = foldTrace([slice(1, [{ id: 1 }, { id: 2 }, { id: 3 }])])
    const asked = (when: string) =>
      conditionRule('c', 1, when)(facts, ruleEnvironment({ earlier: () => earlier }))
    expect(asked('spanCount < 3').matched).toBe(true)
    expect(asked('spanCount < 2').matched).toBe(false)
  })

  test('may be one that a later outcome alone fulfils', () => {
    const { log, compiled } = logOf('csat <= 2.0')
    log.add(summary(id, [slice(1, [{ id: 1 }], root(9))]))
    log.add(evaluation(id, { name: 'csat', score: 2 }))
    expect(log.last).toMatchObject({ verdict: 'keep', stratum: 'rescued' })
    expect(log.last?.evaluations[0]).toMatchObject({ effect: 'rescued' })
    for (const one of log.decisions) expect(rederive(one, compiled).differences).toEqual([])
  })
})
