import { randomnessOf, thresholdOf, thresholdText } from '@winnow/model'
import { emptySpan, type KeyValue, type Span, type TracesData } from '@winnow/otlp'
import { describe, expect, test } from 'vitest'
import { bool, double, int, text, texts } from './attributes.ts'
import { type OracleInput, type OracleVerdict, oracle, traceKey } from './oracle.ts'
import { defaultOraclePolicy, type OracleEvaluation } from './oracle-policy.ts'
import {
  readTraceState,
  rejectionThreshold,
  thresholdDigits,
  traceIdRandomness,
} from './oracle-threshold.ts'
import { Random } from './random.ts'
import { trace48f, trace48fId } from './trace-48f.ts'
import { trace48fTwin, trace48fTwinId } from './trace-48f-twin.ts'
import { agentTraffic } from './traffic.ts'
import { activeVariant } from './traffic-story.ts'

/** Its last seven bytes lie below the threshold of 10 %, those of the other above. */
const lowId = `${'a'.repeat(18)}00000000000001`
const highId = `${'a'.repeat(18)}ffffffffffffff`

function spanOf(fields: Partial<Span> = {}): Span {
  return {
    ...emptySpan,
    traceId: lowId,
    spanId: '00000000000000a1',
    name: 'turn',
    kind: 1,
    startTimeUnixNano: 1_000_000_000n,
    endTimeUnixNano: 2_000_000_000n,
    ...fields,
  }
}

function requestOf(spans: readonly Span[], resource: readonly KeyValue[] = []): TracesData {
  return {
    resourceSpans: [
      {
        resource: { attributes: resource, droppedAttributesCount: 0 },
        scopeSpans: [
          {
            scope: { name: '', version: '', attributes: [], droppedAttributesCount: 0 },
            spans,
            schemaUrl: '',
          },
        ],
        schemaUrl: '',
      },
    ],
  }
}

/** The verdict on one trace of tenant t, sent in one request a span. */
function judge(
  spans: readonly Span[],
  evaluations: readonly Partial<OracleEvaluation>[] = [],
  rest: Partial<OracleInput> = {},
): OracleVerdict {
  const traceId = spans[0]?.traceId ?? lowId
  const verdict = oracle({
    requests: spans.map(span => ({ tenant: 't', data: requestOf([span]) })),
    evaluations: evaluations.map((one, at) => ({
      tenant: 't',
      traceId,
      id: `e${at}`,
      name: '',
      ...one,
    })),
    nowMs: 0,
    ...rest,
  }).get(traceKey('t', traceId))
  if (verdict === undefined) throw new TypeError('no verdict on the trace')
  return verdict
}

const withAttributes = (...attributes: KeyValue[]) => judge([spanOf({ attributes })])

