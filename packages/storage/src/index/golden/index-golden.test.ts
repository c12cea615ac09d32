import { readFileSync } from 'node:fs'
import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { MemoryBlobStore } from '../../memory-blob-store.ts'
import { IdIndexBuilder, lookUpInIdIndex, openIdIndex } from '../id-index.ts'
import { head, hexOf } from '../index-files.fixture.ts'
import { idIndexKey, snapshotKey } from '../index-key.ts'
import {
  type KeyedSnapshotEntry,
  readIndexSnapshot,
  type SnapshotEntries,
  writeIndexSnapshot,
} from '../index-snapshot.ts'

// The files beside this were written once, by format 1's first release, and are never written again:
// if today's reader does not give back exactly this, the format has broken.

const newStore = () => new MemoryBlobStore(new ManualClock())
const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(name, import.meta.url)))

const traces: readonly KeyedSnapshotEntry[] = [
  ['default', 0x48f9c3e1, 4_711, 0x0123456789abcdefn, 1, 'keep'],
  ['default', 0x7e1c5a90, 4_712, 0xffffffffffffffffn, 2_147_483_647, 'drop'],
  ['team-ä', 0x48f9c3e1, 4_999, 0n, 3, 'drop'],
].map(
  ([tenant, word, offset, fingerprint, revision, verdict]) =>
    ({
      tenant,
      id: [word, 0xb7a64f2c, 0x9d2e0a1b, 0x3c4d5e6f],
      offset,
      decidedAtMs: 1_795_244_400_000,
      fingerprint,
      revision,
      verdict,
    }) as KeyedSnapshotEntry,
)
const byId = [traces[0], traces[2], traces[1]]

test('today’s reader reads the first release’s index snapshot, and today’s writer writes it', async () => {
  const store = newStore()
  await store.create(snapshotKey(head), golden('snapshot-v1.idx'))
  const read: KeyedSnapshotEntry[] = []
  expect(await readIndexSnapshot(store, snapshotKey(head), entry => read.push(entry))).toEqual(head)
  expect(read).toEqual(byId)
  const again = newStore()
  const entries: SnapshotEntries = Object.assign([...traces], { size: 3 })
  await writeIndexSnapshot(again, head, entries)
  expect(await again.read(snapshotKey(head))).toEqual(golden('snapshot-v1.idx'))
})

test('today’s reader reads the first release’s id index, and today’s writer writes it', async () => {
  const name = { partition: 3, logId: 'log-1' }
  const date = '2026-11-21'
  const key = idIndexKey({ ...name, date, lastDate: date, first: 100, last: 200 })
  const store = newStore()
  await store.create(key, golden('ids-v1.idx'))
  const index = await openIdIndex(store, key)
  if (index === undefined) throw new TypeError('no index')
  const places = traces.map(({ tenant, id }) => lookUpInIdIndex(store, index, tenant, hexOf(id)))
  const segment = (offset: number) =>
    `ledger/date=2026-11-21/p=0003/log-1-${String(offset).padStart(12, '0')}.parquet`
  expect(await Promise.all(places)).toEqual([
    { key: segment(200), date, bytes: 2_222, row: 0 },
    { key: segment(100), date, bytes: 1_111, row: 1 },
    { key: segment(200), date, bytes: 2_222, row: 2 },
  ])
  const builder = new IdIndexBuilder()
  for (const [at, offset] of [100, 200].entries()) {
    builder.beginSegment({ date, offset, bytes: 1_111 * (at + 1) })
    // The first trace is decided again in the second segment, the second is not.
    for (const [row, { tenant, id }] of traces.entries()) {
      if (at === 0 || row !== 1) builder.add(tenant, hexOf(id), row)
    }
  }
  const again = newStore()
  expect((await builder.write(again, name)).key).toBe(key)
  expect(await again.read(key)).toEqual(golden('ids-v1.idx'))
})
