import { ColdHashers, MemoryColdKeys } from '@winnow/privacy'
import { PipelineError } from '@winnow/runtime'
import { type BlobStore, listSegments } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { Fixture, spanOf, text, traceIdOf, until } from '../writer.fixture.ts'
import {
  accepted,
  advance as advanceOn,
  deskOf,
  eraserOf,
  erasuresOf,
  hourMs,
  subject,
} from './erasing.fixture.ts'
import { type Erasure, erasureAsideMax, type SetAside } from './erasure-record.ts'
import { settingAside } from './set-aside.ts'

const fixtures: Fixture[] = []

afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.stop()
})

/** Four traces of the subject in as many segments, and what erases them. */
async function world(wrap: (blobs: BlobStore) => BlobStore = blobs => blobs) {
  const fixture = new Fixture()
  fixtures.push(fixture)
  const { clock } = fixture
  for (let n = 0; n < 4; n++) {
    const span = spanOf(traceIdOf(n), 0)
    const attributes = [...span.attributes, text('user.id_hash', subject)]
    await fixture.decide(traceIdOf(n), {
      slices: await fixture.slices([[{ ...span, attributes }]]),
    })
  }
  await fixture.writer({ segmentAge: 0, segmentDecisions: 1 })
  await fixture.committed('writer-hot')
  await fixture.committed('writer-segments')
  await fixture.stop()
  // From here on the bus says nothing of whose they were.
  clock.advanceMs(25 * hourMs)
  const erasures = erasuresOf(fixture)
  const own = { blobs: wrap(fixture.blobs), erasures }
  const eraser = eraserOf(fixture, own)
  const desk = deskOf(fixture, { erasures })
  const where = { 'user.id_hash': subject }
  const ask = async (): Promise<string> => accepted(await desk.ask({ tenant: 'default', where })).id
  const advance = (id: string): Promise<Erasure> => advanceOn(fixture, id, own)
  return { fixture, clock, erasures, desk, eraser, ask, advance }
}

async function keysOf(blobs: BlobStore, tier: 'warm' | 'cold'): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of listSegments(blobs, tier)) keys.push(key)
  return keys
}

test('an object that cannot be read is named, the rest goes on, and it is not done before that can be', async () => {
  const { fixture, clock, desk, ask, advance } = await world()
  const { blobs } = fixture
  const damaged = (await keysOf(blobs, 'warm'))[0] ?? ''
  const whole = (await blobs.read(damaged)) ?? new Uint8Array()
  // Cold has the same traces: without it too, nobody knows of them.
  const lost = damaged.replace('warm', 'cold')
  await blobs.rewrite(damaged, async () => whole.slice(0, whole.length - 20))
  await blobs.delete(lost)
  const id = await ask()
  const waiting = await advance(id)
  expect(waiting).toMatchObject({
    state: 'waiting-for-retention',
    found: 3,
    removed: { warm: { objects: 3 } },
    aside: [{ key: damaged, step: 'finding' }],
  })
  expect(await desk.status('default', id)).toMatchObject({
    unreadable: [damaged],
    why: expect.stringContaining(`cannot be read: ${damaged}; restore them`),
  })
  clock.advanceMs(120 * hourMs)
  expect((await advance(id)).state).toBe('waiting-for-retention')
  // It has traces that nobody knew of: all begins anew.
  await blobs.rewrite(damaged, async () => whole)
  expect(await advance(id)).toMatchObject({ state: 'running', step: 'finding' })
  const again = await advance(id)
  expect(again).toMatchObject({ state: 'waiting-for-retention', found: 4 })
  expect(again.aside).toBeUndefined()
  clock.advanceMs(120 * hourMs)
  expect(await advance(id)).toMatchObject({ state: 'done', removed: { warm: { objects: 4 } } })
})

test('an object that is gone keeps no erasure from its end', async () => {
  const { fixture, clock, ask, advance } = await world()
  const { blobs } = fixture
  const damaged = (await keysOf(blobs, 'warm'))[0] ?? ''
  await blobs.rewrite(damaged, async () => new Uint8Array(100))
  const id = await ask()
  expect((await advance(id)).aside).toHaveLength(1)
  clock.advanceMs(120 * hourMs)
  expect((await advance(id)).state).toBe('waiting-for-retention')
  await blobs.delete(damaged)
  const done = await advance(id)
  expect([done.state, done.aside, done.found]).toEqual(['done', undefined, 4])
})

