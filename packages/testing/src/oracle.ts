import type { Span, TracesData } from '@winnow/otlp'
import {
  defaultOraclePolicy,
  type OracleEvaluation,
  type OraclePolicy,
  type OracleRuleName,
} from './oracle-policy.ts'
import { durationOf, type OracleTrace, oracleRules } from './oracle-rules.ts'
import {
  readTraceState,
  rejectionThreshold,
  thresholdDigits,
  traceIdRandomness,
} from './oracle-threshold.ts'
import { type SentSpan, sentSpans } from './sent-span.ts'

/** Identity of a trace, as the oracle's map has it. */
export type TraceKey = `${string}/${string}`

export function traceKey(tenant: string, traceId: string): TraceKey {
  return `${tenant}/${traceId}`
}

export interface OracleInput {
  /** In order of arrival; what the receiver acknowledged. */
  readonly requests: Iterable<{ readonly tenant: string; readonly data: TracesData }>
  readonly evaluations: Iterable<OracleEvaluation>
  /** Traces that somebody asked to keep. */
  readonly rescues?: Iterable<{ readonly tenant: string; readonly traceId: string }>
  readonly policy?: OraclePolicy
  /**
   * What `slow` was compared with in each revision of a trace's decision, milliseconds, the last one
   * last; none where the key was not warm. It lies on the upper bound of the p99's bucket, so that
   * "in a bucket above" is "longer than". A moving threshold makes the answers of revisions differ:
   * any of them keeps, the last one names the primary rule.
   */
  readonly slowThresholdsMs?: (tenant: string, traceId: string) => readonly number[]
  /** Before it, an experiment registered until then is active. */
  readonly nowMs: number
}

export interface OracleVerdict {
  readonly tenant: string
  readonly traceId: string
  readonly keep: boolean
  /** First matching rule in policy order as of the last revision; `ordinary` for a drop. */
  readonly primary: OracleRuleName
  /** Every matching rule, in policy order, as of the last revision. */
  readonly matched: readonly OracleRuleName[]
  /** For people: what each matching rule saw. */
  readonly why: Readonly<Partial<Record<OracleRuleName, string>>>
  /** The highest among the matching rules. */
  readonly probability: number
  /** What that makes together with an upstream sampler's: the higher threshold, as `th` writes it. */
  readonly th: string
  /** Only evaluations came: no trace to keep, outside of every ratio. */
  readonly awaiting: boolean
  readonly root: Span | null
  readonly rootService: string | null
  readonly durationMs: number | null
  /** What a kept trace has to consist of: each span once, as it came first. */
  readonly spans: readonly SentSpan[]
  readonly duplicateSpans: number
}

/**
 * Which traces must be kept and why, from all that was sent and in one go: no log, no batches, no
 * revisions, no facts but the spans themselves. It shares no code with assembler and sampler, so that
 * a mistake of theirs is not also here.
 */
export function oracle(input: OracleInput): Map<TraceKey, OracleVerdict> {
  const traces = new Map<TraceKey, Gathered>()
  const gather = (tenant: string, traceId: string): Gathered => {
    const key = traceKey(tenant, traceId)
    const known = traces.get(key)
    if (known !== undefined) return known
    const fresh: Gathered = {
      tenant,
      traceId,
      spans: new Map(),
      sent: 0,
      evaluations: new Map(),
      rescued: false,
    }
    traces.set(key, fresh)
    return fresh
  }
  for (const { tenant, data } of input.requests) {
    for (const sent of sentSpans(data)) {
      const trace = gather(tenant, sent.span.traceId)
      trace.sent++
      if (!trace.spans.has(sent.span.spanId)) trace.spans.set(sent.span.spanId, sent)
    }
  }
  for (const evaluation of input.evaluations) {
    const { evaluations } = gather(evaluation.tenant, evaluation.traceId)
    if (!evaluations.has(evaluation.id)) evaluations.set(evaluation.id, evaluation)
  }
  for (const { tenant, traceId } of input.rescues ?? []) gather(tenant, traceId).rescued = true
  const verdicts = new Map<TraceKey, OracleVerdict>()
  for (const [key, trace] of traces) verdicts.set(key, judge(trace, input))
  return verdicts
}

