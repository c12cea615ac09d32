import type { Outcome } from './fold.ts'

/** On 1 to 5, as a number or a text that is one; anything else is no CSAT. */
export function csatOf({ score, label }: Outcome): number | undefined {
  const csat = score ?? (label === undefined || label.trim() === '' ? Number.NaN : Number(label))
  return csat >= 1 && csat <= 5 ? csat : undefined
}

/** Claims without support, by either sign; undefined where nothing was counted. */
export function missingClaims({ extracted, supported, unsupported }: Outcome): number | undefined {
  if (extracted === undefined || supported === undefined) return unsupported
  return Math.max(unsupported ?? 0, extracted - supported)
}
