import {
  type Evaluation,
  factTextBytesMax,
  type PackedSlice,
  type RootFact,
  type SliceFacts,
} from '@winnow/model'
import { clearTextWordsMax } from '@winnow/privacy'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { checkCondition } from './condition-check.ts'
import { conditionFacts } from './condition-facts.ts'
import { conditionRule, statedFactsMax } from './condition-rule.ts'
import { ConditionView, traceRowsMax } from './condition-view.ts'
import { evaluation, root, slice, spanIdOf, summary, traceIdOf } from './fixtures.ts'
import { foldTrace } from './fold.ts'
import { parsePolicy } from './policy-file.ts'
import { rederive } from './rederive.ts'
import { compilePolicy, type RuleEnvironment } from './rules.ts'
import { TraceLog } from './trace.fixture.ts'

const environment = (more: Partial<RuleEnvironment> = {}): RuleEnvironment => ({
  nowMs: 1_000,
  randomness: '00000000000000',
  earlier: () => undefined,
  slowBar: () => ({ count: 0, key: 's o' }),
  variantUsed: () => 0,
  ...more,
})

function answer(
  when: string,
  slices: readonly PackedSlice[],
  evaluations: readonly Evaluation[] = [],
  more: Partial<RuleEnvironment> = {},
) {
  return conditionRule('c', 1, when)(foldTrace(slices, evaluations), environment(more))
}

const matches = (...args: Parameters<typeof answer>): boolean => answer(...args).matched

/** The root, span 1, gold and with code 200; span 2 with code 500; another slice with span 3, no tier. */
const columns = ['tier', 'code', ':name', ':kind', ':status', ':state:v', ':sampled']
const trace: readonly PackedSlice[] = [
  slice(
    1,
    [
      { id: 1, inputTokens: 10, costUsd: 0.5 },
      { id: 2, startMs: 30, outputTokens: 5, error: true },
    ],
    root(250, {
      columns,
      rows: [
        ['gold', 200, 'turn', 'server', 'OK', 'x', true],
        [null, 500, 'llm', 'client', 'ERROR'],
      ],
      rootRows: [[spanIdOf(1), 0]],
      endNs: '250000000',
      experiment: 'e',
      variant: 'B',
    }),
  ),
  slice(2, [{ id: 3, startMs: 100 }], {
    columns: ['code', 'extra', ':requestModel', ':durationMs'],
    rows: [['503', {}, 'm-1', 12.5]],
    services: ['retrieval'],
    truncated: true,
  }),
]
const said: readonly Evaluation[] = [
  { id: '1', name: 'judge', score: 0.9, label: 'fine', passed: true },
  { id: '2', name: 'judge', score: 0.4 },
  { id: '3', name: 'csat', label: '3' },
  { id: '4', name: 'csat', score: 77 },
  { id: '5', name: 'resolved', passed: false },
  { id: '6', name: 'outcome.tone', score: 2, passed: true },
]

