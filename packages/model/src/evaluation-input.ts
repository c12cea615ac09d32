import { createHash } from 'node:crypto'
import {
  type EvaluationRecord,
  evaluationBytesMax,
  type RetractionRecord,
  retractionBytesMax,
} from './evidence.ts'
import { factTextBytesMax } from './facts.ts'
import { writtenVersion } from './formats.ts'
import { mapped, noOutcomeMap, type OutcomeMap } from './outcome-map.ts'
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

/** What a client says of an outcome: that there is one, or that one is taken back. */
export type OutcomeRecord = EvaluationRecord | RetractionRecord

export type EvaluationInput =
  | { readonly kind: 'evaluations'; readonly records: readonly OutcomeRecord[] }
  /** At least one mistake. Nothing of the request is taken. */
  | { readonly kind: 'mistakes'; readonly mistakes: readonly EvaluationMistake[] }

/** What is known of whoever sends, beside what he says. */
export interface Speaker {
  readonly limits?: EvaluationLimits
  /** Of an evaluation that names no source: `key:NAME`. */
  readonly source?: string | undefined
  readonly outcomes?: OutcomeMap
  /** What he says anew under an id of his is a further evaluation; else the first one counts. */
  readonly updates?: boolean
}

/** Of an evaluation that may be said anew: what its id has behind the client's own. */
const updateSuffix = /~[0-9a-f]{16}$/

/** Whether the retraction of this id takes back the evaluation of that one, or all that was said under it. */
export function takesBack(retractionId: string, evaluationId: string): boolean {
  if (retractionId === evaluationId) return true
  return (
    evaluationId.startsWith(retractionId) && evaluationId.replace(updateSuffix, '') === retractionId
  )
}

/**
 * Reads the body of `POST /api/v1/evaluations`: one object or an array of `{id?, traceId, spanId?, name,
 * score?, label?, passed?, experiment?, variant?, source?, at?, comment?, retracted?}`. Null is absent,
 * `score` may be a numeric string, `at` is RFC 3339. With `retracted: true` it takes back the evaluation of
 * this `id`, or the one that says the same. Anything wrong refuses the whole request and names every
 * mistake, because a misspelt field is an outcome that no rule would ever see.
 */
