import { requestReasonBytesMax } from '@winnow/model'
import { holdKey, readHold } from '@winnow/storage'
import { expect, onTestFinished, test } from 'vitest'
import { dayMs, todayMs, traceIdOf } from '../lookup.fixture.ts'
import { getWhy } from '../routes.ts'
import { getTrace } from '../trace-route.ts'
import { holdByBytesMax, holdLifeMaxMs } from './hold-request.ts'
import { deleteHold, getHold, getHolds, holdsOfTenantMax, postHold } from './hold-routes.ts'
import {
  answered,
  asked,
  type HoldWorld,
  openHoldWorld,
  readerOf,
  session,
  text,
} from './holds.fixture.ts'

const hourMs = 3_600_000

async function holdWorld(): Promise<HoldWorld> {
  const world = await openHoldWorld()
  onTestFinished(world.stop)
  return world
}
const none = new URLSearchParams()
const token = 'h_0123456789abcdef'

const post = ({ deps }: HoldWorld, body: unknown, reader = readerOf()) =>
  answered(postHold(deps, reader, body))
const trace = ({ deps }: HoldWorld, id: string, reader = readerOf(), query = none) =>
  answered(getTrace(deps, reader, id, query))
const why = ({ deps }: HoldWorld, id: string) => answered(getWhy(deps, readerOf(), id, none))
const list = ({ deps }: HoldWorld, reader = readerOf(), query = none) =>
  answered(getHolds(deps, reader, query))

async function keysOf({ blobs }: HoldWorld): Promise<string[]> {
  return (await Array.fromAsync(blobs.list('holds/'))).map(({ key }) => key)
}

/** All that the one hold there is says and holds. */
async function heldText(world: HoldWorld): Promise<string> {
  const [key = ''] = await keysOf(world)
  const hold = await readHold(world.blobs, key, 'default')
  const bodies = hold?.held.bodies.map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
  return JSON.stringify([hold?.head, hold?.held.decision, bodies, hold?.held.spans], (_, one) =>
    typeof one === 'bigint' ? String(one) : one,
  )
}

test('a hold has what the age of the trace still allows, and says so', async () => {
  const cases = [
    { afterMs: 0, level: 'full', has: [text, session], lacks: [] },
    // The store may still have the text: nobody has deleted it here.
    { afterMs: 2 * dayMs, level: 'structured', has: [session], lacks: [text] },
    { afterMs: 40 * dayMs, level: 'hashed', has: [token], lacks: [text, session] },
  ]
  for (const { afterMs, level, has, lacks } of cases) {
    const world = await holdWorld()
    const id = await world.keep(1)
    world.pass(afterMs)
    const made = await post(world, asked(id))
    expect(made).toMatchObject({ status: 201, body: { level, spans: 2, complete: true } })
    expect(made.body).toMatchObject({ by: 'Ann Lee', reason: 'claim 4481', key: 'console' })
    const held = await heldText(world)
    for (const word of has) expect(held, level).toContain(word)
    for (const word of lacks) expect(held, level).not.toContain(word)
  }
})

test('text past its own hour is not held with that of a later decision, though nobody has deleted it', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  world.pass(10 * hourMs)
  await world.keep(1, { revision: 2, spanCount: 3 }, [3])
  world.pass(16 * hourMs)
  expect((await world.hot.get('default', id))?.bodies.length).toBe(3)
  const made = await post(world, asked(id))
  expect(made).toMatchObject({ status: 201, body: { level: 'structured', spans: 3 } })
  const [key = ''] = await keysOf(world)
  expect((await readHold(world.blobs, key, 'default'))?.held.bodies.length).toBe(1)
})

test('a hold of less than the spans that were decided on says so', async () => {
  const world = await holdWorld()
  const made = await post(world, asked(await world.keep(1, { spanCount: 3 })))
  expect(made).toMatchObject({ status: 201, body: { level: 'full', spans: 2, complete: false } })
})

test('spans that come after a hold are missing from it, from a copy of it too, and no OTLP leaves them out', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id))
  expect(hold.complete).toBe(true)
  await world.keep(1, { revision: 2, spanCount: 3 }, [3])
  world.pass(26 * hourMs)
  await world.hot.expire(world.clock.nowMs())
  expect(await trace(world, id)).toMatchObject({
    body: { tier: 'hold', level: 'full', content: { missing: ['spans'] } },
  })
  const otlp = await trace(world, id, readerOf(), new URLSearchParams({ format: 'otlp' }))
  expect(otlp).toMatchObject({ status: 410, body: { error: { code: 'TEXT_EXPIRED' } } })
  const copied = await post(world, asked(id, { reason: 'claim 4482' }))
  expect(copied).toMatchObject({ status: 201, body: { level: 'full', spans: 2, complete: false } })
})

