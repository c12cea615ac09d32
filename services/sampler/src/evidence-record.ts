import {
  acceptsVersion,
  type CloseReason,
  type DecidedRetraction,
  type Evaluation,
  type EvaluationRecord,
  type Evidence,
  evaluationBytesMax,
  type PackedSlice,
  packedSlices,
  packedSlicesOf,
  type RescueRequest,
  type RetractionRecord,
  requestReasonBytesMax,
  retractionBytesMax,
  type Summary,
  slicesText,
} from '@winnow/model'
import { checkFormat } from './format.ts'

/** Ids and tenants, in UTF-8. */
export const idBytesMax = 256

export type ParsedEvidence =
  | { readonly ok: true; readonly evidence: Evidence }
  | { readonly ok: false; readonly mistake: string }

/**
 * Reads a record of `evidence`. What is malformed is refused alone, with a reason that names a field
 * and never a value. A newer format is DATA_CORRUPT: to skip it would lose evidence.
 */
export function parseEvidence(value: Uint8Array, where: string): ParsedEvidence {
  const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString()
  const sliceText = slicesText(text)
  const slices = sliceText === undefined ? undefined : packedSlices(sliceText)
  // An assembler writes the slices last: then only what stands before them has to be parsed.
  const isKnown = slices !== undefined && sliceText !== undefined
  const parsed = parseObject(isKnown ? headText(text, sliceText) : text)
  if (typeof parsed === 'string') return { ok: false, mistake: parsed }
  checkFormat('evidence', parsed.v, `${where}: evidence`)
  if (isKnown) parsed.slices = slices
  else if (Array.isArray(parsed.slices)) parsed.slices = packedSlicesOf(parsed.slices)
  const mistake = mistakeIn(parsed)
  if (mistake !== undefined) return { ok: false, mistake }
  return { ok: true, evidence: parsed as unknown as Evidence }
}

/** What stands before the slices' key. */
function headText(text: string, slices: string): string {
  return `${text.slice(0, text.length - slices.length - slicesKeyLength - 2)}}`
}

const slicesKeyLength = ',"slices":['.length

/** Or what is wrong with it. */
function parseObject(text: string): Record<string, unknown> | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return 'not JSON'
  }
  return isObject(parsed) ? parsed : 'not an object'
}

/** What of an evaluation record a decision keeps: all but the comment, which is content. */
export function evaluationOf(record: EvaluationRecord): Evaluation {
  const { id, name, spanId, score, label, passed, source, atMs } = record
  const { experiment, variant, sentAs, settled } = record
  return {
    id,
    name,
    ...(spanId !== undefined && { spanId }),
    ...(score !== undefined && { score }),
    ...(label !== undefined && { label }),
    ...(passed !== undefined && { passed }),
    ...(source !== undefined && { source }),
    ...(atMs !== undefined && { atMs }),
    ...(experiment !== undefined && { experiment }),
    ...(variant !== undefined && { variant }),
    ...(sentAs !== undefined && { sentAs }),
    ...(settled !== undefined && { settled }),
  }
}

export function retractionOf({ id, source, atMs }: RetractionRecord): DecidedRetraction {
  return { id, ...(source !== undefined && { source }), ...(atMs !== undefined && { atMs }) }
}

type Loose<T> = { readonly [K in keyof T]?: unknown }
type LooseEvidence = Loose<
  Omit<Summary, 'kind'> &
    EvaluationRecord &
    Omit<RescueRequest, 'kind'> &
    Omit<RetractionRecord, 'kind'>
>

function mistakeIn(record: LooseEvidence): string | undefined {
  if (!acceptsVersion('evidence', record.v)) return 'v'
  if (!isId(record.tenant)) return 'tenant'
  if (!isTraceId(record.traceId)) return 'traceId'
  switch (record.kind) {
    case 'summary':
      return mistakeInSummary(record)
    case 'evaluation':
      return mistakeInEvaluation(record)
    case 'retraction':
      return mistakeInRetraction(record)
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
  const slices = record.slices as readonly PackedSlice[]
  for (let i = 0; i < slices.length; i++) if (slices[i]?.isWhole !== true) return 'slices'
  return undefined
}

function mistakeInEvaluation(record: Loose<EvaluationRecord>): string | undefined {
  if (!isId(record.id)) return 'id'
  if (!isId(record.name)) return 'name'
  if (record.score !== undefined && !isNumber(record.score)) return 'score'
  if (record.passed !== undefined && typeof record.passed !== 'boolean') return 'passed'
  if (record.atMs !== undefined && !isNumber(record.atMs)) return 'atMs'
  for (const name of evaluationTexts) {
    if (record[name] !== undefined && typeof record[name] !== 'string') return name
  }
  if (record.settled !== undefined && record.settled !== true) return 'settled'
  const kept = JSON.stringify(evaluationOf(record as EvaluationRecord))
  return Buffer.byteLength(kept) > evaluationBytesMax ? 'its size' : undefined
}

const evaluationTexts = ['label', 'source', 'spanId', 'experiment', 'variant', 'sentAs'] as const

function mistakeInRetraction(record: Loose<RetractionRecord>): string | undefined {
  if (!isId(record.id)) return 'id'
  if (record.source !== undefined && typeof record.source !== 'string') return 'source'
  if (record.atMs !== undefined && !isNumber(record.atMs)) return 'atMs'
  const kept = JSON.stringify(retractionOf(record as RetractionRecord))
  return Buffer.byteLength(kept) > retractionBytesMax ? 'its size' : undefined
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
