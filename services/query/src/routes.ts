import { createHash } from 'node:crypto'
import { type Bus, partitionOfHex } from '@winnow/bus'
import {
  type DecisionHead,
  type OutcomeMap,
  parseTraceId,
  type RescueRequest,
  requestReasonBytesMax,
  writtenVersion,
} from '@winnow/model'
import type { Clock, Log, Scope } from '@winnow/runtime'
import type { BlobStore, HotStore } from '@winnow/storage'
import { ApiError } from './api-error.ts'
import { appendEvidence } from './append-evidence.ts'
import {
  type Content,
  type ContentLevel,
  type ContentLives,
  contentByAge,
  contentOf,
  mayHaveText,
} from './content.ts'
import type { DecisionFold } from './decision-fold.ts'
import type { DecisionLookup, Found } from './decision-lookup.ts'
import { type ErasureRequests, traceErased } from './erasure-routes.ts'
import { type Estimates, refuseListed } from './estimate/estimate-route.ts'
import { bestHold, contentOfHold, type FoundHold, hasMore, heldTrace } from './holds/find-hold.ts'
import { samplingReport } from './sampling.ts'
import { flag, moment, parseSearch, refuseUnknown, search } from './search.ts'
import type { SpanLookup } from './span-lookup.ts'
import { searchTier } from './tier-search.ts'
import { spansOf } from './trace-read.ts'
import { explain, type PendingFacts, shown, type Waits, type Why } from './why.ts'

/** What the routes stand on. Each call is within one tenant. */
export interface RouteDeps {
  readonly bus: Bus
  /** Full name of the `evidence` topic: a rescue is a request there, an evaluation too. */
  readonly evidence: string
  readonly hot: HotStore
  readonly fold: DecisionFold
  readonly lookup: DecisionLookup
  /** Spans of warm and cold; undefined where there is no blob store. */
  readonly stored: SpanLookup | undefined
  /** Undefined: there is no tier but hot. */
  readonly blobs: BlobStore | undefined
  readonly log: Log
  readonly lives: ContentLives
  readonly estimates: Estimates
  readonly waits: Waits
  /** What senders' outcomes are here. */
  readonly outcomes: OutcomeMap
  /** Takes out of a body what must not be kept; absent where nothing is. */
  readonly redact?: (tenant: string, body: unknown) => Promise<unknown>
  readonly clock: Clock
  /** Without it nothing is erased here. */
  readonly erasures?: ErasureRequests
  /** What an assembler of this process holds open; undefined where it is another process's. */
  readonly pending?: (tenant: string, traceId: string) => Promise<PendingFacts | undefined>
}

/** Who asks: what an answer may hold. */
export interface Reader {
  readonly tenant: string
  readonly scopes: readonly Scope[]
  /** What his key is called as the source of an outcome. */
  readonly source?: string | undefined
}

export interface Answer {
  readonly status: number
  /** A string is sent as it is: JSON text already. */
  readonly body: unknown
}

export async function getWhy(
  deps: RouteDeps,
  reader: Reader,
  id: string,
  query: URLSearchParams,
): Promise<Answer> {
  refuseUnknown(query, ['before'])
  const { why } = await whyOf(deps, reader.tenant, traceIdOf(id), beforeOf(query))
  return { status: 200, body: shownTo(reader, why) }
}

/** A UTC day: only the ledger of the days before it is searched. */
export function beforeOf(query: URLSearchParams): string | undefined {
  const before = query.get('before')
  if (before === null) return undefined
  if (isDate(before)) return before
  throw new ApiError(400, 'INVALID_DATE', 'give a UTC day as before=2026-11-21', {
    field: 'before',
    value: before,
  })
}

function isDate(text: string): boolean {
  const time = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(`${text}T`)
}

/** What a person wrote for a reason is free text. */
export function shownTo({ scopes }: Reader, why: Why): Why {
  if (scopes.includes('content')) return why
  return { ...why, requests: why.requests.map(({ id }) => ({ id, reason: null })) }
}

