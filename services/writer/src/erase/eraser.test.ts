import type { Bus } from '@winnow/bus'
import {
  type BlobStore,
  decisionOf,
  type HotStore,
  listSegments,
  readAllLedger,
  readSegmentMetadata,
} from '@winnow/storage'
import { Random } from '@winnow/testing'
import { afterEach, expect, test } from 'vitest'
import { tiersOf } from '../tiers.fixture.ts'
import { Fixture, spanOf, text, traceIdOf, until } from '../writer.fixture.ts'
import {
  accepted,
  advance as advanceOn,
  deskOf,
  erasuresOf,
  hourMs,
  otherGroups,
  subject,
  writerErasure,
} from './erasing.fixture.ts'
import type { Erasure } from './erasure-record.ts'

const seed = 20_261_122
const fixtures: Fixture[] = []

afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.stop()
})

/** What a killed process leaves behind is in here; the rest is made anew. */
interface World {
  readonly fixture: Fixture
  readonly bus: Bus
  readonly blobs: BlobStore
  readonly hot: HotStore
}

function world(): World {
  const fixture = new Fixture()
  fixtures.push(fixture)
  const { bus, blobs, hot } = fixture
  return { fixture, bus, blobs, hot }
}

/** Trace n of the subject, where n is even, or of somebody else; kept or dropped. */
async function decide(
  { fixture }: World,
  n: number,
  verdict: 'keep' | 'drop' = 'keep',
): Promise<void> {
  const traceId = traceIdOf(n)
  const who = text('user.id_hash', n % 2 === 0 ? subject : `u_${n}`)
  const spans = [0, 1].map(at => spanOf(traceId, at))
  const [root, ...rest] = spans.map(span => ({ ...span, attributes: [...span.attributes, who] }))
  const slices = await fixture.slices([[root as (typeof spans)[0], ...rest]])
  await fixture.decide(traceId, { verdict, slices })
}

/** Every trace in hot and in segments. */
async function written(of: World, traces: number, segmentDecisions = 4): Promise<void> {
  const { fixture } = of
  for (let n = 0; n < traces; n++) await decide(of, n)
  await fixture.writer({ segmentAge: 0, segmentDecisions })
  await fixture.committed('writer-hot')
  await fixture.committed('writer-segments')
  await fixture.stop()
}

async function ask({ fixture }: World, where: Record<string, string>): Promise<string> {
  return accepted(await deskOf(fixture).ask({ tenant: 'default', where })).id
}

const advance = ({ fixture, bus, blobs, hot }: World, id: string): Promise<Erasure> =>
  advanceOn(fixture, id, { bus, blobs, hot })

const rowsOf = async (of: World): Promise<Record<string, readonly string[]>> => {
  const { ledger, warm, cold } = await tiersOf(of.blobs)
  const ids = (rows: readonly { readonly trace_id: string }[]): string[] =>
    rows.map(row => row.trace_id)
  return {
    ledger: ledger.flatMap(({ rows }) => ids(rows)),
    warm: warm.flatMap(({ rows }) => ids(rows)),
    cold: cold.flatMap(({ rows }) => ids(rows)),
  }
}

test('a subject’s rows are gone from every tier, its decisions are their accounting, and others are as before', async () => {
  const of = world()
  await written(of, 12)
  const before = await tiersOf(of.blobs)
  const id = await ask(of, { 'user.id_hash': subject })
  const done = await advance(of, id)
  expect(done).toMatchObject({
    state: 'waiting-for-retention',
    found: 6,
    removed: {
      hot: { objects: 6, rows: 12 },
      warm: { rows: 12 },
      cold: { rows: 12 },
      ledger: { rows: 6 },
    },
  })
  expect(done.resumed).toBeUndefined()
  const after = await tiersOf(of.blobs)
  const isOthers = ({ trace_id }: { readonly trace_id: string }): boolean =>
    [1, 3, 5, 7, 9, 11].some(n => traceIdOf(n) === trace_id)
  for (const tier of ['ledger', 'warm', 'cold'] as const) {
    expect(after[tier].map(({ key }) => key)).toEqual(before[tier].map(({ key }) => key))
    for (const [n, { rows }] of before[tier].entries()) {
      const left: readonly { trace_id: string }[] = after[tier][n]?.rows ?? []
      expect(left.filter(isOthers)).toEqual(
        (rows as readonly { trace_id: string }[]).filter(isOthers),
      )
      if (tier !== 'ledger') expect(left.every(isOthers)).toBe(true)
    }
  }
  const erased = after.ledger.flatMap(({ rows }) => rows).filter(row => !isOthers(row))
  expect(erased.map(row => decisionOf(row))).toHaveLength(6)
  for (const row of erased) {
    expect(decisionOf(row)).toMatchObject({
      erased: true,
      verdict: 'keep',
      spanCount: 2,
      slices: [],
      operation: null,
    })
    expect(row).toMatchObject({ span_count: 2, evaluations: '[]', root_name: null })
  }
  for (let n = 0; n < 12; n++) {
    const read = await of.hot.get('default', traceIdOf(n))
    expect(read === undefined).toBe(n % 2 === 0)
  }
})

