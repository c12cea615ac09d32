import { ApiError, scopeMissing } from './api-error.ts'
import type { Reader } from './routes.ts'

/** Of whom a report is asked: of the reader's tenant, or of all with `tenants=all`, which is undefined. */
export function tenantAsked(
  { tenant, scopes }: Reader,
  query: URLSearchParams,
): string | undefined {
  const tenants = query.get('tenants')
  if (tenants === null) return tenant
  if (tenants !== 'all') {
    throw new ApiError(400, 'INVALID_TENANTS', 'use tenants=all, or leave it out', {
      field: 'tenants',
      value: tenants,
    })
  }
  if (!scopes.includes('admin')) throw scopeMissing('admin')
  return undefined
}