export function remedyFor(why: Why): string {
  switch (why.state) {
    case 'dropped':
      return `it was dropped; POST /api/v1/traces/${why.traceId}/rescue keeps it, as long as its bytes can be read: until ${why.bytesReadableUntil}`
    case 'expired':
      return 'it was not kept and its bytes have left the bus'
    case 'pending':
      return 'it is still open; ask again in a few seconds'
    case 'awaiting':
      return 'only evaluations came so far, no span'
    case 'kept':
      return why.content?.level === 'none'
        ? 'it was kept, and every tier’s time is over since'
        : 'it is kept: within seconds of its decision it is in the hot store, and in warm and cold once its segment is written'
    case 'unknown':
      return why.searched.complete
        ? 'no span and no evaluation of it has been seen; check the id and the key’s tenant'
        : `not found, but not everything was searched; ask /why?before=${why.searched.ledgerSince ?? 'a day'} for older days, and see why.searched`
  }
}

export async function postRescue(
  deps: RouteDeps,
  tenant: string,
  id: string,
  body: unknown,
): Promise<Answer> {
  const traceId = traceIdOf(id)
  const reason = (body as { reason?: unknown } | null)?.reason
  const long = typeof reason === 'string' && Buffer.byteLength(reason) > requestReasonBytesMax
  if (typeof reason !== 'string' || reason.trim() === '' || long) {
    throw new ApiError(
      422,
      'INVALID_REASON',
      `give a reason of 1 to ${requestReasonBytesMax} bytes`,
      {
        field: 'reason',
        ...(typeof reason === 'string' && { value: reason }),
      },
    )
  }
  const { why } = await whyOf(deps, tenant, traceId)
  if (why.state === 'unknown')
    throw new ApiError(404, 'TRACE_UNKNOWN', remedyFor(why), { field: 'id', value: id })
  if (why.state === 'expired')
    throw new ApiError(409, 'BYTES_GONE', remedyFor(why), { field: 'id', value: id })
  if (why.state === 'kept') return { status: 200, body: { traceId, state: 'kept' } }
  // The same request sent again is the same request: its id is a hash of what it says.
  const digest = createHash('sha256').update(reason).digest('hex').slice(0, 16)
  const request: RescueRequest = {
    v: writtenVersion('evidence'),
    kind: 'request',
    tenant,
    traceId,
    id: `${traceId}.rescue-${digest}`,
    reason,
  }
  const partition = partitionOfHex(traceId, await deps.bus.partitionCount(deps.evidence))
  const record = { value: Buffer.from(JSON.stringify(request)) }
  await appendEvidence(deps, new Map([[partition, [record]]]))
  const content = yieldOf(why, deps)
  return { status: 202, body: { traceId, state: 'accepted', id: request.id, content } }
}

/** What of a dropped trace is held once it is kept: bytes older than a text's life are read without it. */
function yieldOf({ firstSpanAt }: Why, { fold, lives }: RouteDeps): ContentLevel {
  const ageMs = firstSpanAt === null ? 0 : fold.logTimeMs - Date.parse(firstSpanAt)
  return ageMs < lives.textMs ? 'full' : 'structured'
}

export async function getEvaluation(deps: RouteDeps, tenant: string, id: string): Promise<Answer> {
  const traceId = parseTraceId(id.split('.')[0] ?? '')
  if (traceId === undefined || !id.includes('.')) {
    throw new ApiError(
      400,
      'INVALID_ID',
      'an evaluation id is <trace id>.<its own id>, as POST answered',
      {
        field: 'id',
        value: id,
      },
    )
  }
  refuseErased(deps, tenant, traceId)
  const { decision } = await deps.lookup.find(tenant, traceId)
  // The trace id in whatever case, as everywhere; what the client chose behind it as it is.
  const known = traceId + id.slice(id.indexOf('.'))
  const found = decision?.evaluations.find(one => one.id === known)
  if (decision === undefined || found === undefined) {
    throw new ApiError(
      404,
      'EVALUATION_UNKNOWN',
      'it has not been folded; if it was accepted, ask again in a second',
      {
        field: 'id',
        value: id,
      },
    )
  }
  const { state, ...rest } = shown(found, decision, deps.fold.logTimeMs, deps.waits)
  return { status: 200, body: { ...rest, id: known, traceId, state } }
}

export async function getSearch(
  deps: RouteDeps,
  tenant: string,
  query: URLSearchParams,
): Promise<Answer> {
  const request = parseSearch(query, deps.clock.nowMs())
  const { hot, fold, waits } = deps
  if (flag(query, 'estimate')) {
    refuseListed(query)
    const body = await deps.estimates.answer(tenant, request, hot, waits.spansRetentionMs)
    return { status: 200, body }
  }
  const { tier } = request
  const { blobs, lives, log } = deps
  const nowMs = deps.clock.nowMs()
  const page =
    tier === 'hot'
      ? await search(tenant, request, {
          hot,
          fold,
          spansRetentionMs: waits.spansRetentionMs,
          lives,
          nowMs,
        })
      : await searchTier(tenant, tier, request, { blobs, lives, nowMs, log })
  const traces = page.traces.filter(
    ({ traceId }) => deps.erasures?.blockedBy(tenant, traceId) === undefined,
  )
  return { status: 200, body: { ...page, traces } }
}