export function evaluationsFrom(
  tenant: string,
  input: unknown,
  speaker: Speaker = {},
): EvaluationInput {
  const { limits = evaluationLimits } = speaker
  const items: readonly unknown[] = Array.isArray(input) ? input : [input]
  if (items.length > limits.evaluationsMax) {
    const remedy = `send at most ${limits.evaluationsMax} evaluations in one request (evaluationsMax)`
    const mistake = { code: 'EVALUATIONS_TOO_MANY', value: String(items.length), remedy } as const
    return { kind: 'mistakes', mistakes: [mistake] }
  }
  const records: OutcomeRecord[] = []
  const mistakes: EvaluationMistake[] = []
  for (const [index, item] of items.entries()) {
    const fields = new Fields(item, Array.isArray(input) ? `[${index}].` : '', mistakes)
    const record = readOutcome(tenant, fields, speaker)
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
export function evaluationsAccepted(records: readonly OutcomeRecord[]): object {
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
  'experiment',
  'variant',
  'source',
  'at',
  'comment',
  'retracted',
]

function readOutcome(
  tenant: string,
  fields: Fields,
  { limits = evaluationLimits, source: speaks, outcomes = noOutcomeMap, updates = false }: Speaker,
): OutcomeRecord | undefined {
  const before = fields.mistakes.length
  fields.refuseUnknown(known)
  const traceId = fields.traceId()
  const clientId = fields.clientId(traceId)
  const spanId = fields.matching('spanId', spanIdText, '16 hex digits, not all zero')?.toLowerCase()
  const name = fields.text('name', evaluationNameBytesMax)
  const score = fields.score()
  const label = fields.text('label', factTextBytesMax, 'put longer text into comment')
  const passed = fields.boolean('passed')
  const experiment = fields.text('experiment', factTextBytesMax)
  const variant = fields.text('variant', factTextBytesMax)
  const source = fields.text('source', evaluationNameBytesMax)
  const atMs = fields.moment('at')
  const comment = fields.text('comment', limits.commentBytesMax)
  const isRetracted = fields.boolean('retracted') === true
  // A retraction by its id need not say again what is taken back.
  if (!isRetracted || clientId === undefined) checkOutcome(fields, isRetracted)
  if (fields.mistakes.length > before || traceId === undefined) return undefined
  const content = {
    name: name ?? '',
    ...(spanId !== undefined && { spanId }),
    ...(score !== undefined && { score }),
    ...(label !== undefined && { label }),
    ...(passed !== undefined && { passed }),
    ...(experiment !== undefined && { experiment, variant }),
    ...(source !== undefined && { source }),
    ...(atMs !== undefined && { atMs }),
    ...(comment !== undefined && { comment }),
  } as Pick<EvaluationRecord, 'name'>
  const v = writtenVersion('evidence')
  const id = `${traceId}.${clientId ?? contentHash(content)}`
  const by = source ?? speaks
  const who = by === undefined ? {} : { source: by }
  if (isRetracted) {
    const at = atMs === undefined ? {} : { atMs }
    const back = { v, kind: 'retraction', tenant, traceId, id, ...who, ...at } as const
    return fields.fits({ id, ...who, ...at }, retractionBytesMax) ? back : undefined
  }
  const said = mapped(outcomes, content)
  // What no rule looks at makes no further evaluation.
  const judged = { ...content, source: undefined, atMs: undefined, comment: undefined }
  const isUpdatable = updates && clientId !== undefined
  const saidId = isUpdatable ? `${id}~${contentHash(judged).slice(0, 16)}` : id
  const record = { v, kind: 'evaluation', tenant, traceId, id: saidId, ...said, ...who } as const
  const { comment: _, ...kept } = { ...said, id: saidId, ...who } as Partial<EvaluationRecord>
  return fields.fits(kept, evaluationBytesMax) ? record : undefined
}

/** Notes what an evaluation lacks. */
function checkOutcome(fields: Fields, isRetracted: boolean): void {
  const byId = isRetracted ? ', or give the id of the evaluation that is taken back' : ''
  if (!fields.has('name')) {
    fields.note('FIELD_INVALID', 'name', `say what was judged: judge, csat …${byId}`)
  }
  if (fields.has('experiment') !== fields.has('variant')) {
    const missing = fields.has('variant') ? 'experiment' : 'variant'
    fields.note('FIELD_INVALID', missing, 'give experiment and variant together')
    return
  }
  if (['score', 'label', 'passed', 'variant'].some(field => fields.has(field))) return
  const remedy = `give score, label or passed: a comment is no outcome${byId}`
  fields.note('OUTCOME_MISSING', undefined, remedy)
}

/** Of an object whose keys are always in one order: a retry is the same evaluation, not a second one. */
function contentHash(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32)
}

/** Redaction puts a token where something was taken out, which makes most texts longer than they were sent. */
function holdsToken(value: unknown): boolean {
  return typeof value === 'string' && /<[a-z][a-z0-9_]{0,23}:e_[0-9a-f]{12}>/.test(value)
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
      remedy: holdsToken(value) ? `${remedy}; it is measured after redaction` : remedy,
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

  /** The client's own part of an id; he may send what he was answered, which has the trace's before it. */
  clientId(traceId: TraceId | undefined): string | undefined {
    const value = this.#get('id')
    const what = `1 to ${evaluationIdCharsMax} ${idCharacters}`
    if (traceId === undefined || typeof value !== 'string') {
      return this.matching('id', clientIdText, what)
    }
    const isWhole = value.slice(0, 33).toLowerCase() === `${traceId}.`
    const own = isWhole ? value.slice(33) : value
    if (clientIdText.test(own)) return own
    this.note('FIELD_INVALID', 'id', `send ${what}`)
    return undefined
  }

  /** What a decision would carry. Escaped as JSON a text may take six times its bytes. */
  fits(kept: object, bytesMax: number): boolean {
    const bytes = Buffer.byteLength(JSON.stringify(kept))
    if (bytes <= bytesMax) return true
    const remedy = `shorten name, source and id: together ${bytes} bytes as JSON${holdsToken(JSON.stringify(kept)) ? ' after redaction' : ''}, over ${bytesMax} (evaluationBytesMax, retractionBytesMax)`
    this.note('FIELD_INVALID', undefined, remedy)
    return false
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
