import type { Claim, Decision } from '@winnow/model'
import { expect, test } from 'vitest'
import { defaultSamplerConfig } from './config.ts'
import { briefOf } from './decision-brief.ts'
import { evaluation, root, slice, summary, traceIdOf } from './fixtures.ts'
import { PartitionState } from './partition-state.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import type { RevisionContext } from './revise.ts'
import { revisionContext } from './revision.fixture.ts'
import { type CompiledPolicy, compilePolicy } from './rules.ts'
import { TraceLog } from './trace.fixture.ts'

const claim: Claim = { v: 1, kind: 'claim', by: 'test' }
const variants = compilePolicy(
  parsePolicy(`
version: ab
rules:
  - kind: active-variant
    variants: [{ experiment: e, variant: B, until: 2030-01-01T00:00:00Z, dailyCap: 9 }]
  - { kind: ordinary, probability: 0 }
ceilings: [{ rule: active-variant, perHour: 600 }]
`),
)

/** Decisions on many traces of two tenants: kept, dropped, waiting, watched. */
function log(): (Claim | Decision)[] {
  const records: (Claim | Decision)[] = [claim]
  let seq = 0
  const of = (policy: CompiledPolicy, id: number) => {
    const nowMs = 1_000 + id * 50
    const ceiling: RevisionContext['ceiling'] = (_tenant, rule) =>
      rule === 'active-variant' ? { probability: 0.5, ceiling: 600, per: 'hour' } : undefined
    const trace = new TraceLog(revisionContext(policy, { nowMs, ceiling }))
    const tenant = id % 3 === 0 ? 'other' : 'default'
    const traceId = traceIdOf(id, id % 2 === 0 ? 'ffffffffffffff' : '00000000000000')
    const facts = root(9, { experiment: 'e', variant: 'B' })
    if (id % 5 === 0) trace.add(evaluation(traceId, { name: 'csat', score: 5, tenant }))
    else trace.add(summary(traceId, [slice(id, [{ id: 1 }], facts)], { tenant }))
    if (id % 4 === 0) trace.add(summary(traceId, [slice(1_000 + id, [{ id: 2 }])], { tenant }))
    for (const decision of trace.decisions) records.push({ ...decision, claim: 0, seq: ++seq })
  }
  for (let id = 1; id < 60; id++) of(id % 2 === 0 ? variants : compilePolicy(defaultPolicy), id)
  return records
}

const fold = (state: PartitionState, records: readonly (Claim | Decision)[]) => {
  for (let at = state.nextOffset; at < records.length; at++) state.apply(at, records[at])
}
const newState = (seed: number) => new PartitionState(defaultSamplerConfig, seed)
const entriesOf = (state: PartitionState) =>
  Array.from(state.entries(), ({ id, ...entry }) => ({ ...entry, id: Array.from(id) }))
const sorted = (state: PartitionState) => entriesOf(state).sort((a, b) => a.offset - b.offset)

test('what is held of a decision that waits to be read back folds as the whole of it', () => {
  const records = log()
  const whole = newState(1)
  fold(whole, records)
  const brief = newState(2)
  for (const [at, record] of records.entries()) {
    brief.apply(at, record.kind === 'decision' ? briefOf(record) : record)
  }
  expect(brief.head).toEqual(whole.head)
  expect(sorted(brief)).toEqual(sorted(whole))
  expect(whole.head.spend.length * whole.head.ceilings.length).toBeGreaterThan(0)
})

test('a state that goes on from a snapshot is the one that folded all', () => {
  const records = log()
  const whole = newState(1)
  fold(whole, records)
  expect(whole.head).toMatchObject({ nextOffset: records.length })
  expect(whole.head.awaiting.length).toBeGreaterThan(5)
  // Half of them have a second revision, which repeats the answer at the same log time.
  expect(whole.head.spend.map(([, , traces]) => traces)).toEqual([24])
  const underCeilings = whole.head.ceilings.map(([, , , kept, expected]) => [kept, expected])
  expect(underCeilings).toEqual([
    [16, 8],
    [8, 4],
  ])
  for (let cut = 0; cut <= records.length; cut += 7) {
    const early = newState(2)
    fold(early, records.slice(0, cut))
    const head = JSON.parse(JSON.stringify(early.head))
    // What is folded while its entries are read is not the snapshot's, and folded again.
    fold(early, records)
    const loaded = newState(3)
    loaded.load(head)
    for (const entry of early.entries()) loaded.loadEntry(entry)
    expect(loaded.nextOffset).toBe(cut)
    fold(loaded, records)
    expect(loaded.head).toEqual(whole.head)
    expect(sorted(loaded)).toEqual(sorted(whole))
  }
})

test('all entries are read, through growth while they are read', () => {
  const state = newState(1)
  const records = log()
  fold(state, records)
  const seen = new Set<number>()
  let at = records.length
  let id = 1_000
  for (const { offset } of state.entries()) {
    if (offset < records.length) seen.add(offset)
    for (let n = 0; n < 100; n++) {
      const last = records.at(-1) as Decision
      const traceId = traceIdOf(id++)
      state.apply(at++, { ...last, tenant: `t${n % 3}`, traceId, seq: last.seq + id - 1_000 })
    }
  }
  expect([...seen].sort((a, b) => a - b)).toEqual(
    sorted(state)
      .map(({ offset }) => offset)
      .filter(offset => offset < records.length),
  )
  expect(state.traces).toBeGreaterThan(4_000)
})
