// One stage per process on a real broker: what `winnow up` does in one.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Why } from '@winnow/query'
import { OtlpClient, trace48f, trace48fId, trace48fTwin, trace48fTwinId } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type RunningTarget, startTarget, type TargetName } from '../support/winnow-process.ts'
import { kafkaForTest } from './kafka/shared.ts'
import { startKafka, type TestKafka } from './kafka.ts'

const names = ['query', 'writer', 'sampler', 'assembler', 'receiver'] as const
const started = await startKafka({ fresh: true })
const fact = test.runIf(started.server !== undefined)

let kafka: TestKafka
let data: string
let targets: Record<TargetName, RunningTarget>

beforeAll(async () => {
  if (started.server === undefined) return
  kafka = started.server
  data = mkdtempSync(join(tmpdir(), 'winnow-targets-'))
  const running: Partial<Record<TargetName, RunningTarget>> = {}
  for (const name of names) running[name] = await startTarget(name, { data, env: env() })
  targets = running as Record<TargetName, RunningTarget>
})

afterAll(async () => {
  for (const target of Object.values(targets ?? {})) await target.kill9()
  await kafka?.stop()
  if (data !== undefined) rmSync(data, { recursive: true })
})

function env(): Record<string, string> {
  return { WINNOW_BUS: kafka.url, WINNOW_TOPICS_PARTITIONS: '4' }
}

test('a broker is to be had', async ({ skip }) => {
  if (started.server === undefined) await kafkaForTest(skip)
})

fact('five processes keep trace 48f, drop its twin, and say why', async () => {
  const client = new OtlpClient({ transport: 'grpc', address: targets.receiver.otlpGrpc ?? '' })
  await client.sendTraces(trace48f({ startMs: Date.now() }))
  await client.sendTraces(trace48fTwin({ startMs: Date.now() }))
  client.close()
  await vi.waitFor(async () => expect(await stateOf(trace48fId)).toBe('kept'), waits)
  await vi.waitFor(async () => expect(await stateOf(trace48fTwinId)).toBe('dropped'), waits)
  const bodies = async () => {
    const answer = await fetch(`http://${targets.query.api}/api/v1/traces/${trace48fId}`)
    expect(answer.status).toBe(200)
  }
  await vi.waitFor(bodies, waits)
})

fact('each shows its own metrics and none of the others’', async () => {
  const own: Record<TargetName, string[]> = {
    receiver: ['winnow_spans_received_total'],
    assembler: ['winnow_open_traces', 'winnow_traces_closed_total', 'group="assembler"'],
    sampler: ['winnow_decisions_total', 'group="sampler"'],
    writer: ['winnow_tier_bytes_total', 'group="writer-hot"', 'group="writer-segments"'],
    query: [],
  }
  for (const name of names) {
    const text = await (await fetch(`http://${targets[name].metrics}/metrics`)).text()
    for (const [other, lines] of Object.entries(own)) {
      for (const line of lines) expect(text.includes(line), `${name} ${line}`).toBe(other === name)
    }
    expect(text).toContain('process_cpu_seconds_total')
  }
})

fact('none is ready while the broker is down, and all are again once it is back', async () => {
  const readiness = () => Promise.all(names.map(async name => (await readyz(name)).status))
  await vi.waitFor(async () => expect(await readiness()).toEqual(names.map(() => 200)), waits)
  await kafka.kill9()
  await vi.waitFor(async () => expect(await readiness()).toEqual(names.map(() => 503)), waits)
  for (const name of names) {
    const { parts } = (await (await readyz(name)).json()) as {
      parts: Record<string, { ready: boolean }>
    }
    expect(parts[name]?.ready, name).toBe(false)
  }
  await kafka.restart()
  await vi.waitFor(async () => expect(await readiness()).toEqual(names.map(() => 200)), waits)
})

fact(
  'on SIGTERM a stage leaves its group: the other does not wait for the session to end',
  async () => {
    const second = await startTarget('sampler', { data, env: env() })
    await vi.waitFor(() => expect(heldBy(second)).toBe(2), waits)
    expect(await targets.sampler.stop()).toBe(0)
    // A member that only falls silent is missed after ten seconds, the session of the group.
    await vi.waitFor(() => expect(heldBy(second)).toBe(4), { timeout: 8_000, interval: 100 })
    targets.sampler = second
  },
)

fact('every stage ends with 0 on SIGTERM', async () => {
  for (const name of names.toReversed()) expect(await targets[name].stop(), name).toBe(0)
})

const waits = { timeout: 40_000, interval: 300 }

async function stateOf(traceId: string): Promise<string> {
  const answer = await fetch(`http://${targets.query.api}/api/v1/traces/${traceId}/why`)
  return ((await answer.json()) as Why).state
}

/** The partitions that a target's last assignment gave it. */
function heldBy(target: RunningTarget): number {
  return Number([...target.stderr().matchAll(/"partitions":(\d+)/g)].at(-1)?.[1] ?? 0)
}

function readyz(name: TargetName): Promise<Response> {
  return fetch(`http://${targets[name].metrics}/readyz`)
}