test('a trace whose rows have left hot is held from warm', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  world.pass(10 * dayMs)
  await world.hot.expire(world.clock.nowMs())
  expect(await world.hot.get('default', id)).toBeUndefined()
  const made = await post(world, asked(id))
  expect(made).toMatchObject({ status: 201, body: { level: 'structured' } })
  expect(await heldText(world)).toContain(session)
})

test('once every tier’s time is over a trace is read from its hold, and explained', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id))
  world.pass(400 * dayMs)
  expect(await trace(world, id)).toMatchObject({
    status: 200,
    body: {
      tier: 'hold',
      level: 'full',
      content: { level: 'full', until: hold.until, missing: [], hold: hold.id },
      hold: { id: hold.id, reason: 'claim 4481' },
    },
  })
  expect(await why(world, id)).toMatchObject({
    body: { state: 'kept', verdict: 'keep', content: { level: 'full', hold: hold.id } },
  })
  // Nor is its decision needed from elsewhere.
  const { lookup: _lookup, ...rest } = world.deps
  const searched = { tiers: ['log'], ledgerSince: null, complete: true, unreadable: [] } as const
  const lookup = { find: async () => ({ decision: undefined, searched }) } as never
  const alone = { ...world, deps: { ...rest, lookup } }
  expect(await why(alone, id)).toMatchObject({
    body: { state: 'kept', searched: { tiers: ['log', 'hold'] } },
  })
  expect(await trace(alone, id)).toMatchObject({ status: 200, body: { tier: 'hold' } })
  expect((await trace(alone, id)).text).toContain(text)
  expect(await why(alone, traceIdOf(2))).toMatchObject({ body: { state: 'unknown' } })
})

test('a hold with the text is read while hot has the rest, and what hot has whole is read from there', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  await post(world, asked(id))
  expect(await trace(world, id)).toMatchObject({ body: { tier: 'hot', level: 'full' } })
  world.pass(26 * hourMs)
  await world.hot.expire(world.clock.nowMs())
  expect(await trace(world, id)).toMatchObject({ body: { tier: 'hold', level: 'full' } })
  const otlp = await trace(world, id, readerOf(), new URLSearchParams({ format: 'otlp' }))
  expect(otlp.status).toBe(200)
  expect(otlp.text).toContain(text)
})

test('a held trace stays readable, and can be held again, after an evaluation that comes once it is forgotten', async () => {
  const cases = [
    { sliceCount: 0, spanCount: 0 },
    { gone: true as const, verdict: 'keep' as const },
  ]
  for (const late of cases) {
    const world = await holdWorld()
    const id = await world.keep(1)
    const { body: hold } = await post(world, asked(id))
    world.pass(26 * hourMs)
    await world.hot.expire(world.clock.nowMs())
    await world.fixture.decide(1, { ...late, decidedAtMs: world.clock.nowMs() })
    while ((await world.fold.latest('default', id))?.decidedAtMs !== world.clock.nowMs()) {
      await world.clock.sleep(5)
    }
    const content = { level: 'full', hold: hold.id, missing: [] }
    expect(await why(world, id)).toMatchObject({ body: { state: 'kept', content } })
    expect(await trace(world, id)).toMatchObject({
      status: 200,
      body: { tier: 'hold', level: 'full', hold: { id: hold.id } },
    })
    const again = await post(world, asked(id, { reason: 'claim 4482' }))
    expect(again).toMatchObject({ status: 201, body: { level: 'full', spans: 2, complete: true } })
  }
})

test('a key without the scope content gets no text of a hold, and neither reason nor person', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id))
  world.pass(400 * dayMs)
  const reader = readerOf(['read'])
  const read = await trace(world, id, reader)
  expect(read).toMatchObject({
    status: 200,
    body: { tier: 'hold', level: 'structured', withheld: { scope: 'content' } },
  })
  const one = await answered(getHold(world.deps, reader, String(hold.id)))
  expect(one).toMatchObject({ status: 200, body: { id: hold.id, reason: null, by: null } })
  const all = await list(world, reader)
  expect(all).toMatchObject({ body: { holds: [{ reason: null, by: null }] } })
  for (const { text: said } of [read, one, all]) {
    expect(said).not.toContain(text)
    expect(said).not.toContain('claim 4481')
    expect(said).not.toContain('Ann Lee')
  }
  // Who looks after holds sees who answers for them.
  expect(await list(world, readerOf(['read', 'admin']))).toMatchObject({
    body: { holds: [{ reason: null, by: 'Ann Lee' }] },
  })
})

test('the same hold asked for again is the same, also at once', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const both = await Promise.all([post(world, asked(id)), post(world, asked(id))])
  expect(both.map(({ status }) => status).sort()).toEqual([200, 201])
  world.pass(40 * dayMs)
  expect(await post(world, asked(id))).toMatchObject({ status: 200, body: { level: 'full' } })
  expect((await keysOf(world)).length).toBe(1)
})

