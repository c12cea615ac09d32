/** Half of this is what the first pause lasts on average; each further one may last twice as long. */
export const s3RetryFirstMs = 100
export const s3RetryMaxMs = 5_000

/**
 * Before another attempt: anything up to a bound that doubles, so that many who failed at once do not
 * come back at once; no less than the server asks for, within the bound of all. `random` is in [0, 1).
 */
export function s3RetryDelayMs(
  failed: number,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const bound = Math.min(s3RetryMaxMs, s3RetryFirstMs * 2 ** Math.min(failed - 1, 30))
  return Math.min(s3RetryMaxMs, Math.max(retryAfterMs ?? 0, Math.round(bound * random)))
}
