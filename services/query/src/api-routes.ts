import type { Scope } from '@winnow/runtime'
import { ApiError } from './api-error.ts'
import { type Costs, getCost, getCostRows } from './cost-routes.ts'
import { type ErasureRequests, getErasure, getErasures, postErasure } from './erasure-routes.ts'
import { postEvaluations } from './evaluations.ts'
import { deleteHold, getHold, getHolds, postHold } from './holds/hold-routes.ts'
import { getPolicy, getPolicyHistory, type Policies, postPolicy } from './policy-routes.ts'
import {
  type Answer,
  getEvaluation,
  getSampling,
  getSearch,
  getWhy,
  postRescue,
  type Reader,
  type RouteDeps,
} from './routes.ts'
import { getTrace } from './trace-route.ts'
import type { LedgerWatch } from './verify/ledger-watch.ts'
import { getVerify } from './verify/verify-route.ts'

export interface ApiDeps extends RouteDeps {
  readonly ledger: LedgerWatch
  readonly policies?: Policies
  readonly costs?: Costs
}

export interface ApiRequest extends Reader {
  /** What people call the key that asks; absent where it has no name, or nobody needs one. */
  readonly keyName?: string | undefined
  /** The `{id}` of the path; empty where it has none. */
  readonly id: string
  readonly query: URLSearchParams
  /** Reads and parses the body once asked for. */
  readonly body: () => Promise<unknown>
}

export interface ApiRoute {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** What a key needs for it. Its answer may hold less where the key lacks another. */
  readonly scope: Scope
  readonly answer: (deps: ApiDeps, request: ApiRequest) => Promise<Answer> | Answer
}

/** Every call of the API. Each is answered within the tenant of the key. */
export const apiRoutes: readonly ApiRoute[] = [
  {
    method: 'GET',
    path: '/api/v1/traces/{id}',
    scope: 'read',
    answer: (deps, request) => getTrace(deps, request, request.id, request.query),
  },
  {
    method: 'GET',
    path: '/api/v1/traces/{id}/why',
    scope: 'read',
    answer: (deps, request) => getWhy(deps, request, request.id, request.query),
  },
  {
    method: 'POST',
    path: '/api/v1/traces/{id}/rescue',
    scope: 'evaluate',
    answer: async (deps, { tenant, id, body }) =>
      postRescue(deps, tenant, id, await redacted(deps, tenant, await body())),
  },
  {
    method: 'POST',
    path: '/api/v1/evaluations',
    scope: 'evaluate',
    answer: async (deps, request) =>
      postEvaluations(deps, request, await redacted(deps, request.tenant, await request.body())),
  },
  {
    method: 'GET',
    path: '/api/v1/evaluations/{id}',
    scope: 'read',
    // As it was in the body that it was given in.
    answer: async (deps, { tenant, id }) => {
      const named = (await redacted(deps, tenant, { id })) as { readonly id: string }
      return getEvaluation(deps, tenant, named.id)
    },
  },
  {
    method: 'GET',
    path: '/api/v1/search',
    scope: 'read',
    answer: (deps, { tenant, query }) => getSearch(deps, tenant, query),
  },
  {
    method: 'GET',
    path: '/api/v1/sampling',
    scope: 'read',
    answer: (deps, { tenant, query }) => getSampling(deps, tenant, query),
  },
  {
    method: 'GET',
    path: '/api/v1/cost',
    scope: 'read',
    answer: (deps, request) => getCost(costsOf(deps), request, request.query),
  },
  {
    method: 'GET',
    path: '/api/v1/cost/rows',
    scope: 'read',
    answer: (deps, request) =>
      getCostRows(
        costsOf(deps),
        request,
        request.query,
        deps.clock.nowMs(),
        (tenant, traceId) => deps.erasures?.blockedBy(tenant, traceId) !== undefined,
      ),
  },
  {
    method: 'GET',
    path: '/api/v1/verify',
    scope: 'read',
    answer: (deps, request) => getVerify(deps.ledger, request, request.query),
  },
  {
    method: 'POST',
    path: '/api/v1/erasures',
    scope: 'admin',
    answer: async (deps, { tenant, keyName, body }) =>
      postErasure(erasuresOf(deps), tenant, keyName, await body()),
  },
  {
    method: 'GET',
    path: '/api/v1/erasures',
    scope: 'admin',
    answer: (deps, { tenant, query }) => getErasures(erasuresOf(deps), tenant, query),
  },
  {
    method: 'GET',
    path: '/api/v1/erasures/{id}',
    scope: 'admin',
    answer: (deps, { tenant, id }) => getErasure(erasuresOf(deps), tenant, id),
  },
  {
    method: 'POST',
    path: '/api/v1/holds',
    scope: 'admin',
    answer: async (deps, request) => postHold(deps, request, await request.body()),
  },
  {
    method: 'GET',
    path: '/api/v1/holds',
    scope: 'read',
    answer: (deps, request) => getHolds(deps, request, request.query),
  },
  {
    method: 'GET',
    path: '/api/v1/holds/{id}',
    scope: 'read',
    answer: (deps, request) => getHold(deps, request, request.id),
  },
  {
    method: 'DELETE',
    path: '/api/v1/holds/{id}',
    scope: 'admin',
    answer: (deps, { tenant, id }) => deleteHold(deps, tenant, id),
  },
  // Of the whole fleet: every tenant's traces are decided by it.
  {
    method: 'GET',
    path: '/api/v1/policy',
    scope: 'admin',
    answer: (deps, { query }) => getPolicy(policiesOf(deps), query),
  },
  {
    method: 'POST',
    path: '/api/v1/policy',
    scope: 'admin',
    answer: async (deps, { keyName, body }) => postPolicy(policiesOf(deps), keyName, await body()),
  },
  {
    method: 'GET',
    path: '/api/v1/policy/history',
    scope: 'admin',
    answer: (deps, { query }) => getPolicyHistory(policiesOf(deps), query),
  },
]

