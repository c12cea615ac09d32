import { isRetryable, type Log, PipelineError } from '@winnow/runtime'
import {
  type BlobStore,
  decisionOf,
  type ListedSegment,
  listSegments,
  readAllLedger,
  readLedgerRow,
} from '@winnow/storage'
import { ApiError } from './api-error.ts'
import { type ContentLives, contentByAge } from './content.ts'
import { newestFirst, newestOf, placeOf, type SearchPage, type SearchRequest } from './search.ts'
import { listItem, type TraceListItem } from './trace-read.ts'

/** Where spans of kept traces lie in segments. */
export type StoredTier = 'warm' | 'cold'

/** How much time a search of a tier looks at: as many segments of the ledger as a day has. */
export const tierWindowMaxMs = 86_400_000

/** Kept traces of a window that are looked at: some 100 MB. */
export const tierTracesMax = 200_000

export interface TierSearchFrom {
  /** Undefined: there is no tier but hot. */
  readonly blobs: BlobStore | undefined
  readonly lives: ContentLives
  readonly nowMs: number
  readonly log: Log
  readonly tracesMax?: number
}

const columns = [
  'tenant',
  'trace_id',
  'verdict',
  'rules',
  'slice_count',
  'gone',
  'service_name',
  'experiment_variant',
  'duration_ms',
  'decided_at',
  'sampling_offset',
] as const
type Row = Awaited<ReturnType<typeof readAllLedger<(typeof columns)[number]>>>[number]

/** A kept trace's last decision within the window, and where the ledger has it. */
interface Found {
  readonly traceId: string
  readonly decidedAtMs: number
  readonly offset: number
  readonly segment: ListedSegment
  readonly row: number
  readonly isWanted: boolean
}

/**
 * Kept traces of a day whose spans a tier still has, newest first, by the facts of the ledger. Each segment of
 * the day is read once, its columns that are asked for alone. A trace that was decided again within the window is
 * what its last decision there says.
 */
export async function searchTier(
  tenant: string,
  tier: StoredTier,
  request: SearchRequest,
  from: TierSearchFrom,
): Promise<SearchPage> {
  const { blobs, lives, nowMs, log, tracesMax = tierTracesMax } = from
  const { sinceMs, untilMs } = windowOf(request, nowMs)
  if (blobs === undefined) return { traces: [], tiersSearched: [], complete: true }
  const lifeMs = tier === 'warm' ? lives.warmMs : lives.coldMs
  const found = new Map<string, Found>()
  const unreadable: string[] = []
  for await (const segment of segmentsOf(blobs, sinceMs, untilMs)) {
    // What has outlived its tier is not shown, though nobody may have deleted it yet.
    if (Date.parse(`${segment.date}T00:00:00Z`) + dayMs + lifeMs <= nowMs) continue
    const rows = await readable(segment.key, unreadable, log, () =>
      readAllLedger(blobs, segment.key, columns),
    )
    for (const [row, one] of (rows ?? []).entries()) {
      if (one.tenant !== tenant || one.decided_at < sinceMs || one.decided_at >= untilMs) continue
      const before = found.get(one.trace_id)
      // Decisions of one trace lie in one partition; of another log the later speaks.
      if (before !== undefined && !isLater(one, before)) continue
      if (before === undefined && !isKept(one)) continue
      found.set(one.trace_id, foundOf(segment, row, one, request))
      if (found.size > tracesMax) throw tooMany(tracesMax)
    }
  }
  const before = placeOf(request.cursor)
  const isOnPage = (one: Found): boolean =>
    one.isWanted && (before === undefined || newestFirst(before, one) < 0)
  const page = newestOf(found.values(), isOnPage, request.limit)
  const traces: TraceListItem[] = []
  for (const { segment, row } of page.shown) {
    const place = { key: segment.key, bytes: segment.bytes, row }
    const read = await readable(segment.key, unreadable, log, () => readLedgerRow(blobs, place))
    if (read === undefined) continue
    const decision = decisionOf(read)
    if (decision.erased === true) continue
    traces.push(listItem(decision, contentByAge(decision, nowMs, lives)?.level ?? null))
  }
  return {
    traces,
    tiersSearched: [tier],
    ...(page.cursor !== undefined && { cursor: page.cursor }),
    complete: unreadable.length === 0,
    ...(unreadable.length > 0 && { unreadable: [...new Set(unreadable)] }),
  }
}