test('an object that is gone is done with, also where the keys that told of it have been destroyed', async () => {
  const { fixture, clock, erasures, ask } = await world()
  const { blobs } = fixture
  const damaged = (await keysOf(blobs, 'warm'))[0] ?? ''
  await blobs.rewrite(damaged, async () => new Uint8Array(100))
  const id = await ask()
  expect((await advanceOn(fixture, id, { erasures })).aside).toHaveLength(1)
  clock.advanceMs(120 * hourMs)
  const hashers = new ColdHashers(new MemoryColdKeys(bytes => new Uint8Array(bytes).fill(8)))
  const later = (): Promise<Erasure> => advanceOn(fixture, id, { erasures, hashers })
  await expect(later()).rejects.toThrow(/have been destroyed: delete the objects/)
  await blobs.delete(damaged)
  expect(await later()).toMatchObject({ state: 'done', found: 4 })
})

test('too many that turn up after some were removed make it fail, not refused, until another has them', async () => {
  const { fixture, clock, desk, advance } = await world()
  const { blobs } = fixture
  const damaged = (await keysOf(blobs, 'warm')).slice(0, 3)
  const whole = await Promise.all(damaged.map(key => blobs.read(key)))
  for (const key of damaged) {
    await blobs.rewrite(key, async () => new Uint8Array(100))
    await blobs.delete(key.replace('warm', 'cold'))
  }
  const where = { 'user.id_hash': subject }
  const { id } = accepted(await desk.ask({ tenant: 'default', where, tracesMax: 1 }))
  expect(await advance(id)).toMatchObject({ state: 'waiting-for-retention', found: 1 })
  clock.advanceMs(120 * hourMs)
  for (const [at, key] of damaged.entries()) {
    await blobs.rewrite(key, async () => whole[at] ?? new Uint8Array())
  }
  expect(await advance(id)).toMatchObject({ state: 'running', step: 'finding' })
  await expect(advance(id)).rejects.toThrow(/concerns 3 traces.*none of them was removed/)
  expect(await desk.status('default', id)).toMatchObject({ state: 'running' })
  const { id: other } = accepted(await desk.ask({ tenant: 'default', where, tracesMax: 3 }))
  expect(await advance(other)).toMatchObject({ state: 'waiting-for-retention', found: 3 })
  expect(await advance(id)).toMatchObject({ state: 'waiting-for-retention', found: 1 })
})

test('so many objects are set aside, and one more ends the step', () => {
  const aside: SetAside[] = []
  const { log } = new Fixture()
  const add = settingAside(aside, 'removing', 'id', log)
  const error = new PipelineError('DATA_CORRUPT', 'x')
  for (let n = 0; n < erasureAsideMax; n++) add(`warm/${n}`, error)
  add('warm/0', error)
  expect(aside).toHaveLength(erasureAsideMax)
  expect(() => add('warm/one-more', error)).toThrow(error)
})

test('what keeps a step from its end is in the job until it goes well', async () => {
  let isRefusing = true
  const { clock, desk, eraser, ask } = await world(
    blobs =>
      new Proxy(blobs, {
        get: (own, name) => {
          const value: unknown = Reflect.get(own, name)
          if (typeof value !== 'function') return value
          if (name !== 'rewrite' || !isRefusing) return value.bind(own)
          return async () => {
            throw new PipelineError('CONFIG_INVALID', 'the bucket takes no conditional puts')
          }
        },
      }),
  )
  const id = await ask()
  const ended = new AbortController()
  const running = eraser.run(ended.signal)
  const status = async () => {
    clock.advanceMs(10_000)
    return desk.status('default', id)
  }
  await until('it says so', async () => (await status())?.failing !== undefined)
  expect(await status()).toMatchObject({
    state: 'running',
    failing: { code: 'CONFIG_INVALID', text: 'the bucket takes no conditional puts' },
  })
  isRefusing = false
  await until('it goes on', async () => (await status())?.state === 'waiting-for-retention')
  expect((await status())?.failing).toBeUndefined()
  ended.abort()
  await running
})
