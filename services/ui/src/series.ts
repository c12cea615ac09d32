import type { CostAnswer, CostDay } from '@winnow/cost'
import type { Window } from './links.ts'

/** One colour of a picture: a value for each place on its lower edge. */
export interface Layer {
  readonly name: string
  readonly values: readonly number[]
}

/** What a picture is drawn from, and its table. */
export interface Stack {
  readonly labels: readonly string[]
  /** The lowest first. */
  readonly layers: readonly Layer[]
}

export const tiers = ['hot', 'warm', 'cold', 'ledger', 'index'] as const
export type TierName = (typeof tiers)[number]

/** Rules that have a colour of their own; what further ones brought is added up. */
export const rulesShownMax = 8
export const otherRules = '(other rules)'

const dayMs = 86_400_000

/** What there is to show: `nothing` is stored yet, or `idle`: nobody decided anything in these days. */
export function kindOf({
  measuredDays,
  days = [],
}: Pick<CostAnswer, 'measuredDays' | 'days'>): 'nothing' | 'idle' | 'report' {
  if (measuredDays === 0) return 'nothing'
  return days.some(({ all }) => all.decisions > 0) ? 'report' : 'idle'
}

/** Every UTC day of a window, also those on which nothing was decided. */
export function daysOf({ since, until }: Window): string[] {
  const days: string[] = []
  const lastMs = Date.parse(until) - 1
  for (let at = Date.parse(`${since.slice(0, 10)}T00:00:00Z`); at <= lastMs; at += dayMs) {
    days.push(new Date(at).toISOString().slice(0, 10))
  }
  return days
}

/** Bytes that each day brought into each tier. */
export function tierStack(days: readonly CostDay[], window: Window): Stack {
  const byDay = new Map(days.map(one => [one.day, one]))
  const labels = daysOf(window)
  const layers = tiers.map(name => ({
    name,
    values: labels.map(day => byDay.get(day)?.tiers[name] ?? 0),
  }))
  return { labels, layers: layers.filter(hasAny) }
}

/** Bytes of slices that each day had written, by the rule that kept them. */
export function ruleStack(days: readonly CostDay[], window: Window): Stack {
  const byDay = new Map(days.map(one => [one.day, one]))
  const labels = daysOf(window)
  const sums = new Map<string, number>()
  for (const { rules } of days) {
    for (const { name, bytes } of rules) sums.set(name, (sums.get(name) ?? 0) + bytes)
  }
  const names = [...sums].filter(([, bytes]) => bytes > 0).sort(([, a], [, b]) => b - a)
  const shown = names.slice(0, rulesShownMax).map(([name]) => name)
  const isShown = new Set(shown)
  const bytesOf = (day: string, wanted: (name: string) => boolean): number =>
    (byDay.get(day)?.rules ?? []).reduce(
      (sum, { name, bytes }) => sum + (wanted(name) ? bytes : 0),
      0,
    )
  const layers = shown.map(name => ({
    name,
    values: labels.map(day => bytesOf(day, one => one === name)),
  }))
  const others = labels.map(day => bytesOf(day, name => !isShown.has(name)))
  return {
    labels,
    layers: [...layers, { name: otherRules, values: others }].filter(hasAny),
  }
}

/** What a month costs that ends so many days after an empty store. */
export function forecastStack(forecast: CostAnswer['forecast']): Stack {
  const names = [...tiers, 'fixed']
  return {
    labels: forecast.map(({ day }) => `${day} d`),
    layers: names
      .map(name => ({ name, values: forecast.map(one => one.tiers[name] ?? 0) }))
      .filter(hasAny),
  }
}

const hasAny = ({ values }: Layer): boolean => values.some(value => value > 0)

/** For each layer the sum of it and of all below: what is drawn is the highest first, each over the one before. */
export function cumulated({ layers }: Stack): number[][] {
  const sums: number[][] = []
  for (const { values } of layers) {
    const below = sums.at(-1)
    sums.push(values.map((value, at) => value + (below?.[at] ?? 0)))
  }
  return sums
}

/** The layer at a height over a place; undefined above all of them. */
export function layerAt(stack: Stack, at: number, height: number): Layer | undefined {
  const sums = cumulated(stack)
  const found = sums.findIndex(values => height <= (values[at] ?? 0) && height >= 0)
  return stack.layers[found]
}

export function totalAt({ layers }: Stack, at: number): number {
  return layers.reduce((sum, { values }) => sum + (values[at] ?? 0), 0)
}

export function totalOfLayer({ values }: Layer): number {
  return values.reduce((sum, value) => sum + value, 0)
}
