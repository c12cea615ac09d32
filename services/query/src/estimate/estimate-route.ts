import type { HotStore, TraceFilter } from '@winnow/storage'
import { ApiError } from '../api-error.ts'
import { type SearchRequest, searchKeys } from '../search.ts'
import { type EstimateReport, Estimator } from './estimator.ts'

/** What of all traces the kept ones say, and of which. */
export interface EstimateAnswer extends EstimateReport {
  /** By decision time, [since, until); null: without this end. Kept traces are held for a week. */
  readonly window: { readonly since: string | null; readonly until: string | null }
  readonly tiersSearched: readonly string[]
}

/** Most kept traces one estimate is made from: some seconds of reading. */
export const estimatedTracesMax = 100_000

/** A page of the hot store: some milliseconds, between which others are answered. */
const pageLength = 1_000

/** Estimates that read at the same time: further ones are told to come again. */
export const estimatesAtOnceMax = 2

/** The estimates of one process. */
export class Estimates {
  #running = 0

  /** `GET /search?estimate=true`, with the filters of a search of kept traces. */
  async answer(...asked: Parameters<typeof estimate>): Promise<EstimateAnswer> {
    if (this.#running >= estimatesAtOnceMax) {
      const remedy = `${estimatesAtOnceMax} estimates are being made; ask again in a second`
      throw new ApiError(503, 'TOO_MANY_ESTIMATES', remedy)
    }
    this.#running++
    try {
      return await estimate(...asked)
    } finally {
      this.#running--
    }
  }
}

async function estimate(
  tenant: string,
  request: SearchRequest,
  hot: HotStore,
  spansRetentionMs: number,
): Promise<EstimateAnswer> {
  const { state: _, tier: __, limit: ___, ...filter } = request
  const estimator = new Estimator(spansRetentionMs, request.rule)
  let taken = 0
  let cursor: string | undefined
  do {
    const limit = Math.min(pageLength, estimatedTracesMax + 1 - taken)
    const asked: TraceFilter = { tenant, ...filter, limit, ...(cursor && { cursor }) }
    const page = await hot.search(asked)
    for (const decision of page.decisions) {
      if (++taken > estimatedTracesMax) throw tooMany(decision.decidedAtMs + 1)
      estimator.take(decision)
    }
    cursor = page.cursor
  } while (cursor !== undefined)
  if (taken === 0) {
    // Of traces like these there may be dropped ones: how many depends on the policy, which any other tells.
    const { decisions } = await hot.search({ tenant, limit: 1 })
    if (decisions[0] !== undefined) estimator.learn(decisions[0])
  }
  return {
    window: { since: dateOf(request.sinceMs), until: dateOf(request.untilMs) },
    ...estimator.report(),
    tiersSearched: ['hot'],
  }
}

/** A list's parameters mean nothing to an estimate, which reads all: to pass over one would be to mislead. */
export function refuseListed(query: URLSearchParams): void {
  const listed = ['limit', 'cursor', 'tier']
  for (const name of listed) {
    if (!query.has(name)) continue
    const keys = searchKeys.filter(key => !listed.includes(key)).join(', ')
    throw new ApiError(400, 'NOT_ESTIMATED', `an estimate reads every kept trace; use ${keys}`, {
      field: name,
    })
  }
  const state = query.get('state')
  if (state === null || state === 'kept') return
  throw new ApiError(400, 'NOT_ESTIMATED', 'an estimate is of all traces, from the kept ones', {
    field: 'state',
    value: state,
  })
}

function tooMany(sinceMs: number): ApiError {
  const since = new Date(sinceMs).toISOString()
  return new ApiError(
    422,
    'ESTIMATE_TOO_LARGE',
    `more than ${estimatedTracesMax} kept traces match; ask for fewer, as since=${since}`,
    { field: 'since' },
  )
}

function dateOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
