import { listSegments, readSegmentMetadata, type SegmentMetadata } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { tiersOf } from '../tiers.fixture.ts'
import { Fixture, traceIdOf, until } from '../writer.fixture.ts'
import { blockTrace, hourMs, otherGroups, writerErasure } from './erasing.fixture.ts'

const fixtures: Fixture[] = []

afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.stop()
})

async function saidOf(
  fixture: Fixture,
  tier: 'ledger' | 'warm' | 'cold',
): Promise<(SegmentMetadata | undefined)[]> {
  const said: (SegmentMetadata | undefined)[] = []
  for await (const { key } of listSegments(fixture.blobs, tier)) {
    said.push(await readSegmentMetadata(fixture.blobs, key))
  }
  return said
}

test('a former owner who gathered before a block agrees with the ledger of one who knew of it, and puts nothing of it', async () => {
  const fixture = new Fixture()
  fixtures.push(fixture)
  const { bus, blobs } = fixture
  for (let n = 0; n < 4; n++) await fixture.keep(n)
  const slow = await fixture.writer({ segmentAge: hourMs }, { erasure: writerErasure(fixture) })
  await fixture.committed('writer-hot')
  await until(
    'all are gathered',
    async () => (await fixture.hot.get('default', traceIdOf(3))) !== undefined,
  )
  await blockTrace(fixture, traceIdOf(2))
  await fixture.writer(
    { segmentAge: hourMs, segmentDecisions: 5 },
    { erasure: writerErasure(fixture), bus: otherGroups(bus) },
  )
  await until('the range is written', async () => (await saidOf(fixture, 'warm')).length === 1)
  expect((await saidOf(fixture, 'ledger'))[0]?.rows).toEqual({ ledger: 4, warm: 8, cold: 8 })
  // As if it had died behind the ledger: the slow one writes the rest of the range.
  for (const tier of ['warm', 'cold'] as const) {
    for await (const { key } of listSegments(blobs, tier)) await blobs.delete(key)
  }
  await slow.stop()
  const { warm, cold } = await tiersOf(blobs)
  for (const tier of [warm, cold]) {
    expect(tier.map(({ metadata }) => [metadata.rows.warm, metadata.erased])).toEqual([[8, 2]])
    // Nobody had to take it out again: it was not put.
    expect(tier[0]?.metadata.erasures).toBeUndefined()
    expect(tier[0]?.rows.map(row => row.trace_id)).not.toContain(traceIdOf(2))
  }
  expect(fixture.said('writer.rows_unlike_ledger')).toEqual([])
})

test('rows that retention took are not called erased', async () => {
  const fixture = new Fixture()
  fixtures.push(fixture)
  const { bus, blobs, clock } = fixture
  for (let n = 0; n < 4; n++) await fixture.keep(n)
  await fixture.writer({ segmentAge: hourMs, segmentDecisions: 5 })
  await fixture.committed('writer-segments')
  await fixture.stop()
  for (const tier of ['warm', 'cold'] as const) {
    for await (const { key } of listSegments(blobs, tier)) await blobs.delete(key)
  }
  await blockTrace(fixture, traceIdOf(2))
  // The spans are gone from the bus; decisions are not.
  clock.advanceMs(30 * hourMs)
  await fixture.writer(
    { segmentAge: 0 },
    { erasure: writerErasure(fixture), bus: otherGroups(bus) },
  )
  await until('the loss is said', () => fixture.said('writer.rows_unlike_ledger').length > 0)
  for (const said of await saidOf(fixture, 'warm')) expect(said?.erased).toBeUndefined()
})
