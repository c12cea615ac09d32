import {
  type Decision,
  type Evidence,
  type RetractionRecord,
  retractionBytesMax,
} from '@winnow/model'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decisionBytes, readDecision } from './decision-record.ts'
import { parseEvidence } from './evidence-record.ts'
import { evaluation, root, slice, summary, traceIdOf } from './fixtures.ts'
import { evaluationsMax, failingEvaluationsMax, type Refused, retractionsMax } from './merge.ts'
import { defaultPolicy, parsePolicy } from './policy-file.ts'
import { rederive } from './rederive.ts'
import { type RevisionContext, revise } from './revise.ts'
import { decisionAfter, revisionContext } from './revision.fixture.ts'
import { compilePolicy } from './rules.ts'
import { noSlices } from './series.ts'

// A trace that chance alone would drop.
const id = traceIdOf(1)
const policy = compilePolicy(defaultPolicy)
const context = revisionContext(policy)

const spans = summary(id, [slice(1, [{ id: 1 }], root(9))])
const fails = evaluation(id, { name: 'judge', label: 'fail', id: `${id}.e` })
const takenBack = (more: Partial<RetractionRecord> = {}): RetractionRecord => ({
  v: 1,
  kind: 'retraction',
  tenant: 'default',
  traceId: id,
  id: `${id}.e`,
  ...more,
})

function next(last: Decision | undefined, ...evidence: Evidence[]): Decision | undefined {
  return decisionAfter(last, evidence, context)
}

function all(...evidence: Evidence[]): Decision {
  const last = evidence.reduce<Decision | undefined>(
    (before, one) => next(before, one) ?? before,
    undefined,
  )
  if (last === undefined) throw new Error('nothing decided')
  return last
}

test('a retraction is a fact of its own, told with who and when, and never un-keeps', () => {
  const kept = all(spans, fails)
  expect(kept).toMatchObject({ verdict: 'keep', primary: 'judge-failed' })
  expect(kept.retractions).toBeUndefined()
  const after = all(spans, fails, takenBack({ source: 'key:reviews', atMs: 7 }))
  expect(after).toMatchObject({
    verdict: 'keep',
    primary: 'judge-failed',
    cause: 'retraction',
    revision: kept.revision + 1,
    retractions: [{ id: `${id}.e`, source: 'key:reviews', atMs: 7 }],
  })
  expect(after.fingerprint).not.toBe(kept.fingerprint)
  expect(readDecision(Buffer.from(decisionBytes(after)), 'test')).toEqual(after)
  expect(rederive(after, policy)).toEqual({ agrees: true, differences: [] })
})

test('a retraction of what never came, and the same one twice, change nothing but what is told', () => {
  const dropped = all(spans, takenBack())
  expect(dropped).toMatchObject({ verdict: 'drop', retractions: [{ id: `${id}.e` }] })
  expect(next(dropped, takenBack({ source: 'another' }))).toBeUndefined()
})

test('verdict and fingerprint are those of the set, whatever came first and however it was batched', () => {
  const whole = all(spans, fails, takenBack())
  const order = fc.shuffledSubarray([0, 1, 2], { minLength: 3 })
  fc.assert(
    fc.property(order, fc.boolean(), (places, isBatch) => {
      const evidence = places.map(at => [spans, fails, takenBack()][at] as Evidence)
      const last = isBatch ? next(undefined, ...evidence) : all(...evidence)
      const { verdict, primary, fingerprint, rules } = whole
      expect(last).toMatchObject({ verdict, primary, fingerprint, rules })
    }),
  )
})

test('whatever evaluations a trace can have can all be taken back', () => {
  const many = Array.from({ length: evaluationsMax + failingEvaluationsMax }, (_, n) => n)
  const failing = many.map(n => ({ ...fails, id: `${id}.${n}` }))
  const back = many.map(n => takenBack({ id: `${id}.${n}` }))
  const last = next(undefined, spans, ...failing, ...back)
  expect(last?.evaluations).toHaveLength(many.length)
  expect(last?.retractions?.map(one => one.id)).toEqual(last?.evaluations.map(one => one.id))
})

