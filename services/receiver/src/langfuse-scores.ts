import {
  type EvaluationMistake,
  evaluationsFrom,
  type OutcomeRecord,
  parseTraceId,
} from '@winnow/model'
import type { JsonAnswer, JsonRequest, JsonRoute } from './json-route.ts'

/**
 * Scores as Langfuse's clients send them: one at a time, in batches of events as their SDKs queue them,
 * and taken back by id. Answers are in Langfuse's words, so that a client needs another base URL and
 * nothing else.
 */
export const scoresPath = '/api/public/scores'
export const ingestionPath = '/api/public/ingestion'

const refused: JsonRoute['refused'] = ({ kind, message }) => ({ message, error: kind })

export const scoreRoute: JsonRoute = {
  method: 'POST',
  scope: 'evaluate',
  answer: createScore,
  refused,
}
export const scoreByIdRoute: JsonRoute = {
  method: 'DELETE',
  scope: 'evaluate',
  answer: deleteScore,
  refused,
}
export const ingestionRoute: JsonRoute = {
  method: 'POST',
  scope: 'evaluate',
  answer: ingestBatch,
  refused,
}

async function createScore({ edge, key, speaker, body, append }: JsonRequest): Promise<JsonAnswer> {
  const read = scoreFrom(key.tenant, body, speaker)
  if (read.kind === 'mistakes') return invalid(read.mistakes)
  await append([read.record])
  remember(edge, key.tenant, read)
  return { status: 200, body: { id: read.id } }
}

/** A retraction is a fact of its trace, so that the trace has to be known; of each that the id was said of. */
async function deleteScore({ edge, key, speaker, id, append }: JsonRequest): Promise<JsonAnswer> {
  const scoreId = decoded(id)
  const named = parseTraceId(scoreId.split('.', 1)[0] ?? '')
  const isWhole = named !== undefined && scoreId.length > 33
  const traceIds = isWhole ? [named] : edge.scoreTraces.get(key.tenant, scoreId)
  if (traceIds.length === 0) {
    const message =
      'Score not found: it was not sent to this receiver of late; delete it as <trace id>.<score id>'
    return { status: 404, body: { message } }
  }
  const records: OutcomeRecord[] = []
  for (const traceId of traceIds) {
    const input = { id: scoreId, traceId, retracted: true }
    const read = evaluationsFrom(key.tenant, input, speaker)
    if (read.kind === 'mistakes') return invalid(read.mistakes)
    records.push(...read.records)
  }
  await append(records)
  return { status: 200, body: { message: 'Score deleted successfully' } }
}

/** Each event is taken or refused alone, as 207 says; only what is no batch at all is 400. */
async function ingestBatch(request: JsonRequest): Promise<JsonAnswer> {
  const { edge, key, speaker, body, append } = request
  const batch = fieldsOf(body).batch
  if (!Array.isArray(batch)) {
    return { status: 400, body: { message: 'Invalid request data: send {"batch": [events]}' } }
  }
  const { evaluationsMax } = edge.config
  if (batch.length > evaluationsMax) {
    const message = `send at most ${evaluationsMax} events in one batch (evaluationsMax)`
    return { status: 413, body: { message } }
  }
  const taken: ReadScore[] = []
  const successes: object[] = []
  const errors: object[] = []
  for (const event of batch as readonly unknown[]) {
    const { id, type, body: score } = fieldsOf(event)
    const eventId = typeof id === 'string' ? id : ''
    if (type === 'sdk-log') {
      successes.push({ id: eventId, status: 201 })
      continue
    }
    if (type !== 'score-create') {
      const message = `${shown(type)} is not taken here; send traces as OTLP to /v1/traces, and scores as score-create`
      errors.push({ id: eventId, status: 400, message })
      continue
    }
    const read = scoreFrom(key.tenant, score, speaker)
    if (read.kind === 'mistakes') {
      const { status, body: error } = invalid(read.mistakes)
      errors.push({ id: eventId, status, ...error })
      continue
    }
    taken.push(read)
    successes.push({ id: eventId, status: 201 })
  }
  await append(taken.map(({ record }) => record))
  for (const read of taken) remember(edge, key.tenant, read)
  return { status: 207, body: { successes, errors } }
}

interface ReadScore {
  readonly kind: 'score'
  readonly record: OutcomeRecord
  /** As it is answered: the client's own, else the whole one, by which it can be deleted anywhere. */
  readonly id: string
}

/** Fields that Langfuse knows and rules do not are left out, as Langfuse itself does with unknown ones. */
function scoreFrom(
  tenant: string,
  body: unknown,
  speaker: JsonRequest['speaker'],
): ReadScore | { readonly kind: 'mistakes'; readonly mistakes: readonly EvaluationMistake[] } {
  const { id, traceId, observationId, name, value, dataType, comment } = fieldsOf(body)
  const outcome = outcomeOf(value, dataType)
  if (outcome === undefined) {
    const remedy =
      'send a number, a text for dataType CATEGORICAL, or 0 or 1 for BOOLEAN; any other text is a comment'
    return { kind: 'mistakes', mistakes: [{ code: 'FIELD_INVALID', field: 'value', remedy }] }
  }
  const isSpan = typeof observationId === 'string' && /^[0-9a-f]{16}$/i.test(observationId)
  const read = evaluationsFrom(
    tenant,
    {
      id,
      traceId,
      name,
      comment,
      ...outcome,
      ...(isSpan && { spanId: observationId }),
    },
    // Its clients send a score again to change it.
    { ...speaker, updates: true },
  )
  if (read.kind === 'mistakes') return read
  const record = read.records[0] as OutcomeRecord
  return { kind: 'score', record, id: typeof id === 'string' ? id : record.id }
}

/** Langfuse infers the type of a value that names none. Undefined: it is no outcome. */
function outcomeOf(value: unknown, dataType: unknown): object | undefined {
  const type = dataType ?? (typeof value === 'string' ? 'CATEGORICAL' : 'NUMERIC')
  if (typeof value === 'boolean') return { passed: value }
  if (type === 'BOOLEAN') return value === 0 || value === 1 ? { passed: value === 1 } : undefined
  if (type === 'NUMERIC') return typeof value === 'number' ? { score: value } : undefined
  return type === 'CATEGORICAL' && typeof value === 'string' ? { label: value } : undefined
}

const calledByLangfuse: Readonly<Record<string, string>> = {
  label: 'value',
  score: 'value',
  passed: 'value',
  spanId: 'observationId',
}

/** 422 where no trace is named, which no other client of Langfuse is told; else its own 400. */
function invalid(mistakes: readonly EvaluationMistake[]): JsonAnswer {
  const isTraceless = mistakes.some(({ code }) => code === 'TRACE_ID_MISSING')
  const error = mistakes.map(({ code, field, value, remedy }) => ({
    code,
    path: field === undefined ? [] : [calledByLangfuse[field] ?? field],
    ...(value !== undefined && { value }),
    message: remedy,
  }))
  const [first] = error
  const message = `Invalid request data: ${first?.path.join('.') ?? ''}: ${first?.message ?? ''}`
  return { status: isTraceless ? 422 : 400, body: { message, error } }
}

function remember(edge: JsonRequest['edge'], tenant: string, { record, id }: ReadScore): void {
  if (id !== record.id) edge.scoreTraces.add(tenant, id, record.traceId)
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Record<string, unknown>) : {}
}

function shown(type: unknown): string {
  return typeof type === 'string' ? `"${type.slice(0, 40)}"` : 'an event without a type'
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id)
  } catch {
    return id
  }
}
