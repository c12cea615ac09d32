import type { Scope } from '@winnow/runtime'
import { ApiError } from './api-error.ts'
import { postEvaluations } from './evaluations.ts'
import { getPolicy, getPolicyHistory, type Policies, postPolicy } from './policy-routes.ts'
import {
  type Answer,
  getEvaluation,
  getSampling,
  getSearch,
  getTrace,
  getWhy,
  postRescue,
  type Reader,
  type RouteDeps,
} from './routes.ts'
import type { LedgerWatch } from './verify/ledger-watch.ts'
import { getVerify } from './verify/verify-route.ts'

export interface ApiDeps extends RouteDeps {
  readonly ledger: LedgerWatch
  readonly policies?: Policies
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
  readonly method: 'GET' | 'POST'
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
    answer: async (deps, { tenant, id, body }) => postRescue(deps, tenant, id, await body()),
  },
  {
    method: 'POST',
    path: '/api/v1/evaluations',
    scope: 'evaluate',
    answer: async (deps, request) => postEvaluations(deps, request, await request.body()),
  },
  {
    method: 'GET',
    path: '/api/v1/evaluations/{id}',
    scope: 'read',
    answer: (deps, { tenant, id }) => getEvaluation(deps, tenant, id),
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
    path: '/api/v1/verify',
    scope: 'read',
    answer: (deps, request) => getVerify(deps.ledger, request, request.query),
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