describe('each rule', () => {
  test('ordinary: keeps what lies above the threshold of 10 %, drops the rest', () => {
    expect(judge([spanOf()])).toMatchObject({
      keep: false,
      primary: 'ordinary',
      matched: ['ordinary'],
      probability: 0.1,
      th: 'e6666666666666',
    })
    expect(judge([spanOf({ traceId: highId })])).toMatchObject({ keep: true, primary: 'ordinary' })
  })

  test('span-error: any span, also one that a retry made good', () => {
    const failed = spanOf({ spanId: '00000000000000a2', status: { message: '', code: 2 } })
    expect(judge([spanOf(), failed, spanOf({ spanId: '00000000000000a3' })])).toMatchObject({
      keep: true,
      primary: 'span-error',
      matched: ['span-error', 'ordinary'],
      th: '0',
    })
    expect(judge([spanOf({ status: { message: '', code: 1 } })]).keep).toBe(false)
  })

  test('judge-failed: label, or score below 0.5 on 0 to 1, or not passed', () => {
    for (const label of ['fail', 'failed', 'incorrect', 'policy_incorrect']) {
      expect(withAttributes(int('judge.score', 1), text('judge.label', label)).primary).toBe(
        'judge-failed',
      )
      expect(judge([spanOf()], [{ name: 'judge', label }]).primary).toBe('judge-failed')
    }
    expect(withAttributes(int('judge.score', 0)).primary).toBe('judge-failed')
    expect(withAttributes(double('judge.score', 0.49)).primary).toBe('judge-failed')
    expect(withAttributes(double('judge.score', 0.5)).keep).toBe(false)
    expect(withAttributes(double('judge.score', -1)).keep).toBe(false)
    expect(withAttributes(int('judge.score', 1), text('judge.label', 'correct')).keep).toBe(false)
    expect(judge([spanOf()], [{ name: 'judge', passed: false }]).primary).toBe('judge-failed')
    expect(judge([spanOf()], [{ name: 'judge', score: 0.2 }]).primary).toBe('judge-failed')
    expect(judge([spanOf()], [{ name: 'judge', score: 0.9, passed: true }]).keep).toBe(false)
  })

  test('citation-failed: a claim listed, or counted, or told as unsupported', () => {
    const counts = (extracted: number, supported: number) =>
      withAttributes(
        int('citation.claims_extracted', extracted),
        int('citation.claims_supported', supported),
      )
    expect(withAttributes(texts('citation.unsupported', ['x'])).primary).toBe('citation-failed')
    expect(withAttributes(texts('citation.unsupported', [])).keep).toBe(false)
    expect(counts(2, 1).primary).toBe('citation-failed')
    expect(counts(2, 2).keep).toBe(false)
    expect(withAttributes(int('citation.claims_extracted', 2)).keep).toBe(false)
    expect(judge([spanOf()], [{ name: 'citation', passed: false }]).primary).toBe('citation-failed')
  })

  test('low-csat: 1 to 2 of 5, as a number or text that is one', () => {
    const csat = (value: KeyValue) => withAttributes(value).primary
    expect(csat(int('outcome.csat_response', 1))).toBe('low-csat')
    expect(csat(int('outcome.csat_response', 2))).toBe('low-csat')
    expect(csat(double('outcome.csat_response', 1.5))).toBe('low-csat')
    expect(csat(text('outcome.csat_response', '2'))).toBe('low-csat')
    for (const other of [0, 3, 5, 6, -1]) {
      expect(csat(int('outcome.csat_response', other)), String(other)).toBe('ordinary')
    }
    expect(csat(double('outcome.csat_response', 2.1))).toBe('ordinary')
    expect(csat(text('outcome.csat_response', 'great'))).toBe('ordinary')
    expect(csat(text('outcome.csat_response', ''))).toBe('ordinary')
    expect(judge([spanOf()], [{ name: 'csat', score: 2 }]).primary).toBe('low-csat')
    expect(judge([spanOf()], [{ name: 'csat', score: 3 }]).keep).toBe(false)
  })

  test('outcome-failed: a boolean outcome that is false, or another evaluation not passed', () => {
    expect(withAttributes(bool('outcome.resolved', false)).primary).toBe('outcome-failed')
    expect(withAttributes(bool('outcome.resolved', true)).keep).toBe(false)
    expect(withAttributes(text('outcome.resolved', 'false')).keep).toBe(false)
    expect(judge([spanOf()], [{ name: 'human', passed: false }]).primary).toBe('outcome-failed')
    expect(judge([spanOf()], [{ name: 'human', passed: true }]).keep).toBe(false)
    expect(judge([spanOf()], [{ name: 'human', score: 0 }]).keep).toBe(false)
  })

  test('slow: the root took longer than the recorded threshold, never at it or without one', () => {
    const slow = (...thresholds: number[]) =>
      judge([spanOf()], [], { slowThresholdsMs: () => thresholds })
    expect(slow(999.9)).toMatchObject({ keep: true, primary: 'slow', durationMs: 1_000 })
    expect(slow(1_000).keep).toBe(false)
    expect(slow().keep).toBe(false)
    const child = spanOf({ parentSpanId: '00000000000000b0' })
    const rootless = judge([child], [], { slowThresholdsMs: () => [1] })
    expect(rootless).toMatchObject({ keep: false, root: null, durationMs: null })
  })

  test('slow: the threshold of any revision keeps, that of the last names the rule', () => {
    const both = judge([spanOf()], [], { slowThresholdsMs: () => [900, 1_100] })
    expect(both).toMatchObject({ keep: true, primary: 'ordinary', matched: ['ordinary'] })
  })

  test('active-variant: registered and before until, on span or resource', () => {
    const policy = {
      ...defaultOraclePolicy,
      variants: [{ experiment: 'exp', variant: 'B', untilMs: 100 }],
    }
    const ran = (experiment: string, variant: string, nowMs: number) =>
      judge(
        [
          spanOf({
            attributes: [text('experiment.id', experiment), text('experiment.variant', variant)],
          }),
        ],
        [],
        { policy, nowMs },
      ).primary
    expect(ran('exp', 'B', 99)).toBe('active-variant')
    expect(ran('exp', 'B', 100)).toBe('ordinary')
    expect(ran('exp', 'A', 99)).toBe('ordinary')
    expect(ran('other', 'B', 99)).toBe('ordinary')
  })

  test('the first match in policy order is primary, all are listed', () => {
    const verdict = judge(
      [
        spanOf({
          attributes: [bool('outcome.resolved', false), int('outcome.csat_response', 1)],
          status: { message: '', code: 2 },
        }),
      ],
      [{ name: 'judge', passed: false }],
    )
    expect(verdict.primary).toBe('span-error')
    expect(verdict.matched).toEqual([
      'span-error',
      'judge-failed',
      'low-csat',
      'outcome-failed',
      'ordinary',
    ])
  })
})

