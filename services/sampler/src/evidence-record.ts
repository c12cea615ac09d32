import type {
  CloseReason,
  Evaluation,
  EvaluationRecord,
  Evidence,
  RescueRequest,
  Slice,
  SliceFacts,
  Summary,
} from '@winnow/model'
import { requestReasonBytesMax } from '@winnow/model'
import { checkFormat } from './format.ts'

/** An evaluation as a decision carries it, in UTF-8 JSON; a larger one is not taken. */
export const evaluationBytesMax = 1_024
/** Ids and tenants, in UTF-8. */
export const idBytesMax = 256

export type ParsedEvidence =
  | {
      readonly ok: true
      readonly evidence: Evidence
      /** JSON of a summary's slices between their brackets, where it is sure to be that. */
      readonly sliceText: string | undefined
    }
  | { readonly ok: false; readonly mistake: string }

/**
 * Reads a record of `evidence`. What is malformed is refused alone, with a reason that names a field
 * and never a value. A newer format is DATA_CORRUPT: to skip it would lose evidence.
 */
export function parseEvidence(value: Uint8Array, where: string): ParsedEvidence {
  const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString()
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return { ok: false, mistake: 'not JSON' }
  }
  if (!isObject(parsed)) return { ok: false, mistake: 'not an object' }
  checkFormat(parsed.v, `${where}: evidence`)
  const mistake = mistakeIn(parsed)
  if (mistake !== undefined) return { ok: false, mistake }
  const evidence = parsed as unknown as Evidence
  const sliceText = evidence.kind === 'summary' ? sliceTextIn(evidence, text) : undefined
  return { ok: true, evidence, sliceText }
}

/** An assembler writes the slices last, so their text ends where the record does. */
function sliceTextIn(summary: Summary, text: string): string | undefined {
  if (Object.keys(summary).at(-1) !== 'slices' || !text.endsWith(']}')) return undefined
  // Within a JSON string the quotes would be escaped, so this is the key; a second one is not trusted.
  const at = text.indexOf(slicesKey)
  const isOnly = at >= 0 && text.indexOf(slicesKey, at + 1) === -1
  return isOnly ? text.slice(at + slicesKey.length, -2) : undefined
}

const slicesKey = '"slices":['

/** What of an evaluation record a decision keeps: all but the comment, which is content. */
export function evaluationOf(record: EvaluationRecord): Evaluation {
  const { id, name, spanId, score, label, passed, source, atMs } = record
  return {
    id,
    name,
    ...(spanId !== undefined && { spanId }),
    ...(score !== undefined && { score }),
    ...(label !== undefined && { label }),
    ...(passed !== undefined && { passed }),
    ...(source !== undefined && { source }),
    ...(atMs !== undefined && { atMs }),
  }
}

type Loose<T> = { readonly [K in keyof T]?: unknown }
type LooseEvidence = Loose<Omit<Summary, 'kind'> & EvaluationRecord & Omit<RescueRequest, 'kind'>>

function mistakeIn(record: LooseEvidence): string | undefined {
  if (record.v !== 1) return 'v'
  if (!isId(record.tenant)) return 'tenant'
  if (!isTraceId(record.traceId)) return 'traceId'
  switch (record.kind) {
    case 'summary':
      return mistakeInSummary(record)
    case 'evaluation':
      return mistakeInEvaluation(record)
    case 'request':
      if (!isId(record.id)) return 'id'
      return isText(record.reason, requestReasonBytesMax) ? undefined : 'reason'
    default:
      return 'kind'
  }
}

function mistakeInSummary(record: Loose<Summary>): string | undefined {
  if (!Array.isArray(record.slices) || record.slices.length === 0) return 'slices'
  if (!reasons.has(record.reason)) return 'reason'
  if (!isCount(record.missingParents)) return 'missingParents'
  if (!isNumber(record.closedAtMs)) return 'closedAtMs'
  const slices = record.slices as readonly (Loose<Slice> | null)[]
  for (let i = 0; i < slices.length; i++) {
    const mistake = mistakeInSlice(slices[i] ?? nothing)
    if (mistake !== undefined) return mistake
  }
  return undefined
}

