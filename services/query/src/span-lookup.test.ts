import { silentLog } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { dayMs, decisionOn, todayMs, traceIdOf } from './lookup.fixture.ts'
import { rowOf, StoredFixture } from './span-lookup.fixture.ts'
import { SpanLookup, type SpanLookupOptions } from './span-lookup.ts'

const kept = { verdict: 'keep', spanCount: 2 } as const

function lookupIn(fixture: StoredFixture, changes: Partial<SpanLookupOptions> = {}): SpanLookup {
  fixture.reads.length = 0
  return new SpanLookup({
    blobs: fixture.blobs,
    partitionOf: () => 0,
    warmLifeMs: 30 * dayMs,
    nowMs: () => fixture.clock.nowMs(),
    log: silentLog,
    ...changes,
  })
}

const idsOf = ({ spans }: { readonly spans: readonly { readonly span_id: string }[] }) =>
  spans.map(({ span_id }) => Number.parseInt(span_id, 16))

test('a trace whose segment the ledger names is one read of warm away, and no list', async () => {
  const fixture = new StoredFixture()
  const segment = await fixture.segment(10, [rowOf(1, 1), rowOf(1, 2), rowOf(2, 3)])
  const found = await lookupIn(fixture).find('default', decisionOn(1, kept), segment)
  expect(idsOf(found)).toEqual([1, 2])
  expect(found).toMatchObject({ tier: 'warm', tiers: ['warm'], complete: true, date: '2026-11-21' })
  expect(fixture.reads).toEqual([segment.replace('ledger', 'warm')])
})

test('spans of an earlier revision are found in an earlier segment, also of the day before', async () => {
  const fixture = new StoredFixture()
  const yesterdayMs = todayMs - dayMs
  await fixture.segment(3, [rowOf(1, 1)], yesterdayMs)
  for (let a = 10; a < 20; a++) await fixture.segment(a, [rowOf(100 + a, 1)])
  const segment = await fixture.segment(20, [rowOf(1, 2)])
  const decision = decisionOn(1, { ...kept, revision: 2, seriesAtMs: yesterdayMs })
  const found = await lookupIn(fixture).find('default', decision, segment)
  expect(idsOf(found)).toEqual([1, 2])
  expect(found).toMatchObject({ complete: true, date: '2026-11-20' })
})

test('nobody has to know the segment: that of a decision of the log is found by its days', async () => {
  const fixture = new StoredFixture()
  for (let a = 10; a < 14; a++) await fixture.segment(a, [rowOf(a, 1), rowOf(a, 2)])
  const found = await lookupIn(fixture).find('default', decisionOn(12, kept), undefined)
  expect(idsOf(found)).toEqual([1, 2])
  expect(found.complete).toBe(true)
})

test('of a span that two decisions brought, the earlier one’s row counts', async () => {
  const fixture = new StoredFixture()
  await fixture.segment(10, [rowOf(1, 1, { name: 'first' })])
  const segment = await fixture.segment(11, [rowOf(1, 1, { name: 'again' }), rowOf(1, 2)])
  const decision = decisionOn(1, { ...kept, spanCount: 3 })
  const { spans } = await lookupIn(fixture).find('default', decision, segment)
  expect(spans.map(({ name }) => name)).toEqual(['first', 'llm.generate'])
})

test('what warm has no more comes from cold, and what has outlived warm is not shown from there', async () => {
  const fixture = new StoredFixture()
  const segment = await fixture.segment(10, [rowOf(1, 1), rowOf(1, 2)])
  const decision = decisionOn(1, kept)
  await fixture.blobs.delete(segment.replace('ledger', 'warm'))
  const found = await lookupIn(fixture).find('default', decision, segment)
  expect(found).toMatchObject({ tier: 'cold', tiers: ['warm', 'cold'], complete: true })
  expect(found.spans[0]?.attributes).toContain('h_0123456789abcdef')

  const other = await fixture.segment(11, [rowOf(2, 1), rowOf(2, 2)])
  fixture.clock.advanceMs(31 * dayMs)
  const late = await lookupIn(fixture).find('default', decisionOn(2, kept), other)
  expect(late).toMatchObject({ tier: 'cold', tiers: ['cold'] })
})

