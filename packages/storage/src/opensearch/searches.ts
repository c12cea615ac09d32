import type { SearchPosition } from '../hot-search.ts'
import type { TraceFilter } from '../hot-store.ts'

/** Traces that one look-up of their last decisions names: days and logs of each fit its answer. */
export const lastOfMax = 500

/** The most hits of one answer, a limit of the server's. */
const hitsMax = 10_000

/** Milliseconds that its dates hold: years 1970 to 9999. */
const dateMsMax = 253_402_300_799_999

/** A page's candidates, newest first. */
export function pageSearch(
  filter: TraceFilter,
  after: SearchPosition | undefined,
  size: number,
): object {
  const { tenant, sinceMs, untilMs, rule, service, variant, minDurationMs } = filter
  return {
    size,
    track_total_hits: false,
    _source: ['decision', 'logId', 'offset'],
    sort: [{ decidedAt: 'desc' }, { traceId: 'desc' }, { logId: 'desc' }],
    ...(after !== undefined && { search_after: [after.decidedAtMs, after.traceId, ''] }),
    query: filtered([
      { term: { tenant } },
      ...(sinceMs === undefined ? [] : [{ range: { decidedAt: { gte: dateMs(sinceMs) } } }]),
      ...(untilMs === undefined ? [] : [{ range: { decidedAt: { lt: dateMs(untilMs) } } }]),
      ...(rule === undefined ? [] : [{ term: { rules: rule } }]),
      ...(service === undefined ? [] : [{ term: { serviceName: service } }]),
      ...(variant === undefined ? [] : [{ term: { variant } }]),
      ...(minDurationMs === undefined ? [] : [{ range: { durationMs: { gte: minDurationMs } } }]),
    ]),
  }
}

/** Every document of these traces: a later series, or another log, has one of its own. */
export function versionsSearch(tenant: string, traceIds: readonly string[]): object {
  return {
    size: hitsMax,
    track_total_hits: false,
    _source: ['traceId', 'logId', 'offset', 'decidedAt'],
    query: filtered([{ term: { tenant } }, { terms: { traceId: traceIds } }]),
  }
}

export function traceSearch(tenant: string, traceId: string): object {
  return {
    size: hitsMax,
    track_total_hits: false,
    _source: ['decision', 'logId', 'partition', 'offset'],
    query: ofTrace(tenant, traceId),
  }
}

/** Parts a request: each may be of megabytes. */
export const partsAtOnce = 16

export function partsSearch(tenant: string, traceId: string, after?: readonly unknown[]): object {
  return {
    size: partsAtOnce,
    track_total_hits: false,
    sort: [{ offset: 'asc' }, { part: 'asc' }, { logId: 'asc' }, { decidedAt: 'asc' }],
    ...(after !== undefined && { search_after: after }),
    query: ofTrace(tenant, traceId),
  }
}

function ofTrace(tenant: string, traceId: string): object {
  return filtered([{ term: { tenant } }, { term: { traceId } }])
}

/** Without scores. */
function filtered(filter: readonly object[]): object {
  return { bool: { filter } }
}

function dateMs(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms), 0), dateMsMax)
}
