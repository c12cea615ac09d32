import type { Estimate } from './total.ts'

/**
 * `part` / (`part` + `rest`), of two totals of disjoint traces. Their draws are independent, so the ends of a
 * share are where the distances of both totals from their own intervals add up as their squares do (MOVER,
 * Zou and Donner 2008). It needs no normal distribution, and no part that was seen: each end is as right as
 * the intervals it is made of. Null where there is nothing to be a share of.
 */
export function shareOf(part: Estimate, rest: Estimate): Estimate | null {
  const all = part.value + rest.value
  if (all <= 0) return null
  return { value: part.value / all, low: lowOf(part, rest), high: 1 - lowOf(rest, part) }
}

/**
 * The least share: with odds t, the lesser root of (part - t rest)² = less² + t² more², where there may be
 * `less` of the part and `more` of the rest than estimated.
 */
function lowOf(part: Estimate, rest: Estimate): number {
  const less = part.value - part.low
  const more = (rest.high ?? Number.POSITIVE_INFINITY) - rest.value
  if (part.low <= 0 || more === Number.POSITIVE_INFINITY) return 0
  const certain = part.value ** 2 - less ** 2
  const root = Math.sqrt((rest.value * less) ** 2 + more ** 2 * certain)
  const odds = certain / (part.value * rest.value + root)
  return odds === Number.POSITIVE_INFINITY ? 1 : odds / (1 + odds)
}