describe('the fold', () => {
  test('a span sent twice counts once, as it came first', () => {
    const again = spanOf({ name: 'again', attributes: [bool('outcome.resolved', false)] })
    const verdict = judge([spanOf(), again])
    expect(verdict).toMatchObject({ keep: false, duplicateSpans: 1 })
    expect(verdict.spans.map(({ span }) => span.name)).toEqual(['turn'])
  })

  test('an evaluation sent twice counts once, one of an unseen trace awaits it', () => {
    const awaiting = judge([], [{ name: 'csat', score: 1, id: 'x' }, { id: 'x' }])
    expect(awaiting).toMatchObject({ awaiting: true, primary: 'low-csat' })
  })

  test('tenants with one trace id are two traces', () => {
    const verdicts = oracle({
      requests: [
        { tenant: 'a', data: requestOf([spanOf({ status: { message: '', code: 2 } })]) },
        { tenant: 'b', data: requestOf([spanOf()]) },
      ],
      evaluations: [{ tenant: 'a', traceId: lowId, id: 'e', name: 'csat', score: 1 }],
      nowMs: 0,
    })
    expect(verdicts.get(traceKey('a', lowId))?.keep).toBe(true)
    expect(verdicts.get(traceKey('b', lowId))).toMatchObject({ keep: false, matched: ['ordinary'] })
  })

  test('a rescue keeps without changing what matched', () => {
    const rescues = [{ tenant: 't', traceId: lowId }]
    expect(judge([spanOf()], [], { rescues })).toMatchObject({ keep: true, primary: 'ordinary' })
  })

  test('the root is the span without parent, else an entry span whose parent did not come', () => {
    const entry = (spanId: string, parentSpanId: string, fields: Partial<Span>) =>
      spanOf({ spanId, parentSpanId, ...fields })
    const rootId = (...spans: Span[]) => judge(spans).root?.spanId ?? null
    expect(rootId(entry('a1', 'b0', { kind: 2 }))).toBe('a1')
    expect(rootId(entry('a1', 'b0', { kind: 5 }))).toBe('a1')
    expect(rootId(entry('a1', 'b0', { flags: 0x300 }))).toBe('a1')
    expect(rootId(entry('a1', 'b0', { flags: 0x200 }))).toBeNull()
    expect(rootId(entry('a1', 'b0', { kind: 3 }))).toBeNull()
    expect(rootId(entry('a2', 'a1', { kind: 2 }), entry('a1', 'b0', { kind: 3 }))).toBeNull()
    expect(rootId(entry('a1', 'b0', { kind: 2 }), entry('a2', '', {}))).toBe('a2')
    const early = { startTimeUnixNano: 5n }
    expect(rootId(entry('a1', '', {}), entry('a2', '', early))).toBe('a2')
    expect(rootId(entry('a2', '', early), entry('a1', '', early))).toBe('a1')
  })
})

