import type { RootFact } from '@winnow/model'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bothOf } from './condition.fixture.ts'
import { checkCondition } from './condition-check.ts'
import { root, slice, spanIdOf } from './fixtures.ts'

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
      let before: unknown = false
      for (let count = 0; count <= steps.length; count++) {
        const taken = steps.slice(0, count)
        const slices = taken.flatMap(step => ('slice' in step ? [step.slice] : []))
        const evaluations = taken.flatMap(step => ('slice' in step ? [] : [step.evaluation]))
        const matched = bothOf(when, slices, evaluations).own[0]
        expect(
          before === true && matched !== true,
          `${when} after ${count} of ${JSON.stringify(steps)}`,
        ).toBe(false)
        before = matched
      }
    }),
    { numRuns: 4_000 },
  )
  expect(seenMonotone).toBeGreaterThan(500)
  expect(seenOthers).toBeGreaterThan(500)
})

test('of any condition and trace it says what the library says', () => {
  let matched = 0
  fc.assert(
    fc.property(condition, growth, (text, steps) => {
      const slices = steps.flatMap(step => ('slice' in step ? [step.slice] : []))
      const evaluations = steps.flatMap(step => ('slice' in step ? [] : [step.evaluation]))
      const { own, theirs } = bothOf(text, slices, evaluations)
      expect(own, `${text} of ${JSON.stringify(steps)}`).toEqual(theirs)
      if (own[0] === true) matched++
    }),
    { numRuns: 2_000 },
  )
  expect(matched).toBeGreaterThan(300)
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
