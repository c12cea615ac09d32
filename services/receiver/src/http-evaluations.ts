import {
  evaluationError,
  evaluationStatus,
  evaluationsAccepted,
  evaluationsFrom,
} from '@winnow/model'
import type { Edge, Taken } from './edge.ts'

/** Takes body and ticket over. 202 once the evaluations are durable, 400 for no JSON, 422 for mistakes. */
export async function acceptEvaluations(
  edge: Edge,
  tenant: string,
  { body, ticket }: Taken,
): Promise<{ readonly status: number; readonly body: object }> {
  const { evaluationsMax, evaluationCommentBytesMax } = edge.config
  try {
    const input = parseJson(body.bytes.toString('utf8'))
    body.release()
    if (input.kind === 'invalid') {
      const remedy = 'send JSON: one evaluation, or an array of them'
      return { status: 400, body: { error: { code: 'INVALID_JSON', remedy } } }
    }
    const limits = { evaluationsMax, commentBytesMax: evaluationCommentBytesMax }
    const read = evaluationsFrom(tenant, input.value, limits)
    if (read.kind === 'mistakes') {
      return { status: evaluationStatus(read.mistakes), body: evaluationError(read.mistakes) }
    }
    await edge.intake.evaluations(read.records)
    return { status: 202, body: evaluationsAccepted(read.records) }
  } finally {
    body.release()
    ticket.release()
  }
}

function parseJson(
  text: string,
): { readonly kind: 'value'; readonly value: unknown } | { readonly kind: 'invalid' } {
  try {
    return { kind: 'value', value: JSON.parse(text) }
  } catch {
    return { kind: 'invalid' }
  }
}
