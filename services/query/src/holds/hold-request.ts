import { createHash } from 'node:crypto'
import { requestReasonBytesMax } from '@winnow/model'
import { rfc3339Ms } from '@winnow/runtime'
import { z } from 'zod'
import { ApiError } from '../api-error.ts'

/** How far off the end of a hold may be: two years. Whoever needs it for longer holds the trace anew. */
export const holdLifeMaxMs = 731 * 86_400_000

/** Of a person's name, in UTF-8. */
export const holdByBytesMax = 128

/** What a hold is asked for with. */
export interface HoldRequest {
  readonly traceId: string
  /** Free text. */
  readonly reason: string
  readonly by: string
  /** A whole second. */
  readonly untilMs: number
}

const requestSchema = z.strictObject({
  traceId: z.string(),
  reason: z.string(),
  by: z.string(),
  until: z.string(),
})

const shape = '{"traceId": "…", "reason": "…", "by": "…", "until": "2027-01-31"}'

/** Throws what to send instead. Pure. */
export function holdRequest(
  body: unknown,
  nowMs: number,
  traceIdOf: (id: string) => string,
): HoldRequest {
  const parsed = requestSchema.safeParse(body)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path.join('.')
    throw new ApiError(400, 'INVALID_HOLD', `send ${shape}`, { field: field || 'body' })
  }
  const { traceId, reason, by, until } = parsed.data
  return {
    traceId: traceIdOf(traceId),
    reason: words('reason', reason, requestReasonBytesMax),
    by: words('by', by, holdByBytesMax),
    untilMs: endOf(until, nowMs),
  }
}

/** The same request sent again is the same hold. */
export function holdId(tenant: string, { traceId, reason, by, untilMs }: HoldRequest): string {
  const said = JSON.stringify([tenant, traceId, reason, by, untilMs])
  return createHash('sha256').update(said).digest('hex').slice(0, 16)
}

/** The value is no part of the answer: it is what a person wrote. */
function words(field: string, text: string, bytesMax: number): string {
  const trimmed = text.trim()
  if (trimmed !== '' && Buffer.byteLength(trimmed) <= bytesMax) return trimmed
  throw new ApiError(422, 'INVALID_HOLD', `give ${field} in 1 to ${bytesMax} bytes`, { field })
}

/** A day alone is held to its end. */
function endOf(text: string, nowMs: number): number {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(text)
  const parsedMs = rfc3339Ms(isDay ? `${text}T23:59:59Z` : text) ?? Number.NaN
  const untilMs = Math.floor(parsedMs / 1_000) * 1_000
  const where = { field: 'until', value: text }
  if (Number.isNaN(untilMs)) {
    const remedy = 'give a UTC day as 2027-01-31, or a time as 2027-01-31T12:00:00Z'
    throw new ApiError(422, 'INVALID_HOLD', remedy, where)
  }
  if (untilMs <= nowMs) {
    throw new ApiError(422, 'INVALID_HOLD', 'it has passed; give an end that is to come', where)
  }
  if (untilMs - nowMs <= holdLifeMaxMs) return untilMs
  const days = holdLifeMaxMs / 86_400_000
  const remedy = `a hold lasts ${days} days at most; hold the trace anew before this one ends`
  throw new ApiError(422, 'INVALID_HOLD', remedy, where)
}
