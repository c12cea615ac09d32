import { isRetryable, type StageClock } from '@winnow/runtime'

export const retryFirstMs = 100
export const retryMaxMs = 5_000

/**
 * Repeats `work` while it fails with what may pass, until it is done; undefined once `ended` aborts.
 * Every other error is the caller's. `failed` hears of each failure. `salt` is the partition: a store
 * that comes back is not met by all of them at the same moment.
 */
export async function untilDone<T extends object | boolean>(
  ended: AbortSignal,
  salt: number,
  clock: StageClock,
  work: () => Promise<T>,
  failed: (error: unknown) => void,
): Promise<T | undefined> {
  for (let attempt = 0; !ended.aborted; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!isRetryable(error)) throw error
      failed(error)
      await clock.sleep(backoffMs(attempt, salt), ended)
    }
  }
  return undefined
}

/** Doubles up to {@link retryMaxMs}; between half of that and the whole of it, by attempt and salt. */
export function backoffMs(attempt: number, salt: number): number {
  const most = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(attempt, 30))
  const mixed = Math.imul(
    Math.imul(salt + 1, 0x9e3779b1) ^ Math.imul(attempt + 1, 0x85ebca6b),
    0xc2b2ae35,
  )
  return Math.round(most * (0.5 + ((mixed >>> 8) / 2 ** 24) * 0.5))
}
