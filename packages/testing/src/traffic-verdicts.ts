import type { KeyValue } from '@winnow/otlp'
import { bool, double, int, text, texts } from './attributes.ts'
import type { Random } from './random.ts'
import type { TrafficPlan } from './traffic-options.ts'
import type { Story, Told } from './traffic-story.ts'
import { textOf } from './traffic-text.ts'

/** An outcome that a client posts beside the spans; the fields of `POST /api/v1/evaluations` and who sends it when. */
export interface TrafficEvaluation {
  readonly kind: 'evaluation'
  readonly tenant: string
  /** When the client sends it, Unix milliseconds. */
  readonly atMs: number
  /** When the evaluator made it: the same in a repeat. */
  readonly madeAtMs: number
  /** The client's own id, so that a repeat is the same evaluation. */
  readonly id: string
  readonly traceId: string
  readonly spanId?: string
  readonly name: string
  readonly score?: number
  readonly label?: string
  readonly passed?: boolean
  readonly source: string
  readonly comment?: string
}

/** What `POST /api/v1/evaluations` takes for it. */
export function evaluationBody(evaluation: TrafficEvaluation): Record<string, unknown> {
  const { kind: _, tenant: __, atMs: ___, madeAtMs, ...body } = evaluation
  return { ...body, at: new Date(madeAtMs).toISOString() }
}

/** The judge's attributes: failing in one of three ways where the story wants it, else passing. */
export function judgeAttributes(random: Random, story: Story): KeyValue[] {
  const way = random.int(0, 2)
  const label = random.pick(failingLabels)
  const lowScore = random.int(0, 49) / 100
  const passing = random.int(50, 100) / 100
  const rationale = text('judge.rationale', textOf(random, random.int(40, 160)))
  const version = text('judge.rubric_version', 'v3.2')
  if (story.class !== 'judge' || story.told !== 'span') {
    return [
      version,
      double('judge.score', passing),
      text('judge.label', 'policy_correct'),
      rationale,
    ]
  }
  if (way === 0) return [version, int('judge.score', 0), text('judge.label', label), rationale]
  if (way === 1) return [version, double('judge.score', lowScore), rationale]
  return [version, double('judge.score', 1), text('judge.label', label), rationale]
}

const failingLabels = ['fail', 'failed', 'incorrect', 'policy_incorrect'] as const

export function citationAttributes(random: Random, story: Story): KeyValue[] {
  const extracted = random.int(1, 6)
  const byList = random.chance(0.5)
  if (story.class !== 'citation' || story.told !== 'span') {
    return citation(extracted, extracted, [])
  }
  // Each of the two signs alone suffices.
  return byList
    ? citation(extracted, extracted, [textOf(random, 30)])
    : citation(extracted, extracted - 1, [])
}

function citation(extracted: number, supported: number, unsupported: string[]): KeyValue[] {
  return [
    int('citation.claims_extracted', extracted),
    int('citation.claims_supported', supported),
    texts('citation.unsupported', unsupported),
  ]
}

/** What the root says of the whole turn. Healthy traces state passing outcomes, or none. */
export function outcomeAttributes(random: Random, story: Story): KeyValue[] {
  const told: KeyValue[] = []
  const low = random.int(1, 2)
  const high = random.int(3, 5)
  const mood = random.unit()
  // 48f itself failed three ways at once.
  const alsoUnhappy = story.class === 'citation' && random.chance(0.2)
  if ((story.class === 'csat' && story.told === 'span') || alsoUnhappy) {
    told.push(csat(mood, low))
  } else if (story.class !== 'csat' && mood < 0.15) {
    told.push(csat(mood * 6, high))
  } else if (story.class !== 'csat' && mood > 0.99) {
    // No number: neither good nor bad, ignored and counted.
    told.push(text('outcome.csat_response', 'great'))
  }
  if (story.class === 'outcome' && story.told === 'span') {
    told.push(bool(random.pick(['outcome.resolved', 'outcome.policy_correct']), false))
  } else if (random.chance(0.3)) {
    told.push(bool('outcome.resolved', true))
  }
  return told
}

