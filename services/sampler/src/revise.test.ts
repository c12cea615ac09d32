import {
  columnBytesMax,
  columnsMax,
  type Decision,
  decisionBytesMax,
  type Evidence,
  evaluationBytesMax,
  factListMax,
  type PackedSlice,
  refsMax,
  retractionBytesMax,
  rowsBytesMax,
  sliceBytesMax,
  slicesBytesMax,
} from '@winnow/model'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decisionBytes } from './decision-record.ts'
import { parseEvidence } from './evidence-record.ts'
import {
  evaluation,
  type FixtureSpan,
  request,
  root,
  slice,
  summary,
  traceIdOf,
} from './fixtures.ts'
import { inOrder } from './fold.ts'
import {
  evaluationsMax,
  failingEvaluationsMax,
  type Refused,
  requestsMax,
  retractionsMax,
} from './merge.ts'
import { defaultPolicy, rulesMax } from './policy-file.ts'
import { rederive } from './rederive.ts'
import { type RevisionContext, revise } from './revise.ts'
import { decisionAfter, revisionContext } from './revision.fixture.ts'
import { compilePolicy } from './rules.ts'
import { noSlices } from './series.ts'
import { sliceBytes } from './slice-bytes.ts'

const policy = compilePolicy(defaultPolicy)
const context = revisionContext(policy)
const id = traceIdOf(1)

function next(last: Decision | undefined, ...evidence: Evidence[]): Decision | undefined {
  return decisionAfter(last, evidence, context)
}
const must = (decision: Decision | undefined): Decision => decision as Decision
const span: FixtureSpan = { id: 1 }

test('what only evaluations know is kept by no draw: its spans may state another R than its id', () => {
  const lucky = traceIdOf(1, 'ffffffffffffff')
  const early = must(next(undefined, evaluation(lucky, { name: 'judge', score: 0.9 })))
  expect(early).toMatchObject({ verdict: 'drop', slices: [] })
  const spans = (rv?: string) => summary(lucky, [slice(0, [span], root(10, rv ? { rv } : {}))])
  // As if the evaluation had come with the spans, or after them.
  expect(next(early, spans('00000000000000'))).toMatchObject({ verdict: 'drop', revision: 2 })
  expect(next(early, spans())).toMatchObject({ verdict: 'keep', stratum: 'ordinary' })
  const failed = must(next(undefined, evaluation(lucky, { name: 'judge', passed: false })))
  expect(failed).toMatchObject({ verdict: 'keep', slices: [] })
  for (const one of [early, failed]) expect(rederive(one, policy).differences).toEqual([])
})

test('a keep says since when it has had its probability, whatever came since', () => {
  const at = (nowMs: number, last: Decision | undefined, ...evidence: Evidence[]): Decision => {
    return must(decisionAfter(last, evidence, { ...context, nowMs }))
  }
  const lucky = traceIdOf(1, 'ffffffffffffff')
  const first = at(5_000, undefined, summary(lucky, [slice(0, [span], root(10))]))
  expect(first).toMatchObject({ verdict: 'keep', th: 'e6666666666666' })
  expect(first).not.toHaveProperty('weighedAtMs')
  const praised = at(6_000, first, evaluation(lucky, { name: 'judge', score: 0.9 }))
  expect(praised).toMatchObject({ revision: 2, weighedAtMs: 5_000 })
  const failed = at(7_000, praised, evaluation(lucky, { name: 'csat', score: 1 }))
  expect(failed).toMatchObject({ revision: 3, th: '0' })
  expect(failed).not.toHaveProperty('weighedAtMs')
  const reviewed = at(8_000, failed, evaluation(lucky, { name: 'review', score: 0.9 }))
  expect(reviewed).toMatchObject({ revision: 4, weighedAtMs: 7_000 })
  for (const one of [praised, reviewed]) {
    expect(rederive(one, policy).differences).toEqual([])
    expect(JSON.parse(Buffer.from(decisionBytes(one)).toString())).toMatchObject({
      weighedAtMs: one.weighedAtMs,
    })
  }
})