test('retractionsMax of a trace are taken, and one more is not, which is told and counted', () => {
  const many = Array.from({ length: retractionsMax }, (_, n) => takenBack({ id: `${id}.${n}` }))
  const full = all(spans, ...many)
  expect(full.retractions).toHaveLength(retractionsMax)
  expect(full.retractionsRefused).toBeUndefined()
  const over = next(full, takenBack()) as Decision
  expect(over).toMatchObject({ cause: 'retraction', retractionsRefused: true, verdict: 'drop' })
  expect(over.retractions).toEqual(full.retractions)
  expect(rederive(over, policy)).toEqual({ agrees: true, differences: [] })
  expect(readDecision(Buffer.from(decisionBytes(over)), 'test')).toEqual(over)
  // Which ones they were is not known: a second is no news, and is counted all the same.
  const told: Refused[] = []
  const series = { offset: 0, last: over, earlier: noSlices, isCut: false }
  const again = [takenBack(), takenBack({ id: `${id}.f` })]
  const inputs = again.map(evidence => ({ evidence, appendedAtMs: 2_000 }))
  const refused: RevisionContext['refused'] = (_, what) => void told.push(what)
  expect(revise(series, inputs, { ...context, refused })).toBeUndefined()
  expect(told).toEqual([{ evaluations: [], retractions: 2 }])
  expect(next(over, fails)).toMatchObject({ verdict: 'keep', retractionsRefused: true })
})

test('a malformed retraction is refused alone by the field', () => {
  const read = (more: object) => parseEvidence(Buffer.from(JSON.stringify(takenBack(more))), 'test')
  expect(read({}).ok).toBe(true)
  for (const [field, value] of [
    ['id', ''],
    ['source', 5],
    ['atMs', 'now'],
  ] as const) {
    expect(read({ [field]: value })).toEqual({ ok: false, mistake: field })
  }
  const left = retractionBytesMax - JSON.stringify({ id: `${id}.e`, source: '' }).length
  expect(read({ source: 's'.repeat(left) }).ok).toBe(true)
  expect(read({ source: 's'.repeat(left + 1) })).toEqual({ ok: false, mistake: 'its size' })
})

test('an arm that somebody reports is the trace’s where its spans name none, and only with spans', () => {
  const arm = evaluation(id, { name: 'feature_flag.evaluation', experiment: 'e', variant: 'B' })
  expect(all(arm)).toMatchObject({ variant: null, experiment: null })
  expect(all(arm, spans)).toMatchObject({ experiment: 'e', variant: 'B' })
  const own = summary(id, [slice(2, [{ id: 2 }], root(9, { experiment: 'own' }))])
  expect(all(arm, own)).toMatchObject({ experiment: 'own', variant: null })
})

test('of several arms that are reported the watched one is the trace’s, whatever came first', () => {
  const watching = compilePolicy(
    parsePolicy(`
version: ab
rules:
  - kind: active-variant
    variants: [{ experiment: m, variant: B, until: 2100-01-01T00:00:00Z, dailyCap: 9 }]
  - { kind: ordinary, probability: 0 }
`),
  )
  const arm = (experiment: string, variant: string) =>
    evaluation(id, { id: `${id}.${experiment}`, name: 'flag', experiment, variant })
  const arms = [arm('z', 'A'), arm('m', 'B'), arm('a', 'A')]
  const other = [arm('z', 'A'), arm('a', 'A')]
  fc.assert(
    fc.property(fc.shuffledSubarray(arms, { minLength: 3 }), fc.boolean(), (order, isBatch) => {
      const batches = isBatch ? [[spans, ...order]] : [spans, ...order].map(one => [one])
      const last = batches.reduce<Decision | undefined>((before, batch) => {
        return decisionAfter(before, batch, { ...context, policy: watching }) ?? before
      }, undefined) as Decision
      expect(last).toMatchObject({ experiment: 'm', variant: 'B', primary: 'active-variant' })
      expect(rederive(last, watching)).toEqual({ agrees: true, differences: [] })
    }),
  )
  for (const order of [other, other.toReversed()]) {
    expect(all(spans, ...order)).toMatchObject({ experiment: 'a', variant: 'A' })
  }
})
