import { PipelineError } from '@winnow/runtime'
import { ApiError } from '../api-error.ts'
import { verifyWaitMs } from '../config.ts'
import type { Answer, Reader } from '../routes.ts'
import { refuseUnknown } from '../search.ts'
import { tenantAsked } from '../tenant-asked.ts'
import type { LedgerWatch } from './ledger-watch.ts'

/**
 * `GET /api/v1/verify`: 200 with the report of the key's tenant, balanced or not; `?full`: all that is
 * retained is read for it; `?tenants=all`, with the scope `admin`: of all tenants. 202 with `{done, of}` records while it is under way: asking again waits for the same.
 */
export async function getVerify(
  ledger: LedgerWatch,
  reader: Reader,
  query: URLSearchParams,
): Promise<Answer> {
  refuseUnknown(query, ['full', 'tenants'])
  const tenant = tenantAsked(reader, query)
  const full = query.get('full')
  if (full !== null && full !== '' && full !== 'true') {
    throw new ApiError(400, 'INVALID_FULL', 'use ?full, or leave it out', {
      field: 'full',
      value: full,
    })
  }
  try {
    const answer =
      full === null
        ? await ledger.report(tenant, verifyWaitMs)
        : await ledger.full(tenant, verifyWaitMs)
    return { status: 'window' in answer ? 200 : 202, body: answer }
  } catch (error) {
    if (!(error instanceof PipelineError && error.code === 'QUOTA_EXCEEDED')) throw error
    throw new ApiError(409, 'WINDOW_TOO_LARGE', error.message)
  }
}