test('evaluations and requests of a trace are bounded, at the limit and one past it', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, n) => evaluation(id, { name: `e${n}`, id: `${id}.${n}` }))
  const inputs = many(evaluationsMax + 1).map(one => ({ evidence: one, appendedAtMs: 1 }))
  const told: Refused[] = []
  const refused: RevisionContext['refused'] = (of, what) => {
    expect(of).toBe(id)
    told.push(what)
  }
  const revision = revise(undefined, inputs, { ...context, refused })
  expect(revision?.decision.evaluations).toHaveLength(evaluationsMax)
  expect(told.splice(0)).toEqual([{ evaluations: [`e${evaluationsMax}`], retractions: 0 }])
  const full = must(next(undefined, ...many(evaluationsMax)))
  const late = { evidence: evaluation(id, { name: 'one too many' }), appendedAtMs: 1 }
  const series = { offset: 0, last: full, earlier: noSlices, isCut: false }
  expect(revise(series, [late], { ...context, refused })).toBeUndefined()
  expect(told, 'also where there is nothing new').toEqual([
    { evaluations: ['one too many'], retractions: 0 },
  ])
  const requests = Array.from({ length: requestsMax + 1 }, (_, n) => request(id, { id: `${n}` }))
  expect(must(next(undefined, ...requests)).requests).toHaveLength(requestsMax)
})

test('an evaluation that fails has a place where others have none any more', () => {
  const passing = Array.from({ length: evaluationsMax }, (_, n) =>
    evaluation(id, { name: `e${n}`, id: `${id}.${n}` }),
  )
  const dropped = must(next(undefined, summary(id, [slice(0, [span], root(10))]), ...passing))
  expect(dropped).toMatchObject({ verdict: 'drop' })
  expect(next(dropped, evaluation(id, { name: 'csat', score: 5 }))).toBeUndefined()
  const rescued = must(next(dropped, evaluation(id, { name: 'csat', score: 1 })))
  expect(rescued).toMatchObject({ verdict: 'keep', primary: 'low-csat', stratum: 'rescued' })
  const failing = Array.from({ length: failingEvaluationsMax }, (_, n) => ({
    evidence: evaluation(id, { name: 'csat', score: 1, id: `${id}.late${n}` }),
    appendedAtMs: 1,
  }))
  const series = { offset: 0, last: rescued, earlier: noSlices, isCut: false }
  const told: Refused[] = []
  revise(series, failing, { ...context, refused: (_, what) => void told.push(what) })
  expect(told).toEqual([{ evaluations: ['csat'], retractions: 0 }])
})

