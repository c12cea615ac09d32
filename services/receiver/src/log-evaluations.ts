import {
  type EvaluationLimits,
  evaluationNameBytesMax,
  evaluationsFrom,
  type OutcomeMap,
  type OutcomeRecord,
  parseTraceId,
} from '@winnow/model'
import {
  type AnyValue,
  type ExportResult,
  genAiNames,
  type KeyValue,
  type LogRecord,
  type LogsData,
  type Rejection,
} from '@winnow/otlp'

/** The events that are more than a log line here (OpenTelemetry's GenAI and feature flag conventions). */
export const evaluationEvent = 'gen_ai.evaluation.result'
export const flagEvent = 'feature_flag.evaluation'

/** So many refused log records are described in an answer; all of them are counted. */
const refusalsDescribedMax = 5

export interface LogReading {
  readonly limits: EvaluationLimits
  readonly outcomes: OutcomeMap
}

/**
 * The outcomes among log records. Every other record is refused with a reason, and so is one that
 * names no trace: nobody could say what it judges. `rejected`: what OTLP/JSON refused before.
 */
export function evaluationsInLogs(
  tenant: string,
  data: LogsData,
  rejected: readonly Rejection[],
  reading: LogReading,
): { readonly records: readonly OutcomeRecord[]; readonly result: ExportResult } {
  const records: OutcomeRecord[] = []
  const reasons = rejected.slice(0, refusalsDescribedMax).map(({ message }) => message)
  let refused = rejected.length
  for (const { resource, scopeLogs } of data.resourceLogs) {
    const service = plainValues(resource.attributes).get('service.name')
    for (const { scope, logRecords } of scopeLogs) {
      // Who speaks where no evaluator is named: the process, else what instruments it.
      const speaker = typeof service === 'string' ? `service:${service}` : scope.name
      for (const log of logRecords) {
        const read = outcomeIn(tenant, log, speaker, reading)
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

type Plain = string | number | boolean | undefined
type Plains = ReadonlyMap<string, Plain>

/** A string is the reason why there is none. */
function outcomeIn(
  tenant: string,
  log: LogRecord,
  speaker: string,
  { limits, outcomes }: LogReading,
): OutcomeRecord | string {
  const attributes = plainValues(log.attributes)
  const event = log.eventName === '' ? attributes.get('event.name') : log.eventName
  if (event !== evaluationEvent && event !== flagEvent) {
    return `only the events ${evaluationEvent} and ${flagEvent} are taken; send other logs to a logs backend`
  }
  const context = parseTraceId(log.traceId)
  const traceId = context ?? namedTrace(attributes)
  if (traceId === undefined) {
    return `${event} names no trace; emit it within the context of the span that it is about, or with the trace id as ${traceIdKeys.join(' or ')}`
  }
  const atNs = log.timeUnixNano === 0n ? log.observedTimeUnixNano : log.timeUnixNano
  const input = {
    traceId,
    ...(context !== undefined && /[^0]/.test(log.spanId) && { spanId: log.spanId }),
    // The same record sent again is the same outcome; with an id its sender may also take it back.
    id: attributes.get('log.record.uid'),
    retracted: attributes.get(retractedKey),
    ...(event === flagEvent ? armOf(attributes) : evaluationOf(attributes)),
    source: sourceOf(attributes, speaker),
    ...(atNs > 0n && { at: new Date(Number(atNs / 1_000_000n)).toISOString() }),
  }
  const read = evaluationsFrom(tenant, input, { limits, outcomes })
  if (read.kind === 'evaluations') return read.records[0] as OutcomeRecord
  const names = event === flagEvent ? attributeOfArm : attributeOfField
  const texts = read.mistakes.map(({ field, remedy }) => `${attributeOf(names, field)}: ${remedy}`)
  return `${event} of trace ${traceId}: ${texts.join(', ')}`
}

/** Of a record that takes back what another of the same `log.record.uid` has said. */
export const retractedKey = 'winnow.evaluation.retracted'

/** Where a record outside any context names its trace; some evaluators have no other field for it. */
const traceIdKeys = ['gen_ai.response.id', 'trace_id', 'trace.id'] as const

function namedTrace(attributes: Plains): string | undefined {
  for (const key of traceIdKeys) {
    const value = attributes.get(key)
    const traceId = typeof value === 'string' ? parseTraceId(value) : undefined
    if (traceId !== undefined) return traceId
  }
  return undefined
}

function evaluationOf(attributes: Plains): object {
  return {
    name: attributes.get(attributeOfField.name),
    score: attributes.get(attributeOfField.score),
    label: attributes.get(attributeOfField.label),
    comment: attributes.get(attributeOfField.comment),
  }
}

/** Which variant a flag gave this trace: an experiment's arm. */
function armOf(attributes: Plains): object {
  const first = (keys: readonly string[]): Plain =>
    keys.map(key => attributes.get(key)).find(value => value !== undefined)
  return {
    name: flagEvent,
    experiment: first([...genAiNames.experimentId, ...genAiNames.flagKey]),
    variant: first([...genAiNames.experimentVariant, ...genAiNames.flagVariant]),
  }
}

const attributeOfField = {
  name: 'gen_ai.evaluation.name',
  score: 'gen_ai.evaluation.score.value',
  label: 'gen_ai.evaluation.score.label',
  comment: 'gen_ai.evaluation.explanation',
  id: 'log.record.uid',
  retracted: retractedKey,
} as const

const attributeOfArm = {
  experiment: 'feature_flag.key',
  variant: 'feature_flag.result.variant',
  id: 'log.record.uid',
  retracted: retractedKey,
} as const

/** A mistake's field, as the sender of a log record calls it. */
function attributeOf(names: Readonly<Record<string, string>>, field: string | undefined): string {
  const known = field === undefined ? undefined : names[field]
  if (known !== undefined) return known
  if (field !== undefined) return field
  return names === attributeOfArm
    ? `${attributeOfArm.experiment} and ${attributeOfArm.variant}`
    : `${attributeOfField.score} or .label`
}

function plainValues(attributes: readonly KeyValue[]): Plains {
  return new Map(attributes.map(({ key, value }) => [key, plain(value)]))
}

function plain(value: AnyValue): Plain {
  if ('stringValue' in value) return value.stringValue
  if ('doubleValue' in value) return value.doubleValue
  if ('intValue' in value) return Number(value.intValue)
  if ('boolValue' in value) return value.boolValue
  return undefined
}

/** Who judged: the evaluator where it is named (a later convention), else who speaks. */
function sourceOf(attributes: Plains, speaker: string): string | undefined {
  const evaluator = attributes.get('gen_ai.evaluation.evaluator.id')
  const source = typeof evaluator === 'string' && evaluator !== '' ? evaluator : speaker
  // Nobody decides by it, so that a long one is left out rather than the outcome lost.
  const fits = source.trim() !== '' && Buffer.byteLength(source) <= evaluationNameBytesMax
  return fits ? source : undefined
}