/** Survey tools send the number as an integer, as text, or as a double. */
function csat(draw: number, value: number): KeyValue {
  if (draw < 0.6) return int('outcome.csat_response', value)
  return draw < 0.8
    ? text('outcome.csat_response', String(value))
    : double('outcome.csat_response', value)
}

/**
 * The evaluations of one trace: the failing one where the story has it told beside the spans, and
 * passing ones. Some are sent twice.
 */
export function evaluationsOf(
  random: Random,
  plan: TrafficPlan,
  story: Story,
  spanIds: { readonly root: string | null; readonly judge: string | null },
  endMs: number,
): TrafficEvaluation[] {
  const made: TrafficEvaluation[] = []
  const add = (told: Told, outcome: Outcome) => {
    const atMs = toldAtMs(random, plan, story, told, endMs)
    const evaluation = {
      kind: 'evaluation' as const,
      tenant: story.tenant,
      atMs,
      madeAtMs: atMs,
      id: `ev-${random.hex(2)}`,
      traceId: story.traceId,
      source: outcome.name === 'csat' ? 'survey' : 'offline-judge',
      ...(random.chance(0.3) ? { comment: textOf(random, random.int(20, 200)) } : {}),
      ...outcome,
    }
    made.push(evaluation)
    if (random.chance(plan.features.repeatedEvaluations)) {
      made.push({ ...evaluation, atMs: atMs + random.int(1, 2_000) })
    }
  }
  if (story.told !== 'span') add(story.told, failingOutcome(random, story, spanIds))
  if (story.class === 'ordinary' && story.features.has('passingEvaluations')) {
    const told = random.pick(['before', 'shortly', 'later', 'long'] as const)
    add(told, random.pick(passingOutcomes))
  }
  return made
}

type Outcome = Pick<TrafficEvaluation, 'name' | 'score' | 'label' | 'passed' | 'spanId'>

function failingOutcome(
  random: Random,
  story: Story,
  spanIds: { readonly root: string | null; readonly judge: string | null },
): Outcome {
  const way = random.int(0, 2)
  const label = random.pick(failingLabels)
  const score = random.int(0, 49) / 100
  switch (story.class) {
    case 'judge': {
      const at = spanIds.judge === null ? {} : { spanId: spanIds.judge }
      if (way === 0) return { ...at, name: 'judge', passed: false }
      return way === 1 ? { ...at, name: 'judge', score } : { ...at, name: 'judge', label }
    }
    case 'citation':
      return { name: 'citation', passed: false }
    case 'csat': {
      const at = spanIds.root === null ? {} : { spanId: spanIds.root }
      return { ...at, name: 'csat', score: random.int(1, 2) }
    }
    default:
      return { name: random.pick(['resolution', 'human-review']), passed: false, label: 'reopened' }
  }
}

const passingOutcomes: readonly Outcome[] = [
  { name: 'csat', score: 5 },
  { name: 'csat', score: 3 },
  { name: 'judge', score: 0.5 },
  { name: 'judge', label: 'pass', passed: true },
  { name: 'citation', passed: true },
  { name: 'human-review', passed: true, label: 'fine' },
]

function toldAtMs(
  random: Random,
  plan: TrafficPlan,
  story: Story,
  told: Told,
  endMs: number,
): number {
  const { shortlyMs, laterMs, longMs } = plan.evaluationDelays
  const after = (range: readonly [number, number]) =>
    Math.round(endMs + range[0] + random.unit() * (range[1] - range[0]))
  switch (told) {
    case 'before':
      return Math.ceil(story.startMs) + 1
    case 'shortly':
      return after(shortlyMs)
    case 'later':
      return after(laterMs)
    default:
      return after(longMs)
  }
}
