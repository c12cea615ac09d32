import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Decision } from '@winnow/model'
import { encodeTraces } from '@winnow/otlp'
import { ColdHashers, MemoryColdKeys } from '@winnow/privacy'
import { PipelineError } from '@winnow/runtime'
import {
  FileBlobStore,
  type HotTrace,
  MemoryBlobStore,
  MemoryHotStore,
  SqliteHotStore,
} from '@winnow/storage'
import { trace48f, trace48fId } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { ledgerOffsets, spanNames, tiersOf } from './tiers.fixture.ts'
import {
  decisionOn,
  decisionsTopic,
  Fixture,
  sliceAt,
  spanIdOf,
  spanOf,
  spansTopic,
  startMs,
  traceIdOf,
  tracesOf,
  until,
} from './writer.fixture.ts'
import { hotGroup, segmentsGroup, Writer } from './writer.ts'

/** Whatever is read is written at once. */
const now = { segmentAge: 0 }

/** What has been gathered stays gathered. */
const later = { segmentAge: 3_600_000 }

let fixture: Fixture
afterEach(() => fixture.stop())

/** Runs a writer until both groups have committed everything. */
async function writeAll(config = {}): Promise<void> {
  const writer = await fixture.writer({ ...now, ...config })
  await fixture.committed(hotGroup)
  await fixture.committed(segmentsGroup)
  await writer.stop()
}

const hotTrace = (n: number, tenant = 'default') => fixture.hot.get(tenant, traceIdOf(n))

class Hot extends MemoryHotStore {
  isAway = false
  readonly puts: (readonly HotTrace[])[] = []
  readonly expired: number[] = []

  override async put(traces: readonly HotTrace[]): Promise<void> {
    if (this.isAway) throw new PipelineError('STORE_UNAVAILABLE', 'away')
    this.puts.push(traces)
    await super.put(traces)
  }

  override async expire(nowMs: number): Promise<void> {
    this.expired.push(nowMs)
    if (this.isAway) throw new PipelineError('STORE_UNAVAILABLE', 'away')
  }
}

class Blobs extends MemoryBlobStore {
  isAway = false
  override async create(key: string, bytes: Uint8Array): Promise<boolean> {
    if (this.isAway) throw new PipelineError('STORE_UNAVAILABLE', 'away')
    return super.create(key, bytes)
  }
}

