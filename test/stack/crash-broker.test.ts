// A broker that dies without a farewell and stays away for half a minute.

import { setTimeout as sleep } from 'node:timers/promises'
import { OtlpClient } from '@winnow/testing'
import { expect, onTestFinished, test } from 'vitest'
import { CrashRun } from '../crash/crash-run.ts'
import { metricSum } from '../crash/metrics.ts'
import { targetsSystem } from '../crash/systems.ts'
import { keyOf } from '../support/pipeline-harness.ts'
import { kafkaForTest } from './kafka/shared.ts'

const outageMs = 30_000
const seed = 61

test('a broker away for 30 s: refused meanwhile, memory in bounds, then all by itself and nothing lost', {
  timeout: 400_000,
}, async ({ skip }) => {
  const kafka = await kafkaForTest(skip, { fresh: true })
  const system = await targetsSystem(kafka.url, 'winnow')
  onTestFinished(() => system.remove())
  const run = new CrashRun({ seed, system, tracesPerSecond: 70 })
  await run.manyOpen(400)
  const memory = () =>
    metricSum(system.running('receiver').metrics, 'process_resident_memory_bytes')
  const before = await memory()
  await kafka.kill9()
  await sleep(outageMs)
  const { tenant, data } = run.traffic.sample()
  const client = { apiKey: keyOf(tenant), attemptsMax: 1, timeoutMs: 20_000 }
  const { otlpGrpc, otlpHttp } = system.entrances
  const http = new OtlpClient({ ...client, transport: 'http-protobuf', address: otlpHttp })
  const grpc = new OtlpClient({ ...client, transport: 'grpc', address: otlpGrpc })
  expect(await http.sendTraces(data)).toMatchObject({ acknowledged: false, status: 503 })
  const unavailable = 14
  const refused = await grpc.sendTraces(data)
  expect(refused).toMatchObject({ acknowledged: false, grpcStatus: unavailable })
  expect(refused.retryAfterMs, 'a refusal says when to come again').toBeGreaterThan(0)
  http.close()
  grpc.close()
  const after = await memory()
  console.log(`seed ${seed}: receiver ${before >> 20} MiB before, ${after >> 20} MiB in the outage`)
  // What a receiver may hold in flight is bounded; the rest is refused.
  expect(after - before).toBeLessThan(256 << 20)
  await kafka.restart()
  const { figures, violations } = await run.account()
  console.log(`seed ${seed}: ${JSON.stringify(figures)}, refused ${run.traffic.refused}`)
  expect(violations.join('\n'), `seed ${seed}`).toBe('')
  expect(run.traffic.refused, `seed ${seed}`).toBeGreaterThan(0)
})