export function getSampling(deps: RouteDeps, tenant: string, query: URLSearchParams): Answer {
  refuseUnknown(query, ['since'])
  const sinceMs = moment(query, 'since', deps.clock.nowMs())
  const report = samplingReport(deps.fold.entries(tenant), sinceMs, deps.fold.forgottenOf(tenant))
  return { status: 200, body: report }
}

export interface ExplainedTrace {
  readonly why: Why
  readonly found: Found
  /** A hold that has more of it than any tier. */
  readonly hold?: FoundHold
}

/** Why, and what was found of it. */
export async function whyOf(
  deps: RouteDeps,
  tenant: string,
  traceId: string,
  before?: string,
): Promise<ExplainedTrace> {
  refuseErased(deps, tenant, traceId)
  const found = await deps.lookup.find(tenant, traceId, before)
  const { decision } = found
  if (decision?.erased === true) throw traceErased(traceId)
  const undecided = decision === undefined || decision.sliceCount === 0
  const pending = undecided ? await deps.pending?.(tenant, traceId) : undefined
  const content = decision && (await heldOf(deps, decision))
  const { logTimeMs } = deps.fold
  const isNowhere = decision === undefined && pending === undefined && before === undefined
  const isAged = content !== undefined && content.level !== 'full'
  if (isNowhere || isAged || hasNoSpans(decision)) {
    const held = await fromHold(deps, tenant, traceId, found, content)
    if (held !== undefined) {
      const why = explain(traceId, held.found, undefined, logTimeMs, deps.waits, held.content)
      return { why, found: held.found, hold: held.hold }
    }
  }
  return { why: explain(traceId, found, pending, logTimeMs, deps.waits, content), found }
}

/** Where the tiers have less of a trace, or nobody knows it any more, a hold may have it. */
async function fromHold(
  { blobs, clock, log }: RouteDeps,
  tenant: string,
  traceId: string,
  found: Found,
  content: Content | undefined,
) {
  const reader = { blobs, nowMs: clock.nowMs(), log }
  const hold = await bestHold(reader, tenant, traceId)
  if (hold === undefined || !hasMore(hold, content?.level)) return undefined
  const { decision: last } = found
  const isLast = last !== undefined && !hasNoSpans(last)
  const decision = isLast ? last : (await heldTrace(reader, hold))?.decision
  if (decision === undefined) return undefined
  const { searched } = found
  const tiers = [...searched.tiers, 'hold'] as const
  return {
    hold,
    content: contentOfHold(hold.head, decision),
    found: { ...found, decision, searched: { ...searched, tiers, complete: true } },
  }
}

/**
 * A decision made anew for what came after the trace was forgotten, an evaluation say, or after its bytes had left
 * the bus: it speaks of no span, and an earlier one may have kept some.
 */
function hasNoSpans(decision: DecisionHead | undefined): boolean {
  return decision !== undefined && (decision.sliceCount === 0 || decision.gone === true)
}

/** By its age; where that leaves open whether the text is there, the hot store says. */
async function heldOf(
  { clock, lives, hot }: RouteDeps,
  decision: DecisionHead,
): Promise<Content | undefined> {
  const nowMs = clock.nowMs()
  if (mayHaveText(decision, nowMs, lives)) {
    const read = await hot.get(decision.tenant, decision.traceId)
    if (read !== undefined && spansOf(read).level === 'full') {
      const found = { tier: 'hot', hasText: true, spans: read.spans.length } as const
      return contentOf(decision, found, nowMs, lives)
    }
  }
  return contentByAge(decision, nowMs, lives)
}

function refuseErased({ erasures }: RouteDeps, tenant: string, traceId: string): void {
  const by = erasures?.blockedBy(tenant, traceId)
  if (by !== undefined) throw traceErased(traceId, by)
}

export function traceIdOf(id: string): string {
  const traceId = parseTraceId(id)
  if (traceId !== undefined) return traceId
  throw new ApiError(400, 'INVALID_TRACE_ID', 'a trace id is 32 hex digits, not all zero', {
    field: 'id',
    value: id,
  })
}
