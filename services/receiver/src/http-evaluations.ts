import {
  evaluationError,
  evaluationStatus,
  evaluationsAccepted,
  evaluationsFrom,
} from '@winnow/model'
import type { JsonAnswer, JsonRequest, JsonRoute } from './json-route.ts'

export const evaluationsPath = '/api/v1/evaluations'

/** `POST /api/v1/evaluations`. */
export const evaluationsRoute: JsonRoute = {
  method: 'POST',
  scope: 'evaluate',
  answer: acceptEvaluations,
  refused: ({ kind, message }) => ({ error: { code: kind.toUpperCase(), remedy: message } }),
}

/** 202 once the evaluations are durable, 400 for no JSON, 422 for mistakes. */
async function acceptEvaluations(request: JsonRequest): Promise<JsonAnswer> {
  const { body, key, speaker, append } = request
  if (body === undefined) {
    const remedy = 'send JSON: one evaluation, or an array of them'
    return { status: 400, body: { error: { code: 'INVALID_JSON', remedy } } }
  }
  const read = evaluationsFrom(key.tenant, body, speaker)
  if (read.kind === 'mistakes') {
    return { status: evaluationStatus(read.mistakes), body: evaluationError(read.mistakes) }
  }
  await append(read.records)
  return { status: 202, body: evaluationsAccepted(read.records) }
}