interface Gathered {
  readonly tenant: string
  readonly traceId: string
  readonly spans: Map<string, SentSpan>
  /** Spans with their repeats. */
  sent: number
  readonly evaluations: Map<string, OracleEvaluation>
  rescued: boolean
}

function judge(gathered: Gathered, input: OracleInput): OracleVerdict {
  const { tenant, traceId } = gathered
  const policy = input.policy ?? defaultOraclePolicy
  const spans = [...gathered.spans.values()]
  const root = rootOf(spans)
  const thresholds = input.slowThresholdsMs?.(tenant, traceId) ?? []
  const answer = (slowThresholdsMs: readonly number[]) =>
    answerRules(policy, {
      tenant,
      traceId,
      spans,
      evaluations: [...gathered.evaluations.values()],
      root: root?.span ?? null,
      slowThresholdsMs,
      policy,
      nowMs: input.nowMs,
    })
  const last = answer(thresholds.slice(-1))
  const ever = answer(thresholds)
  const randomness = randomnessOf(traceId, spans)
  const keep = gathered.rescued || randomness >= rejectionThreshold(ever.probability)
  const threshold = rejectionThreshold(last.probability)
  const upstream = upstreamOf(spans)
  return {
    tenant,
    traceId,
    keep,
    primary: keep ? (last.matched[0] ?? 'ordinary') : 'ordinary',
    ...last,
    th: thresholdDigits(threshold > upstream ? threshold : upstream),
    awaiting: spans.length === 0,
    root: root?.span ?? null,
    rootService: root === null ? null : serviceOf(root),
    durationMs: root === null ? null : durationOf(root.span),
    spans,
    duplicateSpans: gathered.sent - spans.length,
  }
}

function answerRules(
  policy: OraclePolicy,
  trace: OracleTrace,
): Pick<OracleVerdict, 'matched' | 'why' | 'probability'> {
  const matched: OracleRuleName[] = []
  const why: Partial<Record<OracleRuleName, string>> = {}
  let probability = 0
  for (const rule of policy.rules) {
    const reason = oracleRules[rule.name](trace)
    if (reason === null) continue
    matched.push(rule.name)
    why[rule.name] = reason
    probability = Math.max(probability, rule.probability)
  }
  return { matched, why, probability }
}

/** What the first trace state that has one states, else what the trace id gives. */
function randomnessOf(traceId: string, spans: readonly SentSpan[]): bigint {
  for (const { span } of spans) {
    const { randomness } = readTraceState(span.traceState)
    if (randomness !== null) return randomness
  }
  return traceIdRandomness(traceId)
}

/** The highest threshold that a sampler before us applied; 0 when none did. */
function upstreamOf(spans: readonly SentSpan[]): bigint {
  let highest = 0n
  for (const { span } of spans) {
    const { threshold } = readTraceState(span.traceState)
    if (threshold !== null && threshold > highest) highest = threshold
  }
  return highest
}

/**
 * The span without parent, else the entry span (SERVER, CONSUMER or remote parent flag) whose parent
 * did not come. Of several the one that started first, then the one with the smallest id.
 */
function rootOf(spans: readonly SentSpan[]): SentSpan | null {
  const ids = new Set(spans.map(({ span }) => span.spanId))
  const parentless = spans.filter(({ span }) => span.parentSpanId === '')
  const entries = spans.filter(({ span }) => isEntry(span) && !ids.has(span.parentSpanId))
  const [first] = (parentless.length > 0 ? parentless : entries).toSorted(byStart)
  return first ?? null
}

function isEntry({ kind, flags }: Span): boolean {
  // Bit 9 means a remote parent, where bit 8 says that bit 9 is meant.
  return kind === 2 || kind === 5 || (flags & 0x300) === 0x300
}

function byStart(a: SentSpan, b: SentSpan): number {
  const order = a.span.startTimeUnixNano - b.span.startTimeUnixNano
  if (order !== 0n) return order < 0n ? -1 : 1
  return a.span.spanId < b.span.spanId ? -1 : 1
}

function serviceOf({ resource }: SentSpan): string | null {
  const value = resource.attributes.find(({ key }) => key === 'service.name')?.value
  return value !== undefined && 'stringValue' in value ? (value.stringValue ?? null) : null
}
