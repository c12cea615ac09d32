import { hash } from 'node:crypto'
import { PipelineError } from '@winnow/runtime'
import type { BlobInfo, BlobStore } from '../blob-store.ts'

/** What the name of a hold says: enough to find it, to expire it and to erase it unread. */
export interface HoldName {
  /** 16 hex digits. */
  readonly id: string
  readonly traceId: string
  /** Its end, a whole second, Unix milliseconds: from then on nobody is shown it, and the sweeper deletes it. */
  readonly untilMs: number
}

export interface ListedHold extends HoldName, BlobInfo {}

/** Every hold of every tenant. */
export const holdsPrefix = 'holds/'

/**
 * `holds/<tenant>/<trace id>-20270131T235959Z-<id>.hold`: the tenant by a hash, since its name may have what no
 * key can. One list by (tenant, trace) finds a trace's holds. Throws CONFIG_INVALID for what does not fit.
 */
export function holdKey(tenant: string, { id, traceId, untilMs }: HoldName): string {
  const key = `${holdsOf(tenant, traceId)}${stamp(untilMs)}-${id}.hold`
  if (parseHoldKey(key) !== undefined) return key
  throw new PipelineError(
    'CONFIG_INVALID',
    `hold ${id} of ${traceId} does not fit an object's name`,
  )
}

/** Undefined for a key that `holdKey` does not make. */
export function parseHoldKey(key: string): HoldName | undefined {
  const match =
    /^holds\/[0-9a-f]{32}\/([0-9a-f]{32})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-([0-9a-f]{16})\.hold$/.exec(
      key,
    )
  if (match === null) return undefined
  const [, traceId = '', year, month, day, hour, minute, second, id = ''] = match
  const untilMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(untilMs) ? undefined : { id, traceId, untilMs }
}

/** Holds by their names, whether their end has passed or not: of all tenants, of one, or of one's trace. */
export async function* listHolds(
  blobs: BlobStore,
  tenant?: string,
  traceId?: string,
): AsyncGenerator<ListedHold> {
  const prefix = tenant === undefined ? holdsPrefix : holdsOf(tenant, traceId)
  for await (const info of blobs.list(prefix)) {
    const name = parseHoldKey(info.key)
    if (name !== undefined) yield { ...name, ...info }
  }
}

function holdsOf(tenant: string, traceId?: string): string {
  const folder = hash('sha256', tenant, 'hex').slice(0, 32)
  return `${holdsPrefix}${folder}/${traceId === undefined ? '' : `${traceId}-`}`
}

function stamp(timeMs: number): string {
  return new Date(timeMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
}
