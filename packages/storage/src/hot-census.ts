import type { HotVersion } from './hot-version.ts'

/** Traces of a day are told apart by the first two digits of their ids, so that no count needs all of them at once. */
export const hotGroups: readonly string[] = Array.from({ length: 256 }, (_, n) =>
  n.toString(16).padStart(2, '0'),
)

/** Traces of one group that are listed: of a day there are 256 times as many. */
export const heldTracesMax = 20_000

/**
 * How far the ledger reaches: what hot has of decisions behind that is under way, and nobody's fault. Of a log
 * that the ledger knows nothing of, whatever was decided before `beforeMs` should long be in it.
 */
export interface HotFrontier {
  /** The last offset of each partition of each log of `decisions`. */
  readonly ends: readonly {
    readonly logId: string
    readonly partition: number
    readonly offset: number
  }[]
  readonly beforeMs: number
}

/** What a store holds of the traces of one group. */
export interface HotCount {
  /** Whose last decision the ledger reaches. */
  traces: number
  /** Decided again behind it: the ledger may count them by an earlier revision. */
  later: number
  /** Distinct span ids of each trace, and bytes of slices as clients sent them, of decisions that it reaches. */
  spans: number
  bytes: number
}

export interface HotCensus {
  /** As {@link hotGroups}. */
  readonly groups: readonly HotCount[]
  /** What lies among the traces, or their spans, and belongs to no trace. */
  readonly strays: number
}

/** What a store holds of one trace in one day, decisions behind the ledger's end included. */
export interface HeldTrace {
  readonly tenant: string
  readonly traceId: string
  /** Whoever asks for the trace finds it; else only spans or slices of it are there. */
  readonly isFound: boolean
  /** The ledger reaches its last decision. */
  readonly isWithin: boolean
  readonly spans: number
  readonly bytes: number
}

/** Whether the ledger reaches a decision. */
export function withinFrontier({
  ends,
  beforeMs,
}: HotFrontier): (at: HotVersion & { readonly partition: number }) => boolean {
  const byPlace = new Map(
    ends.map(({ logId, partition, offset }) => [`${partition} ${logId}`, offset]),
  )
  const logs = new Set(ends.map(({ logId }) => logId))
  return ({ logId, partition, offset, decidedAtMs }) => {
    const end = byPlace.get(`${partition} ${logId}`)
    if (end !== undefined) return offset <= end
    return !logs.has(logId) && decidedAtMs < beforeMs
  }
}

/** What a store that reads its rows one by one gathers of a trace. */
export interface Gathered extends HeldTrace {
  readonly revision: number
  readonly spansWithin: number
  readonly bytesWithin: number
}

/** Of one part of a trace, as it was put. */
export interface GatheredPart extends HotVersion {
  readonly partition: number
  /** Of its slices. */
  readonly bytes: number
  spanIds(): readonly string[]
}

export function gather(
  of: Pick<HeldTrace, 'tenant' | 'traceId'>,
  last: (HotVersion & { readonly partition: number; readonly revision: number }) | undefined,
  parts: readonly GatheredPart[],
  isWithin: ReturnType<typeof withinFrontier>,
): Gathered {
  const within = parts.filter(isWithin)
  const spansOf = (some: readonly GatheredPart[]): number =>
    new Set(some.flatMap(part => part.spanIds())).size
  const bytesOf = (some: readonly GatheredPart[]): number =>
    some.reduce((sum, { bytes }) => sum + bytes, 0)
  const spans = spansOf(parts)
  return {
    ...of,
    isFound: last !== undefined,
    isWithin: last === undefined ? within.length === parts.length : isWithin(last),
    revision: last?.revision ?? 0,
    spans,
    bytes: bytesOf(parts),
    spansWithin: within.length === parts.length ? spans : spansOf(within),
    bytesWithin: bytesOf(within),
  }
}

export function countGathered(traces: Iterable<Gathered>): HotCount {
  const count = { traces: 0, later: 0, spans: 0, bytes: 0 }
  for (const { isFound, isWithin, revision, spansWithin, bytesWithin } of traces) {
    if (isFound && isWithin) count.traces++
    if (isFound && !isWithin && revision > 1) count.later++
    count.spans += spansWithin
    count.bytes += bytesWithin
  }
  return count
}

/** In the order of their ids, {@link heldTracesMax} at most. */
export function sortedHeld(traces: Iterable<HeldTrace>): HeldTrace[] {
  return [...traces]
    .sort((a, b) => compareText(a.traceId, b.traceId) || compareText(a.tenant, b.tenant))
    .slice(0, heldTracesMax)
    .map(({ tenant, traceId, isFound, isWithin, spans, bytes }) => ({
      tenant,
      traceId,
      isFound,
      isWithin,
      spans,
      bytes,
    }))
}

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
