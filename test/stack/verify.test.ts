// The ledger's balance on a real broker: by the query, and by a process that reads the topics itself.

import { randomUUID } from 'node:crypto'
import { type LedgerReport, verifyTopics } from '@winnow/query'
import { expect, test } from 'vitest'
import { keyOf, tenants } from '../support/pipeline-harness.ts'
import { playQuickly } from '../support/seed-run.ts'
import { winnow } from '../support/winnow-process.ts'
import { openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''

test.runIf(broker !== '')('traffic through Kafka balances, for whoever asks', async () => {
  const prefix = `winnow-${randomUUID().slice(0, 8)}`
  const run = await playQuickly({ seed: 4, traces: 1_000, prefix }, specs => openBus(broker, specs))
  try {
    const { bus, topics, addresses } = run.harness
    const all = await verifyTopics({ bus, topics, slicesMax: 1_000_000 })
    expect(all).toMatchObject({ balanced: true, pending: 0, lostToRetention: 0, offending: [] })
    expect(all.received).toBeGreaterThan(5_000)
    let received = 0
    for (const tenant of tenants) {
      const headers = { authorization: `Bearer ${keyOf(tenant)}` }
      const answer = await fetch(`http://${addresses.api}/api/v1/verify`, { headers })
      const report = (await answer.json()) as LedgerReport
      expect(report).toMatchObject({ balanced: true, full: false })
      received += report.received
    }
    expect(received).toBe(all.received)
    const env = {
      WINNOW_BUS: `kafka://${broker}`,
      WINNOW_TOPICS_PREFIX: prefix,
      WINNOW_TOPICS_PARTITIONS: String(await bus.partitionCount(topics.spans)),
    }
    // A folder has no broker in it: what is named is the bus of the configuration.
    const { code, stdout, stderr } = await winnow(['verify', '--json', '--data', '/none'], env)
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toEqual(all)
    const wrong = { ...env, WINNOW_TOPICS_PREFIX: `${prefix}-not` }
    const refused = await winnow(['verify', '--data', '/none'], wrong)
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain(`the broker has no topic ${prefix}-not.spans.1`)
  } finally {
    await run.stop()
  }
})
