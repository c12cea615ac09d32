// The whole of Winnow as platform teams run it: Kafka, Redis, OpenSearch and S3, two of every stage.

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { CrashRun } from '../crash/crash-run.ts'
import { metricSum } from '../crash/metrics.ts'
import { stackForTest, twoOfEach } from './stack-system.ts'

const seed = 91
const trafficMs = 20_000

test('two of every stage on the four servers: the oracle agrees on every trace, the ledger is balanced', {
  timeout: 400_000,
}, async ({ skip }) => {
  const stack = await stackForTest(skip)
  const system = await twoOfEach(stack)
  const run = new CrashRun({ seed, system, tracesPerSecond: 100 })
  await sleep(trafficMs)
  const hitsOf = (name: string): Promise<number> =>
    metricSum(system.running(name).metrics, 'winnow_trace_buffer_reads_total{result="hit"}')
  const slicesFromRedis = async (): Promise<void> => {
    for (const name of ['writer', 'writer-2']) expect(await hitsOf(name), name).toBeGreaterThan(0)
  }
  await vi.waitFor(slicesFromRedis, { timeout: 60_000, interval: 500 })
  const { figures, kept, dropped, violations } = await run.account()
  console.log(`seed ${seed}: ${JSON.stringify({ ...figures, kept, dropped })}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
  expect(kept, `seed ${seed}`).toBeGreaterThan(100)
})
