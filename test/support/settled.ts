import { setTimeout as sleep } from 'node:timers/promises'
import { scrapeAll } from './load/metrics-text.ts'

const everyMs = 500

/** A record that a stage passed on while the next was asked is seen by a later look. */
const looks = 4

/**
 * Resolves once the processes that show their metrics there have decided and written all that they
 * acknowledged. Rejects with what is left after `maxMs`.
 */
export async function settled(metrics: readonly string[], maxMs: number): Promise<void> {
  let quiet = 0
  for (const untilMs = Date.now() + maxMs; ; await sleep(everyMs)) {
    const left = await leftOf(metrics)
    quiet = left.length === 0 ? quiet + 1 : 0
    if (quiet === looks) return
    if (Date.now() < untilMs || quiet > 0) continue
    throw new Error(`not all was decided and written within ${maxMs} ms: ${left.join('; ')}`)
  }
}

/** What has no groups yet has everything before it. */
async function leftOf(metrics: readonly string[]): Promise<string[]> {
  const answer = await scrapeAll(metrics)
  const lags = [...answer.by('winnow_bus_lag_records')]
  const open = answer.sum('winnow_open_traces')
  const behind = lags.filter(([, lag]) => lag > 0).map(([group, lag]) => `${group} ${lag} records`)
  return [
    ...(lags.length === 0 ? ['no group has begun'] : behind),
    ...(open > 0 ? [`${open} traces open`] : []),
  ]
}
