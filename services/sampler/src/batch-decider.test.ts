import { MemoryBus } from '@winnow/bus'
import { ManualClock, Metrics, silentLog } from '@winnow/runtime'
import { expect, test, vi } from 'vitest'
import { Baselines } from './baselines.ts'
import { BatchDecider, type DeciderShared } from './batch-decider.ts'
import { type CeilingMatch, Ceilings } from './ceilings.ts'
import { defaultSamplerConfig } from './config.ts'
import { DecisionMetrics } from './decision-metrics.ts'
import { evaluation, slice, summary, traceIdOf } from './fixtures.ts'
import { FleetSpend } from './fleet-spend.ts'
import { InFlight } from './in-flight.ts'
import { evaluationsMax, retractionsMax } from './merge.ts'
import { PartitionState } from './partition-state.ts'
import { parsePolicy } from './policy-file.ts'
import { compilePolicy } from './rules.ts'
import { VariantWatch } from './variant-watch.ts'

const nowMs = 1_716_370_870_000

class NotedCeilings extends Ceilings {
  readonly noted: CeilingMatch[] = []

  override note(...args: Parameters<Ceilings['note']>): void {
    this.noted.push(args[0])
    super.note(...args)
  }
}

function deciderOf(policyText: string) {
  const spends = new FleetSpend(new MemoryBus([], new ManualClock()), '')
  const ceilings = new NotedCeilings(silentLog, new Metrics())
  const metrics = new Metrics()
  const log = { ...silentLog }
  const shared: DeciderShared = {
    topics: { evidence: 'evidence', decisions: 'decisions', baselines: '', control: '' },
    config: defaultSamplerConfig,
    log,
    metrics,
    figures: new DecisionMetrics(metrics, new ManualClock()),
    baselines: new Baselines({ windowMs: 3_600_000, countMin: 500, keysMax: 2_000 }),
    spends,
    ceilings,
    watch: new VariantWatch({ spends, log: silentLog, metrics, everyMs: 1_000 }),
  }
  const state = new PartitionState(defaultSamplerConfig, 7)
  state.apply(0, { v: 1, kind: 'claim', by: 'test' })
  const policies = { live: compilePolicy(parsePolicy(policyText)), shadow: undefined }
  const held = { state, partition: 0, inFlight: new InFlight() }
  const decider = new BatchDecider(shared, policies, held)
  const decide = (...all: readonly object[]) => {
    const records = all.map((evidence, offset) => {
      return { offset, appendedAtMs: nowMs, value: Buffer.from(JSON.stringify(evidence)) }
    })
    decider.take(records, nowMs)
    for (const group of decider.nextChunk()) decider.decide(group, undefined, 0, 1)
  }
  return { decide, ceilings, metrics, log, forecast: shared.watch.forecast }
}

test('a match before the spans counts as kept under its ceiling if its draw will keep it', () => {
  const policy = `
version: x
rules:
  - { kind: judge-failed, probability: 0.5 }
  - { kind: ordinary, probability: 0.01 }
ceilings:
  - { rule: judge-failed, perMinute: 600 }
`
  const { decide, ceilings } = deciderOf(policy)
  for (const randomness of ['c0000000000000', '10000000000000']) {
    decide(evaluation(traceIdOf(1, randomness), { name: 'judge', passed: false }))
  }
  expect(ceilings.noted).toMatchObject([{ isKept: true }, { isKept: false }])
})

test('only arms of the policy are counted for a forecast: clients name as many as they like', () => {
  const { decide, forecast } = deciderOf(`
version: x
rules:
  - kind: active-variant
    variants: [{ experiment: e, variant: B, until: '2100-01-01T00:00:00Z', dailyCap: 10 }]
  - { kind: ordinary, probability: 0.01 }
`)
  const note = vi.spyOn(forecast, 'note')
  for (const [at, variant] of ['B', 'of a client'].entries()) {
    const facts = { experiment: 'e', variant }
    decide(summary(traceIdOf(at), [slice(at, [{ id: 1 }], facts)]))
  }
  expect(note.mock.calls.map(([arm]) => arm)).toEqual(['e\nB', undefined])
})

test('what a trace has no room for is counted and logged, retractions too', async () => {
  const { decide, metrics, log } = deciderOf('version: x\nrules:\n  - kind: ordinary\n')
  const warned = vi.spyOn(log, 'warn')
  const traceId = traceIdOf(1)
  const said = Array.from({ length: evaluationsMax + 1 }, (_, n) =>
    evaluation(traceId, { name: 'judge', score: 0.9, id: `${traceId}.${n}` }),
  )
  const back = Array.from({ length: retractionsMax + 2 }, (_, n) => {
    const id = `${traceId}.${n}`
    return { v: 1, kind: 'retraction', tenant: 'default', traceId, id }
  })
  decide(summary(traceId, [slice(1, [{ id: 1 }])]), ...said, ...back)
  const text = await metrics.text()
  expect(text).toContain('winnow_evaluations_total{name="judge",result="missed"} 1')
  expect(text).toContain('winnow_retractions_refused_total 2')
  expect(warned.mock.calls.map(([event]) => event)).toEqual([
    'sampler.evaluations_refused',
    'sampler.retractions_refused',
  ])
})
