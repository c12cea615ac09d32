import { type HotPeriod, parsePeriod, periodName } from '../hot-period.ts'

/** What an index holds: one a UTC day, `text` one a UTC hour. */
export const indexKinds = ['traces', 'spans', 'parts', 'text', 'rejected'] as const

export type IndexKind = (typeof indexKinds)[number]

/** `winnow-spans-2026-11-21`, `winnow-text-2026-11-21t07`: an index's name has no upper case. */
export function indexName(prefix: string, kind: IndexKind, period: HotPeriod): string {
  const [, date] = splitName(periodName(period))
  return `${prefix}-${kind}-${date.toLowerCase()}`
}

/** Undefined for every name that is not one of ours, with another prefix also where ours begins it. */
export function parseIndexName(prefix: string, name: string): HotPeriod | undefined {
  if (!name.startsWith(`${prefix}-`)) return undefined
  const [kind, date] = splitName(name.slice(prefix.length + 1))
  if (!indexKinds.some(known => known === kind)) return undefined
  return parsePeriod(`${kind === 'text' ? 'text' : 'traces'}-${date.toUpperCase()}`)
}

/**
 * All indices of a kind. With the first digit of the year, so that a prefix that goes on where
 * another ends, `winnow` and `winnow-traces`, has none of the other's.
 */
export function indexPattern(prefix: string, kind: IndexKind): string {
  return `${prefix}-${kind}-2*`
}

function splitName(name: string): [kind: string, date: string] {
  const at = name.indexOf('-')
  return [name.slice(0, at), name.slice(at + 1)]
}