function erasuresOf({ erasures }: ApiDeps): ErasureRequests {
  if (erasures !== undefined) return erasures
  throw new ApiError(404, 'NO_SUCH_PATH', 'ask a query service that has the bus of the writers')
}

function costsOf({ costs }: ApiDeps): Costs {
  if (costs !== undefined) return costs
  throw new ApiError(404, 'NO_SUCH_PATH', 'ask a query service that has the writers’ blob store')
}

function policiesOf({ policies }: ApiDeps): Policies {
  if (policies !== undefined) return policies
  throw new ApiError(404, 'NO_SUCH_PATH', 'ask a query service that has the bus of the samplers')
}

/** The call that a method and a path mean, with the path's `{id}`. 404 and 405 say what there is. */
export function routeOf(
  method: string,
  parts: readonly string[],
): { readonly route: ApiRoute; readonly id: string } {
  const found = apiRoutes.filter(({ path }) => {
    const wanted = path.split('/').slice(1)
    return (
      wanted.length === parts.length &&
      wanted.every((part, at) => part === '{id}' || part === parts[at])
    )
  })
  if (found.length === 0) {
    const paths = [...new Set(apiRoutes.map(({ path }) => path))].join(', ')
    throw new ApiError(404, 'NO_SUCH_PATH', `use one of ${paths}`)
  }
  const wanted = method === 'HEAD' ? 'GET' : method
  const route = found.find(one => one.method === wanted)
  if (route === undefined) {
    const methods = found.map(one => one.method).join(' or ')
    throw new ApiError(405, 'METHOD_NOT_ALLOWED', `use ${methods}`, {
      field: 'method',
      value: method,
    })
  }
  return { route, id: parts[3] ?? '' }
}

/** What a body says goes to the bus, and back in answers that refuse it. */
async function redacted(deps: RouteDeps, tenant: string, body: unknown): Promise<unknown> {
  return deps.redact === undefined ? body : deps.redact(tenant, body)
}
