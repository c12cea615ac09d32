// The ledger's balance, from the topics alone: on a pipeline that is alive, while it works and at rest.

import { FileBus, MemoryBus } from '@winnow/bus'
import { type LedgerReport, verifyTopics } from '@winnow/query'
import { systemClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { keyOf, tenants } from './support/pipeline-harness.ts'
import { playOnMemory, playQuickly, type SeedRun } from './support/seed-run.ts'

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