/** The effects of an erasure, of which the n-th kills whoever has it: before it, or behind it. */
class Killed extends Error {}

function mortal(of: World, dieAt: number): World {
  let effects = 0
  const killing = <T extends object>(target: T, names: readonly string[]): T =>
    new Proxy(target, {
      get: (own, name) => {
        const value: unknown = Reflect.get(own, name)
        if (typeof value !== 'function') return value
        const call = value.bind(own) as (...args: unknown[]) => Promise<unknown>
        if (!names.includes(String(name))) return call
        return async (...args: unknown[]) => {
          if (effects++ === dieAt) throw new Killed()
          const result = await call(...args)
          if (effects++ === dieAt) throw new Killed()
          return result
        }
      },
    })
  return {
    fixture: of.fixture,
    bus: killing(of.bus, ['append']),
    blobs: killing(of.blobs, ['rewrite']),
    hot: killing(of.hot, ['erase']),
  }
}

test(`killed five times at any of its effects it ends as one that was not (seed ${seed})`, {
  timeout: 60_000,
}, async () => {
  const whole = world()
  await written(whole, 12)
  const expected = await advance(whole, await ask(whole, { 'user.id_hash': subject }))
  const rows = await rowsOf(whole)
  for (let run = 0; run < 12; run++) {
    const random = Random.of(seed, run)
    const of = world()
    await written(of, 12)
    const id = await ask(of, { 'user.id_hash': subject })
    for (let kill = 0; kill < 5; kill++) {
      try {
        await advance(mortal(of, random.int(0, 12)), id)
      } catch (error) {
        if (!(error instanceof Killed)) throw error
      }
    }
    const done = await advance(of, id)
    const { warm, cold, ledger } = expected.removed
    expect(done, `run ${run}`).toMatchObject({
      state: expected.state,
      found: 6,
      removed: { warm, cold, ledger },
    })
    expect(await rowsOf(of)).toEqual(rows)
    for (let n = 0; n < 12; n += 2)
      expect(await of.hot.get('default', traceIdOf(n))).toBeUndefined()
  }
})

test('what is decided on an erased trace reaches no store, and the ledger counts it', async () => {
  const of = world()
  const { fixture } = of
  await written(of, 4)
  await decide(of, 4, 'drop')
  const id = await ask(of, { 'user.id_hash': subject })
  await advance(of, id)
  // A rescue: the dropped one is kept, and its slice is still on the bus.
  const slices = await fixture.slices([[spanOf(traceIdOf(4), 0)]])
  await fixture.decide(traceIdOf(4), {
    slices,
    revision: 2,
    cause: 'request',
    requests: [{ id: 'r', reason: 'why' }],
  })
  await decide(of, 5)
  const erasures = erasuresOf(of.fixture)
  const erasure = writerErasure(fixture, erasures)
  await fixture.writer({ segmentAge: 0 }, { erasure })
  await fixture.committed('writer-hot')
  await fixture.committed('writer-segments')
  const rows = await rowsOf(of)
  for (const n of [0, 2, 4]) {
    expect(rows.warm).not.toContain(traceIdOf(n))
    expect(rows.cold).not.toContain(traceIdOf(n))
    expect(await of.hot.get('default', traceIdOf(n))).toBeUndefined()
  }
  expect(rows.warm).toContain(traceIdOf(5))
  expect(rows.ledger?.filter(one => one === traceIdOf(4))).toHaveLength(2)
  const own = (await tiersOf(of.blobs)).ledger.flatMap(({ rows: all }) => all)
  for (const row of own.filter(({ trace_id }) => trace_id === traceIdOf(4))) {
    expect(decisionOf(row).erased).toBe(true)
    expect(row.decision).not.toContain('why')
  }
})

