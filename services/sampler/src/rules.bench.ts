import type { PackedSlice } from '@winnow/model'
import { Baselines } from './baselines.ts'
import { root, slice } from './fixtures.ts'
import { foldTrace, type TraceFacts } from './fold.ts'
import { defaultPolicy } from './policy-file.ts'
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
/** Traces a second of one core: a warm-up, then about a second. */
function rate(one: (at: number) => unknown): number {
  let sink = 0
  const lap = (): void => {
    for (let at = 0; at < traces; at++) if (one(at) !== undefined) sink++
  }
  for (let n = 0; n < 20; n++) lap()
  const startNs = process.hrtime.bigint()
  let laps = 0
  let tookNs = 0n
  while (tookNs < 1_000_000_000n) {
    lap()
    laps++
    tookNs = process.hrtime.bigint() - startNs
  }
  if (sink === 0) throw new Error('nothing was decided')
  return (laps * traces) / (Number(tookNs) / 1e9)
}

const decide = (of: TraceFacts) =>
  judge(policy.answer(of, environment), environment.randomness, of.upstream, undefined)

export const benches = [
  {
    name: 'rules: all of the default policy and the verdict, 8 spans a trace',
    unit: 'traces/s',
    atLeast: 300_000,
    run: () => rate(at => decide(facts[at] as TraceFacts)),
  },
  {
    name: 'rules: fold of 4 slices, all rules, verdict',
    unit: 'traces/s',
    run: () => rate(at => decide(foldTrace(slices[at] as PackedSlice[]))),
  },
]