const dayMs = 86_400_000

/** How far a store's clock may be behind the log's. */
const storeClockSlackMs = 3_600_000

/** A list for each day. A segment bears the date of its first record, which may be of the day before. */
async function* segmentsOf(
  blobs: BlobStore,
  sinceMs: number,
  untilMs: number,
): AsyncIterable<ListedSegment> {
  for (let atMs = startOf(Math.max(0, sinceMs - dayMs)); atMs < untilMs; atMs += dayMs) {
    for await (const segment of listSegments(blobs, 'ledger', {
      sinceMs: atMs,
      untilMs: atMs + 1,
    })) {
      // Nothing was decided after it was written.
      if (segment.modifiedAtMs >= sinceMs - storeClockSlackMs) yield segment
    }
  }
}

function startOf(timeMs: number): number {
  return timeMs - (timeMs % dayMs)
}

function windowOf(
  { state, sinceMs, untilMs }: SearchRequest,
  nowMs: number,
): { readonly sinceMs: number; readonly untilMs: number } {
  if (state !== 'kept') {
    throw new ApiError(400, 'NOT_IN_TIER', 'tiers hold kept traces alone; leave state out', {
      field: 'state',
      value: state,
    })
  }
  if (sinceMs === undefined) {
    throw new ApiError(
      400,
      'WINDOW_NEEDED',
      'give since=2026-11-21, and until where it is not a day',
      {
        field: 'since',
      },
    )
  }
  const end = untilMs ?? Math.min(nowMs, sinceMs + tierWindowMaxMs)
  if (end - sinceMs <= tierWindowMaxMs) return { sinceMs, untilMs: end }
  throw new ApiError(400, 'WINDOW_TOO_LONG', 'a search of a tier looks at a day; ask day by day', {
    field: 'until',
    value: new Date(end).toISOString(),
  })
}

function isKept({ verdict, gone, slice_count }: Row): boolean {
  return verdict === 'keep' && !gone && slice_count > 0
}

function isLater(row: Row, { decidedAtMs, offset }: Found): boolean {
  return (
    row.decided_at > decidedAtMs || (row.decided_at === decidedAtMs && row.sampling_offset > offset)
  )
}

function foundOf(segment: ListedSegment, at: number, row: Row, request: SearchRequest): Found {
  const { rule, service, variant, minDurationMs } = request
  return {
    traceId: row.trace_id,
    decidedAtMs: row.decided_at,
    offset: row.sampling_offset,
    segment,
    row: at,
    isWanted:
      isKept(row) &&
      (rule === undefined || (JSON.parse(row.rules) as string[]).includes(rule)) &&
      (service === undefined || row.service_name === service) &&
      (variant === undefined || row.experiment_variant === variant) &&
      (minDurationMs === undefined || (row.duration_ms ?? -1) >= minDurationMs),
  }
}

function tooMany(tracesMax: number): ApiError {
  const remedy = `more than ${tracesMax} kept traces are in this window; give a shorter one`
  return new ApiError(422, 'SEARCH_TOO_LARGE', remedy, { field: 'until' })
}

/** One bad object makes an answer incomplete, and says so; a store that is away makes none. */
async function readable<T>(
  key: string,
  unreadable: string[],
  log: Log,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (isRetryable(error) || !(error instanceof PipelineError)) throw error
    unreadable.push(key)
    log.error('query.object_unreadable', error, { key })
    return undefined
  }
}
