// Who asks for an erasure has the keys of those who wrote, or is refused: with others nothing would be found.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ColdHashers,
  ColdKeyChanges,
  FileColdKeys,
  SharedTokenKeys,
  Tokens,
  tokenKeyCheck,
} from '@winnow/privacy'
import { listSegments } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { tiersOf } from '../tiers.fixture.ts'
import { Fixture, spanOf, spansTopic, text, traceIdOf } from '../writer.fixture.ts'
import { accepted, advance, deskOf, erasuresOf } from './erasing.fixture.ts'
import type { ErasureAsked } from './erasure-desk.ts'
import type { Erasure } from './erasure-record.ts'

const tenant = 'default'
const mail = 'maria@example.com'
const folders: string[] = []
let fixture: Fixture

afterEach(async () => {
  await fixture.stop()
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'winnow-erasure-keys-'))
  folders.push(folder)
  return folder
}

/** A process that writes makes keys in its data folder; one that asks reads those of its own. */
const hashersOf = (data: string, random?: typeof randomBytes): ColdHashers =>
  new ColdHashers(new FileColdKeys(join(data, 'keys', 'cold'), random))

const tokensOf = (secret: number): Tokens =>
  new Tokens([{ id: 0, bytes: Buffer.alloc(32, secret) }])

/** Two traces of two people, in every tier, written with the keys of that folder; what is redacted is the address. */
async function written(data: string, tokens: Tokens): Promise<void> {
  fixture = new Fixture()
  const redacted = tokens.token('email', mail)
  for (const [n, who] of ['u_4f81a09c', redacted].entries()) {
    const span = spanOf(traceIdOf(n), 0)
    const attributes = [...span.attributes, text('user.id_hash', who)]
    const slices = await fixture.slices([[{ ...span, attributes }]])
    await fixture.decide(traceIdOf(n), { verdict: 'keep', slices })
  }
  const config = { segmentAge: 0, segmentDecisions: 2 }
  await fixture.writer(config, { hashers: hashersOf(data, randomBytes) })
  await fixture.committed('writer-hot')
  await fixture.committed('writer-segments')
  await fixture.stop()
}

function ask(data: string, value: string, tokens: Tokens): Promise<ErasureAsked> {
  const desk = deskOf(fixture, {
    hashers: hashersOf(data),
    redact: async (_, asked) => ({
      text: asked === mail ? tokens.token('email', mail) : asked,
      keyCheck: tokenKeyCheck(tokens),
    }),
  })
  return desk.ask({ tenant, where: { 'user.id_hash': value } })
}

/** What the writer with that folder, and that secret if it was given one, makes of what was asked. */
async function carriedOut(asked: ErasureAsked, data: string, tokens?: Tokens): Promise<Erasure> {
  return advance(fixture, accepted(asked).id, {
    hashers: hashersOf(data, randomBytes),
    tokenKeyCheck: async () => tokens && tokenKeyCheck(tokens),
  })
}

const coldTraces = async (): Promise<string[]> => {
  const { cold } = await tiersOf(fixture.blobs)
  return cold.flatMap(({ rows }) => rows.map(row => row.trace_id))
}

