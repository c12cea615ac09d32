import { PipelineError } from '@winnow/runtime'

/** What a trace is for: the rule that shall match it first, `ordinary` when none but that one. */
export type TraceClass =
  | 'error'
  | 'slow'
  | 'judge'
  | 'citation'
  | 'csat'
  | 'outcome'
  | 'variant'
  | 'ordinary'

/** Share of traces of each class; what is left to 1 is `ordinary`. */
export type ClassRates = Readonly<Record<Exclude<TraceClass, 'ordinary'>, number>>

/** Share of traces, unless said otherwise, that show what makes traffic awkward. */
export interface FeatureRates {
  /** Spans minutes apart in the log (`longTraceMs`): the root first or last, half each. */
  readonly long: number
  /** The root's parent lies outside and never comes; the root is a SERVER span. */
  readonly remoteParent: number
  /** Neither a root nor an entry span: every top span names a parent that never comes. */
  readonly rootless: number
  /** A second span without parent, starting after the root. */
  readonly twoRoots: number
  /** The evaluators' spans arrive `lateJudgeMs` after the others. */
  readonly lateJudge: number
  /** Some spans of the trace are sent again by another exporter, grouped differently. */
  readonly duplicates: number
  /** Share of requests that are sent again as they are. */
  readonly repeatedRequests: number
  /** The other tenant has used the same trace id shortly before. */
  readonly sharedTraceId: number
  /** Trace state `ot=rv:…`. */
  readonly explicitRandomness: number
  /** Trace state `ot=th:…;rv:…` with R ≥ T, beside another vendor's member. */
  readonly headSampled: number
  /** Trace state whose `ot` member is malformed and has to be ignored. */
  readonly badTraceState: number
  /** Of judge, citation, csat and outcome traces: told by an evaluation, not by a span. */
  readonly toldLater: number
  /** Ordinary traces that get passing evaluations. */
  readonly passingEvaluations: number
  /** Of evaluations: sent twice with the same id. */
  readonly repeatedEvaluations: number
  /** Evaluations of traces that never come, for every trace. */
  readonly orphanEvaluations: number
  /** Values of every OTLP shape: nested, empty, bytes, 64-bit, not-a-number. */
  readonly oddValues: number
  /** A span that ends before it starts. */
  readonly backwardsSpan: number
  /** A link to an earlier trace. */
  readonly links: number
}

/** Milliseconds after the trace's end at which an outcome is told; drawn evenly between the two. */
export interface EvaluationDelays {
  readonly shortlyMs: readonly [number, number]
  readonly laterMs: readonly [number, number]
  readonly longMs: readonly [number, number]
}

export interface TrafficOptions {
  readonly seed: number
  /** How many traces, over all tenants. */
  readonly traces: number
  /** Start of the first trace, Unix milliseconds. */
  readonly startMs: number
  readonly tenants?: readonly string[]
  /** Of event time, over all tenants. 5,000 traces at 0.03 a second span 48 hours. */
  readonly tracesPerSecond?: number
  readonly rates?: Partial<ClassRates>
  readonly features?: Partial<FeatureRates>
  /**
   * Everything within a few seconds of its trace's start - latencies a fifth, exporters five times a
   * second, long traces of 3 s, evaluations at most 6 s late - so that a run with short waits sees it all.
   */
  readonly quick?: boolean
  /** An exporter sends what it gathered this often. */
  readonly flushMs?: number
  /** Most spans of one request; an exporter with more sends several. */
  readonly requestSpansMax?: number
  /** Multiplies every duration. */
  readonly latencyScale?: number
  readonly longTraceMs?: readonly [number, number]
  readonly lateJudgeMs?: readonly [number, number]
  readonly evaluationDelays?: Partial<EvaluationDelays>
  /** Mean size of a span in encoded bytes, to within some 10 %; at least {@link spanBytesMeanMin}. */
  readonly spanBytesMean?: number
}

