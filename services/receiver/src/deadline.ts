import { PipelineError } from '@winnow/runtime'

/** What the bus did not answer in time. It may still land: an ordinary duplicate, once the client sends again. */
export function tooLate(waitMs: number): PipelineError {
  return new PipelineError('BUS_UNAVAILABLE', `not durable after ${waitMs} ms (appendWaitMax)`)
}

/** The promise's outcome, or {@link tooLate} after `waitMs`. */
export async function within<T>(waitMs: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(tooLate(waitMs)), waitMs)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