test('an end is put off by a second hold, which has what the first has', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  await post(world, asked(id, { until: '2026-12-31' }))
  world.pass(20 * dayMs)
  const later = await post(world, asked(id, { until: '2027-12-31' }))
  expect(later).toMatchObject({ status: 201, body: { level: 'full' } })
  world.pass(40 * dayMs)
  expect(await trace(world, id)).toMatchObject({
    body: { tier: 'hold', level: 'full', hold: { id: later.body.id } },
  })
  expect(await list(world)).toMatchObject({ body: { holds: [{ id: later.body.id }] } })
})

test('what is not there to be held is refused with what to do', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  await world.fixture.decide(2)
  const dropped = traceIdOf(2)
  while ((await world.fold.latest('default', dropped)) === undefined) await world.clock.sleep(5)
  expect(await post(world, asked(traceIdOf(9)))).toMatchObject({
    status: 404,
    body: { error: { code: 'TRACE_UNKNOWN', remedy: expect.stringContaining('check the id') } },
  })
  expect(await post(world, asked(dropped))).toMatchObject({
    status: 409,
    body: {
      error: { code: 'TRACE_NOT_KEPT', remedy: expect.stringContaining('/rescue keeps it') },
    },
  })
  world.pass(400 * dayMs)
  expect(await post(world, asked(id))).toMatchObject({
    status: 410,
    body: { error: { code: 'TRACE_EXPIRED', remedy: expect.stringContaining('before that') } },
  })
  expect(await keysOf(world)).toEqual([])
})

test('a request that is none is refused by the key that is wrong, and repeats nothing a person wrote', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const lifeEnd = (ms: number) => new Date(world.clock.nowMs() + ms).toISOString()
  const refused = [
    [{}, 400, 'traceId'],
    [asked(id, { extra: 1 }), 400, 'extra'],
    [asked('no-id'), 400, 'id'],
    [asked(id, { reason: ' ' }), 422, 'reason'],
    [asked(id, { reason: 'x'.repeat(requestReasonBytesMax + 1) }), 422, 'reason'],
    [asked(id, { by: 'y'.repeat(holdByBytesMax + 1) }), 422, 'by'],
    [asked(id, { until: 'tomorrow' }), 422, 'until'],
    [asked(id, { until: '2027-02-30' }), 422, 'until'],
    [asked(id, { until: '2026-11-30T12:00:00' }), 422, 'until'],
    [asked(id, { until: lifeEnd(0) }), 422, 'until'],
    [asked(id, { until: lifeEnd(holdLifeMaxMs + 1_000) }), 422, 'until'],
  ] as const
  for (const [body, status, field] of refused) {
    const told = await post(world, body)
    expect(told).toMatchObject({ status, body: { error: { field } } })
    expect(told.text).not.toMatch(/xxx|yyy/)
  }
  expect(await keysOf(world)).toEqual([])
  const reason = 'x'.repeat(requestReasonBytesMax)
  const by = 'y'.repeat(holdByBytesMax)
  const most = await post(world, asked(id, { reason, by, until: lifeEnd(holdLifeMaxMs) }))
  expect(most.status).toBe(201)
})

test('a day is held to its last second', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id, { until: '2026-11-30' }))
  expect(hold.until).toBe('2026-11-30T23:59:59.000Z')
})

test('the reason is redacted before it is kept', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const redact = async (_tenant: string, body: unknown) =>
    JSON.parse(JSON.stringify(body).replace('ann@example.com', '<email:e_1>')) as unknown
  const redacting = { ...world, deps: { ...world.deps, redact } }
  const made = await post(redacting, asked(id, { reason: 'ask ann@example.com' }))
  expect(made.body.reason).toBe('ask <email:e_1>')
  expect(await heldText(world)).not.toContain('ann@example.com')
})

test('a tenant has so many holds, and not one more; ended ones count no more', async () => {
  const world = await holdWorld()
  const [first, second] = [await world.keep(1), await world.keep(2)]
  const bytes = Buffer.from('{}\n')
  const untilMs = todayMs + dayMs
  for (let n = 1; n < holdsOfTenantMax; n++) {
    const id = n.toString(16).padStart(16, '0')
    await world.blobs.create(holdKey('default', { id, traceId: traceIdOf(n), untilMs }), bytes)
  }
  expect((await post(world, asked(first))).status).toBe(201)
  expect(await post(world, asked(second))).toMatchObject({
    status: 409,
    body: { error: { code: 'TOO_MANY_HOLDS' } },
  })
  // Of one tenant, not of all.
  const other = await post(world, asked(second), readerOf(undefined, 'beta'))
  expect(other.body).toMatchObject({ error: { code: 'TRACE_UNKNOWN' } })
  world.pass(dayMs)
  expect((await post(world, asked(second))).status).toBe(201)
})

