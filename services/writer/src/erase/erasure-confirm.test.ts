// How many traces an erasure may concern before somebody has said that so many are meant.

import { afterEach, expect, test } from 'vitest'
import { tiersOf } from '../tiers.fixture.ts'
import { Fixture } from '../writer.fixture.ts'
import { accepted, advance, deskOf } from './erasing.fixture.ts'
import { erasureUnconfirmedMax } from './erasure-record.ts'
import { unconfirmed } from './erasure-room.ts'

let fixture: Fixture | undefined

afterEach(() => fixture?.stop())

test('a subject may have so many traces unconfirmed, and one more with as many confirmed', () => {
  const of = (found: number, tracesMax?: number) =>
    unconfirmed({ field: 'user.id_hash', ...(tracesMax !== undefined && { tracesMax }) }, found)
  expect(of(erasureUnconfirmedMax)).toBeUndefined()
  expect(of(erasureUnconfirmedMax + 1)).toMatch(
    /1001 traces, and more than 1000 have to be confirmed.*"tracesMax": 1001 \(--traces-max 1001\)/,
  )
  expect(of(erasureUnconfirmedMax + 1, erasureUnconfirmedMax)).toMatch(/1001 traces/)
  expect(of(erasureUnconfirmedMax + 1, erasureUnconfirmedMax + 1)).toBeUndefined()
})

test('so many as were named are erased and not one more, also where fewer need no confirmation', () => {
  const of = (found: number) => unconfirmed({ field: 'user.id_hash', tracesMax: 5 }, found)
  expect(of(5)).toBeUndefined()
  expect(of(6)).toMatch(/6 traces, and at the most 5 were meant.*--traces-max 6/)
})

test('by an attribute that names no subject nothing is erased unconfirmed, and a trace id names its own', () => {
  expect(unconfirmed({ field: 'service.name' }, 1)).toMatch(/service\.name is structural/)
  expect(unconfirmed({ field: 'service.name' }, 0)).toBeUndefined()
  expect(unconfirmed({ field: 'service.name', tracesMax: 3 }, 3)).toBeUndefined()
  expect(unconfirmed({ field: 'service.name', tracesMax: 3 }, 4)).toMatch(/4 traces/)
  expect(unconfirmed({ field: 'trace.id' }, 1)).toBeUndefined()
})

test('what is not confirmed is refused with its number and removes nothing; a dry run counts it', async () => {
  fixture = new Fixture()
  for (let n = 1; n <= 3; n++) await fixture.keep(n)
  await fixture.writer({ segmentAge: 0, segmentDecisions: 3 })
  await fixture.committed('writer-hot')
  await fixture.committed('writer-segments')
  await fixture.stop()
  const { blobs } = fixture
  const rows = async () => (await tiersOf(blobs)).cold.flatMap(one => one.rows).length
  const all = await rows()
  const desk = deskOf(fixture)
  const where = { 'service.name': 'refund-bot' }
  const carriedOut = async (asked: Parameters<typeof desk.ask>[0]) =>
    advance(fixture as Fixture, accepted(await desk.ask(asked)).id)
  const dry = await carriedOut({ tenant: 'default', where, dryRun: true })
  expect(dry).toMatchObject({ state: 'done', found: 3 })
  const refused = await carriedOut({ tenant: 'default', where })
  expect(refused).toMatchObject({
    state: 'refused',
    found: 3,
    why: expect.stringMatching(/it concerns 3 traces.*structural.*--traces-max 3/),
  })
  expect(refused.blockedAtMs).toBeUndefined()
  expect(await rows()).toBe(all)
  const done = await carriedOut({ tenant: 'default', where, tracesMax: 3 })
  expect(done).toMatchObject({ state: 'waiting-for-retention', found: 3 })
  expect(await rows()).toBe(0)
})