export type TrafficPlan = Required<
  Omit<TrafficOptions, 'rates' | 'features' | 'evaluationDelays'>
> & {
  readonly rates: ClassRates
  readonly features: FeatureRates
  readonly evaluationDelays: EvaluationDelays
}

/** The load that the rivals were measured with, and half a percent for the rule they had not. */
export const defaultRates: ClassRates = {
  error: 0.03,
  slow: 0.01,
  judge: 0.02,
  citation: 0.02,
  csat: 0.02,
  outcome: 0.005,
  variant: 0.01,
}

export const defaultFeatures: FeatureRates = {
  long: 0.005,
  remoteParent: 0.02,
  rootless: 0.01,
  twoRoots: 0.003,
  lateJudge: 0.01,
  duplicates: 0.02,
  repeatedRequests: 0.005,
  sharedTraceId: 0.003,
  explicitRandomness: 0.03,
  headSampled: 0.03,
  badTraceState: 0.005,
  toldLater: 0.5,
  passingEvaluations: 0.05,
  repeatedEvaluations: 0.1,
  orphanEvaluations: 0.002,
  oddValues: 0.02,
  backwardsSpan: 0.005,
  links: 0.05,
}

/** Fills in what was left out. Throws CONFIG_INVALID for what no traffic can have. */
export function planTraffic(options: TrafficOptions): TrafficPlan {
  const quick = options.quick ?? false
  const plan: TrafficPlan = {
    tenants: ['acme', 'globex'],
    tracesPerSecond: quick ? 400 : 50,
    quick,
    flushMs: quick ? 200 : 1_000,
    requestSpansMax: 512,
    latencyScale: quick ? 0.2 : 1,
    longTraceMs: quick ? [2_500, 4_000] : [150_000, 400_000],
    lateJudgeMs: quick ? [800, 2_000] : [4_000, 45_000],
    spanBytesMean: 1_700,
    ...options,
    rates: { ...defaultRates, ...options.rates },
    features: { ...defaultFeatures, ...options.features },
    evaluationDelays: { ...(quick ? quickDelays : defaultDelays), ...options.evaluationDelays },
  }
  check('traces', plan.traces, Number.isSafeInteger(plan.traces) && plan.traces >= 0)
  check('tenants', plan.tenants.length, plan.tenants.length > 0)
  check('tracesPerSecond', plan.tracesPerSecond, plan.tracesPerSecond > 0)
  check('flushMs', plan.flushMs, plan.flushMs >= 1)
  check('requestSpansMax', plan.requestSpansMax, plan.requestSpansMax >= 1)
  check('latencyScale', plan.latencyScale, plan.latencyScale > 0)
  check('spanBytesMean', plan.spanBytesMean, plan.spanBytesMean >= spanBytesMeanMin)
  const classes = Object.values(plan.rates)
  check('rates', classes.join(' + '), classes.reduce((sum, rate) => sum + rate, 0) <= 1 + 1e-9)
  for (const [name, rate] of Object.entries({ ...plan.rates, ...plan.features })) {
    check(name, rate, rate >= 0 && rate <= 1)
  }
  return plan
}

/** Ids, times and the structural attributes of a span weigh this much without any text. */
export const spanBytesMeanMin = 600

const defaultDelays: EvaluationDelays = {
  shortlyMs: [500, 10_000],
  laterMs: [60_000, 300_000],
  longMs: [3_600_000, 6 * 3_600_000],
}

const quickDelays: EvaluationDelays = {
  shortlyMs: [200, 1_000],
  laterMs: [1_000, 3_000],
  longMs: [3_000, 6_000],
}

function check(name: string, value: number | string, holds: boolean): void {
  if (holds) return
  throw new PipelineError(
    'CONFIG_INVALID',
    `traffic option ${name} is ${value}: counts and times must be positive, shares lie between 0 and 1 and class rates add up to at most 1`,
  )
}