test('what was gathered before its trace was blocked is taken out of the segment before the range is committed', async () => {
  const of = world()
  const { fixture } = of
  for (let n = 0; n < 4; n++) await decide(of, n)
  const erasure = writerErasure(fixture)
  // Nothing is due: all that it has read waits in memory.
  await fixture.writer({ segmentAge: hourMs }, { erasure })
  await fixture.committed('writer-hot')
  await until(
    'all are in hot',
    async () => (await of.hot.get('default', traceIdOf(3))) !== undefined,
  )
  const id = await ask(of, { 'user.id_hash': subject })
  await until('it is removed', async () => {
    const erasures = erasuresOf(of.fixture)
    await erasures.readToEnd()
    return erasures.get(id)?.state === 'waiting-for-retention'
  })
  expect((await rowsOf(of)).warm).toEqual([])
  await fixture.stop()
  const rows = await rowsOf(of)
  expect(new Set(rows.warm)).toEqual(new Set([1, 3].map(traceIdOf)))
  expect(new Set(rows.cold)).toEqual(new Set([1, 3].map(traceIdOf)))
  expect(rows.ledger).toHaveLength(4)
})

test('a range whose ledger a killed writer left counts the rows that are left out of it', async () => {
  const of = world()
  const { fixture } = of
  for (let n = 0; n < 4; n++) await decide(of, n)
  // The claim is a record too: all of them are one range.
  await fixture.writer({ segmentAge: hourMs, segmentDecisions: 5 })
  await fixture.committed('writer-segments')
  await fixture.stop()
  for await (const { key } of listSegments(of.blobs, 'warm')) await of.blobs.delete(key)
  for await (const { key } of listSegments(of.blobs, 'cold')) await of.blobs.delete(key)
  const id = await ask(of, { 'user.id_hash': subject })
  await advance(of, id)
  // Nothing is committed for this one: it finds the ledger, and writes the rest of the range.
  const again = otherGroups(fixture.bus)
  const erasure = writerErasure(fixture)
  await fixture.writer({ segmentAge: 0 }, { erasure, bus: again })
  await until('the range is written', async () => (await rowsOf(of)).warm?.length === 4)
  for (const tier of ['warm', 'cold'] as const) {
    for await (const { key } of listSegments(of.blobs, tier)) {
      const own = await readSegmentMetadata(of.blobs, key)
      const ledger = await readSegmentMetadata(of.blobs, key.replace(tier, 'ledger'))
      expect([own?.rows, own?.erased]).toEqual([ledger?.rows, 4])
    }
  }
  expect(
    (await readAllLedger(of.blobs, (await tiersOf(of.blobs)).ledger[0]?.key ?? '')).length,
  ).toBe(4)
})

test('it is done once the bus has let go of everything, and its traces are blocked until then', async () => {
  const of = world()
  const { fixture } = of
  await written(of, 4)
  const id = await ask(of, { 'user.id_hash': subject })
  expect((await advance(of, id)).state).toBe('waiting-for-retention')
  for (const hours of [23, 48]) {
    fixture.clock.advanceMs(hours * hourMs)
    expect((await advance(of, id)).state).toBe('waiting-for-retention')
    const erasures = erasuresOf(of.fixture)
    await erasures.readToEnd()
    expect(erasures.blockedBy('default', traceIdOf(2))).toBe(id)
    expect([erasures.has('other', traceIdOf(2)), erasures.has('default', traceIdOf(1))]).toEqual([
      false,
      false,
    ])
  }
  fixture.clock.advanceMs(48 * hourMs)
  const done = await advance(of, id)
  expect(done).toMatchObject({ state: 'done', found: 2, removed: { warm: { rows: 4 } } })
  expect(done.tokens).toBeUndefined()
  const erasures = erasuresOf(of.fixture)
  await erasures.readToEnd()
  expect([erasures.blocked(), erasures.tracesOf(id)]).toEqual([0, []])
  expect((await advance(of, id)).state).toBe('done')
})

test('one trace, by its id, and a field that nobody can look for', async () => {
  const of = world()
  await written(of, 4)
  const id = await ask(of, { 'trace.id': traceIdOf(1).toUpperCase() })
  expect(await advance(of, id)).toMatchObject({
    found: 1,
    removed: { hot: { objects: 1 }, warm: { rows: 2 } },
  })
  expect((await rowsOf(of)).warm).not.toContain(traceIdOf(1))
  for (const [where, says] of [
    [{ 'user.message': 'x' }, /content, which is searched nowhere/],
    [{ 'trace.id': '48f' }, /32 hex digits/],
    [{ 'user.id_hash': 'x'.repeat(257) }, /at most 256 characters/],
    [{}, /give one attribute/],
    [{ 'user.id_hash': 'a', 'session.id': 'b' }, /give one attribute/],
  ] as const) {
    await expect(ask(of, where as Record<string, string>)).rejects.toThrow(says)
  }
  await ask(of, { 'user.id_hash': 'x'.repeat(256) })
})
