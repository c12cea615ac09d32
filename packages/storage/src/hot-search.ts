import type { DecisionHead, DropOutline } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import { searchLimitMax, type TraceFilter, type TracePage } from './hot-store.ts'

/** The decision after which the next page starts, in the order of a page: descending. */
export interface SearchPosition {
  readonly decidedAtMs: number
  readonly traceId: string
}

/** Throws CONFIG_INVALID for a limit or cursor that is none. Undefined: from the newest on. */
export function checkSearch(filter: TraceFilter): SearchPosition | undefined {
  const { limit, cursor } = filter
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= searchLimitMax)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `limit ${limit} is not from 1 to ${searchLimitMax}; ask for further pages with the cursor`,
    )
  }
  if (cursor === undefined) return undefined
  const match = /^(\d{1,15})\.([0-9a-f]{1,64})$/.exec(cursor)
  if (match === null) {
    const shown = JSON.stringify(cursor.slice(0, 80))
    throw new PipelineError(
      'CONFIG_INVALID',
      `cursor ${shown} is not one that a page gave; leave it out to start at the newest`,
    )
  }
  return { decidedAtMs: Number(match[1]), traceId: match[2] as string }
}

/** `found` has one decision more than the page, where there is a further page. */
export function pageOf(found: readonly DecisionHead[], limit: number): TracePage {
  const decisions = found.slice(0, limit)
  const last = decisions.at(-1)
  return found.length > limit && last !== undefined
    ? { decisions, cursor: `${last.decidedAtMs}.${last.traceId}` }
    : { decisions }
}

/** Order of a page: newest first. */
export function compareDecided(a: SearchPosition, b: SearchPosition): number {
  if (a.decidedAtMs !== b.decidedAtMs) return b.decidedAtMs - a.decidedAtMs
  return a.traceId < b.traceId ? 1 : a.traceId > b.traceId ? -1 : 0
}

/** The primary rule and every other that matched, each once. */
export function matchingRules(decision: DecisionHead | DropOutline): string[] {
  if ('matched' in decision) return [...new Set([decision.primary, ...decision.matched])]
  const names = new Set([decision.primary])
  for (const { name, matched } of decision.rules) if (matched) names.add(name)
  return [...names]
}

/** `partition:offset:start` texts in the order of their slices. */
export function compareRefKeys(a: string, b: string): number {
  const [, aOffset = 0, aStart = 0] = a.split(':').map(Number)
  const [, bOffset = 0, bStart = 0] = b.split(':').map(Number)
  return aOffset - bOffset || aStart - bStart
}
