import { servicesListedMax } from './config.ts'
import type { FoldEntry } from './decision-table.ts'

/** Counts of traces by their last decision. Traces that await their spans are in no ratio. */
export interface SamplingReport {
  readonly since: string | null
  readonly kept: number
  readonly dropped: number
  readonly awaiting: number
  /** Keeps whose bytes had all left the bus: in no ratio. */
  readonly gone: number
  /** kept / (kept + dropped); null before the first decision. */
  readonly keptRatio: number | null
  /**
   * `primary`: kept by it. `any`: matched, so that the sum may exceed the kept traces. `keptRatio`:
   * primary / (kept + dropped), so that they add up to the ratio of all.
   */
  readonly rules: readonly {
    readonly name: string
    readonly primary: number
    readonly any: number
    readonly keptRatio: number
  }[]
  /** Those with the most traces, at most `servicesListedMax`. */
  readonly services: readonly {
    readonly service: string
    readonly kept: number
    readonly dropped: number
    readonly keptRatio: number
  }[]
  /** Services that are not listed. Clients choose their names, so there may be as many as traces. */
  readonly servicesOmitted: number
  /** Traces that were decided in the window and are no longer remembered. 0: the counts are whole. */
  readonly forgotten: number
}

/** Pure. `entries` are the remembered last decisions of one tenant. */
export function samplingReport(
  entries: Iterable<FoldEntry>,
  sinceMs: number | undefined,
  forgotten: number,
): SamplingReport {
  const totals = { kept: 0, dropped: 0, awaiting: 0, gone: 0 }
  const rules = new Map<string, { primary: number; any: number }>()
  const services = new Map<string, { kept: number; dropped: number }>()
  for (const entry of entries) {
    if (sinceMs !== undefined && entry.decidedAtMs < sinceMs) continue
    if (entry.isAwaiting) totals.awaiting++
    else if (entry.gone) totals.gone++
    else {
      const verdict = entry.verdict === 'keep' ? 'kept' : 'dropped'
      totals[verdict]++
      at(services, entry.service ?? '', () => ({ kept: 0, dropped: 0 }))[verdict]++
      if (entry.verdict === 'keep') {
        at(rules, entry.primary, () => ({ primary: 0, any: 0 })).primary++
        for (const name of entry.matched) at(rules, name, () => ({ primary: 0, any: 0 })).any++
      }
    }
  }
  return {
    since: sinceMs === undefined ? null : new Date(sinceMs).toISOString(),
    ...totals,
    keptRatio: ratio(totals.kept, totals.dropped),
    rules: [...rules].map(([name, counts]) => ({
      name,
      ...counts,
      keptRatio: counts.primary / (totals.kept + totals.dropped),
    })),
    services: [...services]
      .map(([service, counts]) => ({
        service,
        ...counts,
        keptRatio: ratio(counts.kept, counts.dropped) ?? 0,
      }))
      .sort((a, b) => b.kept + b.dropped - a.kept - a.dropped)
      .slice(0, servicesListedMax),
    servicesOmitted: Math.max(0, services.size - servicesListedMax),
    forgotten,
  }
}

function ratio(kept: number, dropped: number): number | null {
  return kept + dropped === 0 ? null : kept / (kept + dropped)
}

function at<T>(map: Map<string, T>, name: string, make: () => T): T {
  const known = map.get(name)
  if (known !== undefined) return known
  const made = make()
  map.set(name, made)
  return made
}