test('the largest decision there can be fits its record', () => {
  // Bytes that JSON writes as six.
  const wide = (bytes: number) => '\u0001'.repeat(bytes)
  const kept = { name: 'n'.repeat(256), passed: false }
  const left =
    evaluationBytesMax - JSON.stringify({ ...kept, id: 'i'.repeat(256), label: '' }).length
  const evaluations = Array.from({ length: evaluationsMax + failingEvaluationsMax }, (_, n) =>
    evaluation(id, { ...kept, id: `${n}`.padEnd(256, 'i'), label: 'l'.repeat(left) }),
  )
  for (const one of evaluations) {
    expect(parseEvidence(Buffer.from(JSON.stringify(one)), 'test').ok).toBe(true)
    const longer = JSON.stringify({ ...one, label: 'l'.repeat(left + 1) })
    expect(parseEvidence(Buffer.from(longer), 'test').ok).toBe(false)
  }
  const requests = Array.from({ length: requestsMax }, (_, n) =>
    request(id, { id: `${n}${wide(254)}`.slice(0, 256), reason: wide(512) }),
  )
  const retractions = Array.from({ length: retractionsMax }, (_, n) => {
    const own = { id: `${n}`.padEnd(161, 'i'), source: '', atMs: 1e15 }
    const room = Math.floor((retractionBytesMax - JSON.stringify(own).length) / 6)
    const head = { v: 1, kind: 'retraction', tenant: 'default', traceId: id } as const
    return { ...head, ...own, source: wide(room) }
  })
  const spanId = 'f'.repeat(16)
  const list = <T>(one: T): T[] => Array.from({ length: factListMax }, () => one)
  const number = 1.7976931348623157e308
  const word = 2 ** 32 - 1
  const nanos = `${2n ** 64n - 1n}`
  const fullest = slice(
    Number.MAX_SAFE_INTEGER,
    Array.from({ length: 2_000 }, (_, n) => ({
      id: n + 1,
      startMs: n === 0 ? 0 : word,
      inputTokens: word,
      outputTokens: word,
      costUsd: 1,
    })),
    {
      roots: list({
        spanId,
        parentId: spanId,
        service: wide(64),
        name: wide(64),
        startNs: nanos,
        durationMs: number,
        error: true,
      }),
      errors: list({ spanId, name: wide(64) }),
      outcomes: list({
        name: wide(64),
        spanId,
        score: number,
        label: wide(64),
        passed: false,
        settled: true,
        extracted: number,
        supported: number,
        unsupported: number,
      }),
      services: list(wide(64)),
      experiment: wide(64),
      variant: wide(64),
      columns: Array.from({ length: columnsMax }, () => '"'.repeat(columnBytesMax)),
      rows: [['x'.repeat(rowsBytesMax - 6)]],
      rootRows: Array.from({ length: factListMax }, () => [spanId, 0] as const),
      rv: '0'.repeat(14),
      th: '0'.repeat(14),
      truncated: true,
      ignored: 2_000 * 32,
    },
  )
  expect(sliceBytes(fullest)).toBeLessThanOrEqual(sliceBytesMax)
  const rules = Array.from({ length: rulesMax - 1 }, (_, n) => ({
    kind: 'slow' as const,
    name: `${n}`.padStart(64, 'n'),
    probability: 1,
    quantile: 0.99,
  }))
  const many = compilePolicy({
    version: 'v'.repeat(73),
    rules: [
      ...rules.slice(1),
      { kind: 'outcome-failed', probability: 1 },
      { kind: 'ordinary', probability: 0.1 },
    ],
  })
  const sized = (own: readonly PackedSlice[]) => {
    const inputs = [summary(id, own), ...evaluations, ...requests, ...retractions].map(one => ({
      evidence: one,
      appendedAtMs: 1,
    }))
    const revision = revise(undefined, inputs, {
      ...context,
      policy: many,
      slowBar: () => ({ threshold: number, count: 1e9, key: wide(64 * 3) }),
    })
    expect(revision?.decision.evaluations).toHaveLength(evaluations.length)
    expect(revision?.decision.retractions).toHaveLength(retractions.length)
    expect(revision?.decision.slices).toHaveLength(own.length)
    return decisionBytes({ ...must(revision?.decision), claim: 1e12, seq: 1e9 }).length
  }
  const several = Array.from({ length: refsMax }, (_, at) =>
    slice(
      at,
      Array.from({ length: 15 }, (__, n) => ({ id: 1 + n + at * 17 })),
      root(9),
    ),
  )
  expect(several.reduce((sum, one) => sum + sliceBytes(one), 0)).toBeGreaterThan(
    slicesBytesMax * 0.9,
  )
  for (const own of [several, [fullest]]) {
    expect(sized(own)).toBeGreaterThan(300_000)
    expect(sized(own)).toBeLessThanOrEqual(decisionBytesMax)
  }
})

test('of its summaries the one with the root says how a trace was closed, in any order', () => {
  const summaries = [
    summary(id, [slice(1, [span])], { reason: 'rootless', missingParents: 2, closedAtMs: 10 }),
    summary(id, [slice(2, [{ id: 2 }], root(9))], { reason: 'root', closedAtMs: 20 }),
    summary(id, [slice(3, [{ id: 3 }])], { reason: 'long', missingParents: 1, closedAtMs: 30 }),
  ]
  for (const order of [summaries, [...summaries].reverse()]) {
    const last = order.reduce<Decision | undefined>((before, one) => next(before, one), undefined)
    expect(last).toMatchObject({
      closeReason: 'root',
      closedAtMs: 20,
      missingParents: 0,
      complete: true,
    })
  }
})

