import { MemoryBlobStore, MemoryHotStore } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { controlTopic, Fixture, traceIdOf, until } from '../writer.fixture.ts'
import { newErasure } from './eraser.ts'
import { accepted, advance as advanceOn, deskOf, eraserOf, erasuresOf } from './erasing.fixture.ts'
import type { ShownErasure } from './erasure-desk.ts'
import {
  type Erasure,
  emptyReceiptLifeMs,
  erasureChunkTraces,
  erasureRecord,
  erasuresMax,
  erasuresOfTenantMax,
  erasureTracesMax,
  erasureTracesOfTenantMax,
  receiptLifeMs,
  tracesRecord,
} from './erasure-record.ts'
import { controlPartition, Erasures } from './erasures.ts'

const fixtures: Fixture[] = []

afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.stop()
})

function world() {
  const fixture = new Fixture()
  fixtures.push(fixture)
  const { bus, clock } = fixture
  const erasures = erasuresOf(fixture)
  const own = { hot: new MemoryHotStore(), blobs: new MemoryBlobStore(clock), erasures }
  const eraser = eraserOf(fixture, own)
  const desk = deskOf(fixture, { erasures })
  const ask = async (tenant: string, n: number): Promise<ShownErasure> =>
    accepted(await desk.ask({ tenant, where: { 'trace.id': traceIdOf(n) } }))
  const advance = (id: string): Promise<Erasure> => advanceOn(fixture, id, own)
  const job = (tenant: string, id: string): Erasure => ({
    ...newErasure({
      tenant,
      field: 'trace.id',
      tokens: [traceIdOf(1)],
      by: undefined,
      dryRun: false,
      nowMs: clock.nowMs(),
    }),
    id,
  })
  /** An erasure that blocks so many traces. */
  const block = async (tenant: string, id: string, traces: number): Promise<void> => {
    const state = 'waiting-for-retention'
    const said = erasureRecord({ ...job(tenant, id), state, blockedAtMs: clock.nowMs() })
    await bus.append(controlTopic, controlPartition, [said])
    for (let at = 0; at < traces; at += erasureChunkTraces) {
      const ids = Array.from({ length: Math.min(erasureChunkTraces, traces - at) }, (_, n) =>
        (2 ** 40 + at + n).toString(16).padStart(32, '0'),
      )
      await bus.append(controlTopic, controlPartition, [tracesRecord(id, ids)])
    }
  }
  return { fixture, bus, clock, erasures, eraser, ask, advance, block, job }
}

const idOf = (n: number): string => n.toString(16).padStart(16, '0')

test('so many traces of a tenant may be blocked at once, and not one more, and others have room', {
  timeout: 120_000,
}, async () => {
  const { ask, advance, block } = world()
  await block('default', idOf(1), erasureTracesOfTenantMax - 1)
  expect((await advance((await ask('default', 1)).id)).state).toBe('waiting-for-retention')
  const refused = await advance((await ask('default', 2)).id)
  expect(refused).toMatchObject({
    state: 'refused',
    why: expect.stringContaining('of this tenant at once: wait until others are done'),
  })
  expect((await advance((await ask('acme', 2)).id)).state).toBe('waiting-for-retention')
})

test('so many traces of all tenants may be blocked at once, and not one more', {
  timeout: 120_000,
}, async () => {
  const { ask, advance, block } = world()
  await block('a', idOf(1), erasureTracesOfTenantMax)
  await block('b', idOf(2), erasureTracesMax - erasureTracesOfTenantMax - 1)
  expect((await advance((await ask('default', 1)).id)).state).toBe('waiting-for-retention')
  expect(await advance((await ask('default', 2)).id)).toMatchObject({
    state: 'refused',
    why: expect.stringContaining('0 more may be blocked at once: wait'),
  })
})

test('what an earlier attempt of its own has blocked takes no room from an erasure', {
  timeout: 120_000,
}, async () => {
  const { bus, ask, advance, block, erasures } = world()
  await block('default', idOf(1), erasureTracesOfTenantMax - 1)
  const { id } = await ask('default', 1)
  await bus.append(controlTopic, controlPartition, [tracesRecord(id, [traceIdOf(1)])])
  expect(await advance(id)).toMatchObject({ state: 'waiting-for-retention', found: 1 })
  expect(erasures.blocked('default', id)).toBe(erasureTracesOfTenantMax - 1)
})

test('a tenant has so many erasures, and not one more, and others have room', {
  timeout: 120_000,
}, async () => {
  const { bus, ask, job } = world()
  const records = Array.from({ length: erasuresOfTenantMax - 1 }, (_, n) =>
    erasureRecord({ ...job('default', idOf(n)), state: 'done' }),
  )
  await bus.append(controlTopic, controlPartition, records)
  await ask('default', 1)
  await expect(ask('default', 1)).rejects.toThrow(/has 2000 erasures, of at most 2000; wait/)
  await ask('acme', 1)
})