test('a trace that is larger than a hold may be is refused, and named a way out', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const read = await world.hot.get('default', id)
  const [row] = read?.spans ?? []
  const wide = { ...row, attributes: `{"a":{"stringValue":"${'x'.repeat(64 * 1024 * 1024)}"}}` }
  const hot = { ...world.hot, get: async () => ({ ...read, spans: [wide] }) } as never
  const told = await post({ ...world, deps: { ...world.deps, hot } }, asked(id))
  expect(told).toMatchObject({
    status: 413,
    body: { error: { code: 'HOLD_TOO_LARGE', remedy: expect.stringContaining('format=otlp') } },
  })
})

test('another tenant sees no hold, and ends none', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id))
  const stranger = readerOf(undefined, 'beta')
  expect(await list(world, stranger)).toMatchObject({ body: { holds: [] } })
  const missing = { status: 404, body: { error: { code: 'NO_SUCH_HOLD' } } }
  expect(await answered(getHold(world.deps, stranger, String(hold.id)))).toMatchObject(missing)
  expect(await answered(deleteHold(world.deps, 'beta', String(hold.id)))).toMatchObject(missing)
  world.pass(400 * dayMs)
  expect((await trace(world, id, stranger)).status).toBe(404)
  expect((await trace(world, id)).status).toBe(200)
})

test('a hold that somebody ends is gone at once, and one whose end has come is not shown', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id))
  await post(world, asked(id, { until: new Date(todayMs + 2 * dayMs).toISOString() }))
  expect((await keysOf(world)).length).toBe(2)
  const ended = await answered(deleteHold(world.deps, 'default', String(hold.id)))
  expect(ended).toMatchObject({ status: 200, body: { id: hold.id, traceId: id, state: 'ended' } })
  expect((await keysOf(world)).length).toBe(1)
  world.pass(2 * dayMs - 1_000)
  expect(await trace(world, id)).toMatchObject({ body: { tier: 'hold' } })
  world.pass(1_000)
  expect(await trace(world, id)).toMatchObject({ body: { tier: 'hot', level: 'full' } })
  expect(await list(world)).toMatchObject({ body: { holds: [] } })
})

test('a trace that is being erased is not held, also where that began meanwhile', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  world.blocked.add(id)
  const erased = { status: 410, body: { error: { code: 'TRACE_ERASED' } } }
  expect(await post(world, asked(id))).toMatchObject(erased)
  world.blocked.clear()
  const { create } = world.blobs
  world.blobs.create = async (...args) => {
    const isNew = await create.apply(world.blobs, args)
    world.blocked.add(id)
    return isNew
  }
  expect(await post(world, asked(id))).toMatchObject(erased)
  expect(await keysOf(world)).toEqual([])
})

test('a hold that cannot be read is named, and hides no other', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id))
  const name = { id: 'f'.repeat(16), traceId: id, untilMs: todayMs + 600 * dayMs }
  const damaged = holdKey('default', name)
  await world.blobs.create(damaged, Buffer.from('no hold'))
  expect(await list(world)).toMatchObject({
    body: { holds: [{ id: hold.id }], unreadable: [damaged] },
  })
  world.pass(400 * dayMs)
  expect(await trace(world, id)).toMatchObject({ body: { hold: { id: hold.id } } })
  // Who asks for it alone is told what to do, and it can be ended all the same.
  expect(await answered(getHold(world.deps, readerOf(), name.id))).toMatchObject({
    status: 409,
    body: { error: { code: 'HOLD_UNREADABLE', remedy: expect.stringContaining('or end it') } },
  })
  expect((await answered(deleteHold(world.deps, 'default', name.id))).status).toBe(200)
})

test('a hold of a newer format, asked for again, is refused with what to do and stays', async () => {
  const world = await holdWorld()
  const id = await world.keep(1)
  const { body: hold } = await post(world, asked(id))
  const [key = ''] = await keysOf(world)
  const bytes = Buffer.from((await world.blobs.read(key)) ?? [])
  const newer = Buffer.from(bytes.toString('latin1').replace(/"v":\d+/, '"v":99'), 'latin1')
  await world.blobs.rewrite(key, async () => newer)
  for (const told of [
    await post(world, asked(id)),
    await answered(getHold(world.deps, readerOf(), String(hold.id))),
  ]) {
    expect(told).toMatchObject({
      status: 409,
      body: { error: { code: 'HOLD_UNREADABLE', remedy: expect.stringContaining('upgrade') } },
    })
  }
  expect(await keysOf(world)).toEqual([key])
})
