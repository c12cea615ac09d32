import type { Decision } from '@winnow/model'
import { packSlice } from '@winnow/model'
import { expect, test } from 'vitest'
import { offendingMax } from './ledger-report.ts'
import { problemsMax } from './problem.ts'
import { PipelineTopics, topics, traceIdOf } from './topics.fixture.ts'

/** Three traces: kept with a repeated span, dropped, and another tenant's. All is decided and committed. */
async function settled() {
  const pipe = new PipelineTopics()
  const [a1, b] = await pipe.receive({ trace: 1, spans: [1, 2, 3] }, { trace: 2, spans: [4] })
  const [a2, c] = await pipe.receive(
    { trace: 1, spans: [3, 5] },
    { tenant: 'other', trace: 1, spans: [1, 2] },
  )
  if (!a1 || !a2 || !b || !c) throw new Error('four slices')
  await pipe.summarise(a1, b, a2, c)
  await pipe.decide([a1], { verdict: 'drop' })
  await pipe.decide([b], { verdict: 'drop' })
  await pipe.decide([a1, a2], { verdict: 'keep', revision: 2 })
  await pipe.decide([c], { verdict: 'keep' })
  await pipe.settle()
  return { pipe, a1, a2, b, c }
}

const balance = {
  received: 8,
  duplicate: 1,
  kept: 6,
  dropped: 1,
  pending: 0,
  lostToRetention: 0,
  missing: 0,
  doubled: 0,
  imbalance: 0,
  balanced: true,
  problems: 0,
}

test('every received span is a duplicate, kept or dropped, by the last counting decisions', async () => {
  const { pipe } = await settled()
  const report = await pipe.verify()
  expect(report).toMatchObject({ ...balance, full: true, offending: [] })
  expect(report.window).toEqual({
    from: '2026-11-21T00:00:00.000Z',
    to: '2026-11-21T00:00:00.000Z',
  })
})

test('a tenant sees its own spans alone', async () => {
  const { pipe } = await settled()
  expect(await pipe.verify('other')).toMatchObject({ received: 2, kept: 2, balanced: true })
  expect(await pipe.verify('default')).toMatchObject({ received: 6, kept: 4, balanced: true })
  expect(await pipe.verify('nobody')).toMatchObject({ received: 0, balanced: true })
})

test('empty topics balance', async () => {
  const report = await new PipelineTopics().verify()
  expect(report).toMatchObject({ received: 0, balanced: true, window: { from: null, to: null } })
})

test('a decision that does not count leaves its slice missing, and the slice is named', async () => {
  const { pipe } = await settled()
  const [lone] = await pipe.receive({ trace: 7, spans: [70, 71] })
  if (lone === undefined) throw new Error('one slice')
  await pipe.summarise(lone)
  await pipe.decide([lone], { seq: 99 })
  await pipe.settle()
  const report = await pipe.verify()
  expect(report).toMatchObject({ missing: 2, imbalance: 2, balanced: false, problems: 1 })
  expect(report.offending[0]).toMatchObject({
    problem: 'missing',
    tenant: 'default',
    traceId: traceIdOf(7),
    ref: lone.slice.ref,
  })
})

test('undecided is pending while its summary may come, while evidence names it uncommitted, then missing', async () => {
  const { pipe } = await settled()
  const [lone] = await pipe.receive({ trace: 7, spans: [70, 71] })
  if (lone === undefined) throw new Error('one slice')
  expect(await pipe.verify(), 'not summarised').toMatchObject({ pending: 2, balanced: true })
  await pipe.summarise(lone)
  await pipe.commit('assembler', 3)
  expect(await pipe.verify(), 'not sampled').toMatchObject({ pending: 2, balanced: true })
  await pipe.settle()
  expect(await pipe.verify(), 'sampled').toMatchObject({ pending: 0, missing: 2, balanced: false })
})

test('a summary that was never written is missed once the assembler has committed past its slice', async () => {
  const { pipe } = await settled()
  await pipe.receive({ trace: 7, spans: [70] })
  await pipe.commit('assembler', 3)
  expect(await pipe.verify()).toMatchObject({ missing: 1, balanced: false })
})

test('a slice that two traces account for is doubled', async () => {
  const { pipe, b } = await settled()
  await pipe.decide([b], { traceId: b.traceId, revision: 1 })
  const report = await pipe.verify()
  expect(report).toMatchObject({ doubled: 1, balanced: false })
  expect(report.offending[0]).toMatchObject({ problem: 'doubled', ref: b.slice.ref })
})

test('a slice that one record names twice is doubled', async () => {
  const { pipe, b } = await settled()
  await pipe.decide([b, b], { revision: 2 })
  const report = await pipe.verify()
  expect(report).toMatchObject({ doubled: 1, balanced: false })
  expect(report.offending[0]).toMatchObject({ problem: 'doubled', traceId: b.traceId })
})

test.for<[string, Partial<Decision>, number]>([
  ['too many duplicates', { spanCount: 4, duplicateSpans: 2 }, -1],
  ['a span too few', { spanCount: 3, duplicateSpans: 1 }, 1],
  ['a duplicate counted as a span', { spanCount: 5, duplicateSpans: 0 }, 0],
  ['a slice too many', { sliceCount: 3 }, 0],
])('%s in a decision is miscounted', async ([, over, imbalance]) => {
  const { pipe, a1, a2 } = await settled()
  const offset = await pipe.decide([a1, a2], { verdict: 'keep', revision: 3, ...over })
  const report = await pipe.verify()
  expect(report).toMatchObject({ imbalance, balanced: false, problems: 1 })
  expect(report.offending[0]).toMatchObject({
    problem: 'miscounted',
    traceId: a1.traceId,
    ref: a2.slice.ref,
    decision: { partition: 0, offset },
  })
  await pipe.decide([a1, a2], { verdict: 'keep', revision: 4 })
  expect(await pipe.verify(), 'a later revision is right').toMatchObject(balance)
})

