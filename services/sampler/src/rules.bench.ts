import { type PackedSlice, packSlice } from '@winnow/model'
import { coreRate } from '@winnow/testing'
import { Baselines } from './baselines.ts'
import { root, slice } from './fixtures.ts'
import { foldTrace, type TraceFacts } from './fold.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import { compilePolicy, type RuleEnvironment } from './rules.ts'
import { judge } from './verdict.ts'

const traces = 2_000

/** Eight spans in four slices, a root, a judge and a citation check, as agent traffic has them. */
const slicesOf = (id: number): PackedSlice[] => {
  const spans = (from: number, count: number) =>
    Array.from({ length: count }, (_, at) => ({
      id: id * 16 + from + at,
      inputTokens: 84,
      outputTokens: 22,
      costUsd: 0.000071,
      error: id % 50 === 0 && at === 0,
    }))
  const outcomes = [
    { name: 'judge', spanId: '0800000000000000', score: 0.9, label: 'policy_correct' },
    { name: 'citation', spanId: '0700000000000000', extracted: 3, supported: 3, unsupported: 0 },
  ]
  return [
    slice(id * 4, spans(1, 2), { services: ['refund-bot'] }),
    slice(id * 4 + 1, spans(3, 2), { services: ['retrieval'] }),
    slice(
      id * 4 + 2,
      spans(5, 3),
      root(1_000 + (id % 700), { outcomes, experiment: 'e', variant: 'B' }),
    ),
    slice(id * 4 + 3, spans(8, 1), { services: ['refund-bot'] }),
  ]
}
const slices = Array.from({ length: traces }, (_, id) => slicesOf(id))
const facts: TraceFacts[] = slices.map(each => foldTrace(each))
const policy = compilePolicy(defaultPolicy)
const baselines = new Baselines({ windowMs: 3_600_000, countMin: 500, keysMax: 2_000 })
const key = {
  tenant: 'default',
  service: 'refund-bot',
  operation: 'refund_chat.turn',
  variant: 'B',
}
for (let i = 0; i < 20_000; i++) baselines.add(0, key, 1_000 + (i % 700), 0)
const environment: RuleEnvironment = {
  nowMs: 1_000,
  randomness: '80000000000000',
  earlier: () => undefined,
  slowBar: (of, quantile) => baselines.bar({ ...key, variant: of.variant ?? '' }, quantile),
  variantUsed: () => 0,
}
/** Traces a second of one core. */
function rate(one: (at: number) => unknown): number {
  return coreRate(() => {
    let decided = 0
    for (let at = 0; at < traces; at++) if (one(at) !== undefined) decided++
    return decided
  })
}

const decide = (of: TraceFacts) =>
  judge(policy.answer(of, environment), environment.randomness, of.upstream, undefined)

/** As people write them: sums, outcomes, the root, attributes of any span and of one and the same. */
const conditions = [
  'spanCount > 100',
  'costUsd > 0.5 || totalTokens > 20000',
  'durationMs > 30000',
  'judge.score < 0.3',
  'citation.missing > 0 && judge.isPresent',
  'csat <= 2.0',
  '"payments" in services && errorCount > 1',
  'root.name == "refund_chat.turn" && root.durationMs > 60000',
  'attribute["app.tenant.tier"] == "gold" && attribute["retry.count"] > 2',
  'spans.exists(s, s.attribute["http.response.status_code"] >= 500 && s.attribute["retry.count"] > 1)',
]
const tenConditions = compilePolicy(
  parsePolicy(
    `version: ten\nrules:\n${conditions.map((when, at) => `  - { kind: condition, name: c${at}, when: '${when}' }\n`).join('')}  - { kind: ordinary, probability: 0.1 }\n`,
  ),
)
const columns = ['app.tenant.tier', 'retry.count', 'http.response.status_code']
const rows = [
  [['silver']],
  [
    ['silver', 0],
    ['silver', 1, 200],
  ],
  [['silver'], ['silver', 2, 404]],
  [['silver', 0, 200]],
]
/** The same traffic, with what the conditions name recorded: four to six distinct rows a trace. */
const recorded = slices.map((each, id) =>
  each.map((one, at) => {
    const { ref, appendedAtMs, facts: own } = one
    const cells = rows[at] as (string | number)[][]
    const named = id % 10 === 0 ? [...cells, ['gold', 3, 503]] : cells
    return packSlice({ ref, appendedAtMs, facts: { ...own, columns, rows: named } })
  }),
)
const recordedFacts = recorded.map(each => foldTrace(each))

export const benches = [
  {
    name: 'rules: all of the default policy and the verdict, 8 spans a trace',
    unit: 'traces/s',
    atLeast: 300_000,
    run: () => rate(at => decide(facts[at] as TraceFacts)),
  },
  {
    name: 'rules: ten conditions in CEL and the verdict, 8 spans a trace',
    unit: 'traces/s',
    atLeast: 100_000,
    run: () =>
      rate(at => {
        const of = recordedFacts[at] as TraceFacts
        const here = { ...environment }
        return judge(tenConditions.answer(of, here), here.randomness, of.upstream, undefined)
      }),
  },
  {
    name: 'rules: fold of 4 slices with rows, ten conditions, verdict',
    unit: 'traces/s',
    run: () =>
      rate(at => {
        const of = foldTrace(recorded[at] as PackedSlice[])
        return judge(
          tenConditions.answer(of, environment),
          environment.randomness,
          of.upstream,
          undefined,
        )
      }),
  },
  {
    name: 'rules: fold of 4 slices, all rules, verdict',
    unit: 'traces/s',
    run: () => rate(at => decide(foldTrace(slices[at] as PackedSlice[]))),
  },
]
