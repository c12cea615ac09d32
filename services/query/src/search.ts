import { rfc3339Ms } from '@winnow/runtime'
import type { HotStore } from '@winnow/storage'
import { ApiError } from './api-error.ts'
import { pageLimitDefault, pageLimitMax } from './config.ts'
import { type ContentLives, contentByAge } from './content.ts'
import type { DecisionFold } from './decision-fold.ts'
import type { FoldEntry } from './decision-table.ts'
import { listItem, type TraceListItem } from './trace-read.ts'

export interface SearchPage {
  readonly traces: readonly TraceListItem[]
  /** Where was looked: `hot` for kept traces, or the tier that was asked for; `decisions` for the others. */
  readonly tiersSearched: readonly string[]
  readonly cursor?: string
  /** Of warm and cold: whether all of the window could be read. */
  readonly complete?: boolean
  /** Keys of what could not. */
  readonly unreadable?: readonly string[]
}

const STATES = ['kept', 'dropped', 'expired', 'awaiting'] as const
type ListedState = (typeof STATES)[number]

export interface SearchRequest {
  readonly state: ListedState
  readonly tier: 'hot' | 'warm' | 'cold'
  readonly limit: number
  readonly cursor?: string
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly rule?: string
  readonly service?: string
  readonly variant?: string
  readonly minDurationMs?: number
}

/** What of a search may be asked for. */
export const searchKeys = [
  'state',
  'tier',
  'limit',
  'cursor',
  'since',
  'until',
  'rule',
  'service',
  'variant',
  'minDurationMs',
]

/** Reads the query of `/search`; without `state` it lists kept traces. Unknown parameters are refused. */
export function parseSearch(query: URLSearchParams, nowMs: number): SearchRequest {
  refuseUnknown(query, [...searchKeys, 'estimate'])
  const text = (name: string): string | undefined => query.get(name) ?? undefined
  const state = text('state') ?? 'kept'
  if (!STATES.some(known => known === state)) {
    throw new ApiError(400, 'INVALID_STATE', `use one of ${STATES.join(', ')}`, {
      field: 'state',
      value: state,
    })
  }
  const tier = text('tier') ?? 'hot'
  if (tier !== 'hot' && tier !== 'warm' && tier !== 'cold') {
    throw new ApiError(400, 'INVALID_TIER', 'use one of hot, warm, cold', {
      field: 'tier',
      value: tier,
    })
  }
  const { sinceMs, untilMs } = windowAsked(query, nowMs)
  return {
    state: state as ListedState,
    tier,
    limit: wholeNumber(query, 'limit', 1, pageLimitMax) ?? pageLimitDefault,
    ...given('cursor', checkedCursor(text('cursor'))),
    ...given('sinceMs', sinceMs),
    ...given('untilMs', untilMs),
    ...given('rule', text('rule')),
    ...given('service', text('service')),
    ...given('variant', text('variant')),
    ...given('minDurationMs', number(query, 'minDurationMs', 0, Number.MAX_SAFE_INTEGER)),
  }
}

export async function search(
  tenant: string,
  request: SearchRequest,
  from: {
    readonly hot: HotStore
    readonly fold: DecisionFold
    readonly spansRetentionMs: number
    readonly lives: ContentLives
    readonly nowMs: number
  },
): Promise<SearchPage> {
  const { state, tier: _, ...filter } = request
  if (state === 'kept') {
    const page = await from.hot.search({ tenant, ...filter })
    return {
      traces: page.decisions.map(decision =>
        listItem(decision, contentByAge(decision, from.nowMs, from.lives)?.level ?? null),
      ),
      tiersSearched: ['hot'],
      ...given('cursor', page.cursor),
    }
  }
  const oldestMs = from.fold.logTimeMs - from.spansRetentionMs
  const wanted = (entry: FoldEntry): boolean =>
    stateOf(entry, oldestMs) === state && matches(entry, request)
  return foldPage(from.fold.entries(tenant), wanted, request, state)
}

function foldPage(
  entries: Iterable<FoldEntry>,
  wanted: (entry: FoldEntry) => boolean,
  request: SearchRequest,
  state: ListedState,
): SearchPage {
  const before = placeOf(request.cursor)
  const isOnPage = (entry: FoldEntry): boolean =>
    wanted(entry) && (before === undefined || newestFirst(before, entry) < 0)
  const { shown, cursor } = newestOf(entries, isOnPage, request.limit)
  return {
    traces: shown.map(entry => foldItem(entry, state)),
    tiersSearched: ['decisions'],
    ...given('cursor', cursor),
  }
}

/** The `limit` newest that are wanted, and where the page after them begins if there are more. */
export function newestOf<Entry extends Place>(
  entries: Iterable<Entry>,
  wanted: (entry: Entry) => boolean,
  limit: number,
): { readonly shown: readonly Entry[]; readonly cursor: string | undefined } {
  const found = newest(entries, wanted, limit + 1)
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  const more = found.length > shown.length && last !== undefined
  return { shown, cursor: more ? `${last.decidedAtMs}.${last.traceId}` : undefined }
}

type Place = Pick<FoldEntry, 'decidedAtMs' | 'traceId'>

export function newestFirst(a: Place, b: Place): number {
  return (
    b.decidedAtMs - a.decidedAtMs || (a.traceId < b.traceId ? -1 : a.traceId === b.traceId ? 0 : 1)
  )
}

