import type { DecisionHead } from '@winnow/model'
import { type HoldContent, type HoldHead, hourOf } from '@winnow/storage'
import { ApiError } from '../api-error.ts'
import { contentByAge, contentOf, isHeld } from '../content.ts'
import type { Found } from '../decision-lookup.ts'
import { type RouteDeps, remedyFor, whyOf } from '../routes.ts'
import { spansOf } from '../trace-read.ts'
import type { Why } from '../why.ts'
import { bestHold, hasMore, heldTrace } from './find-hold.ts'

/** What of a trace can be held now, and how much that is. */
export interface HoldSource extends Pick<HoldHead, 'level' | 'since' | 'complete' | 'unlinkable'> {
  readonly held: HoldContent
}

/**
 * What a trace's age still allows: from hot, with its text as long as that may be there, then from warm, then cold.
 * A hold that it is under already, and that has more, is copied: so an end can be put off. Throws
 * what to do where there is nothing.
 */
export async function holdSource(
  deps: RouteDeps,
  tenant: string,
  traceId: string,
): Promise<HoldSource> {
  const { why, found } = await wholeWhy(deps, tenant, traceId)
  const { decision } = found
  if (why.state !== 'kept' || decision === undefined) throw notKept(why)
  const reader = { ...deps, nowMs: deps.clock.nowMs() }
  const level = contentByAge(decision, reader.nowMs, deps.lives)?.level ?? 'none'
  const stored =
    (await fromHot(deps, decision, level)) ?? (await fromSegments(deps, decision, found, level))
  const before = await bestHold(reader, tenant, traceId)
  if (before !== undefined && hasMore(before, stored?.level)) {
    const held = await heldTrace(reader, before)
    const { level: had, since, unlinkable } = before.head
    // Spans may have come since it was made.
    const complete = before.head.complete && before.head.spans >= decision.spanCount
    if (held !== undefined)
      return { held, level: had, since, complete, ...(unlinkable && { unlinkable }) }
  }
  if (stored !== undefined) return stored
  throw level === 'none' ? expired(traceId) : notStored(why)
}

/** Whoever holds a trace has not to know its day: every day of the ledger is asked for. */
async function wholeWhy(deps: RouteDeps, tenant: string, traceId: string) {
  for (let before: string | undefined; ; ) {
    const answer = await whyOf(deps, tenant, traceId, before)
    const { state, searched } = answer.why
    const { ledgerSince, complete } = searched
    if (state !== 'unknown' || complete || ledgerSince === null || ledgerSince === before) {
      return answer
    }
    before = ledgerSince
  }
}

async function fromHot(
  { hot, clock, lives }: RouteDeps,
  decision: DecisionHead,
  level: string,
): Promise<HoldSource | undefined> {
  const nowMs = clock.nowMs()
  if (level !== 'full' && level !== 'structured') return undefined
  // Text that has outlived its hour is not held, though nobody may have deleted it yet.
  const textFromMs = hourOf(nowMs - lives.textMs).startMs
  const read = await hot.get(decision.tenant, decision.traceId, textFromMs)
  if (read === undefined || read.spans.length === 0) return undefined
  const { spans, bodies } = read
  const hasText = spansOf(read).level === 'full'
  const content = contentOf(decision, { tier: 'hot', hasText, spans: spans.length }, nowMs, lives)
  return {
    held: { decision, spans, bodies },
    level: hasText ? 'full' : 'structured',
    since: content.since,
    // The decision may be ahead of the store, which then has no later spans yet.
    complete: spans.length >= decision.spanCount,
  }
}

async function fromSegments(
  { stored, clock, lives }: RouteDeps,
  decision: DecisionHead,
  { segment }: Found,
  level: string,
): Promise<HoldSource | undefined> {
  if (level === 'none' || stored === undefined || !isHeld(decision)) return undefined
  const found = await stored.find(decision.tenant, decision, segment)
  const { tier, spans, date, complete, unlinkable } = found
  if (tier === undefined) return undefined
  const where = { tier, hasText: false, spans: spans.length, ...(date !== undefined && { date }) }
  const { since } = contentOf(decision, where, clock.nowMs(), lives)
  return {
    held: { decision, spans, bodies: [] },
    level: tier === 'cold' ? 'hashed' : 'structured',
    since,
    complete,
    ...(unlinkable && { unlinkable: true as const }),
  }
}

function notKept(why: Why): ApiError {
  const where = { field: 'traceId', value: why.traceId }
  switch (why.state) {
    case 'unknown':
      return new ApiError(404, 'TRACE_UNKNOWN', remedyFor(why), where)
    case 'dropped': {
      const remedy = `${remedyFor(why)}; then it can be held`
      return new ApiError(409, 'TRACE_NOT_KEPT', remedy, where)
    }
    case 'expired':
      return new ApiError(409, 'BYTES_GONE', `${remedyFor(why)}: nothing is left to hold`, where)
    default:
      return new ApiError(409, 'TRACE_NOT_KEPT', remedyFor(why), where)
  }
}

function notStored(why: Why): ApiError {
  const remedy = 'it is kept, and no store has it yet or can be read; ask again in some seconds'
  return new ApiError(409, 'TRACE_NOT_STORED', remedy, { field: 'traceId', value: why.traceId })
}

function expired(traceId: string): ApiError {
  const remedy =
    'every tier’s time is over, so nothing of it is left to hold; a trace has to be held before that'
  return new ApiError(410, 'TRACE_EXPIRED', remedy, { field: 'traceId', value: traceId })
}
