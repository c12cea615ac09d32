import {
  type EvaluationLimits,
  type EvaluationRecord,
  evaluationNameBytesMax,
  evaluationsFrom,
  parseTraceId,
} from '@winnow/model'
import type { AnyValue, ExportResult, LogRecord, LogsData, Rejection } from '@winnow/otlp'

/** The one event that is more than a log line here (OpenTelemetry GenAI conventions, v1.38). */
export const evaluationEvent = 'gen_ai.evaluation.result'

/** So many refused log records are described in an answer; all of them are counted. */
const refusalsDescribedMax = 5

/**
 * The evaluations among log records. Every other record is refused with a reason, and so is one that
 * names no trace: nobody could say what it judges. `rejected`: what OTLP/JSON refused before.
 */
export function evaluationsInLogs(
  tenant: string,
  data: LogsData,
  rejected: readonly Rejection[],
  limits: EvaluationLimits,
): { readonly records: readonly EvaluationRecord[]; readonly result: ExportResult } {
  const records: EvaluationRecord[] = []
  const reasons = rejected.slice(0, refusalsDescribedMax).map(({ message }) => message)
  let refused = rejected.length
  for (const { scopeLogs } of data.resourceLogs) {
    for (const { scope, logRecords } of scopeLogs) {
      for (const log of logRecords) {
        const read = evaluationIn(tenant, log, scope.name, limits)
        if (typeof read !== 'string') {
          records.push(read)
          continue
        }
        refused++
        if (reasons.length < refusalsDescribedMax) reasons.push(read)
      }
    }
  }
  const errorMessage =
    refused === 0
      ? ''
      : `${refused} of ${refused + records.length} log records refused: ${reasons.join('; ')}`
  return { records, result: { rejected: refused, errorMessage } }
}

/** A string is the reason why there is none. */
function evaluationIn(
  tenant: string,
  log: LogRecord,
  scopeName: string,
  limits: EvaluationLimits,
): EvaluationRecord | string {
  const attributes = new Map(log.attributes.map(({ key, value }) => [key, plain(value)]))
  const event = log.eventName === '' ? attributes.get('event.name') : log.eventName
  if (event !== evaluationEvent) {
    return `only the event ${evaluationEvent} is taken; send other logs to a logs backend`
  }
  const context = parseTraceId(log.traceId)
  const traceId = context ?? traceIdText(attributes.get('gen_ai.response.id'))
  if (traceId === undefined) {
    return `${evaluationEvent} names no trace; emit it within the context of the span that it judges, or with the trace id as gen_ai.response.id`
  }
  const atNs = log.timeUnixNano === 0n ? log.observedTimeUnixNano : log.timeUnixNano
  const input = {
    traceId,
    ...(context !== undefined && /[^0]/.test(log.spanId) && { spanId: log.spanId }),
    name: attributes.get('gen_ai.evaluation.name'),
    score: attributes.get('gen_ai.evaluation.score.value'),
    label: attributes.get('gen_ai.evaluation.score.label'),
    comment: attributes.get('gen_ai.evaluation.explanation'),
    source: sourceOf(attributes, scopeName),
    ...(atNs > 0n && { at: new Date(Number(atNs / 1_000_000n)).toISOString() }),
  }
  const read = evaluationsFrom(tenant, input, limits)
  if (read.kind === 'evaluations') return read.records[0] as EvaluationRecord
  const texts = read.mistakes.map(({ field, remedy }) => `${attributeOf(field)}: ${remedy}`)
  return `${evaluationEvent} of trace ${traceId}: ${texts.join(', ')}`
}

const attributeOfField = {
  name: 'gen_ai.evaluation.name',
  score: 'gen_ai.evaluation.score.value',
  label: 'gen_ai.evaluation.score.label',
  comment: 'gen_ai.evaluation.explanation',
} as const

/** A mistake's field, as the sender of a log record calls it. */
function attributeOf(field: string | undefined): string {
  const known = attributeOfField[field as keyof typeof attributeOfField]
  return known ?? field ?? 'gen_ai.evaluation.score.value or .label'
}

function plain(value: AnyValue): string | number | boolean | undefined {
  if ('stringValue' in value) return value.stringValue
  if ('doubleValue' in value) return value.doubleValue
  if ('intValue' in value) return Number(value.intValue)
  if ('boolValue' in value) return value.boolValue
  return undefined
}

function traceIdText(value: unknown): string | undefined {
  return typeof value === 'string' ? parseTraceId(value) : undefined
}

/** Who judged: the evaluator where it is named (a later convention), else the instrumentation. */
function sourceOf(
  attributes: ReadonlyMap<string, string | number | boolean | undefined>,
  scopeName: string,
): string | undefined {
  const evaluator = attributes.get('gen_ai.evaluation.evaluator.id')
  const source = typeof evaluator === 'string' && evaluator !== '' ? evaluator : scopeName
  // Nobody decides by it, so that a long one is left out rather than the outcome lost.
  const fits = source.trim() !== '' && Buffer.byteLength(source) <= evaluationNameBytesMax
  return fits ? source : undefined
}
