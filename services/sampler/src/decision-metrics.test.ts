import { ManualClock, Metrics } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { DecisionMetrics, type Outcome, outcomeOf } from './decision-metrics.ts'
import { evaluation, root, slice, summary, traceIdOf } from './fixtures.ts'
import type { Input } from './merge.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import { revise } from './revise.ts'
import { revisionContext } from './revision.fixture.ts'
import { type CompiledPolicy, compilePolicy } from './rules.ts'
import { noSlices, type Series } from './series.ts'

const policy = compilePolicy(defaultPolicy)
const minute = 60_000

function figures() {
  const clock = new ManualClock()
  clock.advanceMs(1_000_000)
  const metrics = new Metrics()
  const told = new DecisionMetrics(metrics, clock)
  const read = async (line: string): Promise<string | undefined> =>
    (await metrics.text())
      .split('\n')
      .find(row => row.startsWith(line))
      ?.split(' ')
      .at(-1)
  return { clock, metrics, told, read }
}

/** Decides on the inputs one after another, as revisions of one trace. */
function outcomes(nowMs: number, ...inputs: Input['evidence'][]): Outcome[] {
  return outcomesBy(policy, nowMs, ...inputs)
}

function outcomesBy(by: CompiledPolicy, nowMs: number, ...inputs: Input['evidence'][]): Outcome[] {
  let series: Series | undefined
  return inputs.map(input => {
    const records = [{ evidence: input, appendedAtMs: nowMs }]
    const revision = revise(series, records, revisionContext(by, { nowMs }))
    if (revision === undefined) throw new Error('nothing new')
    const outcome = outcomeOf(series?.last, revision, by.policy)
    series = { offset: 0, last: revision.decision, earlier: noSlices, isCut: false }
    return outcome
  })
}

const whole = (traceId: string, more = {}) =>
  summary(traceId, [slice(1, [{ id: 1 }], root(9, more), 990_000)])

const withArm = (traceId: string, arm: { readonly experiment: string; readonly variant: string }) =>
  summary(traceId, [slice(1, [{ id: 1 }], root(9, arm), 990_000)])

test('ratios count a trace once, and a rescue when it comes', async () => {
  const { told, read } = figures()
  const dropped = traceIdOf(1)
  for (const outcome of outcomes(1_000_000, whole(traceIdOf(2, 'ffffffffffffff'))))
    told.counted(outcome)
  expect(await read('winnow_kept_ratio{tenant="default"}')).toBe('1')
  const [drop, rescue] = outcomes(
    1_000_000,
    whole(dropped),
    evaluation(dropped, { name: 'csat', score: 1 }),
  )
  told.counted(drop as Outcome)
  expect(await read('winnow_kept_ratio{tenant="default"}')).toBe('0.5')
  expect(await read('winnow_full_resolution_traces_per_error')).toBeUndefined()
  told.counted(rescue as Outcome)
  expect(await read('winnow_kept_ratio{tenant="default"}')).toBe('1')
  expect(await read('winnow_full_resolution_traces_per_error{tenant="default"}')).toBe('1')
  expect(
    await read('winnow_decisions_total{verdict="keep",rule="low-csat",tenant="default"}'),
  ).toBe('1')
})

test('a trace is decided once and kept once for its service, by a rule or by chance', async () => {
  const { told, read } = figures()
  const dropped = traceIdOf(1)
  for (const outcome of outcomes(1_000_000, whole(traceIdOf(2, 'ffffffffffffff'))))
    told.counted(outcome)
  const failing = { name: 'csat', score: 1 }
  for (const outcome of outcomes(
    1_000_000,
    whole(dropped),
    evaluation(dropped, failing),
    evaluation(dropped, { name: 'csat', score: 2, id: 'second' }),
  ))
    told.counted(outcome)
  const kept = (rule: string, by: string) =>
    read(`winnow_traces_kept_total{service="refund-bot",rule="${rule}",by="${by}"}`)
  expect(await read('winnow_traces_decided_total{service="refund-bot"}')).toBe('2')
  expect([await kept('ordinary', 'chance'), await kept('low-csat', 'rule')]).toEqual(['1', '1'])
  expect(await read('winnow_rule_matches_total{rule="low-csat"}')).toBe('1')
  expect(await read('winnow_rule_matches_total{rule="ordinary"}')).toBeUndefined()
})

