/** Where the page is: a view and what it is asked with, in the address behind `#`, so that it can be sent to somebody. */
export type Place =
  | { readonly view: 'cost'; readonly days: number; readonly isAll: boolean }
  | { readonly view: 'rows'; readonly asked: URLSearchParams; readonly from: CostPlace }

export type CostPlace = Extract<Place, { view: 'cost' }>

export const windows = [1, 7, 30, 90, 365] as const
export const daysDefault = 7

/** What a reader may have changed by hand is taken for the default. */
export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  const asked = new URLSearchParams(query)
  const days = Number(asked.get('days'))
  const from: CostPlace = {
    view: 'cost',
    days: windows.some(one => one === days) ? days : daysDefault,
    isAll: asked.get('tenants') === 'all',
  }
  if (path !== 'rows') return from
  asked.delete('days')
  return { view: 'rows', asked, from }
}

export function costLink({ days, isAll }: CostPlace): string {
  return `#/cost?days=${days}${isAll ? '&tenants=all' : ''}`
}

export interface Window {
  readonly since: string
  readonly until: string
}

/** What `GET /api/v1/cost/rows` is asked for: the decisions that a figure adds up. */
export interface RowsAsked {
  readonly only?: 'kept' | 'written' | 'errors'
  readonly matched?: string
  /** A UTC day within the window. */
  readonly day?: string
  /** A name by a dimension, as the report has it. */
  readonly of?: Readonly<Record<string, string>>
}

const dayMs = 86_400_000

export function rowsLink(
  place: CostPlace,
  window: Window,
  { only, matched, day, of = {} }: RowsAsked,
): string {
  const { since, until } = day === undefined ? window : within(window, day)
  const asked = new URLSearchParams({ days: String(place.days), since, until })
  if (place.isAll) asked.set('tenants', 'all')
  if (only !== undefined) asked.set('only', only)
  if (matched !== undefined) asked.set('matched', matched)
  for (const [dimension, name] of Object.entries(of)) asked.set(dimension, name)
  return `#/rows?${asked}`
}

/** Which decisions a tier's figures stand for: bodies where they were written, the ledger has every one. */
export function rowsOfTier(tier: string): RowsAsked | undefined {
  if (tier === 'fixed') return undefined
  return tier === 'ledger' || tier === 'index' ? {} : { only: 'written' }
}

/** The part of a day that the report's window has of it: the first and the last are cut off. */
function within(window: Window, day: string): Window {
  const startMs = Date.parse(`${day}T00:00:00Z`)
  const sinceMs = Math.max(startMs, Date.parse(window.since))
  const untilMs = Math.min(startMs + dayMs, Date.parse(window.until))
  return { since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString() }
}

/** What the rows are of, in words. */
export function rowsTitle(asked: URLSearchParams): string {
  const day = (name: string): string => (asked.get(name) ?? '').slice(0, 16).replace('T', ' ')
  const only = {
    kept: 'traces that were kept',
    written: 'what was written',
    errors: 'traces with an error',
  }[asked.get('only') ?? '']
  const names = ['tenant', 'rule', 'service', 'variant', 'root'].flatMap(name => {
    const value = asked.get(name)
    return value === null ? [] : [`${name} ${value}`]
  })
  const matched = asked.get('matched')
  const of = [...(matched === null ? [] : [`matched by ${matched}`]), ...names].join(', ')
  return `Decisions of ${only ?? 'every trace'}${of === '' ? '' : `, ${of}`}, ${day('since')} to ${day('until')} UTC`
}
