import type { DecisionHead } from '@winnow/model'
import type { HotTraceRead } from '@winnow/storage'
import { ApiError, scopeMissing } from './api-error.ts'
import { type Content, contentOf, isHeld } from './content.ts'
import type { Found } from './decision-lookup.ts'
import { contentOfHold, type FoundHold, heldTrace } from './holds/find-hold.ts'
import { type ShownHold, shown } from './holds/hold-routes.ts'
import {
  type Answer,
  beforeOf,
  type Reader,
  type RouteDeps,
  remedyFor,
  shownTo,
  traceIdOf,
  whyOf,
} from './routes.ts'
import { refuseUnknown } from './search.ts'
import { otlpOf, type ReadTrace, rowsOf, spansOf } from './trace-read.ts'

/** The tiers that a request for a trace has looked into, in that order. */
type SearchedTier = 'hot' | 'warm' | 'cold' | 'hold'

/** What was found of a trace's spans, and what it leaves out. */
interface HeldTrace {
  readonly trace: ReadTrace
  readonly content: Content
  readonly tier: SearchedTier
  /** Keys of segments that could not be read. */
  readonly unreadable: readonly string[]
  /** False where further segments could have some of its spans. */
  readonly complete: boolean
  readonly hold?: ShownHold
}

/**
 * A kept trace: from the hot store, and once that has it no more from warm or cold, without a date; from a hold
 * where that has more of it. It says at which content level, since when, and what is not there.
 */
export async function getTrace(
  deps: RouteDeps,
  reader: Reader,
  id: string,
  query: URLSearchParams,
): Promise<Answer> {
  const { tenant, scopes } = reader
  const traceId = traceIdOf(id)
  const format = formatOf(query)
  const before = beforeOf(query)
  const seesText = scopes.includes('content')
  // Before anything is looked up: a refusal says nothing of what there is.
  if (format === 'otlp' && !seesText) throw scopeMissing('content')
  const [{ why: whole, found, hold }, read] = await Promise.all([
    whyOf(deps, tenant, traceId, before),
    before === undefined ? deps.hot.get(tenant, traceId) : undefined,
  ])
  const why = shownTo(reader, whole)
  const tiersSearched: SearchedTier[] = before === undefined ? ['hot'] : []
  const isThere = read !== undefined && read.spans.length + read.bodies.length > 0
  const fromHold = hold && (await holdTrace(deps, reader, hold, found, tiersSearched))
  if (fromHold !== undefined && format === 'otlp') {
    // Spans that came after it was made are not in it, and OTLP has no word for that.
    if (fromHold.content.missing.includes('spans')) throw textExpired()
    return otlpAnswer(fromHold)
  }
  if (isThere && format === 'otlp') return otlpAnswer(read)
  const held =
    fromHold ??
    (isThere
      ? hotTrace(deps, read, found.decision ?? read.decision, seesText)
      : await storedTrace(deps, tenant, found, tiersSearched))
  if (held === undefined) {
    const error = { code: 'TRACE_NOT_STORED', field: 'id', value: traceId, remedy: remedyFor(why) }
    return { status: 404, body: { error, why, tiersSearched } }
  }
  if (format === 'otlp') throw textExpired()
  const { trace, content, tier, complete, unreadable, hold: shownHold } = held
  return {
    status: 200,
    body: {
      traceId,
      why,
      tiersSearched,
      tier,
      content,
      ...(!complete && { complete, unreadable }),
      ...(shownHold !== undefined && { hold: shownHold }),
      ...trace,
      ...((isThere || fromHold?.hasText === true) && !seesText && { withheld }),
    },
  }
}

/** Why a trace is answered at a lower level than it is held at. */
const withheld = { scope: 'content', remedy: 'the text is for keys with the scope content' }

function hotTrace(
  { clock, lives }: RouteDeps,
  read: HotTraceRead,
  decision: DecisionHead,
  seesText: boolean,
): HeldTrace {
  const trace = seesText ? spansOf(read) : rowsOf(read.spans, 'structured')
  const hasText = trace.level === 'full'
  const found = { tier: 'hot', hasText, spans: trace.spans.length } as const
  const content = contentOf(decision, found, clock.nowMs(), lives)
  return { trace, content, tier: 'hot', complete: true, unreadable: [] }
}

/** Undefined: it has ended meanwhile, or cannot be read. */
async function holdTrace(
  deps: RouteDeps,
  reader: Reader,
  hold: FoundHold,
  { decision }: Found,
  tiersSearched: SearchedTier[],
) {
  tiersSearched.push('hold')
  const held = await heldTrace({ ...deps, nowMs: deps.clock.nowMs() }, hold)
  if (held === undefined) return undefined
  const { head } = hold
  const rowLevel = head.level === 'hashed' ? 'hashed' : 'structured'
  const trace = reader.scopes.includes('content')
    ? spansOf(held, rowLevel)
    : rowsOf(held.spans, rowLevel)
  return {
    ...held,
    trace,
    content: contentOfHold(head, decision ?? held.decision),
    tier: 'hold' as const,
    complete: head.complete,
    unreadable: [],
    hold: shown(head, reader),
    hasText: held.bodies.length > 0,
  }
}

async function storedTrace(
  { stored, clock, lives }: RouteDeps,
  tenant: string,
  { decision, segment }: Found,
  tiersSearched: SearchedTier[],
): Promise<HeldTrace | undefined> {
  if (decision === undefined || !isHeld(decision) || stored === undefined) return undefined
  const { tiers, tier, spans, date, complete, unreadable, unlinkable } = await stored.find(
    tenant,
    decision,
    segment,
  )
  tiersSearched.push(...tiers)
  if (tier === undefined) return undefined
  const level = tier === 'cold' ? 'hashed' : 'structured'
  const dated = date !== undefined && { date }
  const found = { tier, hasText: false, spans: spans.length, unlinkable, ...dated }
  const content = contentOf(decision, found, clock.nowMs(), lives)
  return { trace: rowsOf(spans, level), content, tier, complete, unreadable }
}

function formatOf(query: URLSearchParams): 'otlp' | undefined {
  refuseUnknown(query, ['format', 'before'])
  const format = query.get('format')
  if (format === null || format === 'otlp') return format ?? undefined
  throw new ApiError(400, 'INVALID_FORMAT', 'use format=otlp, or leave it out', {
    field: 'format',
    value: format,
  })
}

function otlpAnswer(read: Pick<HotTraceRead, 'spans' | 'bodies'>): Answer {
  const body = otlpOf(read)
  if (body === undefined) throw textExpired()
  return { status: 200, body }
}

function textExpired(): ApiError {
  return new ApiError(
    410,
    'TEXT_EXPIRED',
    'the text of this trace, or of a part of it, has expired; leave out format=otlp',
    { field: 'format', value: 'otlp' },
  )
}
