import { test } from 'vitest'
import { type BusHarness, closeAtEnd, type Suite, spec } from './bus-contract.fixture.ts'
import { commitTests, endingTests, leaseTests, memberTests } from './bus-groups.contract.ts'
import { identityTests, retentionTests } from './bus-life.contract.ts'
import { appendTests, fetchTests, rangeTests, readTests } from './bus-records.contract.ts'
import type { TopicSpec } from './topics.ts'

/** Every adapter of the bus passes exactly these tests; each promise in `bus.ts` has one. */
export function busContract(name: string, harness: BusHarness): void {
  const suite: Suite = {
    harness,
    fact: (title, run) =>
      test(`${name}: ${title}`, { timeout: harness.timeoutMs ?? 20_000 }, () => run()),
    open: async (...specs) => {
      const used = specs.length === 0 ? [spec()] : specs
      const bus = await harness.open(used)
      closeAtEnd(bus)
      return { bus, topic: (used[0] as TopicSpec).name }
    },
  }
  appendTests(suite)
  readTests(suite)
  fetchTests(suite)
  rangeTests(suite)
  leaseTests(suite)
  commitTests(suite)
  memberTests(suite)
  endingTests(suite)
  retentionTests(suite)
  identityTests(suite)
}
