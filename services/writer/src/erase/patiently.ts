import { isRetryable, PipelineError, type StageClock } from '@winnow/runtime'

/** How often one object is asked for while its store does not answer, and how long between. */
export const objectTriesMax = 24
const betweenMs = 5_000

/** Does work on one object; a store that is away for a while does not send a whole step back to its first object. */
export async function patiently<T>(
  clock: StageClock,
  ended: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!isRetryable(error) || tries === objectTriesMax || ended.aborted) throw error
      await clock.sleep(betweenMs, ended)
    }
  }
}

/** Of an object that no waiting makes readable: somebody has to restore or delete it. */
export function isDamaged(error: unknown): boolean {
  return error instanceof PipelineError && error.code === 'DATA_CORRUPT'
}