test('a variant has its share whether or not its experiment is registered', async () => {
  const arm = { experiment: 'answers', variant: 'B' }
  const registered = compilePolicy(
    parsePolicy(`v: 1
version: arms
rules:
  - kind: active-variant
    variants: [{experiment: answers, variant: B, until: 2030-01-01T00:00:00Z, dailyCap: 10}]
  - kind: ordinary
`),
  )
  for (const [by, active] of [
    [policy, 'false'],
    [registered, 'true'],
  ] as const) {
    const { told, read } = figures()
    for (const outcome of outcomesBy(by, 1_000_000, withArm(traceIdOf(1), arm)))
      told.counted(outcome)
    const labels = `{variant="B",active="${active}"}`
    expect(await read(`winnow_variant_traces_decided_total${labels}`)).toBe('1')
    const kept = active === 'true' ? '1' : undefined
    expect(await read(`winnow_variant_traces_kept_total${labels}`)).toBe(kept)
  }
})

test('a failing trace whose bytes are gone is a failure that nobody can see', async () => {
  const { told, read } = figures()
  const id = traceIdOf(1)
  const late = 990_000 + 24 * 60 * minute + 1
  for (const outcome of outcomes(late, whole(id), evaluation(id, { name: 'csat', score: 1 }))) {
    told.counted(outcome)
  }
  expect(await read('winnow_full_resolution_traces_per_error{tenant="default"}')).toBe('0')
  expect(await read('winnow_kept_ratio{tenant="default"}')).toBeUndefined()
  expect(await read('winnow_evaluations_total{name="csat",result="missed"}')).toBe('1')
})

test('whatever fails after its bytes are gone has missed its trace too', () => {
  const id = traceIdOf(1)
  const late = 990_000 + 24 * 60 * minute + 1
  const told = outcomes(
    late,
    whole(id),
    evaluation(id, { name: 'csat', score: 1 }),
    evaluation(id, { name: 'judge', label: 'fail', id: `${id}.second` }),
    evaluation(id, { name: 'judge', label: 'pass', id: `${id}.third` }),
  )
  const effects = told.flatMap(({ evaluations }) => evaluations.map(({ effect }) => effect))
  expect(effects).toEqual(['missed', 'missed', 'applied'])
})

test('an evaluation that awaits its trace is in no ratio', async () => {
  const { told, read } = figures()
  for (const outcome of outcomes(1_000_000, evaluation(traceIdOf(1), { name: 'csat', score: 1 }))) {
    told.counted(outcome)
  }
  expect(await read('winnow_kept_ratio')).toBeUndefined()
  expect(await read('winnow_decisions_total')).toBeUndefined()
  expect(await read('winnow_evaluations_total{name="csat",result="awaiting"}')).toBe('1')
})

test('the delay counts from the append of the last slice, for revisions that bring one', async () => {
  const { told, read } = figures()
  const id = traceIdOf(1)
  for (const outcome of outcomes(
    1_000_000,
    whole(id),
    evaluation(id, { name: 'csat', score: 5 }),
  )) {
    told.counted(outcome)
  }
  expect(await read('winnow_decision_delay_seconds_sum')).toBe('10')
  expect(await read('winnow_decision_delay_seconds_count')).toBe('1')
})

test('what is older than an hour is no longer in a ratio', async () => {
  const { told, read, clock } = figures()
  for (const outcome of outcomes(1_000_000, whole(traceIdOf(1)))) told.counted(outcome)
  clock.advanceMs(59 * minute)
  for (const outcome of outcomes(1_000_000, whole(traceIdOf(2, 'ffffffffffffff'))))
    told.counted(outcome)
  expect(await read('winnow_kept_ratio{tenant="default"}')).toBe('0.5')
  clock.advanceMs(minute)
  for (const outcome of outcomes(1_000_000, whole(traceIdOf(3, 'ffffffffffffff'))))
    told.counted(outcome)
  expect(await read('winnow_kept_ratio{tenant="default"}')).toBe('1')
})

test('a trace that is decided again counts once, by what came first', async () => {
  const { told, read } = figures()
  const fragment = (traceId: string, at: number) => summary(traceId, [slice(at, [{ id: at }])])
  const csat = (traceId: string, id: string) => evaluation(traceId, { name: 'csat', score: 5, id })
  const [a, b, c] = [traceIdOf(1), traceIdOf(2), traceIdOf(3)]
  for (const one of [
    ...outcomes(1_000_000, whole(a), fragment(a, 2), fragment(a, 3)),
    ...outcomes(1_000_000, csat(b, '1'), whole(b), csat(b, '2')),
    ...outcomes(1_000_000, whole(c)),
  ]) {
    told.counted(one)
  }
  expect(await read('winnow_redecided_traces_total{cause="fragment"}')).toBe('1')
  expect(await read('winnow_redecided_traces_total{cause="evaluation"}')).toBe('1')
})