test('asked for with another cold key than the writers’ it is refused with the remedy, and never done', async () => {
  const [ours, theirs] = [await dataFolder(), await dataFolder()]
  await written(theirs, tokensOf(1))
  // A key of the process that asks, as one has it that ran as a writer once.
  await hashersOf(ours, randomBytes).of(tenant)
  const end = await carriedOut(await ask(ours, 'u_4f81a09c', tokensOf(1)), theirs, tokensOf(1))
  expect(end).toMatchObject({
    state: 'refused',
    found: 0,
    why: expect.stringMatching(/another cold key.*mount the writers' keys.*keys\/cold.*query/),
  })
  expect(end.tokens).toBeUndefined()
  expect(end.keys).toBeUndefined()
  expect(await coldTraces()).toHaveLength(2)
})

test('without the writers’ keys nothing is asked for, and no key is made', async () => {
  const [ours, theirs] = [await dataFolder(), await dataFolder()]
  await written(theirs, tokensOf(1))
  expect(await ask(ours, 'u_4f81a09c', tokensOf(1))).toMatchObject({
    kind: 'unavailable',
    remedy: expect.stringMatching(/default\.key is not there.*mount the writers' keys/),
  })
  const erasures = erasuresOf(fixture)
  await erasures.readToEnd()
  expect(erasures.all).toEqual([])
  await expect(hashersOf(ours).of(tenant)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

test('with the writers’ keys it is carried out, as it was given and as it was redacted', async () => {
  const shared = await dataFolder()
  await written(shared, tokensOf(1))
  const plain = await carriedOut(await ask(shared, 'u_4f81a09c', tokensOf(1)), shared)
  expect(plain).toMatchObject({ state: 'waiting-for-retention', found: 1 })
  expect(await coldTraces()).toEqual([traceIdOf(1)])
  const redacted = await carriedOut(await ask(shared, mail, tokensOf(1)), shared, tokensOf(1))
  expect(redacted).toMatchObject({ state: 'waiting-for-retention', found: 1 })
  expect(await coldTraces()).toEqual([])
})

test('a redacted value that was asked for with another token key is refused, and one that redaction leaves is not', async () => {
  const shared = await dataFolder()
  await written(shared, tokensOf(1))
  for (const known of [tokensOf(1), undefined]) {
    const end = await carriedOut(await ask(shared, mail, tokensOf(2)), shared, known)
    expect(end).toMatchObject({
      state: 'refused',
      why: expect.stringMatching(/another token key.*WINNOW_PRIVACY_TOKEN_KEYS_FILE/),
    })
  }
  expect(await coldTraces()).toHaveLength(2)
  const left = await carriedOut(await ask(shared, 'u_4f81a09c', tokensOf(2)), shared, tokensOf(1))
  expect(left).toMatchObject({ state: 'waiting-for-retention', found: 1 })
})

/** What is left once a trace is old: the bus, hot and warm have it no more. */
async function inColdAlone(): Promise<void> {
  const { bus, blobs } = fixture
  for await (const { key } of listSegments(blobs, 'warm')) await blobs.delete(key)
  for await (const { key } of listSegments(blobs, 'ledger')) await blobs.delete(key)
  for (let partition = 0; partition < (await bus.partitionCount(spansTopic)); partition++) {
    const { end } = await bus.bounds(spansTopic, partition)
    bus.expire(spansTopic, partition, end)
  }
}

test('what an older key hashed is found in cold after a rotation, and what a destroyed one did is not', async () => {
  const shared = await dataFolder()
  await written(shared, tokensOf(1))
  await inColdAlone()
  const changes = new ColdKeyChanges(join(shared, 'keys', 'cold'), randomBytes)
  await changes.rotate(tenant)
  const plain = await carriedOut(await ask(shared, 'u_4f81a09c', tokensOf(1)), shared)
  expect(plain).toMatchObject({ state: 'waiting-for-retention', found: 1 })
  expect(await coldTraces()).toEqual([traceIdOf(1)])
  await changes.destroy(tenant)
  const redacted = await carriedOut(await ask(shared, mail, tokensOf(1)), shared, tokensOf(1))
  expect(redacted).toMatchObject({ found: 0 })
  expect(await coldTraces()).toEqual([traceIdOf(1)])
})

test('one that was asked for before a rotation is refused, and asked again it is carried out', async () => {
  const shared = await dataFolder()
  await written(shared, tokensOf(1))
  const asked = await ask(shared, 'u_4f81a09c', tokensOf(1))
  await new ColdKeyChanges(join(shared, 'keys', 'cold'), randomBytes).rotate(tenant)
  expect(await carriedOut(asked, shared)).toMatchObject({
    state: 'refused',
    why: expect.stringMatching(/rotated or destroyed meanwhile, ask again/),
  })
  const again = await carriedOut(await ask(shared, 'u_4f81a09c', tokensOf(1)), shared)
  expect(again).toMatchObject({ state: 'waiting-for-retention', found: 1 })
})

test('keys drawn from one secret are the same in every process, and tell so', async () => {
  fixture = new Fixture()
  const keysOf = async (secret: number): Promise<string> => {
    const shared = new SharedTokenKeys([{ id: 0, bytes: Buffer.alloc(32, secret) }])
    return tokenKeyCheck(new Tokens(await shared.keys(tenant)))
  }
  expect(await keysOf(1)).toBe(await keysOf(1))
  expect(await keysOf(1)).not.toBe(await keysOf(2))
})
