export const hourMs = 3_600_000
export const dayMs = 24 * hourMs

/** What the hot tier drops as one: the traces of a UTC day, the text of a UTC hour. */
export interface HotPeriod {
  readonly kind: 'traces' | 'text'
  readonly startMs: number
}

export function dayOf(timeMs: number): HotPeriod {
  return { kind: 'traces', startMs: Math.floor(timeMs / dayMs) * dayMs }
}

export function hourOf(timeMs: number): HotPeriod {
  return { kind: 'text', startMs: Math.floor(timeMs / hourMs) * hourMs }
}

/** The first moment after the period. */
export function endOf(period: HotPeriod): number {
  return period.startMs + (period.kind === 'traces' ? dayMs : hourMs)
}

/** `traces-2026-11-21` and `text-2026-11-21T07`. */
export function periodName(period: HotPeriod): string {
  const text = new Date(period.startMs).toISOString()
  return `${period.kind}-${text.slice(0, period.kind === 'traces' ? 10 : 13)}`
}

/** Undefined for any other name. */
export function parsePeriod(name: string): HotPeriod | undefined {
  const match = /^(?:(traces)-(\d{4}-\d\d-\d\d)|(text)-(\d{4}-\d\d-\d\dT\d\d))$/.exec(name)
  if (match === null) return undefined
  const startMs = Date.parse(match[1] === undefined ? `${match[4]}:00Z` : `${match[2]}T00:00Z`)
  if (Number.isNaN(startMs)) return undefined
  return { kind: match[1] === undefined ? 'text' : 'traces', startMs }
}
