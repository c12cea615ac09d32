import type { Random } from './random.ts'
import { type Dialect, dialects } from './traffic-dialects.ts'
import type { FeatureRates, TraceClass, TrafficPlan } from './traffic-options.ts'

/**
 * How the spans of a trace hang together. `faq` always takes equally long, `long` lasts minutes,
 * `rootless` and `remote` lack their outermost parent, `batch` starts at a CONSUMER span.
 */
export type Shape = 'chat' | 'refund' | 'faq' | 'batch' | 'long' | 'rootless' | 'remote'

/** When the outcome that decides a trace is told: by one of its spans, or by an evaluation. */
export type Told = 'span' | 'before' | 'shortly' | 'later' | 'long'

/** `recovered`: a retry succeeded. `storm`: after many. `fatal`: none did, and the root failed. */
export type Failure = 'none' | 'recovered' | 'storm' | 'fatal'

/** Everything about a trace that is decided before its first span. */
export interface Story {
  readonly tenant: string
  readonly traceId: string
  readonly startMs: number
  readonly class: TraceClass
  readonly shape: Shape
  readonly told: Told
  readonly failure: Failure
  readonly dialect: Dialect
  readonly traceState: string
  readonly sessionId: string
  /** What applies of {@link FeatureRates}, by name. */
  readonly features: ReadonlySet<keyof FeatureRates>
  readonly experiment: string | null
  readonly variant: string | null
}

/** The variant that a policy has to register for class `variant` to match `active-variant`. */
export const activeVariant = { experiment: 'exp_hybrid_retrieval_v2', variant: 'B' } as const

/** Half of all traces run in this experiment, evenly A and B. Nobody registered it. */
export const idleExperiment = 'exp_prompt_terser_v3'

export function tellStory(
  random: Random,
  plan: TrafficPlan,
  identity: {
    readonly tenant: string
    readonly traceId: string
    /** Another tenant has used the trace id. */
    readonly shared: boolean
    readonly startMs: number
  },
): Story {
  const { shared, ...rest } = identity
  const features = new Set<keyof FeatureRates>(shared ? ['sharedTraceId'] : [])
  for (const name of ofOneTrace) {
    if (random.chance(plan.features[name])) features.add(name)
  }
  const toldLater = random.chance(plan.features.toldLater)
  const kind = drawClass(random, plan)
  const shape = drawShape(random, kind, features)
  const verdict = kind === 'judge' || kind === 'citation' || kind === 'csat' || kind === 'outcome'
  const told = verdict && toldLater ? drawTold(random) : 'span'
  const inExperiment = random.chance(0.5)
  const arm = random.pick(['A', 'B'] as const)
  return {
    ...rest,
    class: kind,
    shape,
    told,
    failure: kind === 'error' ? drawFailure(random) : 'none',
    dialect: random.pick(dialects),
    traceState: drawTraceState(random, features),
    sessionId: `sess_${random.hex(1)}`,
    features,
    experiment:
      kind === 'variant' ? activeVariant.experiment : inExperiment ? idleExperiment : null,
    variant: kind === 'variant' ? activeVariant.variant : inExperiment ? arm : null,
  }
}

/** The features that a trace has or has not, by itself. */
const ofOneTrace = [
  'long',
  'remoteParent',
  'rootless',
  'twoRoots',
  'lateJudge',
  'duplicates',
  'explicitRandomness',
  'headSampled',
  'badTraceState',
  'passingEvaluations',
  'oddValues',
  'backwardsSpan',
  'links',
] as const satisfies readonly (keyof FeatureRates)[]

function drawClass(random: Random, plan: TrafficPlan): TraceClass {
  let left = random.unit()
  for (const [kind, rate] of Object.entries(plan.rates)) {
    if (left < rate) return kind as TraceClass
    left -= rate
  }
  return 'ordinary'
}

function drawShape(random: Random, kind: TraceClass, features: Set<keyof FeatureRates>): Shape {
  const usual = random.unit()
  // A slow trace is slow among its like: none of the shapes whose duration says nothing.
  if (kind === 'slow') {
    for (const name of ['long', 'rootless', 'remoteParent', 'twoRoots'] as const) {
      features.delete(name)
    }
    return usual < 0.8 ? 'chat' : 'refund'
  }
  const special = (['long', 'rootless', 'remoteParent'] as const).find(name => features.has(name))
  if (special !== undefined) {
    // One at a time: each has to be seen for itself.
    for (const name of ['long', 'rootless', 'remoteParent', 'twoRoots', 'lateJudge'] as const) {
      if (name !== special) features.delete(name)
    }
    return special === 'remoteParent' ? 'remote' : special
  }
  if (usual < 0.72) return 'chat'
  if (usual < 0.87) return 'refund'
  // An answer from the list of questions has no tool that could fail.
  if (usual < 0.95) return kind === 'error' ? 'chat' : 'faq'
  return 'batch'
}

function drawTold(random: Random): Told {
  const drawn = random.unit()
  if (drawn < 0.15) return 'before'
  if (drawn < 0.5) return 'shortly'
  return drawn < 0.85 ? 'later' : 'long'
}

function drawFailure(random: Random): Failure {
  const drawn = random.unit()
  if (drawn < 0.4) return 'recovered'
  return drawn < 0.8 ? 'fatal' : 'storm'
}

/** `ot=rv:…` with R anywhere; `ot=th:…;rv:…` with R ≥ T, as a head sampler lets through; or nonsense. */
function drawTraceState(random: Random, features: Set<keyof FeatureRates>): string {
  const digits = random.hex(2).slice(0, 14)
  const threshold = random.pick(['8', 'c', '4'])
  const other = random.chance(0.5) ? 'congo=t61rcWkgMzE,' : ''
  const nonsense = random.pick(['ot=rv:12345', 'ot=th:XYZ;rv:0123456789ABCD', 'ot=rv', 'ot=;;:'])
  if (features.has('headSampled')) {
    features.delete('explicitRandomness')
    features.delete('badTraceState')
    const first = random.int(Number.parseInt(threshold, 16), 15).toString(16)
    return `${other}ot=th:${threshold};rv:${first}${digits.slice(1)}`
  }
  if (features.has('explicitRandomness')) {
    features.delete('badTraceState')
    return `${other}ot=rv:${digits}`
  }
  return features.has('badTraceState') ? nonsense : ''
}