describe('each fact is what the trace says', () => {
  test.each([
    'spanCount == 3 && duplicateSpans == 0 && durationMs == 250',
    'errorCount == 1 && fatalErrors == 1 && recoveredErrors == 0',
    'hasRoot && root.name == "refund_chat.turn" && root.service == "refund-bot"',
    'root.durationMs == 250.0 && !root.failed && service == "refund-bot"',
    'root.attribute["tier"] == "gold" && root.attribute["code"] == 200',
    '!(root.attribute["code"] == 500) && !root.attribute["extra"].isPresent()',
    'size(services) == 2 && "retrieval" in services',
    'inputTokens == 10 && outputTokens == 5 && totalTokens == 15 && costUsd == 0.5',
    '"m-1" in models && !("m" in models)',
    'experiment == "e" && variant == "B"',
    'judge.score == 0.4 && judge.scoreMax == 0.9 && judge.passed && !judge.failed',
    'judge.isPresent && !citation.isPresent && "fine" in judge.labels',
    'csat == 3.0 && hasFailedOutcome',
    'outcome["resolved"].failed && !outcome["resolved"].passed',
    'outcome["tone"].passed && outcome["outcome.tone"].score == 2',
    '!outcome["other"].isPresent && !(outcome["other"].score > 0) && !(outcome["other"].score <= 0)',
    'closeReason == "root" && complete && missingParents == 0',
    'attribute["tier"] == "gold" && attribute["code"] > 400 && !(attribute["code"] > 500)',
    'attribute["code"].asNumber() > 500 && attribute["code"].asText() == "503"',
    'attribute["code"] in [500, 7] && attribute["code"] in ["503"] && 200 == attribute["code"]',
    'attribute["extra"].isPresent() && !(attribute["extra"] == "") && attribute["extra"] != 1',
    'attribute["tier"].matches("^go+ld$") && attribute["tier"].startsWith("go")',
    'attribute["tier"].contains("ol") && attribute["tier"].endsWith("d")',
    '!attribute["never"].isPresent() && !(attribute["never"] < 5) && !(attribute["never"] >= 5)',
    'traceState["v"] == "x" && isSampled',
    '"OK" in statuses && "ERROR" in statuses && !("UNSET" in statuses)',
    'spans.exists(s, s.attribute["code"] == 500 && s.name == "llm" && s.kind == "client")',
    '!spans.exists(s, s.attribute["tier"] == "gold" && s.attribute["code"] == 500)',
    'spans.exists(s, !s.attribute["tier"].isPresent() && s.status == "ERROR")',
    'spans.exists(s, s.isSampled && s.traceState["v"] == "x") && size(spans) == 3',
    'spans.exists(s, s.durationMs > 12)',
    'truncated',
  ])('%s', when => {
    const close = { closeReason: 'root', complete: true, missingParents: 0 } as const
    expect(matches(when, trace, said, { close })).toBe(true)
  })
})

