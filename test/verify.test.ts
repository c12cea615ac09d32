// The ledger's balance, from the topics alone: on a pipeline that is alive, while it works and at rest.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FileBus, MemoryBus } from '@winnow/bus'
import { emptySpan, type TracesData } from '@winnow/otlp'
import { type LedgerReport, verifyTopics } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { agentTraffic, OtlpClient } from '@winnow/testing'
import { expect, test } from 'vitest'
import { keyOf, tenants } from './support/pipeline-harness.ts'
import { playOnMemory, playQuickly, type SeedRun } from './support/seed-run.ts'
import { type RunResult, startWinnow, winnow } from './support/winnow-process.ts'

test('unhurried traffic of two tenants balances, by the state that is kept and from scratch', async () => {
  const run = await playOnMemory(
    { seed: 1, traces: 2_000 },
    (specs, clock) => new MemoryBus(specs, clock),
  )
  await expectBalance(run)
})

test('hurried traffic on the file bus balances', async () => {
  const run = await playQuickly({ seed: 2, traces: 2_000 }, (specs, folder) =>
    FileBus.open({ folder, specs, clock: systemClock }),
  )
  await expectBalance(run)
})

test('winnow verify: of the running process, beside it, and of its folder after kill -9', async () => {
  const running = await startWinnow()
  try {
    const { requests } = agentTraffic({ seed: 5, traces: 300, startMs: Date.now(), quick: true })
    const client = new OtlpClient({ transport: 'http-protobuf', address: running.otlpHttp })
    let sent = 0
    for (const { data } of requests) {
      const { acknowledged, rejected } = await client.sendTraces(data)
      expect([acknowledged, rejected]).toEqual([true, 0])
      sent += spansOf(data)
    }
    const asked = ['verify', '--url', `http://${running.api}`, '--json']
    await expect
      .poll(async () => reportOf(await winnow(asked)), { timeout: 30_000, interval: 500 })
      .toMatchObject({ balanced: true, received: sent, pending: 0, full: false })
    const settled = { balanced: true, received: sent, pending: 0, offending: [], full: true }
    expect(reportOf(await winnow([...asked, '--full']))).toMatchObject(settled)
    const folder = ['verify', '--data', running.data, '--json']
    expect(reportOf(await winnow(folder)), 'beside the process').toMatchObject(settled)
    for (const { data } of requests.slice(0, 100)) await client.sendTraces(data)
    await running.kill9()
    const after = reportOf(await winnow(folder))
    expect(after, 'what was under way is pending').toMatchObject({ balanced: true, missing: 0 })
    expect(after.received).toBeGreaterThan(sent)
    const { code, stdout } = await winnow(folder.slice(0, -1))
    expect(code).toBe(0)
    expect(stdout).toMatch(/^BALANCED {2}\d+ spans received from /)
    await rm(join(running.data, 'bus', 'positions.log'))
    expect((await winnow(folder)).code).toBe(2)
  } finally {
    await running.kill9()
    running.clean()
  }
})

test('a trace of more slices than one decision carries balances through its chain', async () => {
  const running = await startWinnow()
  try {
    const client = new OtlpClient({ transport: 'http-protobuf', address: running.otlpHttp })
    // Each repeats the last span of the one before.
    for (let slice = 0; slice < slices; slice++) {
      const { acknowledged } = await client.sendTraces(giantPart([slice, slice + 1]))
      expect(acknowledged).toBe(true)
    }
    const asked = ['verify', '--url', `http://${running.api}`, '--json']
    await expect
      .poll(async () => reportOf(await winnow(asked)), { timeout: 60_000, interval: 500 })
      .toMatchObject({ received: 2 * slices, duplicate: slices - 1, pending: 0, balanced: true })
    const { stdout } = await winnow([...asked, '--full'])
    expect(JSON.parse(stdout)).toMatchObject({ balanced: true, duplicate: slices - 1 })
  } finally {
    await running.kill9()
    running.clean()
  }
})

/** Over twice what one record of decisions carries (`refsMax`). */
const slices = 600

function giantPart(spans: readonly number[]): TracesData {
  const none = { attributes: [], droppedAttributesCount: 0 }
  return {
    resourceSpans: [
      {
        resource: none,
        schemaUrl: '',
        scopeSpans: [
          {
            scope: { name: 's', version: '', ...none },
            schemaUrl: '',
            spans: spans.map(span => ({
              ...emptySpan,
              traceId: '0123456789abcdef0123456789abcdef',
              spanId: (span + 1).toString(16).padStart(16, '0'),
              parentSpanId: span === 0 ? '' : '0000000000000001',
              name: 'step',
              kind: 1,
              startTimeUnixNano: 1_800_000_000_000_000_000n,
              endTimeUnixNano: 1_800_000_000_001_000_000n,
              ...none,
            })),
          },
        ],
      },
    ],
  }
}

function reportOf({ stdout, stderr }: RunResult): LedgerReport {
  expect(stdout, stderr).not.toBe('')
  return JSON.parse(stdout) as LedgerReport
}

async function expectBalance(run: SeedRun): Promise<void> {
  const { harness, seed } = run
  try {
    const { bus, topics } = harness
    const all = await verifyTopics({ bus, topics, slicesMax: 1_000_000 })
    const sent = run.requests.reduce((sum, { data }) => sum + spansOf(data), 0)
    expect(all, `seed ${seed}`).toMatchObject({
      balanced: true,
      received: sent,
      pending: 0,
      missing: 0,
      doubled: 0,
      lostToRetention: 0,
      offending: [],
    })
    expect(all.duplicate).toBeGreaterThan(0)
    let received = 0
    for (const tenant of tenants) {
      const headers = { authorization: `Bearer ${keyOf(tenant)}` }
      for (const query of ['', '?full']) {
        const url = `http://${harness.addresses.api}/api/v1/verify${query}`
        const report = (await (await fetch(url, { headers })).json()) as LedgerReport
        expect(report).toMatchObject({ balanced: true, pending: 0, imbalance: 0 })
        if (query === '') received += report.received
      }
    }
    expect(received).toBe(sent)
  } finally {
    await run.stop()
  }
}

function spansOf(data: {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly unknown[] }[]
  }[]
}): number {
  let spans = 0
  for (const resource of data.resourceSpans) {
    for (const scope of resource.scopeSpans) spans += scope.spans.length
  }
  return spans
}
