import { createHash } from 'node:crypto'
import type { EvaluationRecord } from './evidence.ts'
import { factTextBytesMax } from './facts.ts'
import { writtenVersion } from './formats.ts'
import { parseTraceId, type TraceId } from './trace-id.ts'

/** What is wrong with one field of one evaluation, as an API answers it: `{error: {…}}`. */
export interface EvaluationMistake {
  readonly code: EvaluationMistakeCode
  /** `traceId`, or `[3].traceId` in an array. Absent where the whole body is meant. */
  readonly field?: string
  /** What was sent, shortened. Absent where nothing was. */
  readonly value?: string
  readonly remedy: string
}

export type EvaluationMistakeCode =
  | 'EVALUATIONS_TOO_MANY'
  | 'FIELD_INVALID'
  | 'FIELD_UNKNOWN'
  | 'OUTCOME_MISSING'
  | 'TRACE_ID_INVALID'
  | 'TRACE_ID_MISSING'

export interface EvaluationLimits {
  /** Most evaluations in one request. */
  readonly evaluationsMax: number
  /** Longest comment, in UTF-8 bytes. */
  readonly commentBytesMax: number
}

export const evaluationLimits: EvaluationLimits = {
  evaluationsMax: 1000,
  commentBytesMax: 16 * 1024,
}

/** Longest name and source, in UTF-8 bytes; a label is a fact and has `factTextBytesMax`. */
export const evaluationNameBytesMax = 128
/** Longest id of a client's own. */
export const evaluationIdCharsMax = 128
/** So many mistakes are named; a hostile body gets no longer answer. */
export const evaluationMistakesMax = 20

export type EvaluationInput =
  | { readonly kind: 'evaluations'; readonly records: readonly EvaluationRecord[] }
  /** At least one mistake. Nothing of the request is taken. */
  | { readonly kind: 'mistakes'; readonly mistakes: readonly EvaluationMistake[] }

/**
 * Reads the body of `POST /api/v1/evaluations`: one object or an array of
 * `{id?, traceId, spanId?, name, score?, label?, passed?, source?, at?, comment?}`. Null is absent,
 * `score` may be a numeric string, `at` is RFC 3339. Anything wrong refuses the whole request and
 * names every mistake, because a misspelt field is an outcome that no rule would ever see.
 */
export function evaluationsFrom(
  tenant: string,
  input: unknown,
  limits: EvaluationLimits = evaluationLimits,
): EvaluationInput {
  const items: readonly unknown[] = Array.isArray(input) ? input : [input]
  if (items.length > limits.evaluationsMax) {
    const remedy = `send at most ${limits.evaluationsMax} evaluations in one request (evaluationsMax)`
    const mistake = { code: 'EVALUATIONS_TOO_MANY', value: String(items.length), remedy } as const
    return { kind: 'mistakes', mistakes: [mistake] }
  }
  const records: EvaluationRecord[] = []
  const mistakes: EvaluationMistake[] = []
  for (const [index, item] of items.entries()) {
    const fields = new Fields(item, Array.isArray(input) ? `[${index}].` : '', mistakes)
    const record = readEvaluation(tenant, fields, limits)
    if (record !== undefined) records.push(record)
    if (mistakes.length >= evaluationMistakesMax) break
  }
  return mistakes.length === 0
    ? { kind: 'evaluations', records }
    : { kind: 'mistakes', mistakes: mistakes.slice(0, evaluationMistakesMax) }
}

/** The HTTP status of a refused request: 422, or 413 where it was only too much at once. */
export function evaluationStatus(mistakes: readonly EvaluationMistake[]): 413 | 422 {
  return mistakes[0]?.code === 'EVALUATIONS_TOO_MANY' ? 413 : 422
}

/** The body of such an answer: the first mistake, and all of them where there are more. */
export function evaluationError(mistakes: readonly EvaluationMistake[]): object {
  return mistakes.length > 1 ? { error: mistakes[0], errors: mistakes } : { error: mistakes[0] }
}

/** The body of a 202. */
export function evaluationsAccepted(records: readonly EvaluationRecord[]): object {
  return { evaluations: records.map(({ id }) => ({ id, state: 'accepted' })) }
}

const known = [
  'id',
  'traceId',
  'spanId',
  'name',
  'score',
  'label',
  'passed',
  'source',
  'at',
  'comment',
]

function readEvaluation(
  tenant: string,
  fields: Fields,
  limits: EvaluationLimits,
): EvaluationRecord | undefined {
  const before = fields.mistakes.length
  fields.refuseUnknown(known)
  const traceId = fields.traceId()
  const clientId = fields.matching(
    'id',
    clientIdText,
    `1 to ${evaluationIdCharsMax} ${idCharacters}`,
  )
  const spanId = fields.matching('spanId', spanIdText, '16 hex digits, not all zero')?.toLowerCase()
  const name = fields.text('name', evaluationNameBytesMax)
  const score = fields.score()
  const label = fields.text('label', factTextBytesMax, 'put longer text into comment')
  const passed = fields.boolean('passed')
  const source = fields.text('source', evaluationNameBytesMax)
  const atMs = fields.moment('at')
  const comment = fields.text('comment', limits.commentBytesMax)
  if (!fields.has('name'))
    fields.note('FIELD_INVALID', 'name', 'say what was judged: judge, csat …')
  if (!fields.has('score') && !fields.has('label') && !fields.has('passed')) {
    fields.note(
      'OUTCOME_MISSING',
      undefined,
      'give score, label or passed: a comment is no outcome',
    )
  }
  if (fields.mistakes.length > before || traceId === undefined || name === undefined) {
    return undefined
  }
  const content = {
    name,
    ...(spanId !== undefined && { spanId }),
    ...(score !== undefined && { score }),
    ...(label !== undefined && { label }),
    ...(passed !== undefined && { passed }),
    ...(source !== undefined && { source }),
    ...(atMs !== undefined && { atMs }),
    ...(comment !== undefined && { comment }),
  }
  const id = `${traceId}.${clientId ?? contentHash(content)}`
  return { v: writtenVersion('evidence'), kind: 'evaluation', tenant, traceId, id, ...content }
}