test('another tenant’s trace of the same id is not shown', async () => {
  const fixture = new StoredFixture()
  const segment = await fixture.segment(10, [rowOf(1, 1, { tenant: 'other' }), rowOf(1, 2)])
  const decision = decisionOn(1, { ...kept, spanCount: 1 })
  const { spans } = await lookupIn(fixture).find('default', decision, segment)
  expect(spans.map(({ tenant, span_id }) => [tenant, Number(span_id)])).toEqual([['default', 2]])
})

test('a segment that cannot be read is named, and the answer says that it lacks it', async () => {
  const fixture = new StoredFixture()
  const segment = await fixture.segment(10, [rowOf(1, 1)])
  const bad = segment.replace('ledger', 'warm')
  await fixture.blobs.delete(bad)
  await fixture.blobs.create(bad, Buffer.from('no Parquet'))
  const decision = decisionOn(1, { ...kept, spanCount: 1 })
  const found = await lookupIn(fixture).find('default', decision, segment)
  // Cold still has it.
  expect(found).toMatchObject({ tier: 'cold', complete: false, unreadable: [bad] })
})

test.each([
  ['as many segments as a request looks into', 4, true],
  ['one more', 3, false],
])('%s: segmentsMax', async (_, segmentsMax, complete) => {
  const fixture = new StoredFixture()
  for (let a = 10; a < 13; a++) await fixture.segment(a, [rowOf(a, 1)])
  const segment = await fixture.segment(13, [rowOf(1, 1)])
  // A span is lacking for good, so that every segment is looked into.
  const found = await lookupIn(fixture, { segmentsMax }).find(
    'default',
    decisionOn(1, kept),
    segment,
  )
  expect(found.complete).toBe(complete)
  expect(idsOf(found)).toEqual([1])
})

test.each([
  ['as many spans as are read back', 3, true],
  ['one more', 2, false],
])('%s: spansMax', async (_, spansMax, complete) => {
  const fixture = new StoredFixture()
  const segment = await fixture.segment(10, [rowOf(1, 1), rowOf(1, 2), rowOf(1, 3)])
  const decision = decisionOn(1, { ...kept, spanCount: 3 })
  const found = await lookupIn(fixture, { spansMax }).find('default', decision, segment)
  expect(found.spans.length).toBe(spansMax)
  expect(found.complete).toBe(complete)
})

test.each([
  ['as many days as a request lists', 3, true],
  ['one more', 2, false],
])('%s: daysMax', async (_, daysMax, complete) => {
  const fixture = new StoredFixture()
  // The day before the series began, that day, and the decision's own.
  const segment = await fixture.segment(10, [rowOf(1, 1)])
  const decision = decisionOn(1, { ...kept, seriesAtMs: todayMs - dayMs })
  const found = await lookupIn(fixture, { daysMax }).find('default', decision, segment)
  expect(found.complete).toBe(complete)
})

test('a trace that goes on over several series is not called whole', async () => {
  const fixture = new StoredFixture()
  await fixture.segment(10, [rowOf(1, 1)])
  const segment = await fixture.segment(11, [rowOf(1, 2), rowOf(1, 3)])
  const decision = decisionOn(1, { ...kept, seriesFrom: { offset: 1, start: 0 } })
  const found = await lookupIn(fixture).find('default', decision, segment)
  expect(idsOf(found)).toEqual([1, 2, 3])
  expect(found.complete).toBe(false)
})

test('nothing of a trace that no segment has', async () => {
  const fixture = new StoredFixture()
  await fixture.segment(10, [rowOf(1, 1)])
  const found = await lookupIn(fixture).find('default', decisionOn(7, kept), undefined)
  expect(found).toMatchObject({ spans: [], tier: undefined, complete: true })
  expect(traceIdOf(7)).not.toBe(traceIdOf(1))
})
