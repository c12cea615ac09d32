import { createHash } from 'node:crypto'
import { type Bus, partitionOfHex } from '@winnow/bus'
import {
  type OutcomeMap,
  parseTraceId,
  type RescueRequest,
  requestReasonBytesMax,
  writtenVersion,
} from '@winnow/model'
import type { Clock, Scope } from '@winnow/runtime'
import type { HotStore, HotTraceRead } from '@winnow/storage'
import { ApiError, scopeMissing } from './api-error.ts'
import { appendEvidence } from './append-evidence.ts'
import type { DecisionFold } from './decision-fold.ts'
import type { DecisionLookup } from './decision-lookup.ts'
import { estimate, refuseListed } from './estimate/estimate-route.ts'
import { samplingReport } from './sampling.ts'
import { flag, moment, parseSearch, refuseUnknown, search } from './search.ts'
import { otlpOf, spansOf, structuredOf } from './trace-read.ts'
import { explain, type PendingFacts, shown, type Waits, type Why } from './why.ts'

/** What the routes stand on. Each call is within one tenant. */
export interface RouteDeps {
  readonly bus: Bus
  /** Full name of the `evidence` topic: a rescue is a request there, an evaluation too. */
  readonly evidence: string
  readonly hot: HotStore
  readonly fold: DecisionFold
  readonly lookup: DecisionLookup
  readonly waits: Waits
  /** What senders' outcomes are here. */
  readonly outcomes: OutcomeMap
  readonly clock: Clock
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
  const before = query.get('before') ?? undefined
  if (before !== undefined && !isDate(before)) {
    throw new ApiError(400, 'INVALID_DATE', 'give a UTC day as before=2026-11-21', {
      field: 'before',
      value: before,
    })
  }
  const why = await whyOf(deps, reader.tenant, traceIdOf(id), before)
  return { status: 200, body: shownTo(reader, why) }
}

function isDate(text: string): boolean {
  const time = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(`${text}T`)
}

export async function getTrace(
  deps: RouteDeps,
  reader: Reader,
  id: string,
  query: URLSearchParams,
): Promise<Answer> {
  const { tenant, scopes } = reader
  const traceId = traceIdOf(id)
  const format = formatOf(query)
  const seesText = scopes.includes('content')
  // Before anything is looked up: a refusal says nothing of what there is.
  if (format === 'otlp' && !seesText) throw scopeMissing('content')
  const [found, read] = await Promise.all([
    whyOf(deps, tenant, traceId),
    deps.hot.get(tenant, traceId),
  ])
  const why = shownTo(reader, found)
  const tiersSearched = ['hot']
  if (read === undefined || (read.spans.length === 0 && read.bodies.length === 0)) {
    return {
      status: 404,
      body: {
        error: { code: 'TRACE_NOT_STORED', field: 'id', value: traceId, remedy: remedyFor(why) },
        why,
        tiersSearched,
      },
    }
  }
  if (format === 'otlp') return otlpAnswer(read)
  const spans = seesText ? spansOf(read) : { ...structuredOf(read), withheld }
  return { status: 200, body: { traceId, why, tiersSearched, ...spans } }
}

/** Why a trace is answered at a lower level than it is held at. */
const withheld = { scope: 'content', remedy: 'the text is for keys with the scope content' }

/** What a person wrote for a reason is free text. */
function shownTo({ scopes }: Reader, why: Why): Why {
  if (scopes.includes('content')) return why
  return { ...why, requests: why.requests.map(({ id }) => ({ id, reason: null })) }
}

function formatOf(query: URLSearchParams): 'otlp' | undefined {
  refuseUnknown(query, ['format'])
  const format = query.get('format')
  if (format === null || format === 'otlp') return format ?? undefined
  throw new ApiError(400, 'INVALID_FORMAT', 'use format=otlp, or leave it out', {
    field: 'format',
    value: format,
  })
}

function otlpAnswer(read: HotTraceRead): Answer {
  if (read.bodies.length > 0) return { status: 200, body: otlpOf(read) }
  throw new ApiError(
    410,
    'TEXT_EXPIRED',
    'the text of this trace has expired; leave out format=otlp',
    {
      field: 'format',
      value: 'otlp',
    },
  )
}

function remedyFor(why: Why): string {
  switch (why.state) {
    case 'dropped':
      return `it was dropped; POST /api/v1/traces/${why.traceId}/rescue keeps it until ${why.bytesReadableUntil}`
    case 'expired':
      return 'it was not kept and its bytes have left the bus'
    case 'pending':
      return 'it is still open; ask again in a few seconds'
    case 'awaiting':
      return 'only evaluations came so far, no span'
    case 'kept':
      return 'it is kept: within seconds of its decision it is in the hot store; after a week only in warm and cold Parquet, see docs/parquet.md'
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
  const why = await whyOf(deps, tenant, traceId)
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
  return { status: 202, body: { traceId, state: 'accepted', id: request.id } }
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
    return { status: 200, body: await estimate(tenant, request, hot, waits.spansRetentionMs) }
  }
  const page = await search(tenant, request, {
    hot,
    fold,
    spansRetentionMs: waits.spansRetentionMs,
  })
  return { status: 200, body: page }
}

export function getSampling(deps: RouteDeps, tenant: string, query: URLSearchParams): Answer {
  refuseUnknown(query, ['since'])
  const sinceMs = moment(query, 'since', deps.clock.nowMs())
  const report = samplingReport(deps.fold.entries(tenant), sinceMs, deps.fold.forgottenOf(tenant))
  return { status: 200, body: report }
}

async function whyOf(
  deps: RouteDeps,
  tenant: string,
  traceId: string,
  before?: string,
): Promise<Why> {
  const found = await deps.lookup.find(tenant, traceId, before)
  const undecided = found.decision === undefined || found.decision.sliceCount === 0
  const pending = undecided ? await deps.pending?.(tenant, traceId) : undefined
  return explain(traceId, found, pending, deps.fold.logTimeMs, deps.waits)
}

function traceIdOf(id: string): string {
  const traceId = parseTraceId(id)
  if (traceId !== undefined) return traceId
  throw new ApiError(400, 'INVALID_TRACE_ID', 'a trace id is 32 hex digits, not all zero', {
    field: 'id',
    value: id,
  })
}
