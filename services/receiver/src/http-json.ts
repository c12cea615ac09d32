import { type Edge, refuse, type Taken } from './edge.ts'
import { evaluationsPath, evaluationsRoute } from './http-evaluations.ts'
import {
  check,
  type HttpAnswer,
  type HttpRequest,
  readHttpBody,
  refusalAnswer,
} from './http-request.ts'
import { type JsonRoute, sourceOfKey } from './json-route.ts'
import {
  ingestionPath,
  ingestionRoute,
  scoreByIdRoute,
  scoreRoute,
  scoresPath,
} from './langfuse-scores.ts'
import { encodingOf } from './media.ts'
import type { TenantRedaction } from './redaction.ts'
import { type Refusal, refusal } from './refusal.ts'

interface FoundRoute {
  readonly route: JsonRoute
  readonly id: string
}

/** The call that a path means. One with an id behind it is another call. */
export function jsonRouteOf(path: string): FoundRoute | undefined {
  if (path === evaluationsPath) return { route: evaluationsRoute, id: '' }
  if (path === scoresPath) return { route: scoreRoute, id: '' }
  if (path === ingestionPath) return { route: ingestionRoute, id: '' }
  const id = path.startsWith(`${scoresPath}/`) ? path.slice(scoresPath.length + 1) : ''
  return id === '' || id.includes('/') ? undefined : { route: scoreByIdRoute, id }
}

/** Undefined: the client is gone. */
export async function answerJson(
  edge: Edge,
  request: HttpRequest,
  { route, id }: FoundRoute,
): Promise<HttpAnswer | undefined> {
  const answerRefusal = (refused: Refusal): HttpAnswer => {
    edge.metrics.requestsRefused.inc({ reason: refused.kind })
    const { status, headers } = refusalAnswer(edge, refused, 'json')
    return { status, headers, body: JSON.stringify(route.refused(refused)) }
  }
  const checked = check(edge, request, route.scope, route.method)
  if ('kind' in checked) return answerRefusal(checked)
  // A page of any site may post plain text to a port of this machine; with this type it must ask first.
  if (
    request.headers.origin !== undefined &&
    route.method === 'POST' &&
    encodingOf(request.headers['content-type']) !== 'json'
  ) {
    return answerRefusal(refusal('content_type', 'send application/json as content-type'))
  }
  const { key } = checked
  try {
    const { evaluationsMax, evaluationCommentBytesMax, evaluationBodyBytesMax } = edge.config
    const limits = { bytesMax: evaluationBodyBytesMax, limitName: 'evaluationBodyBytesMax' }
    const taken = await readHttpBody(edge, request, { ...checked, limits })
    if (taken === undefined) return undefined
    const { status, body } = await released(taken, async text => {
      const redaction = await edge.intake.redactionOf(key.tenant)
      const given =
        redaction === undefined ? parsed(text) : await redacted(taken.ticket, redaction, text)
      return route.answer({
        edge,
        key,
        speaker: {
          limits: { evaluationsMax, commentBytesMax: evaluationCommentBytesMax },
          source: sourceOfKey(key),
          outcomes: edge.outcomes,
        },
        id: redaction === undefined ? id : redactedId(redaction, id),
        body: given,
        append: records => edge.intake.evaluations(records),
      })
    })
    const headers = { 'content-type': 'application/json' }
    return { status, headers, body: JSON.stringify(body) }
  } catch (error) {
    return answerRefusal(refuse(edge, error))
  }
}

/** Gives the body's memory back before anything is waited for, and the room it was admitted to after. */
async function released<T>(
  { body, ticket }: Taken,
  answer: (text: string) => Promise<T>,
): Promise<T> {
  try {
    const text = body.bytes.toString('utf8')
    body.release()
    return await answer(text)
  } finally {
    body.release()
    ticket.release()
  }
}

/** While a detector is asked, the text is there as it came and as what was read from it. */
async function redacted(
  ticket: Taken['ticket'],
  redaction: TenantRedaction,
  text: string,
): Promise<unknown> {
  const own = redaction.json(parsed(text))
  if (!redaction.findsNames) return own
  ticket.hold(text.length)
  const named = await redaction.namesInJson(own)
  ticket.hold(-text.length)
  return named
}

/** An id is told in a path as it was told in a body, and has to become the same. */
function redactedId(redaction: TenantRedaction, id: string): string {
  try {
    return encodeURIComponent(redaction.id(decodeURIComponent(id)))
  } catch {
    return redaction.id(id)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