test('a trace of which nothing is known has every fact, and no condition throws on it', () => {
  const view = new ConditionView(foldTrace([]), environment()) as unknown as Record<string, unknown>
  for (const { name } of conditionFacts) {
    const [first] = name.split(/[.[]/) as [string]
    if (first !== 's') expect(view[first], name).toBeDefined()
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
  const searches = vi.spyOn(Array.prototype, 'includes')
  const view = new ConditionView(foldTrace([one]), environment())
  view.need({ attributes: ['k'], rootAttributes: [], states: [], outcomes: [], spanColumns: [] })
  const { length } = searches.mock.calls
  searches.mockRestore()
  expect(view.attribute.get('k')?.all).toHaveLength(501)
  expect(length).toBeLessThan(500)
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
    const log = new TraceLog({
      policy: compiled,
      nowMs: 5_000,
      spansRetentionMs: 86_400_000,
      isLaterSeries: false,
      wasKept: false,
      slowBar: () => ({ count: 0, key: '' }),
      variantUsed: () => 0,
    })
    return { log, compiled }
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
      conditionRule('c', 1, when)(facts, environment({ earlier: () => earlier }))
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

test('what is found to be monotone never turns off, however a trace grows', () => {
  let seenMonotone = 0
  let seenOthers = 0
  fc.assert(
    fc.property(condition, growth, (when, steps) => {
      const check = checkCondition(when)
      if (!check.ok) throw new Error(`${when}: ${check.mistakes[0]?.message}`)
      if (check.condition.orderDependent !== undefined) {
        seenOthers++
        return
      }
      seenMonotone++
      let before = false
      for (let count = 0; count <= steps.length; count++) {
        const taken = steps.slice(0, count)
        const slices = taken.flatMap(step => ('slice' in step ? [step.slice] : []))
        const evaluations = taken.flatMap(step => ('slice' in step ? [] : [step.evaluation]))
        const matched = matches(when, slices, evaluations)
        expect(before && !matched, `${when} after ${count} of ${JSON.stringify(steps)}`).toBe(false)
        before = matched
      }
    }),
    { numRuns: 4_000 },
  )
  expect(seenMonotone).toBeGreaterThan(500)
  expect(seenOthers).toBeGreaterThan(500)
})

/** Spans have an id, and with it always the same figures. */
const growth = fc.array(
  fc.oneof(
    fc
      .record({
        offset: fc.nat(50),
        ids: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
        row: fc.tuple(fc.constantFrom('a', 'b', null), fc.constantFrom(1, 2, '2', null)),
        durationMs: fc.constantFrom(1, 100),
        entry: fc.constantFrom('none', 'root', 'entry'),
        parent: fc.integer({ min: 1, max: 9 }),
      })
      .map(({ offset, ids, row, durationMs, entry, parent }) => {
        const spans = ids.map(id => ({
          id,
          startMs: id * 10,
          inputTokens: id,
          costUsd: id / 10,
          error: id === 9,
        }))
        const rows = { columns: ['k', 'n'], rows: [row], services: [`s${row[0]}`] }
        if (entry !== 'entry') {
          return { slice: slice(offset, spans, entry === 'root' ? root(durationMs, rows) : rows) }
        }
        // It is the root until its parent comes.
        const [first] = root(durationMs).roots ?? []
        const own = { ...first, spanId: spanIdOf(ids[0] as number), parentId: spanIdOf(parent) }
        return { slice: slice(offset, spans, { ...rows, roots: [own as RootFact] }) }
      }),
    fc
      .record({
        id: fc.uuid(),
        name: fc.constantFrom('judge', 'csat', 'resolved'),
        score: fc.constantFrom(0, 0.4, 1, 2, 5),
        passed: fc.boolean(),
      })
      .map(one => ({ evaluation: one })),
  ),
  { maxLength: 6 },
)

const number = fc.constantFrom('0', '1', '2', '3.5', '100')
const operator = fc.constantFrom('>', '>=', '<', '<=', '==', '!=')
const atom = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        'spanCount',
        'durationMs',
        'inputTokens',
        'costUsd',
        'root.durationMs',
        'judge.score',
        'judge.scoreMax',
        'csat',
        'size(services)',
        '-1 * csat',
        'spanCount - errorCount',
        'attribute["n"]',
        'root.attribute["n"]',
        'attribute["n"].asNumber()',
      ),
      operator,
      number,
    )
    .map(([fact, compare, bound]) => `${fact} ${compare} ${bound}`),
  fc.constantFrom(
    'hasRoot',
    'judge.failed',
    'judge.passed',
    'hasFailedOutcome',
    'outcome["resolved"].failed',
    'attribute["k"] == "a"',
    'attribute["k"] != "a"',
    'attribute["n"] in [1, 5]',
    'attribute["k"].isPresent()',
    '"sa" in services',
    'services.all(x, x == "sa")',
    'services.exists_one(x, x == "sa")',
    'spans.exists(s, s.attribute["k"] == "a" && !(s.attribute["n"] > 1))',
    'spans.all(s, s.attribute["k"] == "a")',
    'size(spans.filter(s, s.attribute["k"] == "a")) > 1',
    'root.name == "refund_chat.turn"',
    '0.5 in [costUsd]',
    'spanCount in [2.0, costUsd]',
    '[costUsd, 2.0].exists(x, x < 1.0)',
    '[1.0, 2.0].exists(x, x < costUsd)',
    '[judge.failed].exists(x, !x)',
    '[durationMs].all(d, d < 50.0)',
    'attribute["n"] in [1.0, spanCount]',
    'size([hasFailedOutcome].filter(x, x)) < 1',
  ),
)
const { condition } = fc.letrec<{ condition: string }>(tie => ({
  condition: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'condition' },
    atom,
    tie('condition').map(one => `!(${one})`),
    fc
      .tuple(tie('condition'), fc.constantFrom('&&', '||'), tie('condition'))
      .map(([a, by, b]) => `(${a}) ${by} (${b})`),
  ),
}))