test('control holds so many erasures, and not one more', { timeout: 120_000 }, async () => {
  const { bus, ask, job } = world()
  const records = Array.from({ length: erasuresMax - 1 }, (_, n) =>
    erasureRecord({ ...job(`tenant-${n % 8}`, idOf(n)), state: 'done' }),
  )
  await bus.append(controlTopic, controlPartition, records)
  await ask('default', 1)
  await expect(ask('default', 1)).rejects.toThrow(/holds 10000 erasures, of at most 10000; wait/)
})

test('erasures are listed in pages, the newest first, each once, and no other tenant’s', async () => {
  const { fixture, bus, job, erasures } = world()
  const own = Array.from({ length: 7 }, (_, n) => job('default', idOf(n)))
  const all = own.flatMap((one, n) => [one, job('other', idOf(100 + n))])
  await bus.append(controlTopic, controlPartition, all.map(erasureRecord))
  const desk = deskOf(fixture, { erasures })
  const listed: string[] = []
  const sizes: number[] = []
  for (let cursor: string | undefined = '', first = true; first || cursor !== undefined; ) {
    const page = await desk.list('default', { limit: 3, cursor: first ? undefined : cursor })
    listed.push(...(page?.erasures ?? []).map(({ id }) => id))
    sizes.push(page?.erasures.length ?? -1)
    cursor = page?.cursor
    first = false
  }
  expect(sizes).toEqual([3, 3, 1])
  expect(listed).toEqual(own.map(({ id }) => id).toReversed())
  expect(await desk.list('default', { limit: 7 })).not.toHaveProperty('cursor')
  expect(await desk.list('other', { limit: 3, cursor: idOf(1) })).toBeUndefined()
  expect(await desk.list('nobody', { limit: 3 })).toEqual({ erasures: [] })
})

test('a dry run and a refused one are forgotten after a day, a receipt after its life, and no job', async () => {
  const { bus, clock, erasures, eraser, job } = world()
  const nowMs = clock.nowMs()
  const said = [
    { ...job('default', idOf(1)), state: 'done', endedAtMs: nowMs },
    { ...job('default', idOf(2)), state: 'done', dryRun: true, endedAtMs: nowMs },
    { ...job('default', idOf(3)), state: 'refused', endedAtMs: nowMs },
    { ...job('default', idOf(4)), state: 'waiting-for-retention', blockedAtMs: nowMs + 9e12 },
  ] as const
  await bus.append(controlTopic, controlPartition, said.map(erasureRecord))
  // What a process that was killed at the end of an erasure leaves.
  await bus.append(controlTopic, controlPartition, [tracesRecord(idOf(1), [traceIdOf(1)])])
  await erasures.readToEnd()
  expect(erasures.blocked()).toBe(0)
  const ended = new AbortController()
  const running = eraser.run(ended.signal)
  const ids = async (): Promise<string[]> => {
    clock.advanceMs(1_000)
    const read = new Erasures({ bus, control: controlTopic, clock, log: world().fixture.log })
    await read.readToEnd()
    return read.all.map(({ id }) => id)
  }
  await until('what is left over is gone', async () => {
    await ids()
    return erasures.chunksOf(idOf(1)).length === 0
  })
  expect(await ids()).toHaveLength(4)
  clock.advanceMs(emptyReceiptLifeMs)
  await until('they are forgotten', async () => (await ids()).length === 2)
  expect(await ids()).toEqual([idOf(1), idOf(4)])
  clock.advanceMs(receiptLifeMs)
  await until('the receipt is', async () => (await ids()).length === 1)
  expect(await ids()).toEqual([idOf(4)])
  ended.abort()
  await running
})

test('two that find unlike sets at once block all that either found', async () => {
  const { bus, erasures, job } = world()
  const id = idOf(1)
  const of = (from: number): string[] =>
    Array.from({ length: 6 }, (_, n) => traceIdOf(from + n)).sort()
  const chunks = (ids: readonly string[]) => [
    tracesRecord(id, ids.slice(0, 3)),
    tracesRecord(id, ids.slice(3)),
  ]
  const [first, second] = [chunks(of(0)), chunks(of(1))]
  await bus.append(controlTopic, controlPartition, [
    erasureRecord(job('default', id)),
    ...first.slice(0, 1),
    ...second,
    ...first.slice(1),
  ])
  await erasures.readToEnd()
  expect(new Set(erasures.tracesOf(id))).toEqual(new Set([...of(0), ...of(1)]))
  expect(erasures.blocked()).toBe(7)
})
