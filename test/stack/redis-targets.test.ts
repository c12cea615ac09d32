// One stage a process with a trace buffer: bodies come from it, `why` knows what is open, and its loss is said.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Why } from '@winnow/query'
import { OtlpClient, trace48f, trace48fId, trace48fTwin, trace48fTwinId } from '@winnow/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type RunningTarget, startTarget, type TargetName } from '../support/winnow-process.ts'
import { kafkaForTest } from './kafka/shared.ts'
import { redisForTest } from './redis/shared.ts'

const names = ['query', 'writer', 'sampler', 'assembler', 'receiver'] as const
const withBuffer = ['assembler', 'writer', 'query'] as const
const waits = { timeout: 90_000, interval: 300 }

test('five processes with a buffer: pending, kept out of it, and without it as well', async ({
  skip,
}) => {
  const kafka = await kafkaForTest(skip)
  const redis = await redisForTest(skip)
  const data = mkdtempSync(join(tmpdir(), 'winnow-redis-targets-'))
  onTestFinished(() => rmSync(data, { recursive: true }))
  const env = {
    WINNOW_BUS: kafka.url,
    WINNOW_BUFFER: redis.url,
    WINNOW_TOPICS_PARTITIONS: '4',
    WINNOW_TOPICS_PREFIX: `winnow-${Date.now()}`,
    WINNOW_ASSEMBLER_QUIET: '15s',
    WINNOW_ASSEMBLER_CHECKPOINT_EVERY: '500ms',
  }
  const targets: Partial<Record<TargetName, RunningTarget>> = {}
  onTestFinished(async () => {
    for (const target of Object.values(targets)) await target.kill9()
  })
  for (const name of names) targets[name] = await startTarget(name, { data, env })
  const { receiver, query } = targets as Record<TargetName, RunningTarget>

  const metricsOf = async (name: TargetName): Promise<string> =>
    (await fetch(`http://${targets[name]?.metrics}/metrics`)).text()
  const stateOf = async (traceId: string): Promise<string> => {
    const answer = await fetch(`http://${query.api}/api/v1/traces/${traceId}/why`)
    return ((await answer.json()) as Why).state
  }
  const client = new OtlpClient({ transport: 'grpc', address: receiver.otlpGrpc ?? '' })
  onTestFinished(() => client.close())

  await client.sendTraces(trace48f({ startMs: Date.now() }))
  await vi.waitFor(async () => expect(await stateOf(trace48fId)).toBe('pending'), waits)
  await vi.waitFor(async () => expect(await stateOf(trace48fId)).toBe('kept'), waits)
  await vi.waitFor(async () => {
    const answer = await fetch(`http://${query.api}/api/v1/traces/${trace48fId}`)
    expect(answer.status).toBe(200)
  }, waits)
  expect(await metricsOf('writer')).toMatch(/winnow_trace_buffer_reads_total\{result="hit"\} [1-9]/)
  for (const name of withBuffer) {
    expect(await metricsOf(name)).toContain(`winnow_trace_buffer_up{stage="${name}"} 1`)
  }

  await redis.kill9()
  for (const name of withBuffer) {
    await vi.waitFor(async () => {
      expect(await metricsOf(name)).toContain(`winnow_trace_buffer_up{stage="${name}"} 0`)
      const ready = await fetch(`http://${targets[name]?.metrics}/readyz`)
      expect(ready.status, name).toBe(200)
      expect(await ready.text(), name).toMatch(/ECONNREFUSED.*the bus is read instead/)
    }, waits)
  }
  await client.sendTraces(trace48fTwin({ startMs: Date.now() }))
  await vi.waitFor(async () => expect(await stateOf(trace48fTwinId)).toBe('dropped'), waits)
  const rescue = await fetch(`http://${query.api}/api/v1/traces/${trace48fTwinId}/rescue`, {
    method: 'POST',
    body: JSON.stringify({ reason: 'its bytes are read from the bus' }),
  })
  expect(rescue.status).toBe(202)
  await vi.waitFor(async () => {
    const answer = await fetch(`http://${query.api}/api/v1/traces/${trace48fTwinId}`)
    expect(answer.status).toBe(200)
  }, waits)
  for (const name of names.toReversed()) expect(await targets[name]?.stop(), name).toBe(0)
})
