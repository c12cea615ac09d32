// A cold object says which key its strings are hashed with, so that another writer's other key shows.

import { ColdHashers, coldKeyCheck, MemoryColdKeys } from '@winnow/privacy'
import { afterEach, expect, test } from 'vitest'
import { otherGroups } from './erase/erasing.fixture.ts'
import { tiersOf } from './tiers.fixture.ts'
import { Fixture, until } from './writer.fixture.ts'

const said = 'writer.cold_keys_unlike'
const metric = 'winnow_cold_keys_unlike_total'
let fixture: Fixture

afterEach(() => fixture.stop())

async function written(): Promise<void> {
  fixture = new Fixture()
  await fixture.keep(1)
  await fixture.writer({ segmentAge: 0 })
  await fixture.committed('writer-segments')
  await fixture.stop()
}

/** A former owner of the partition, which puts the same range again. */
async function again(hashers: ColdHashers): Promise<void> {
  const { bus } = fixture
  await fixture.writer({ segmentAge: 0 }, { bus: otherGroups(bus), hashers })
  await fixture.committed('writer-segments-again')
}

const keysOf = (byte: number): ColdHashers =>
  new ColdHashers(new MemoryColdKeys(bytes => new Uint8Array(bytes).fill(byte)))

test('cold names the key of each tenant, and warm and ledger none', async () => {
  await written()
  const { ledger, warm, cold } = await tiersOf(fixture.blobs)
  const name = coldKeyCheck(await fixture.hashers.of('default'))
  expect(cold.map(one => one.metadata.coldKeys)).toEqual([new Map([['default', name]])])
  for (const { metadata } of [...ledger, ...warm]) expect(metadata.coldKeys).toBeUndefined()
})

test('a writer with another key of the tenant says so, one with the same key does not', async () => {
  await written()
  await again(fixture.hashers)
  expect(fixture.said(said)).toEqual([])
  await fixture.stop()
  await written()
  await again(keysOf(9))
  await until('it is said', () => fixture.said(said).length === 1)
  expect(fixture.said(said)).toMatchObject([{ tenant: 'default', partition: 0 }])
  expect(await fixture.metric(metric)).toEqual({ '': 1 })
})
