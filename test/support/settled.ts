import { setTimeout as sleep } from 'node:timers/promises'
import { scrape } from './load/metrics-text.ts'

const everyMs = 500

/** Resolves once a process has decided and written all that it acknowledged. Rejects with what is left after `maxMs`. */
export async function settled(metrics: string, maxMs: number): Promise<void> {
  for (const untilMs = Date.now() + maxMs; ; await sleep(everyMs)) {
    const left = await leftOf(metrics)
    if (left.length === 0) return
    if (Date.now() < untilMs) continue
    throw new Error(`not all was decided and written within ${maxMs} ms: ${left.join('; ')}`)
  }
}

/** A process that has no groups yet has everything before it. */
async function leftOf(metrics: string): Promise<string[]> {
  const answer = await scrape(metrics)
  const lags = [...answer.by('winnow_bus_lag_records')]
  const open = answer.sum('winnow_open_traces')
  const behind = lags.filter(([, lag]) => lag > 0).map(([group, lag]) => `${group} ${lag} records`)
  return [
    ...(lags.length === 0 ? ['no group has begun'] : behind),
    ...(open > 0 ? [`${open} traces open`] : []),
  ]
}