describe('sampling', () => {
  test('a valid rv replaces the trace id’s randomness, a malformed one does not', () => {
    const kept = (traceState: string) => judge([spanOf({ traceState })]).keep
    expect(kept('ot=rv:ffffffffffffff')).toBe(true)
    expect(kept('congo=x, ot=rv:ffffffffffffff')).toBe(true)
    expect(kept('ot=rv:fffffffffffff')).toBe(false)
    expect(kept('ot=rv:FFFFFFFFFFFFFF')).toBe(false)
    expect(kept('tot=rv:ffffffffffffff')).toBe(false)
    expect(judge([spanOf({ traceId: highId, traceState: 'ot=rv:00000000000000' })]).keep).toBe(
      false,
    )
  })

  test('keep is R ≥ T, at the threshold and one below', () => {
    const kept = (rv: string) => judge([spanOf({ traceState: `ot=rv:${rv}` })]).keep
    expect(kept('e6666666666666')).toBe(true)
    expect(kept('e6666666666665')).toBe(false)
  })

  test('an upstream threshold is raised, never lowered', () => {
    const th = (traceState: string, failed: boolean) =>
      judge([spanOf({ traceState, status: { message: '', code: failed ? 2 : 0 } })]).th
    expect(th('ot=th:8;rv:ffffffffffffff', false)).toBe('e6666666666666')
    expect(th('ot=th:8;rv:ffffffffffffff', true)).toBe('8')
    expect(th('ot=th:f;rv:ffffffffffffff', false)).toBe('f')
    expect(th('ot=th:zz;rv:ffffffffffffff', true)).toBe('0')
  })

  test('thresholds equal the specification’s vectors and the model’s, which were written apart', () => {
    const vectors: [number, string][] = [
      [1, '0'],
      [0.5, '8'],
      [0.25, 'c'],
      [0.1, 'e6666666666666'],
      [0.05, 'f3333333333333'],
      [0.01, 'fd70a3d70a3d71'],
      [0.001, 'ffbe76c8b43958'],
    ]
    for (const [probability, digits] of vectors) {
      expect(thresholdDigits(rejectionThreshold(probability)), String(probability)).toBe(digits)
    }
    const seed = 6
    const random = new Random(seed)
    for (let draw = 0; draw < 2_000; draw++) {
      const probability = random.unit() ** random.int(1, 8)
      const threshold = rejectionThreshold(probability)
      expect(threshold, `seed ${seed}, ${probability}`).toBe(thresholdOf(probability))
      if (threshold < 1n << 56n) expect(thresholdDigits(threshold)).toBe(thresholdText(threshold))
      const traceId = random.hex(4)
      expect(traceIdRandomness(traceId)).toBe(randomnessOf(traceId))
    }
  })

  test('a trace state is read as far as it is well-formed', () => {
    expect(readTraceState('')).toEqual({ randomness: null, threshold: null })
    expect(readTraceState('ot=rv')).toEqual({ randomness: null, threshold: null })
    expect(readTraceState('ot=;;:')).toEqual({ randomness: null, threshold: null })
    expect(readTraceState('ot=x:1;th:c;rv:0000000000000f')).toEqual({
      randomness: 15n,
      threshold: 12n << 52n,
    })
    expect(readTraceState('ot=th:012345678901234')).toEqual({ randomness: null, threshold: null })
  })
})

test('48f is kept for its citation, CSAT and outcome; its twin is dropped', () => {
  const verdicts = oracle({
    requests: [trace48f(), trace48fTwin()].map(data => ({ tenant: 't', data })),
    evaluations: [],
    nowMs: 0,
  })
  expect(verdicts.get(traceKey('t', trace48fId))).toMatchObject({
    keep: true,
    primary: 'citation-failed',
    matched: ['citation-failed', 'low-csat', 'outcome-failed', 'ordinary'],
    durationMs: 2608,
    rootService: 'refund-bot',
  })
  expect(verdicts.get(traceKey('t', trace48fTwinId))).toMatchObject({
    keep: false,
    primary: 'ordinary',
    matched: ['ordinary'],
    th: 'e6666666666666',
  })
})

test('of generated traffic every class is kept for its rule, and a tenth of the ordinary', () => {
  const seed = 12
  const { requests, evaluations, traces } = agentTraffic({ seed, traces: 4_000, startMs: 1.76e12 })
  const thresholdMs = 6_000
  const verdicts = oracle({
    requests,
    evaluations,
    policy: { ...defaultOraclePolicy, variants: [{ ...activeVariant, untilMs: 2 }] },
    slowThresholdsMs: () => [thresholdMs],
    nowMs: 1,
  })
  const ruleOf = {
    error: 'span-error',
    judge: 'judge-failed',
    citation: 'citation-failed',
    csat: 'low-csat',
    outcome: 'outcome-failed',
    slow: 'slow',
    variant: 'active-variant',
    ordinary: 'ordinary',
  } as const
  let ordinary = 0
  let kept = 0
  for (const truth of traces) {
    const verdict = verdicts.get(traceKey(truth.tenant, truth.traceId))
    const name = `seed ${seed}, trace ${truth.traceId} of ${truth.tenant}`
    expect(verdict?.awaiting, name).toBe(false)
    expect(verdict?.root?.spanId ?? null, name).toBe(truth.rootSpanId)
    expect(verdict?.spans.length, name).toBe(truth.spanCount)
    if (truth.class !== 'ordinary') {
      expect(verdict?.matched, name).toContain(ruleOf[truth.class])
      expect(verdict?.keep, name).toBe(true)
      continue
    }
    if (truth.shape === 'long' || truth.features.length > 0) continue
    expect(verdict?.matched, name).toEqual(['ordinary'])
    ordinary++
    if (verdict?.keep === true) kept++
  }
  expect(Math.abs(kept / ordinary - 0.1)).toBeLessThan(0.02)
  const primaries = new Set([...verdicts.values()].map(({ primary }) => primary))
  expect(primaries.size).toBe(8)
  expect([...verdicts.values()].some(({ awaiting }) => awaiting)).toBe(true)
})
