import { text } from './attributes.ts'
import type { Random } from './random.ts'
import { type ReadySpan, spanKind, TraceDraft } from './traffic-draft.ts'
import type { FeatureRates, TraceClass, TrafficPlan } from './traffic-options.ts'
import type { Origins } from './traffic-origins.ts'
import {
  addAgent,
  addEvaluators,
  addLlm,
  addRetrieval,
  addRoot,
  addTools,
} from './traffic-steps.ts'
import type { Failure, Shape, Story, Told } from './traffic-story.ts'
import { evaluationsOf, type TrafficEvaluation } from './traffic-verdicts.ts'

/** What the generator meant with a trace. What must become of it is the oracle's to say. */
export interface TraceTruth {
  readonly kind: 'trace'
  readonly tenant: string
  readonly traceId: string
  readonly class: TraceClass
  readonly shape: Shape
  readonly told: Told
  readonly failure: Failure
  readonly features: readonly (keyof FeatureRates)[]
  /** Start of the first and end of the last span, Unix milliseconds. */
  readonly startMs: number
  readonly endMs: number
  readonly spanCount: number
  /** Null for a rootless trace. */
  readonly rootSpanId: string | null
}

export interface BuiltTrace {
  readonly truth: TraceTruth
  readonly spans: readonly ReadySpan[]
  readonly evaluations: readonly TrafficEvaluation[]
}

/** One trace whole: its spans with the time at which each is ready, and what is said of it beside them. */
export function buildTrace(
  random: Random,
  plan: TrafficPlan,
  origins: Origins,
  story: Story,
): BuiltTrace {
  const draft = new TraceDraft(random, plan, story)
  const ids = tellTurn(draft)
  if (story.features.has('backwardsSpan')) draft.turnOneBack()
  const [lagLow, lagHigh] = plan.lateJudgeMs
  const lagMs = story.features.has('lateJudge') ? random.int(lagLow, lagHigh) : 0
  const endMs = draft.endMs()
  const truth: TraceTruth = {
    kind: 'trace',
    tenant: story.tenant,
    traceId: story.traceId,
    class: story.class,
    shape: story.shape,
    told: story.told,
    failure: story.failure,
    features: [...story.features],
    startMs: story.startMs,
    endMs,
    spanCount: draft.spanCount,
    rootSpanId: ids.root,
  }
  const evaluations = evaluationsOf(random, plan, story, ids, endMs)
  return { truth, spans: draft.finish(origins, lagMs), evaluations }
}

/** The steps of one turn in their order; the spans around them come last, when their end is known. */
function tellTurn(draft: TraceDraft): { root: string | null; judge: string | null } {
  const { random, story, plan } = draft
  const { shape } = story
  const root = draft.newId()
  const gateway = shape === 'chat' || shape === 'faq' || shape === 'remote'
  const agent = gateway ? draft.newId() : root
  const [longLow, longHigh] = plan.longTraceMs
  const pauseUs = shape === 'long' ? (random.int(longLow, longHigh) * 1_000) / 4 : 0
  const early = shape === 'long' && random.chance(0.5)
  draft.passUs(2_000)
  if (shape !== 'faq' && random.chance(0.7)) addLlm(draft, agent, 'gpt-4o-mini', 40, 0.7)
  draft.passUs(pauseUs)
  if (shape !== 'batch') addRetrieval(draft, agent)
  draft.passUs(pauseUs)
  const failed = addTools(draft, agent, shape === 'faq' ? 0 : random.int(0, 2))
  draft.passUs(pauseUs)
  let judge: string | null = null
  if (!failed) {
    const slower = story.class === 'slow' ? random.int(12, 25) : 1
    addLlm(draft, agent, 'claude-3-5-sonnet-20241022', 700 * slower, 2.5)
    draft.passUs(pauseUs)
    judge = addEvaluators(draft, agent)
  }
  if (shape === 'faq') draft.setMs(faqMs - 1)
  if (gateway) addAgent(draft, agent, root, failed)
  if (shape === 'faq') draft.setMs(faqMs)
  else draft.passUs(1_000)
  addRoot(draft, root, { isAgent: !gateway, failed, early })
  if (story.features.has('twoRoots')) addSecondRoot(draft)
  return { root: shape === 'rootless' ? null : root, judge }
}

/** What a `faq` turn takes, always and exactly, before `latencyScale`. */
export const faqMs = 250

/** Some libraries start a span of their own behind the answer and forget whose it is. */
function addSecondRoot(draft: TraceDraft): void {
  draft.add(5, {
    service: 'chat-gateway',
    parentId: '',
    name: 'audit.write',
    kind: spanKind.internal,
    attributes: [text('audit.sink', 'kafka')],
  })
}