const nothing: Loose<Slice> = {}

function mistakeInSlice({ ref, facts, appendedAtMs }: Loose<Slice>): string | undefined {
  if (!isObject(ref) || !isCount(ref.partition) || !isCount(ref.offset)) return 'slices.ref'
  if (!isCount(ref.start) || !isCount(ref.length)) return 'slices.ref'
  if (!isNumber(appendedAtMs)) return 'slices.appendedAtMs'
  if (!isObject(facts) || typeof facts.spans !== 'string') return 'slices.facts.spans'
  if (!isDecimal(facts.startNs) || !isDecimal(facts.endNs)) return 'slices.facts.startNs'
  return areFacts(facts) ? undefined : 'slices.facts'
}

function areFacts(facts: Loose<SliceFacts>): boolean {
  const { roots, outcomes, services, experiment, variant, rv, th } = facts
  return (
    isTextOrNone(experiment) &&
    isTextOrNone(variant) &&
    isTextOrNone(rv) &&
    isTextOrNone(th) &&
    isListOrNone(services, isTextOrNone) &&
    isListOrNone(roots, isRoot) &&
    isListOrNone(outcomes, isOutcome)
  )
}

const isTextOrNone = (value: unknown): boolean => value === undefined || typeof value === 'string'
const isRoot = (value: unknown): boolean =>
  isObject(value) && isId(value.spanId) && isNumber(value.durationMs) && isDecimal(value.startNs)
const isOutcome = (value: unknown): boolean => isObject(value) && isId(value.name)

function isListOrNone(value: unknown, isOne: (value: unknown) => boolean): boolean {
  if (value === undefined) return true
  if (!Array.isArray(value)) return false
  for (let i = 0; i < value.length; i++) if (!isOne(value[i])) return false
  return true
}

function mistakeInEvaluation(record: Loose<EvaluationRecord>): string | undefined {
  if (!isId(record.id)) return 'id'
  if (!isId(record.name)) return 'name'
  if (record.score !== undefined && !isNumber(record.score)) return 'score'
  if (record.passed !== undefined && typeof record.passed !== 'boolean') return 'passed'
  if (record.atMs !== undefined && !isNumber(record.atMs)) return 'atMs'
  for (const name of ['label', 'source', 'spanId'] as const) {
    if (record[name] !== undefined && typeof record[name] !== 'string') return name
  }
  const kept = JSON.stringify(evaluationOf(record as EvaluationRecord))
  return Buffer.byteLength(kept) > evaluationBytesMax ? 'its size' : undefined
}

const reasons: ReadonlySet<unknown> = new Set<CloseReason>([
  'root',
  'rootless',
  'long',
  'spans',
  'bytes',
  'refs',
])

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value)
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown, bytesMax: number): value is string =>
  typeof value === 'string' &&
  // No character has more than three bytes.
  (value.length * 3 <= bytesMax || Buffer.byteLength(value) <= bytesMax)
const isId = (value: unknown): boolean => isText(value, idBytesMax) && value.length > 0

/** 32 lower-case hex digits; a loop, because a regular expression cost more than the rest of the checks. */
function isTraceId(value: unknown): boolean {
  if (typeof value !== 'string' || value.length !== 32) return false
  for (let at = 0; at < 32; at++) {
    const code = value.charCodeAt(at)
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false
  }
  return true
}

/** At most 20 digits without a leading zero. */
function isDecimal(value: unknown): boolean {
  if (typeof value !== 'string' || value.length === 0 || value.length > 20) return false
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < 0x30 || code > 0x39) return false
  }
  return value.length === 1 || value.charCodeAt(0) !== 0x30
}
