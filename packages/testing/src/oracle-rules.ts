import type { AnyValue, KeyValue, Span } from '@winnow/otlp'
import type { OracleEvaluation, OraclePolicy, OracleRuleName } from './oracle-policy.ts'
import type { SentSpan } from './sent-span.ts'

/** All that a rule may look at, at rest: nothing more will come. */
export interface OracleTrace {
  readonly tenant: string
  readonly traceId: string
  /** Each span once, in order of arrival. */
  readonly spans: readonly SentSpan[]
  /** Each evaluation once. */
  readonly evaluations: readonly OracleEvaluation[]
  readonly root: Span | null
  /** What `slow` was compared with, in milliseconds: each revision's. */
  readonly slowThresholdsMs: readonly number[]
  readonly policy: OraclePolicy
  readonly nowMs: number
}

/** Says why the rule matches, null when it does not. */
export type OracleRule = (trace: OracleTrace) => string | null

/** The default rules of the design's section 7, one line of the table each. */
export const oracleRules: Record<OracleRuleName, OracleRule> = {
  'span-error': ({ spans }) => {
    const failed = spans.find(({ span }) => span.status.code === 2)
    return failed === undefined ? null : `span ${failed.span.spanId} has status ERROR`
  },
  'judge-failed': trace => anySpan(trace, judgedBadly) ?? anyEvaluation(trace, 'judge', fails),
  'citation-failed': trace => anySpan(trace, citedBadly) ?? anyEvaluation(trace, 'citation', fails),
  'low-csat': trace => anySpan(trace, unhappy) ?? anyEvaluation(trace, 'csat', unhappyScore),
  'outcome-failed': trace => anySpan(trace, statesFailure) ?? otherFailure(trace),
  slow: ({ root, slowThresholdsMs }) => {
    if (root === null) return null
    const durationMs = durationOf(root)
    const passed = slowThresholdsMs.find(thresholdMs => durationMs > thresholdMs)
    return passed === undefined ? null : `the root took ${durationMs} ms, over ${passed}`
  },
  'active-variant': ({ spans, policy, nowMs }) => {
    for (const { resource, span } of spans) {
      const of = (key: string) => find(resource.attributes, key) ?? find(span.attributes, key)
      const experiment = textIn(of('experiment.id'))
      const variant = textIn(of('experiment.variant'))
      const registered = policy.variants.some(
        entry =>
          entry.experiment === experiment && entry.variant === variant && nowMs < entry.untilMs,
      )
      if (registered) return `span ${span.spanId} ran ${experiment} ${variant}`
    }
    return null
  },
  ordinary: () => 'always',
}

/** Milliseconds; 0 for a span that ends before it starts. */
export function durationOf(span: Span): number {
  return Math.max(0, Number(span.endTimeUnixNano - span.startTimeUnixNano) / 1e6)
}

const failureLabels = ['fail', 'failed', 'incorrect', 'policy_incorrect']

function judgedBadly({ span }: SentSpan): string | null {
  const score = numberIn(find(span.attributes, 'judge.score'))
  const label = textIn(find(span.attributes, 'judge.label'))
  return fails({ ...(score === null ? {} : { score }), ...(label === null ? {} : { label }) })
}

function citedBadly({ span }: SentSpan): string | null {
  const unsupported = find(span.attributes, 'citation.unsupported')
  const extracted = numberIn(find(span.attributes, 'citation.claims_extracted'))
  const supported = numberIn(find(span.attributes, 'citation.claims_supported'))
  const listed =
    unsupported !== null && 'arrayValue' in unsupported ? unsupported.arrayValue.values.length : 0
  if (listed > 0) return `${listed} claims unsupported`
  if (extracted === null || supported === null || supported >= extracted) return null
  return `${supported} of ${extracted} claims supported`
}

function unhappy({ span }: SentSpan): string | null {
  const score = numberIn(find(span.attributes, 'outcome.csat_response'))
  return score === null ? null : unhappyScore({ score })
}

function statesFailure({ span }: SentSpan): string | null {
  for (const { key, value } of span.attributes) {
    if (key.startsWith('outcome.') && 'boolValue' in value && !value.boolValue) {
      return `${key} is false`
    }
  }
  return null
}

type Verdict = Pick<OracleEvaluation, 'score' | 'label' | 'passed'>

/** As a judge fails. */
function fails({ score, label, passed }: Verdict): string | null {
  if (passed === false) return 'not passed'
  if (label !== undefined && failureLabels.includes(label)) return `label ${label}`
  return score !== undefined && score >= 0 && score < 0.5 ? `score ${score}` : null
}

/** On a scale of 1 to 5, a number or text that is one; anything outside of it is no CSAT. */
function unhappyScore({ score, label }: Verdict): string | null {
  const given = score ?? (label === undefined ? null : numberOf(label))
  return given !== null && given >= 1 && given <= 2 ? `csat ${given}` : null
}

/** Judge and citation have rules of their own for it. */
function otherFailure({ evaluations }: OracleTrace): string | null {
  const failed = evaluations.find(
    ({ name, passed }) => name !== 'judge' && name !== 'citation' && passed === false,
  )
  return failed === undefined ? null : `${failed.name} not passed`
}

function anySpan({ spans }: OracleTrace, of: (sent: SentSpan) => string | null): string | null {
  for (const sent of spans) {
    const reason = of(sent)
    if (reason !== null) return `span ${sent.span.spanId}: ${reason}`
  }
  return null
}

function anyEvaluation(
  { evaluations }: OracleTrace,
  name: string,
  of: (verdict: Verdict) => string | null,
): string | null {
  for (const evaluation of evaluations) {
    const reason = evaluation.name === name ? of(evaluation) : null
    if (reason !== null) return `evaluation ${evaluation.id}: ${reason}`
  }
  return null
}

function find(attributes: readonly KeyValue[], key: string): AnyValue | null {
  return attributes.find(attribute => attribute.key === key)?.value ?? null
}

function textIn(value: AnyValue | null): string | null {
  return value !== null && 'stringValue' in value ? (value.stringValue ?? null) : null
}

/** Integers, doubles, and text that is a plain decimal number. */
function numberIn(value: AnyValue | null): number | null {
  if (value === null) return null
  if ('intValue' in value) return Number(value.intValue)
  if ('doubleValue' in value) return value.doubleValue
  return numberOf(textIn(value) ?? '')
}

function numberOf(text: string): number | null {
  return /^-?\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : null
}