test('a kept trace is in hot, warm and cold; a dropped one only in the ledger', async () => {
  fixture = new Fixture()
  const bytes = encodeTraces(trace48f())
  const slices = await fixture.slices([bytes])
  const kept = await fixture.decide(trace48fId, { slices })
  const dropped = await fixture.drop(1)
  await writeAll()
  const hot = await fixture.hot.get('default', trace48fId)
  expect(hot).toMatchObject({ offset: kept, partition: 0 })
  expect(hot?.spans.map(row => row.name)).toContain('tool.citation_check')
  expect(hot?.bodies.map(body => Buffer.from(body.bytes))).toEqual([Buffer.from(bytes)])
  expect(await hotTrace(1)).toBeUndefined()
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

test('on the real embedded stores the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'writer-'))
  const hot = new SqliteHotStore(join(folder, 'hot'))
  const blobs = await FileBlobStore.open(join(folder, 'blobs'))
  fixture = new Fixture({ hot, blobs: () => blobs })
  for (let n = 0; n < 20; n++) await (n % 2 === 0 ? fixture.keep(n, 8) : fixture.drop(n))
  await writeAll({ segmentDecisions: 7 })
  const tiers = await tiersOf(blobs)
  expect(ledgerOffsets(tiers).length).toBe(20)
  expect(spanNames(tiers.warm).length).toBe(80)
  expect(spanNames(tiers.cold)).toEqual(spanNames(tiers.warm))
  const trace = await hotTrace(4)
  expect(trace?.spans.length).toBe(8)
  expect(trace?.bodies.length).toBe(1)
  await hot.close()
  rmSync(folder, { recursive: true })
})

test('a further revision that writes nothing updates the trace in hot and writes no row twice', async () => {
  fixture = new Fixture()
  const slices = await fixture.slices([[spanOf(traceIdOf(1), 0)]])
  await fixture.decide(traceIdOf(1), { slices })
  const second = await fixture.decide(traceIdOf(1), {
    slices,
    write: [],
    revision: 2,
    cause: 'evaluation',
    primary: 'low-csat',
  })
  await writeAll()
  expect(await hotTrace(1)).toMatchObject({
    offset: second,
    decision: { revision: 2, primary: 'low-csat' },
  })
  expect((await hotTrace(1))?.spans.length).toBe(1)
  const tiers = await tiersOf(fixture.blobs)
  expect(spanNames(tiers.warm).length).toBe(1)
  expect(ledgerOffsets(tiers).length).toBe(2)
})

test('a fragment adds its own slices alone, also in a later segment than the trace', async () => {
  fixture = new Fixture()
  const first = await fixture.slices([[spanOf(traceIdOf(1), 0), spanOf(traceIdOf(1), 1)]])
  await fixture.decide(traceIdOf(1), { slices: first })
  const second = await fixture.slices([[spanOf(traceIdOf(1), 2)]])
  const slices = [...first, ...second]
  await fixture.decide(traceIdOf(1), { slices, write: [1], revision: 2, cause: 'fragment' })
  // A claim and two decisions: a segment ends between the two.
  await writeAll({ segmentDecisions: 2 })
  const { warm, cold, ledger } = await tiersOf(fixture.blobs)
  expect(ledger.map(({ metadata }) => [metadata.a, metadata.b])).toEqual([
    [0, 1],
    [2, 2],
  ])
  expect(warm.map(({ rows }) => rows.map(row => row.span_id))).toEqual([
    [spanIdOf(0), spanIdOf(1)],
    [spanIdOf(2)],
  ])
  expect(spanNames(cold)).toEqual(spanNames(warm))
  expect((await hotTrace(1))?.spans.length).toBe(3)
  expect((await hotTrace(1))?.bodies.length).toBe(2)
})

test('a trace that is rescued is written whole, once, and stays one decision a revision', async () => {
  fixture = new Fixture()
  const slices = await fixture.slices([[spanOf(traceIdOf(1), 0)], [spanOf(traceIdOf(1), 1)]])
  await fixture.decide(traceIdOf(1), { verdict: 'drop', slices })
  await fixture.decide(traceIdOf(1), { slices, revision: 2, cause: 'request' })
  await writeAll()
  const tiers = await tiersOf(fixture.blobs)
  expect(spanNames(tiers.warm).length).toBe(2)
  expect(tiers.ledger.flatMap(({ rows }) => rows.map(row => row.verdict))).toEqual(['drop', 'keep'])
  expect((await hotTrace(1))?.decision.revision).toBe(2)
})

test('records that do not count are in no tier', async () => {
  fixture = new Fixture()
  const stale = await fixture.claim()
  const claim = await fixture.claim()
  const kept = await fixture.keep(1)
  const slices = await fixture.slices([[spanOf(traceIdOf(2), 0)]])
  const record = (n: number, seq: number, of: number): Decision =>
    decisionOn(traceIdOf(n), { slices, claim: of, seq })
  await fixture.record(record(2, 1, stale))
  await fixture.record(record(2, 1, claim))
  await fixture.record(record(2, 3, claim))
  await fixture.record(Buffer.from('no record at all'))
  const last = await fixture.drop(3)
  await writeAll()
  const tiers = await tiersOf(fixture.blobs)
  expect(ledgerOffsets(tiers)).toEqual([kept, last])
  expect(spanNames(tiers.warm).length).toBe(2)
  expect(await hotTrace(2)).toBeUndefined()
  expect(fixture.said('writer.unreadable_decision').length).toBe(1)
})

test('one trace id of two tenants is two traces, whose cold strings cannot be joined', async () => {
  let seed = 0
  const keys = new MemoryColdKeys(bytes => new Uint8Array(bytes).fill(++seed))
  fixture = new Fixture()
  const slices = await fixture.slices([[spanOf(traceIdOf(1), 0)], [spanOf(traceIdOf(1), 0)]])
  await fixture.decide(traceIdOf(1), { tenant: 'a', slices: slices.slice(0, 1) })
  await fixture.decide(traceIdOf(1), { tenant: 'b', slices: slices.slice(1) })
  await fixture.writer(now, { hashers: new ColdHashers(keys) })
  await fixture.committed(hotGroup)
  await fixture.committed(segmentsGroup)
  for (const tenant of ['a', 'b']) {
    expect((await hotTrace(1, tenant))?.decision.tenant).toBe(tenant)
    expect((await hotTrace(1, tenant))?.bodies.length).toBe(1)
  }
  const { cold } = await tiersOf(fixture.blobs)
  const rows = cold.flatMap(segment => segment.rows)
  expect(rows.map(row => row.tenant).sort()).toEqual(['a', 'b'])
  expect(new Set(rows.map(row => row.attributes)).size).toBe(2)
})

test('bodies that have expired are counted and have no rows; the ledger has the decision', async () => {
  fixture = new Fixture()
  const [old] = await fixture.slices([[spanOf(traceIdOf(1), 0), spanOf(traceIdOf(1), 1)]])
  fixture.clock.advanceMs(86_400_000)
  const [young] = await fixture.slices([[spanOf(traceIdOf(1), 2)]])
  const slices = [old ?? sliceAt({}), young ?? sliceAt({})]
  const half = await fixture.decide(traceIdOf(1), { slices })
  const none = await fixture.decide(traceIdOf(2), { slices: slices.slice(0, 1) })
  fixture.clock.advanceMs(1)
  await writeAll()
  const tiers = await tiersOf(fixture.blobs)
  expect(spanNames(tiers.warm)).toEqual([`${traceIdOf(1)} ${spanIdOf(2)}`])
  expect(tiers.ledger.flatMap(segment => segment.rows)).toMatchObject([
    { sampling_offset: half, slices_written: 1, gone: false },
    { sampling_offset: none, slices_written: 0, gone: false },
  ])
  // Two slices of two spans each; hot has read the same slices and does not count them again.
  expect(await fixture.metric('winnow_lost_to_retention_spans_total')).toEqual({ '': 4 })
  expect((await hotTrace(1))?.bodies.length).toBe(1)
  expect(await hotTrace(2)).toMatchObject({ spans: [], bodies: [] })
})

test('keeps that await their spans, or are known to be gone, are no traces to be found in hot', async () => {
  fixture = new Fixture()
  const awaiting = await fixture.decide(traceIdOf(1), { slices: [], cause: 'evaluation' })
  const gone = await fixture.decide(traceIdOf(2), { slices: [sliceAt({})], write: [], gone: true })
  await writeAll()
  expect(await hotTrace(1)).toBeUndefined()
  expect(await hotTrace(2)).toBeUndefined()
  const tiers = await tiersOf(fixture.blobs)
  expect(ledgerOffsets(tiers)).toEqual([awaiting, gone])
  // No rows, no object.
  expect([tiers.warm, tiers.cold]).toEqual([[], []])
})

test('slices that are unreadable or another trace’s are set aside and stop nothing', async () => {
  fixture = new Fixture()
  const slices = await fixture.slices([
    [spanOf(traceIdOf(1), 0)],
    [spanOf(traceIdOf(2), 0, { name: 'secret of another' })],
    Buffer.from('no OTLP'),
  ])
  const ahead = sliceAt({ offset: 1_000, spanCount: 3 })
  const nowhere = sliceAt({ partition: 9, spanCount: 4 })
  await fixture.decide(traceIdOf(1), { slices: [...slices, ahead, nowhere] })
  await fixture.keep(5)
  await writeAll()
  expect((await hotTrace(1))?.spans.length).toBe(1)
  expect((await hotTrace(1))?.bodies.length).toBe(1)
  expect((await hotTrace(5))?.spans.length).toBe(2)
  const tiers = await tiersOf(fixture.blobs)
  expect(spanNames(tiers.warm).length).toBe(3)
  expect(ledgerOffsets(tiers).length).toBe(2)
  expect(fixture.said('writer.slice_set_aside').length).toBe(1)
  expect(await fixture.metric('winnow_spans_rejected_total')).toEqual({ unreadable_slice: 9 })
})

test('a hot store that is away makes hot lag and the segments go on; then hot catches up', async () => {
  const hot = new Hot()
  hot.isAway = true
  fixture = new Fixture({ hot })
  for (let n = 0; n < 3; n++) await fixture.keep(n)
  await fixture.writer(now)
  await fixture.committed(segmentsGroup)
  expect(await fixture.bus.committed(decisionsTopic, hotGroup, 0)).toBeUndefined()
  // What hot has read waits in memory: its bodies may expire now.
  await until('hot has tried', () => fixture.said('writer.hot_put_failed').length > 0)
  fixture.bus.expire(spansTopic, 0, 3)
  hot.isAway = false
  await fixture.committed(hotGroup)
  for (let n = 0; n < 3; n++) expect((await hotTrace(n))?.bodies.length).toBe(1)
})

test('a blob store that is away makes the segments lag and hot goes on', async () => {
  let blobs: Blobs | undefined
  fixture = new Fixture({
    blobs: clock => {
      blobs = new Blobs(clock)
      blobs.isAway = true
      return blobs
    },
  })
  await fixture.keep(1)
  await fixture.writer(now)
  await fixture.committed(hotGroup)
  await until('a put was tried', () => fixture.said('writer.segments_put_failed').length > 0)
  expect(await fixture.bus.committed(decisionsTopic, segmentsGroup, 0)).toBeUndefined()
  if (blobs !== undefined) blobs.isAway = false
  await fixture.committed(segmentsGroup)
  expect(spanNames((await tiersOf(fixture.blobs)).warm).length).toBe(2)
})

test('decisions that retention took unread are said and counted; both groups go on behind them', async () => {
  fixture = new Fixture()
  await fixture.keep(1)
  await writeAll()
  for (let n = 2; n < 5; n++) await fixture.keep(n)
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  const last = await fixture.keep(5)
  fixture.bus.expire(decisionsTopic, 0, end)
  await writeAll()
  const tiers = await tiersOf(fixture.blobs)
  expect(tiers.ledger.map(({ metadata }) => [metadata.a, metadata.b])).toEqual([
    [0, 1],
    [end, last],
  ])
  expect(ledgerOffsets(tiers)).toEqual([1, last])
  expect((await hotTrace(5))?.spans.length).toBe(2)
  expect(fixture.said('writer.decisions_gap')).toMatchObject([{ from: 2, to: end }])
  expect(fixture.said('writer.hot_gap').length).toBe(1)
  expect(await fixture.metric('winnow_lost_to_retention_spans_total')).toEqual({ '': 3 })
})

test('behind a gap that held the claim, what a former owner left counts for neither group', async () => {
  fixture = new Fixture()
  const former = await fixture.claim()
  await fixture.keep(1)
  await writeAll()
  await fixture.claim()
  const { end } = await fixture.bus.bounds(decisionsTopic, 0)
  const slices = await fixture.slices([[spanOf(traceIdOf(2), 0)]])
  await fixture.decide(traceIdOf(2), { claim: former, seq: 2, slices })
  const own = await fixture.keep(3)
  fixture.bus.expire(decisionsTopic, 0, end)
  await writeAll()
  expect(ledgerOffsets(await tiersOf(fixture.blobs))).toEqual([1, own])
  expect(await hotTrace(2)).toBeUndefined()
  expect((await hotTrace(3))?.spans.length).toBe(2)
})

test('what is gathered is written at a stop, and the next run goes on from the state in the note', async () => {
  fixture = new Fixture()
  await fixture.keep(1)
  await writeAll()
  const second = await fixture.keep(2)
  const writer = await fixture.writer(later)
  await fixture.committed(hotGroup)
  await sleep(20)
  await writer.stop()
  expect(ledgerOffsets(await tiersOf(fixture.blobs))).toEqual([1, second])
  // A repeat of what counted before: only who knows the state sees it as such.
  await fixture.record(decisionOn(traceIdOf(3), { claim: 0, seq: 1 }))
  const third = await fixture.keep(4)
  await writeAll()
  expect(ledgerOffsets(await tiersOf(fixture.blobs))).toEqual([1, second, third])
  expect(spanNames((await tiersOf(fixture.blobs)).warm).length).toBe(6)
})

test('a store that is away at a stop does not hold it up, and the next run writes', async () => {
  const blobs = new Blobs({ nowMs: () => startMs })
  fixture = new Fixture({ blobs: () => blobs })
  const only = await fixture.keep(1)
  const writer = await fixture.writer(later)
  await fixture.committed(hotGroup)
  blobs.isAway = true
  await writer.stop()
  expect(ledgerOffsets(await tiersOf(blobs))).toEqual([])
  blobs.isAway = false
  await writeAll()
  expect(ledgerOffsets(await tiersOf(blobs))).toEqual([only])
})

test('stop is safe in any state, and takes nothing new', async () => {
  fixture = new Fixture()
  const never = new Writer(fixture.options())
  await never.stop()
  await fixture.keep(1)
  const hot = new Hot()
  hot.isAway = true
  const writer = await fixture.writer(now, { hot })
  await until('hot is being repeated', () => fixture.said('writer.hot_put_failed').length > 0)
  await Promise.all([writer.stop(), writer.stop()])
  await writer.stop()
  hot.isAway = false
  const tried = hot.puts.length
  await fixture.keep(2)
  expect(hot.puts.length).toBe(tried)
  const immediate = new Writer(fixture.options(now))
  await immediate.start()
  await immediate.stop()
})

test('a newer release’s decision or note ends the writer with its name', async () => {
  fixture = new Fixture()
  await fixture.record({ v: 2, kind: 'decision' })
  const writer = await fixture.writer(now)
  await expect(writer.failed).rejects.toThrow(/record 0 has format v 2/)
  await writer.stop()

  fixture = new Fixture()
  await fixture.keep(1)
  for (const group of [hotGroup, segmentsGroup]) {
    const committed = Promise.withResolvers<void>()
    const membership = fixture.bus.join(decisionsTopic, group, lease =>
      lease.commit({ offset: 1, note: '{"v":2}' }).then(committed.resolve),
    )
    await committed.promise
    await membership.close()
  }
  const other = await fixture.writer(now)
  await expect(other.failed).rejects.toThrow(/note has format v 2/)
})

test('expiry is asked for with the time, again and again, and its failures stop nothing', async () => {
  const hot = new Hot()
  hot.isAway = true
  fixture = new Fixture({ hot })
  await fixture.writer({ ...now, expireEvery: 5 })
  await until('it was asked twice', () => hot.expired.length >= 2)
  expect(hot.expired[0]).toBe(startMs)
  expect(fixture.said('writer.expiry_failed').length).toBe(1)
  await fixture.stop()
  const asked = hot.expired.length
  await new Promise(resolve => setTimeout(resolve, 20))
  expect(hot.expired.length).toBe(asked)
})

test('one transaction of hot has as many traces as are allowed, and one past them begins the next', async () => {
  const hot = new Hot()
  fixture = new Fixture({ hot })
  await fixture.claim()
  for (let n = 0; n < 7; n++) await fixture.keep(n)
  await writeAll({ hotBatch: 3 })
  expect(hot.puts.map(traces => traces.length)).toEqual([3, 3, 1])
})

test('one transaction of hot has the bytes that are allowed; a trace of more comes in parts', async () => {
  const hot = new Hot()
  fixture = new Fixture({ hot })
  const slice = encodeTraces(tracesOf([spanOf(traceIdOf(1), 0)]))
  const slices = await fixture.slices([0, 1, 2].map(n => [spanOf(traceIdOf(1), n)]))
  await fixture.decide(traceIdOf(1), { slices })
  for (const n of [2, 3]) await fixture.keep(n, 1)
  await writeAll({ hotBatchBytes: 2 * slice.length + 10 })
  const shape = hot.puts.map(traces => traces.map(({ bodies }) => bodies.length))
  expect(shape).toEqual([[2], [1, 1], [1]])
  const trace = await hotTrace(1)
  expect(trace?.spans.map(row => row.span_id)).toEqual([0, 1, 2].map(spanIdOf))
  expect(trace?.bodies.length).toBe(3)
  expect((await tiersOf(fixture.blobs)).warm.flatMap(({ rows }) => rows).length).toBe(5)
  expect(await fixture.metric('winnow_tier_objects_total')).toMatchObject({ hot: 3 })
})

test('all partitions together gather what is allowed; past it the largest is written first', async () => {
  fixture = new Fixture({ partitions: 3 })
  await fixture.keep(1, 2, 0)
  await fixture.keep(2, 2, 1)
  for (let n = 3; n < 9; n++) await fixture.keep(n, 2, 2)
  // Some 4 KB a trace: all eight are over the limit, what is left behind its segments is not.
  await fixture.writer({ ...later, gatheredBytes: 20_000 })
  await fixture.committed(hotGroup, 2)
  await until('a segment', async () => (await tiersOf(fixture.blobs)).ledger.length > 0)
  const { ledger } = await tiersOf(fixture.blobs)
  expect([...new Set(ledger.map(({ metadata }) => metadata.partition))]).toEqual([2])
  expect(await fixture.bus.committed(decisionsTopic, segmentsGroup, 0)).toBeUndefined()
})

test('the metrics of a tier are what its store has been given', async () => {
  fixture = new Fixture()
  for (let n = 0; n < 5; n++) await fixture.keep(n)
  await writeAll({ segmentDecisions: 2 })
  const objects: Record<string, number> = {}
  const bytes: Record<string, number> = {}
  for await (const blob of fixture.blobs.list('')) {
    const tier = blob.key.split('/')[0] ?? ''
    objects[tier] = (objects[tier] ?? 0) + 1
    bytes[tier] = (bytes[tier] ?? 0) + blob.bytes
  }
  expect(await fixture.metric('winnow_tier_objects_total')).toEqual({ ...objects, hot: 5 })
  expect(await fixture.metric('winnow_tier_bytes_total')).toMatchObject(bytes)
})
