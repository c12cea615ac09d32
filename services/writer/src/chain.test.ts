import type { Bus } from '@winnow/bus'
import { type Decision, type PackedSlice, refsMax, seriesRefsMax } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import type { MemoryBlobStore } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { ChainReader } from './chain.ts'
import type { FoldedRecord } from './decisions-reader.ts'
import { ForcedLease, type Positions, segmentsProcess } from './forced-lease.fixture.ts'
import { noteOf } from './position.ts'
import { ledgerOffsets, spanNames, tiersOf } from './tiers.fixture.ts'
import {
  decisionOn,
  decisionsTopic,
  Fixture,
  loggedOn,
  sliceAt,
  spanIdOf,
  spanOf,
  traceIdOf,
  until,
} from './writer.fixture.ts'
import { hotGroup, segmentsGroup } from './writer.ts'

const id = traceIdOf(1)
const now = { segmentAge: 0 }

let fixture: Fixture
afterEach(() => fixture?.stop())

async function writeAll(config = {}): Promise<void> {
  const writer = await fixture.writer({ ...now, ...config })
  await fixture.committed(hotGroup)
  await fixture.committed(segmentsGroup)
  await writer.stop()
}

/** One slice a record, of one span each. */
async function slicesOf(spans: readonly number[]): Promise<PackedSlice[]> {
  const slices: PackedSlice[] = []
  for (const n of spans) slices.push(...(await fixture.slices([[spanOf(id, n)]])))
  return slices
}

/** A trace that is dropped link by link; resolves with the offsets of the links. */
async function droppedChain(links: readonly (readonly PackedSlice[])[]): Promise<number[]> {
  const offsets: number[] = []
  let sliceCount = 0
  for (const [at, slices] of links.entries()) {
    sliceCount += slices.length
    const own = { slices, sliceCount, spanCount: sliceCount, revision: at + 1 }
    const prev = offsets.at(-1) ?? null
    offsets.push(await fixture.decide(id, { ...own, verdict: 'drop', prev }))
  }
  return offsets
}

const names = (spans: readonly number[]): string[] => spans.map(n => `${id} ${spanIdOf(n)}`).sort()

const lateKeep = (
  slices: readonly PackedSlice[],
  sliceCount: number,
  prev: number,
): Partial<Decision> => ({
  slices,
  sliceCount,
  spanCount: sliceCount,
  revision: 9,
  prev,
  writePrev: true,
})

for (const links of [2, 3]) {
  test(`a keep that comes late has all ${links} links of its chain written, once a tier`, async () => {
    fixture = new Fixture()
    const slices = await slicesOf(Array.from({ length: 2 * links + 1 }, (_, n) => n))
    const chain = Array.from({ length: links }, (_, at) => slices.slice(2 * at, 2 * at + 2))
    const offsets = await droppedChain(chain)
    const own = slices.slice(2 * links)
    const change = lateKeep(own, slices.length, offsets.at(-1) as number)
    const kept = await fixture.decide(id, change)
    await writeAll()
    const all = names(slices.map((_, n) => n))
    const tiers = await tiersOf(fixture.blobs)
    expect(spanNames(tiers.warm)).toEqual(all)
    expect(spanNames(tiers.cold)).toEqual(all)
    expect(ledgerOffsets(tiers)).toEqual([...offsets, kept])
    const row = tiers.ledger.flatMap(({ rows }) => rows).at(-1)
    expect(row).toMatchObject({ slice_count: slices.length, slices_written: slices.length })
    const hot = await fixture.hot.get('default', id)
    expect(hot?.spans.length).toBe(slices.length)
    expect(hot?.bodies.map(({ ref }) => ref)).toEqual(
      slices.map(({ ref }) => `0:${ref.offset}:${ref.start}`),
    )
  })
}

test('a revision of a chain that was kept before writes its own slices alone', async () => {
  fixture = new Fixture()
  const slices = await slicesOf([0, 1, 2])
  const first = await fixture.decide(id, { slices: slices.slice(0, 2) })
  await fixture.decide(id, { slices: slices.slice(2), sliceCount: 3, prev: first, revision: 2 })
  await writeAll()
  const tiers = await tiersOf(fixture.blobs)
  expect(spanNames(tiers.warm)).toEqual(names([0, 1, 2]))
  const written = tiers.ledger.flatMap(({ rows }) => rows.map(row => row.slices_written))
  expect(written).toEqual([2, 1])
})

test('a chain is read and put in pieces, never as one', async () => {
  fixture = new Fixture()
  const slices = await slicesOf([0, 1, 2, 3, 4])
  const most = Math.max(...slices.map(({ ref }) => ref.length))
  const [only] = await droppedChain([slices.slice(0, 4)])
  await fixture.decide(id, lateKeep(slices.slice(4), 5, only as number))
  const puts: number[] = []
  const { hot } = fixture
  const put = hot.put.bind(hot)
  hot.put = traces => {
    puts.push(...traces.map(({ bodies }) => bodies.length))
    return put(traces)
  }
  await writeAll({ hotBatchBytes: 2 * most })
  expect(puts).toEqual([2, 2, 1])
  expect((await fixture.hot.get('default', id))?.spans.length).toBe(5)
  // The segments cut it otherwise.
  expect(spanNames((await tiersOf(fixture.blobs)).warm)).toEqual(names([0, 1, 2, 3, 4]))
})