/** The `count` newest that are wanted, newest first, without sorting the hundred thousands that are not. */
function newest<Entry extends Place>(
  entries: Iterable<Entry>,
  wanted: (entry: Entry) => boolean,
  count: number,
): Entry[] {
  const found: Entry[] = []
  for (const entry of entries) {
    if (!wanted(entry)) continue
    found.push(entry)
    if (found.length < 8 * count) continue
    found.sort(newestFirst)
    found.length = count
  }
  return found.sort(newestFirst)
}

/** The form of both lists' cursors: `<decided at>.<trace id>`. */
const cursorText = /^(\d{1,15})\.([0-9a-f]{32})$/

function checkedCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined || cursorText.test(cursor)) return cursor
  throw new ApiError(400, 'INVALID_CURSOR', 'pass the cursor of the page before, unchanged', {
    field: 'cursor',
    value: cursor,
  })
}

export function placeOf(cursor: string | undefined): Place | undefined {
  const match = cursor === undefined ? null : cursorText.exec(cursor)
  return match === null ? undefined : { decidedAtMs: Number(match[1]), traceId: match[2] ?? '' }
}

function stateOf(entry: FoldEntry, oldestReadableMs: number): ListedState {
  if (entry.isAwaiting) return 'awaiting'
  if (entry.gone) return 'expired'
  if (entry.verdict === 'keep') return 'kept'
  return entry.lastSliceAtMs < oldestReadableMs ? 'expired' : 'dropped'
}

function matches(entry: FoldEntry, request: SearchRequest): boolean {
  return (
    (request.sinceMs === undefined || entry.decidedAtMs >= request.sinceMs) &&
    (request.untilMs === undefined || entry.decidedAtMs < request.untilMs) &&
    (request.rule === undefined || entry.matched.includes(request.rule)) &&
    (request.service === undefined || entry.service === request.service) &&
    (request.variant === undefined || entry.variant === request.variant) &&
    (request.minDurationMs === undefined || (entry.durationMs ?? -1) >= request.minDurationMs)
  )
}

function foldItem(entry: FoldEntry, state: ListedState): TraceListItem {
  return {
    traceId: entry.traceId,
    state,
    primary: entry.primary,
    rules: entry.matched,
    service: entry.service,
    operation: entry.operation,
    variant: entry.variant,
    durationMs: entry.durationMs,
    spanCount: null,
    content: null,
    costUsd: null,
    adjustedCount: null,
    firstSpanAt: null,
    decidedAt: new Date(entry.decidedAtMs).toISOString(),
  }
}

/** An RFC 3339 time, or a span of time before now, as `15m`, `24h` or `7d`. */
export function moment(query: URLSearchParams, name: string, nowMs: number): number | undefined {
  const value = query.get(name)
  if (value === null) return undefined
  const ago = /^(\d+)(s|m|min|h|d)$/.exec(value)
  const atMs =
    ago !== null
      ? nowMs - Number(ago[1]) * AGO_MS[ago[2] as keyof typeof AGO_MS]
      : (rfc3339Ms(value) ?? Number.NaN)
  // Further back than this there is no date that could be answered with.
  if (Math.abs(atMs) <= dateMsMax) return atMs
  throw new ApiError(400, 'INVALID_TIME', 'use RFC 3339 as 2026-01-31T12:00:00Z, or 15m, 24h, 7d', {
    field: name,
    value,
  })
}

/** `since` and `until`, either of which may be left out. */
export function windowAsked(
  query: URLSearchParams,
  nowMs: number,
): { readonly sinceMs: number | undefined; readonly untilMs: number | undefined } {
  const sinceMs = moment(query, 'since', nowMs)
  const untilMs = moment(query, 'until', nowMs)
  if (sinceMs === undefined || untilMs === undefined || sinceMs <= untilMs) {
    return { sinceMs, untilMs }
  }
  const remedy = `it is before since, ${new Date(sinceMs).toISOString()}; exchange them`
  throw new ApiError(400, 'INVALID_TIME', remedy, {
    field: 'until',
    value: query.get('until') ?? '',
  })
}

/** The range of dates in JavaScript. */
const dateMsMax = 8.64e15

const AGO_MS = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const

function number(
  query: URLSearchParams,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const value = query.get(name)
  if (value === null) return undefined
  const parsed = value.trim() === '' ? Number.NaN : Number(value)
  if (parsed >= min && parsed <= max) return parsed
  throw new ApiError(400, 'INVALID_NUMBER', `use a number from ${min} to ${max}`, {
    field: name,
    value,
  })
}

export function wholeNumber(
  query: URLSearchParams,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const value = number(query, name, min, max)
  if (value === undefined || Number.isInteger(value)) return value
  throw new ApiError(400, 'INVALID_NUMBER', `use a whole number from ${min} to ${max}`, {
    field: name,
    value: String(value),
  })
}

/** Whether `name` is `true`; left out it is not, and anything else is refused. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  if (value === null || value === 'true' || value === 'false') return value === 'true'
  throw new ApiError(400, 'INVALID_FLAG', `use ${name}=true, or leave it out`, {
    field: name,
    value,
  })
}

/** A misspelt parameter would be a filter that filters nothing. */
export function refuseUnknown(query: URLSearchParams, known: readonly string[]): void {
  for (const name of query.keys()) {
    if (known.includes(name)) continue
    throw new ApiError(400, 'UNKNOWN_PARAMETER', `use one of ${known.join(', ')}`, { field: name })
  }
}

function given<K extends string, V>(name: K, value: V | undefined): { readonly [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [P in K]?: V }
}
