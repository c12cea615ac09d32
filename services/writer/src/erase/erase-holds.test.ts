import { encodeHold, holdKey, type SpanRow } from '@winnow/storage'
import { expect, onTestFinished, test } from 'vitest'
import { Fixture, traceIdOf } from '../writer.fixture.ts'
import { accepted, advance, deskOf, subject } from './erasing.fixture.ts'

const untilMs = Date.UTC(2100, 0, 1)

function fixture(): Fixture {
  const made = new Fixture()
  onTestFinished(() => made.stop())
  return made
}

/** A hold of a trace that nothing else has any more, whose one span has the attribute. Resolves with its key. */
async function hold(of: Fixture, n: number, value: string, tenant = 'default'): Promise<string> {
  const traceId = traceIdOf(n)
  const id = n.toString(16).padStart(16, '0')
  const span = {
    tenant,
    trace_id: traceId,
    span_id: '0000000000000001',
    start_time_unix_nano: 1n,
    end_time_unix_nano: 2n,
    sampling_offset: 1n,
    attributes: JSON.stringify({ 'user.id_hash': { stringValue: value } }),
    resource_attributes: '{}',
    events: '[]',
    links: '[]',
  } as unknown as SpanRow
  const decision = { tenant, traceId, evaluations: [], requests: [] } as never
  const head = {
    id,
    tenant,
    traceId,
    level: 'structured',
    since: null,
    spans: 1,
    complete: true,
    reason: 'claim 4481',
    by: 'Ann Lee',
    madeAt: '2026-11-21T12:00:00.000Z',
    until: new Date(untilMs).toISOString(),
  } as const
  const key = holdKey(tenant, { id, traceId, untilMs })
  await of.blobs.create(key, await encodeHold(head, { decision, spans: [span], bodies: [] }))
  return key
}

const ask = async (of: Fixture, where: Record<string, string>, dryRun = false): Promise<string> =>
  accepted(await deskOf(of).ask({ tenant: 'default', where, dryRun })).id

async function keysOf({ blobs }: Fixture): Promise<string[]> {
  return (await Array.fromAsync(blobs.list('holds/'))).map(({ key }) => key).sort()
}

test('a subject’s holds are found, in the clear or hashed, and are gone; others’ stay', async () => {
  const of = fixture()
  const token = (await of.hashers.of('default')).token(subject)
  const own = [await hold(of, 1, subject), await hold(of, 2, token)]
  const others = [await hold(of, 3, 'u_3'), await hold(of, 1, subject, 'beta')].sort()
  const dry = await advance(of, await ask(of, { 'user.id_hash': subject }, true))
  expect(dry).toMatchObject({ state: 'done', found: 2, removed: { holds: { objects: 2 } } })
  expect(await keysOf(of)).toEqual([...own, ...others].sort())
  const id = await ask(of, { 'user.id_hash': subject })
  const erased = await advance(of, id)
  expect(erased).toMatchObject({
    state: 'waiting-for-retention',
    found: 2,
    removed: { holds: { objects: 2, rows: 0, bytes: expect.any(Number) } },
  })
  expect(await keysOf(of)).toEqual(others)
})

test('a hold that somebody made while its trace was removed goes with the last pass', async () => {
  const of = fixture()
  await hold(of, 1, subject)
  const id = await ask(of, { 'user.id_hash': subject })
  expect(await advance(of, id)).toMatchObject({ state: 'waiting-for-retention' })
  await hold(of, 1, subject)
  of.clock.advanceMs(30 * 86_400_000)
  expect(await advance(of, id)).toMatchObject({ state: 'done', removed: { holds: { objects: 2 } } })
  expect(await keysOf(of)).toEqual([])
})

test('the hold of a trace that is erased by its id goes, also where it cannot be read', async () => {
  const of = fixture()
  const damaged = holdKey('default', { id: 'f'.repeat(16), traceId: traceIdOf(1), untilMs })
  await of.blobs.create(damaged, Buffer.from('no hold'))
  const id = await ask(of, { 'trace.id': traceIdOf(1) })
  expect(await advance(of, id)).toMatchObject({ removed: { holds: { objects: 1 } } })
  expect(await keysOf(of)).toEqual([])
})

test('a hold that cannot be searched is named, and nothing is done before it can be, or is gone', async () => {
  const of = fixture()
  await hold(of, 1, subject)
  const damaged = holdKey('default', { id: 'f'.repeat(16), traceId: traceIdOf(9), untilMs })
  await of.blobs.create(damaged, Buffer.from('no hold'))
  const id = await ask(of, { 'user.id_hash': subject })
  const aside = [{ key: damaged, step: 'finding' }]
  expect(await advance(of, id)).toMatchObject({ state: 'waiting-for-retention', aside })
  of.clock.advanceMs(30 * 86_400_000)
  expect(await advance(of, id)).toMatchObject({ state: 'waiting-for-retention', aside })
  await of.blobs.delete(damaged)
  expect(await advance(of, id)).toMatchObject({ state: 'done' })
})
