// Half an hour of log time lies on the bus before anybody folds it.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileBus } from '@winnow/bus'
import { createReceiver, receiverConfigSchema } from '@winnow/receiver'
import { createLog, Health, ManualClock, Metrics } from '@winnow/runtime'
import { apiKeysOf, OtlpClient, type TrafficRequest, trafficEvents } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import { keyOf, tenants } from '../support/pipeline-harness.ts'
import { accountOf } from './account.ts'
import { specsOf, upSystem } from './systems.ts'

const seed = 81
const minutes = 30
const traces = 900

test('half an hour of backlog is decided as if nobody had been late, and closes nothing early', {
  timeout: 300_000,
}, async () => {
  const data = mkdtempSync(join(tmpdir(), 'winnow-backlog-'))
  const requests = await writeLog(join(data, 'bus'))
  const system = await upSystem({ data })
  onTestFinished(() => system.remove())
  const { figures, violations } = await accountOf(system, seed, { requests, evaluations: [] })
  console.log(`seed ${seed}: ${minutes} min of log time, ${JSON.stringify(figures)}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
  expect(figures.kept, `seed ${seed}`).toBeGreaterThan(50)
})

/** What a receiver appended in the last half an hour, by a clock that follows the traffic. */
async function writeLog(folder: string): Promise<TrafficRequest[]> {
  const clock = new ManualClock()
  clock.advanceMs(Date.now() - minutes * 60_000)
  const specs = specsOf('winnow')
  const bus = await FileBus.open({ folder, specs: Object.values(specs), clock })
  const anyPort = { host: '127.0.0.1', port: 0 }
  const receiver = createReceiver({
    bus,
    topics: { spans: specs.spans.name, evidence: specs.evidence.name },
    listen: { grpc: anyPort, http: anyPort },
    keys: apiKeysOf(Object.fromEntries(tenants.map(tenant => [keyOf(tenant), tenant]))),
    config: receiverConfigSchema.parse({ linger: '0ms' }),
    clock,
    log: createLog(clock, () => {}),
    metrics: new Metrics(),
    health: new Health(),
  })
  await receiver.start()
  const clientOf = new Map<string, OtlpClient>(
    tenants.map(tenant => {
      const address = receiver.grpcAddress
      return [tenant, new OtlpClient({ transport: 'grpc', address, apiKey: keyOf(tenant) })]
    }),
  )
  const requests: TrafficRequest[] = []
  const startMs = clock.nowMs()
  const traffic = { seed, traces, tracesPerSecond: traces / (minutes * 60), startMs, tenants }
  for (const event of trafficEvents({ ...traffic, longTraceMs: [8_000, 14_000] })) {
    if (event.kind !== 'request') continue
    clock.advanceMs(Math.max(0, event.atMs - clock.nowMs()))
    const answer = await clientOf.get(event.tenant)?.sendTraces(event.data)
    expect(answer).toMatchObject({ acknowledged: true, rejected: 0 })
    requests.push(event)
  }
  for (const client of clientOf.values()) client.close()
  await receiver.stop()
  await bus.close()
  return requests
}
