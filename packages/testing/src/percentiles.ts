/**
 * The exact nearest-rank percentile of a list in any order: the smallest member that at least
 * `percent` of all do not exceed. Undefined for an empty list.
 */
export function percentile(values: readonly number[], percent: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
}

/**
 * Whether a threshold recorded for p99 is one: within the exact 98.5th and 99.5th percentile of the
 * window's durations, widened by the sketch's bucket, whose upper bound is what is recorded. Null
 * when it is, else a sentence with the numbers.
 */
export function checkP99(
  durationsMs: readonly number[],
  thresholdMs: number,
  relativeError = 0.005,
): string | null {
  const low = percentile(durationsMs, 98.5)
  const high = percentile(durationsMs, 99.5)
  if (low === undefined || high === undefined) return 'a threshold for a window without durations'
  const bucket = (1 + relativeError) / (1 - relativeError)
  // One part in a million for the rounding of logarithms.
  if (thresholdMs >= low * (1 - 1e-6) && thresholdMs <= high * bucket * (1 + 1e-6)) return null
  return `the threshold ${thresholdMs} ms lies outside of ${low} to ${high * bucket} ms, the exact 98.5th and 99.5th percentile of ${durationsMs.length} durations`
}