test('a revision that forgets a slice of the one before is miscounted', async () => {
  const { pipe, a1, a2 } = await settled()
  await pipe.decide([a2], { verdict: 'keep', revision: 3 })
  const report = await pipe.verify()
  expect(report).toMatchObject({ imbalance: 3, balanced: false })
  expect(report.offending[0]).toMatchObject({ problem: 'miscounted', traceId: a1.traceId })
})

test('a decision on other bytes than lie there, or on none, is foreign', async () => {
  const { pipe, b } = await settled()
  const [d] = await pipe.receive({ trace: 9, spans: [90] })
  if (d === undefined) throw new Error('one slice')
  const { facts, appendedAtMs, ref } = b.slice
  const { spanCount } = ref
  const other = packSlice({ ref: { ...d.slice.ref, spanCount }, appendedAtMs, facts })
  await pipe.decide([{ ...b, slice: other }], { revision: 1, traceId: traceIdOf(8) })
  const nowhere = packSlice({ ref: { ...ref, start: 1 }, appendedAtMs, facts })
  await pipe.decide([{ ...b, slice: nowhere }], { revision: 1, traceId: traceIdOf(10) })
  // Who reads only what is undecided sees that no other trace is named once the bytes are read: by the sample.
  const report = await pipe.verify(undefined, 1000, d.slice.ref.offset)
  expect(report).toMatchObject({ pending: 1, balanced: false, problems: 2 })
  expect(report.offending.map(({ problem, traceId }) => [problem, traceId])).toEqual([
    ['foreign', traceIdOf(8)],
    ['foreign', traceIdOf(10)],
  ])
})

test('a record that nobody composed is unreadable, and a decision that is no JSON counts for nobody', async () => {
  const { pipe } = await settled()
  await pipe.bus.append(topics.decisions, 0, [{ value: Buffer.from('{') }])
  expect(await pipe.verify()).toMatchObject(balance)
  await pipe.bus.append(topics.spans, 0, [{ value: Buffer.from('x') }])
  const report = await pipe.verify()
  expect(report).toMatchObject({ balanced: false, problems: 1 })
  expect(report.offending[0]).toMatchObject({ problem: 'unreadable', ref: { offset: 2 } })
})

test('an evaluation that awaits its trace changes nothing', async () => {
  const { pipe, a1, a2 } = await settled()
  await pipe.decide([], { traceId: traceIdOf(11), spanCount: 0 })
  expect(await pipe.verify()).toMatchObject(balance)
  await pipe.decide([a1, a2], { verdict: 'keep', revision: 3 })
  expect(await pipe.verify()).toMatchObject(balance)
})

test('of a trace across the start of the window what lies in it counts', async () => {
  const { pipe } = await settled()
  pipe.bus.expire(topics.spans, 0, 1)
  // Trace 1 repeats its span 3 in the second record, where only span 5 is new; the other tenant has 2.
  expect(await pipe.verify()).toMatchObject({
    ...balance,
    received: 4,
    duplicate: 1,
    kept: 3,
    dropped: 0,
  })
})

test('what retention passed before any stage had read it is lost', async () => {
  const { pipe } = await settled()
  await pipe.commit('assembler', 1)
  await pipe.receive({ trace: 12, spans: [1] })
  await pipe.receive({ trace: 13, spans: [2] })
  pipe.bus.expire(topics.spans, 0, 3)
  // Of records 1 and 2, the first was decided all the same; what the second held nobody knows.
  expect(await pipe.verify()).toMatchObject({
    received: 2,
    pending: 1,
    lostToRetention: 1,
    balanced: true,
  })
})

test('slices are held up to the limit, and one past it is refused by name', async () => {
  const { pipe } = await settled()
  expect(await pipe.verify(undefined, 4)).toMatchObject(balance)
  await expect(pipe.verify(undefined, 3)).rejects.toThrow(/more than 3 slices.*verifySlicesMax/)
})

test('what a former owner appended before the claim in force counts for nobody', async () => {
  const { pipe, a1, a2 } = await settled()
  await pipe.decide([a1, a2], { verdict: 'drop', revision: 3, claim: -5 })
  expect(await pipe.verify()).toMatchObject(balance)
})

test('of many missing slices the first are named and all are counted, each tenant its own', async () => {
  const pipe = new PipelineTopics()
  for (let trace = 1; trace <= offendingMax + 1; trace++)
    await pipe.receive({ trace, spans: [1, 2] })
  await pipe.receive({ tenant: 'other', trace: 1, spans: [1] })
  await pipe.settle()
  const all = await pipe.verify('default')
  expect(all).toMatchObject({ missing: 2 * (offendingMax + 1), problems: offendingMax + 1 })
  expect(all.offending).toHaveLength(offendingMax)
  const other = await pipe.verify('other')
  expect(other).toMatchObject({ missing: 1, problems: 1 })
  expect(other.offending).toMatchObject([{ tenant: 'other', ref: { offset: offendingMax + 1 } }])
})

test('problems are remembered up to their limit, and counted beyond it', async () => {
  const pipe = new PipelineTopics()
  for (let trace = 1; trace <= problemsMax + 1; trace++) {
    const [lying] = await pipe.receive({ trace, spans: [trace] })
    if (lying !== undefined) await pipe.decide([lying], { spanCount: 2 })
    if (trace < problemsMax) continue
    expect(await pipe.verify(undefined, problemsMax + 1)).toMatchObject({ problems: trace })
  }
})