test('a slice that one summary names twice is one slice', () => {
  const [a, b] = [slice(1, [span], root(9)), slice(2, [{ id: 2 }])]
  const decision = must(next(undefined, summary(id, [b, a, b, a])))
  expect(decision.slices).toEqual([a, b])
})

const anyEvidence: fc.Arbitrary<Evidence[]> = fc.array(
  fc.oneof(
    fc
      .array(
        fc.tuple(
          fc.nat({ max: 5 }),
          fc.array(fc.record({ id: fc.integer({ min: 1, max: 9 }), error: fc.constant(false) }), {
            minLength: 1,
            maxLength: 4,
          }),
        ),
        { minLength: 1, maxLength: 3 },
      )
      .map(rows =>
        summary(id, inOrder(rows.map(([at]) => slices[at] as ReturnType<typeof slice>))),
      ),
    fc.record({ n: fc.nat({ max: 5 }), score: fc.integer({ min: 1, max: 5 }) }).map(({ n }) =>
      // An id says one thing only: a client's retry is the same evaluation.
      evaluation(id, {
        name: n % 2 === 0 ? 'csat' : 'judge',
        score: n === 4 ? 2 : 3,
        id: `${id}.${n}`,
      }),
    ),
    fc.constant(request(id)),
  ),
  { minLength: 1, maxLength: 12 },
)
const slices = Array.from({ length: 6 }, (_, at) =>
  slice(
    at,
    [
      { id: at + 1, inputTokens: at, error: at === 5 },
      { id: 1 + (at % 3), inputTokens: 7, operation: 2 },
    ],
    at === 2 ? root(50) : {},
  ),
)

test('the last revision depends neither on batches nor on replays, and only ever rises', () => {
  fc.assert(
    fc.property(
      anyEvidence,
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 }),
      (evidence, cuts) => {
        const whole = must(next(undefined, ...evidence))
        let last: Decision | undefined
        const rest = [...evidence, ...evidence.slice(0, 3)]
        for (const cut of [...cuts, rest.length]) {
          const batch = rest.splice(0, cut)
          if (batch.length === 0) continue
          const revision = next(last, ...batch)
          if (revision === undefined) continue
          if (last?.verdict === 'keep') expect(revision.verdict).toBe('keep')
          expect(rederive(revision, policy).differences).toEqual([])
          last = revision
        }
        for (const field of [
          'verdict',
          'primary',
          'probability',
          'th',
          'rules',
          'slices',
          'spanCount',
          'inputTokens',
          'closeReason',
          'complete',
          'requests',
          'seriesAtMs',
        ] as const) {
          expect(last?.[field], field).toEqual(whole[field])
        }
      },
    ),
  )
})

test('a decision that was tampered with is not derived from its own record', () => {
  const decision = must(
    next(undefined, summary(id, [slice(1, [{ id: 1, error: true, inputTokens: 5 }], root(9))])),
  )
  expect(rederive(decision, policy)).toEqual({ agrees: true, differences: [] })
  const changes: Partial<Decision>[] = [
    { verdict: 'drop' },
    { primary: 'slow' },
    { th: '8' },
    { probability: 0.5 },
    { adjustedCount: 7 },
    { inputTokens: 6 },
    { rootSpanId: null },
    { stratum: 'ordinary' },
    { rules: decision.rules.map(rule => ({ ...rule, matched: rule.name === 'ordinary' })) },
    { slices: [] },
    { inherited: true },
  ]
  for (const change of changes) {
    const { agrees } = rederive({ ...decision, ...change }, policy)
    expect(agrees, JSON.stringify(change).slice(0, 60)).toBe(false)
  }
  const other = compilePolicy({ ...defaultPolicy, version: 'other' })
  expect(() => rederive(decision, other)).toThrow(/names policy/)
})
