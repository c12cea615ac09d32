import { encodeTraces } from '@winnow/otlp'
import { trace48f, trace48fId } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { ledgerOffsets, spanNames, tiersOf } from './tiers.fixture.ts'
import { Fixture, sliceAt, traceIdOf } from './writer.fixture.ts'
import { hotGroup, segmentsGroup } from './writer.ts'

const now = { segmentAge: 0 }
let fixture: Fixture
afterEach(() => fixture.stop())

test('a kept trace is in hot, warm and cold; a dropped one only in the ledger', async () => {
  fixture = new Fixture()
  const bytes = encodeTraces(trace48f())
  const slices = await fixture.slices([bytes])
  const kept = await fixture.decide(trace48fId, { slices })
  const dropped = await fixture.drop(1)
  await fixture.writer(now)
  await fixture.committed(hotGroup)
  await fixture.committed(segmentsGroup)
  const hot = await fixture.hot.get('default', trace48fId)
  expect(hot).toMatchObject({ offset: kept, partition: 0 })
  expect(hot?.spans.map(row => row.name)).toContain('tool.citation_check')
  expect(hot?.bodies.map(body => Buffer.from(body.bytes))).toEqual([Buffer.from(bytes)])
  expect(await fixture.hot.get('default', traceIdOf(1))).toBeUndefined()
  const tiers = await tiersOf(fixture.blobs)
  expect(ledgerOffsets(tiers)).toEqual([kept, dropped])
  expect(spanNames(tiers.warm).length).toBe(8)
  expect(spanNames(tiers.cold)).toEqual(spanNames(tiers.warm))
  const warm = tiers.warm.flatMap(({ rows }) => rows.map(row => row.attributes)).join()
  expect(warm).toContain('sess_91ab')
  expect(warm).not.toContain('refund for order')
  const cold = tiers.cold.flatMap(({ rows }) => rows.map(row => row.attributes)).join()
  expect(cold).not.toContain('sess_91ab')
})

test('a keep that awaits its spans, or whose bytes are gone, is no kept trace that a search finds', async () => {
  fixture = new Fixture()
  await fixture.decide(traceIdOf(1), { slices: [], cause: 'evaluation' })
  await fixture.decide(traceIdOf(2), { slices: [sliceAt({})], write: [], gone: true })
  const kept = await fixture.keep(3)
  await fixture.writer(now)
  await fixture.committed(hotGroup)
  await fixture.committed(segmentsGroup)
  const page = await fixture.hot.search({ tenant: 'default', limit: 10 })
  expect(page.decisions.map(({ traceId }) => traceId)).toEqual([traceIdOf(3)])
  expect(ledgerOffsets(await tiersOf(fixture.blobs))).toEqual([kept - 2, kept - 1, kept])
})
