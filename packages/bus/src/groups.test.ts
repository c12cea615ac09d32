import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import type { Batch, Lease } from './bus.ts'
import { records, textsOf } from './file-bus.fixture.ts'
import { MemoryBus } from './memory-bus.ts'

const spec = { name: 't', partitions: 1, retentionMs: 0, keyed: false }

test('a lease without a commit that found nothing is told of what was then lost unread', async () => {
  const bus = new MemoryBus([spec], new ManualClock())
  const held = Promise.withResolvers<Lease>()
  const membership = bus.join('t', 'g', async own => held.resolve(own))
  const lease = await held.promise
  const read = (): Promise<Batch> => lease.read(1000, 0)
  expect(await read()).toEqual({ records: [] })
  await bus.append('t', 0, records('a', 'b', 'c'))
  bus.expire('t', 0, 3)
  await bus.append('t', 0, records('d'))
  const batch = await read()
  expect(batch.gap).toEqual({ from: 0, to: 3 })
  expect(textsOf(batch)).toEqual(['d'])
  await membership.close()
})
