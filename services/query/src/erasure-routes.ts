import { z } from 'zod'
import { ApiError } from './api-error.ts'
import { pageLimitDefault, pageLimitMax } from './config.ts'
import type { Answer } from './routes.ts'
import { refuseUnknown, wholeNumber } from './search.ts'

/** What of erasures the API asks for and shows; whoever wires the stages has it. Each call is within one tenant. */
export interface ErasureRequests {
  /** The erasure that has taken a trace, or takes it: of such a trace nothing is answered. */
  blockedBy(tenant: string, traceId: string): string | undefined
  ask(request: {
    readonly tenant: string
    readonly where: Readonly<Record<string, unknown>>
    readonly by?: string | undefined
    readonly dryRun?: boolean | undefined
    readonly tracesMax?: number | undefined
  }): Promise<
    | { readonly kind: 'accepted'; readonly erasure: unknown }
    | {
        readonly kind: 'refused'
        readonly field: string
        readonly value?: string
        readonly remedy: string
      }
    | { readonly kind: 'unavailable'; readonly remedy: string }
  >
  status(tenant: string, id: string): Promise<unknown>
  /** The newest first, a page; undefined where the cursor names none. */
  list(
    tenant: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<{ readonly erasures: readonly unknown[]; readonly cursor?: string } | undefined>
}

const requestSchema = z.strictObject({
  where: z.record(z.string(), z.unknown()),
  dryRun: z.boolean().optional(),
  tracesMax: z.int().min(1).optional(),
})

/** 202: it is in `control`; a writer carries it out, and `GET /erasures/{id}` says how far it is. */
export async function postErasure(
  erasures: ErasureRequests,
  tenant: string,
  by: string | undefined,
  body: unknown,
): Promise<Answer> {
  const parsed = requestSchema.safeParse(body)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path.join('.')
    const remedy =
      'send {"where": {"user.id_hash": "…"}}, with "dryRun": true to see what it would remove, or "tracesMax": 5000 where so many traces are meant'
    throw new ApiError(400, 'INVALID_ERASURE', remedy, { field: field || 'body' })
  }
  const asked = await erasures.ask({ tenant, by, ...parsed.data })
  if (asked.kind === 'accepted') return { status: 202, body: asked.erasure }
  if (asked.kind === 'unavailable') throw new ApiError(503, 'UNAVAILABLE', asked.remedy)
  const { field, value, remedy } = asked
  throw new ApiError(422, 'INVALID_ERASURE', remedy, {
    field,
    ...(value !== undefined && { value }),
  })
}

export async function getErasure(
  erasures: ErasureRequests,
  tenant: string,
  id: string,
): Promise<Answer> {
  const found = await erasures.status(tenant, id)
  if (found !== undefined) return { status: 200, body: found }
  const remedy = 'GET /api/v1/erasures lists those of this tenant'
  throw new ApiError(404, 'NO_SUCH_ERASURE', remedy, { field: 'id', value: id })
}

export async function getErasures(
  erasures: ErasureRequests,
  tenant: string,
  query: URLSearchParams,
): Promise<Answer> {
  refuseUnknown(query, ['limit', 'cursor'])
  const limit = wholeNumber(query, 'limit', 1, pageLimitMax) ?? pageLimitDefault
  const cursor = query.get('cursor') ?? undefined
  const page = await erasures.list(tenant, { limit, cursor })
  if (page !== undefined) return { status: 200, body: page }
  const remedy =
    'pass the cursor of the page before, unchanged; where its erasure has been forgotten, begin without one'
  throw new ApiError(400, 'INVALID_CURSOR', remedy, { field: 'cursor', value: cursor ?? '' })
}

/** Of a trace that was erased there is nothing to say, and nothing to bring back. */
export function traceErased(traceId: string, id?: string): ApiError {
  const by = id === undefined ? '' : `; GET /api/v1/erasures/${id} is its receipt`
  return new ApiError(410, 'TRACE_ERASED', `it was erased, and cannot be brought back${by}`, {
    field: 'id',
    value: traceId,
  })
}
