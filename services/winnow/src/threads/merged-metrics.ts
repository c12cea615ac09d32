import type { Metrics } from '@winnow/runtime'
import { AggregatorRegistry } from 'prom-client'
import type { StageThread } from './stage-thread.ts'

/** Prometheus text of this thread's metrics and the stages' threads' as one exposition. */
export async function mergedMetrics(
  own: Metrics,
  threads: readonly StageThread[],
): Promise<string> {
  const parts = await Promise.all([
    own.registry.getMetricsAsJSON(),
    ...threads.map(thread => thread.metrics()),
  ])
  return AggregatorRegistry.aggregate(parts as never).metrics()
}
