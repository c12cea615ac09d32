// How operators change the number of partitions, as docs/operations.md tells it: a next generation beside the old one.

import { randomUUID } from 'node:crypto'
import type { Why } from '@winnow/query'
import {
  OtlpClient,
  postEvaluations,
  trace48f,
  trace48fId,
  trace48fTwin,
  trace48fTwinId,
  trafficEvents,
} from '@winnow/testing'
import { expect, test, vi } from 'vitest'
import { type RunningWinnow, startWinnow } from '../support/winnow-process.ts'
import { kafkaForTest } from './kafka/shared.ts'

const waits = { timeout: 60_000, interval: 300 }

test('a next generation takes new traces, the old one still decides on its own, and both write to the same stores', async ({
  skip,
}) => {
  const { url } = await kafkaForTest(skip)
  const prefix = `generation-${randomUUID().slice(0, 8)}`
  const env = (generation: number, partitions: number) => ({
    WINNOW_BUS: url,
    WINNOW_TOPICS_PREFIX: prefix,
    WINNOW_TOPICS_GENERATION: `${generation}`,
    WINNOW_TOPICS_PARTITIONS: `${partitions}`,
  })
  const old = await startWinnow({ env: env(1, 2) })
  const started = [old]
  try {
    await send(old, trace48f({ startMs: Date.now() }))
    await send(old, trace48fTwin({ startMs: Date.now() }))
    await vi.waitFor(async () => expect(await stateOf(old, trace48fId)).toBe('kept'), waits)
    await vi.waitFor(async () => expect(await stateOf(old, trace48fTwinId)).toBe('dropped'), waits)
    // More partitions of the same generation are refused, with this remedy.
    await expect(startWinnow({ env: env(1, 4), data: old.data })).rejects.toThrow(/generation/)

    const next = await startWinnow({ env: env(2, 4), data: old.data })
    started.push(next)
    const [newTrace] = await sendTraffic(next)
    const decided = /^(kept|dropped)$/
    await vi.waitFor(
      async () => expect(await stateOf(next, newTrace ?? '')).toMatch(decided),
      waits,
    )
    expect(await stateOf(old, newTrace ?? '')).not.toMatch(decided)
    await vi.waitFor(async () => expect(await statusOf(next, trace48fId)).toBe(200), waits)

    // An outcome goes where its trace was taken in, for as long as the bytes lie there.
    await postEvaluations({ address: old.api }, [judgedBad(trace48fTwinId)])
    await vi.waitFor(async () => expect(await stateOf(old, trace48fTwinId)).toBe('kept'), waits)
    await vi.waitFor(async () => expect(await statusOf(next, trace48fTwinId)).toBe(200), waits)
  } finally {
    for (const one of started) await one.stop()
    old.clean()
  }
})

function send(to: RunningWinnow, data: Parameters<OtlpClient['sendTraces']>[0]): Promise<unknown> {
  const client = new OtlpClient({ transport: 'grpc', address: to.otlpGrpc })
  return client.sendTraces(data).finally(() => client.close())
}

/** The ids of what was sent. */
async function sendTraffic(to: RunningWinnow): Promise<string[]> {
  const ids: string[] = []
  const options = { seed: 5, traces: 5, startMs: Date.now(), quick: true, tenants: ['default'] }
  for (const event of trafficEvents(options)) {
    if (event.kind === 'trace') ids.push(event.traceId)
    if (event.kind === 'request') await send(to, event.data)
  }
  return ids
}

async function stateOf(of: RunningWinnow, traceId: string): Promise<string> {
  const answer = await fetch(`http://${of.api}/api/v1/traces/${traceId}/why`)
  return ((await answer.json()) as Why).state
}

async function statusOf(of: RunningWinnow, traceId: string): Promise<number> {
  return (await fetch(`http://${of.api}/api/v1/traces/${traceId}`)).status
}

function judgedBad(traceId: string): Parameters<typeof postEvaluations>[1][number] {
  return {
    kind: 'evaluation',
    tenant: 'default',
    atMs: 0,
    madeAtMs: Date.now(),
    id: `late-${traceId}`,
    traceId,
    name: 'judge',
    label: 'fail',
    source: 'reviewer',
  }
}