/** Of an object whose keys are always in one order: a retry is the same evaluation, not a second one. */
function contentHash(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32)
}

const clientIdText = /^[\x21-\x7e]{1,128}$/
const idCharacters = 'printable ASCII characters without space'
const spanIdText = /^(?!0{16}$)[0-9a-fA-F]{16}$/
const scoreText = /^-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?$/
/** RFC 3339. A time without a zone would mean another moment on every machine. */
const momentText = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/
const shownCharsMax = 80

/** Reads the fields of one object; what is wrong is noted and reads as undefined. */
class Fields {
  readonly mistakes: EvaluationMistake[]
  readonly #from: Readonly<Record<string, unknown>>
  readonly #prefix: string

  constructor(item: unknown, prefix: string, mistakes: EvaluationMistake[]) {
    this.mistakes = mistakes
    this.#prefix = prefix
    const isObject = typeof item === 'object' && item !== null && !Array.isArray(item)
    this.#from = isObject ? (item as Record<string, unknown>) : {}
  }

  has(field: string): boolean {
    return this.#get(field) !== undefined
  }

  note(code: EvaluationMistakeCode, field: string | undefined, remedy: string): void {
    const value = field === undefined ? undefined : this.#get(field)
    const where = field === undefined ? this.#prefix.slice(0, -1) : this.#prefix + field
    this.mistakes.push({
      code,
      ...(where !== '' && { field: where }),
      ...(value !== undefined && { value: shown(value) }),
      remedy,
    })
  }

  refuseUnknown(names: readonly string[]): void {
    for (const field of Object.keys(this.#from)) {
      if (names.includes(field)) continue
      const remedy = `the fields are ${names.join(', ')}`
      this.note('FIELD_UNKNOWN', field.slice(0, shownCharsMax), remedy)
      if (this.mistakes.length >= evaluationMistakesMax) return
    }
  }

  traceId(): TraceId | undefined {
    const value = this.#get('traceId')
    if (value === undefined) {
      const remedy =
        'give the 32 hex digits of the trace that is judged; the active span’s context has them'
      this.note('TRACE_ID_MISSING', 'traceId', remedy)
      return undefined
    }
    const traceId = typeof value === 'string' ? parseTraceId(value) : undefined
    if (traceId === undefined) {
      this.note('TRACE_ID_INVALID', 'traceId', 'send 32 hex digits, not all zero')
    }
    return traceId
  }

  matching(field: string, pattern: RegExp, what: string): string | undefined {
    const value = this.#get(field)
    if (value === undefined || (typeof value === 'string' && pattern.test(value))) return value
    this.note('FIELD_INVALID', field, `send ${what}`)
    return undefined
  }

  text(field: string, bytesMax: number, hint?: string): string | undefined {
    const value = this.#get(field)
    if (value === undefined) return undefined
    const isText = typeof value === 'string' && value.trim() !== ''
    if (isText && Buffer.byteLength(value) <= bytesMax) return value.toWellFormed()
    const remedy = `send text of 1 to ${bytesMax} bytes${hint === undefined ? '' : `; ${hint}`}`
    this.note('FIELD_INVALID', field, remedy)
    return undefined
  }

  score(): number | undefined {
    const value = this.#get('score')
    const number = typeof value === 'string' && scoreText.test(value) ? Number(value) : value
    if (number === undefined) return undefined
    if (typeof number === 'number' && Number.isFinite(number)) return number
    this.note('FIELD_INVALID', 'score', 'send a finite number, or one as text')
    return undefined
  }

  boolean(field: string): boolean | undefined {
    const value = this.#get(field)
    if (value === undefined || typeof value === 'boolean') return value
    this.note('FIELD_INVALID', field, 'send true or false')
    return undefined
  }

  moment(field: string): number | undefined {
    const value = this.#get(field)
    if (value === undefined) return undefined
    const ms = typeof value === 'string' && momentText.test(value) ? Date.parse(value) : Number.NaN
    if (Number.isFinite(ms)) return ms
    this.note('FIELD_INVALID', field, 'send a time in RFC 3339, as 2026-05-22T10:15:00Z')
    return undefined
  }

  #get(field: string): unknown {
    const value = Object.hasOwn(this.#from, field) ? this.#from[field] : undefined
    return value === null ? undefined : value
  }
}

/** Of a list or an object only what it is: it may be nested deeper than a stack is high. */
function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '[…]' : '{…}'
  const text = String(value)
  return text.length <= shownCharsMax ? text : `${text.slice(0, shownCharsMax)}…`
}
