import type { Bus, NewRecord } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'
import { appendWaitMaxMs } from './config.ts'

/**
 * Resolves once all records are durable in `evidence`. BUS_UNAVAILABLE after {@link appendWaitMaxMs}: what
 * lands later all the same is the same evaluation or request, once the caller sends it again.
 */
export async function appendEvidence(
  { bus, evidence }: { readonly bus: Bus; readonly evidence: string },
  byPartition: ReadonlyMap<number, readonly NewRecord[]>,
): Promise<void> {
  const appends = [...byPartition].map(([partition, records]) =>
    bus.append(evidence, partition, records),
  )
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const message = `${evidence}: not durable after ${appendWaitMaxMs} ms`
    late.reject(new PipelineError('BUS_UNAVAILABLE', message))
  }, appendWaitMaxMs)
  try {
    await Promise.race([Promise.all(appends), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