test('a link that retention has passed: its spans and those before it are counted as gone', async () => {
  fixture = new Fixture({ retentionMs: { decisions: 1_000 } })
  const slices = await slicesOf([0, 1, 2, 3, 4])
  const offsets = await droppedChain([slices.slice(0, 1), slices.slice(1, 2), slices.slice(2, 4)])
  fixture.bus.expire(decisionsTopic, 0, offsets[2] as number)
  const kept = await fixture.decide(id, lateKeep(slices.slice(4), 5, offsets[2] as number))
  await writeAll()
  const tiers = await tiersOf(fixture.blobs)
  expect(spanNames(tiers.warm)).toEqual(names([2, 3, 4]))
  const row = tiers.ledger.flatMap(({ rows }) => rows).find(one => one.sampling_offset === kept)
  expect(row).toMatchObject({ slice_count: 5, slices_written: 3 })
  const lost = await fixture.metric('winnow_lost_to_retention_spans_total')
  expect(Object.values(lost)).toEqual([2])
  expect((await fixture.hot.get('default', id))?.spans.length).toBe(3)
})

test('a `prev` that leads to another trace, or forwards, sets the rest aside and stops nothing', async () => {
  fixture = new Fixture()
  const slices = await slicesOf([0, 1, 2])
  const other = await fixture.drop(7)
  await fixture.decide(id, lateKeep(slices.slice(0, 2), 4, other))
  await fixture.decide(traceIdOf(2), { ...lateKeep([], 1, 99), spanCount: 1 })
  await fixture.keep(3)
  await writeAll()
  expect(fixture.said('writer.chain_broken')[0]).toMatchObject({ traceId: id, prev: other })
  const aside = await fixture.metric('winnow_spans_rejected_total')
  expect(aside.unreadable_slice).toBe(2 + 1)
  expect(spanNames((await tiersOf(fixture.blobs)).warm).length).toBe(2 + 2)
})

for (const tier of ['ledger', 'cold', 'warm']) {
  test(`a crash before the put of ${tier} of a chain leaves each slice written once`, async () => {
    fixture = new Fixture()
    const slices = await slicesOf([0, 1, 2, 3, 4])
    const offsets = await droppedChain([slices.slice(0, 2), slices.slice(2, 4)])
    await fixture.decide(id, lateKeep(slices.slice(4), 5, offsets[1] as number))
    let isDead = true
    const blobs = new Proxy(fixture.blobs as MemoryBlobStore, {
      get: (target, name) => {
        if (name !== 'create') {
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? value.bind(target) : value
        }
        return (key: string, bytes: Uint8Array) => {
          if (isDead && key.startsWith(tier)) throw new Error('crash')
          return target.create(key, bytes)
        }
      },
    })
    const positions: Positions = { committed: { offset: 0, note: noteOf({ claim: -1, next: 1 }) } }
    const config = { segmentAge: 1_000 }
    await expect(
      segmentsProcess(fixture, new ForcedLease(fixture, positions), config, { blobs }),
    ).rejects.toThrow('crash')
    isDead = false
    const lease = new ForcedLease(fixture, positions)
    const done = segmentsProcess(fixture, lease, config, { blobs })
    await until('all is committed', () => positions.committed?.offset === 4)
    lease.lose()
    await done
    const tiers = await tiersOf(fixture.blobs)
    expect(spanNames(tiers.warm)).toEqual(names([0, 1, 2, 3, 4]))
    expect(spanNames(tiers.cold)).toEqual(names([0, 1, 2, 3, 4]))
    expect(tiers.ledger.length).toBe(1)
  })
}

test('a bus that is away in the middle of a chain is asked again', async () => {
  fixture = new Fixture()
  const slices = await slicesOf([0, 1, 2, 3])
  const offsets = await droppedChain([slices.slice(0, 1), slices.slice(1, 2), slices.slice(2, 3)])
  await fixture.decide(id, lateKeep(slices.slice(3), 4, offsets[2] as number))
  let away = 3
  const { bus } = fixture
  const fetch = bus.fetch.bind(bus)
  bus.fetch = async (topic, partition, offset) => {
    if (topic === decisionsTopic && offset === offsets[1] && away-- > 0) {
      throw new PipelineError('BUS_UNAVAILABLE', 'away')
    }
    return fetch(topic, partition, offset)
  }
  await writeAll()
  expect(away).toBeLessThan(0)
  expect(spanNames((await tiersOf(fixture.blobs)).warm)).toEqual(names([0, 1, 2, 3]))
})

test('the longest chain there is has its refs in memory and nothing else', async () => {
  const links = Math.ceil(seriesRefsMax / refsMax)
  const decisions = new Map<number, Decision>()
  for (let at = 0; at < links; at++) {
    const slices = Array.from({ length: refsMax }, (_, n) => sliceAt({ offset: at, start: n }))
    decisions.set(at, decisionOn(id, { slices, verdict: 'drop', prev: at === 0 ? null : at - 1 }))
  }
  fixture = new Fixture()
  const bus = {
    fetch: async (_: string, __: number, offset: number) => ({
      offset,
      appendedAtMs: 0,
      value: Buffer.from(JSON.stringify(decisions.get(offset))),
    }),
  } as unknown as Bus
  const record: FoldedRecord = {
    offset: links,
    appendedAtMs: 0,
    value: new Uint8Array(),
    logged: loggedOn(id, lateKeep([], links * refsMax, links - 1)),
    after: { claim: 0, next: 2 },
  }
  const chain = await new ChainReader(bus, decisionsTopic, fixture.log).read(0, record)
  expect(chain).toMatchObject({ spansGone: 0, spansAside: 0 })
  expect(chain.refs.length).toBe(links * refsMax)
  expect(chain.refs.every(ref => Object.keys(ref).length === 5)).toBe(true)
})
