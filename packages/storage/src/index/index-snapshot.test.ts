import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { ManualClock } from '@winnow/runtime'
import { afterAll, describe, expect, test } from 'vitest'
import type { BlobStore } from '../blob-store.ts'
import { FileBlobStore } from '../file-blob-store.ts'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { CountingBlobs, entriesOf, head, hexOf, seededWords } from './index-files.fixture.ts'
import { snapshotKey } from './index-key.ts'
import {
  type KeyedSnapshotEntry,
  latestSnapshot,
  lookUpInSnapshot,
  openSnapshot,
  readIndexSnapshot,
  type SnapshotEntry,
  type SnapshotHead,
  writeIndexSnapshot,
} from './index-snapshot.ts'
import { footerBytesMax, trailerBytes } from './sorted-file.ts'

const made: string[] = []
afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true })
})

const memory = (): BlobStore => new MemoryBlobStore(new ManualClock())
const stores: Record<string, () => Promise<BlobStore>> = {
  memory: async () => memory(),
  file: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'index-'))
    made.push(folder)
    return FileBlobStore.open(folder)
  },
}

const key = snapshotKey(head)
const orderOf = ({ id, tenant }: KeyedSnapshotEntry): string => `${hexOf(id)}/${tenant}`

async function lookUp(store: BlobStore, tenant: string, traceId: string) {
  const snapshot = await openSnapshot(store, key)
  return snapshot && lookUpInSnapshot(store, snapshot, tenant, traceId)
}

/** An entry without its key. */
function told({ offset, decidedAtMs, fingerprint, revision, verdict }: SnapshotEntry) {
  return { offset, decidedAtMs, fingerprint, revision, verdict }
}

describe.each(Object.entries(stores))('%s', (_, makeStore) => {
  test('what was written is read back whole, sorted by trace id, with its head', async () => {
    for (const [count, shared] of [
      [0, 0],
      [1, 0],
      [4_096, 0],
      [4_097, 0],
      [9_000, 2],
    ] as const) {
      const store = await makeStore()
      const entries = entriesOf(count + 1, count, shared)
      expect(await writeIndexSnapshot(store, head, entries)).toBe(true)
      const read: KeyedSnapshotEntry[] = []
      expect(await readIndexSnapshot(store, key, entry => read.push(entry))).toEqual(head)
      expect(read.map(orderOf)).toEqual([...entries].map(orderOf).toSorted())
      const wanted = new Map([...entries].map(entry => [orderOf(entry), entry]))
      expect(read).toEqual(read.map(entry => wanted.get(orderOf(entry))))
    }
  })

  test('a trace is found by two ranged reads, and one that is not there is not', async () => {
    const store = await makeStore()
    const entries = [...entriesOf(7, 20_000)]
    await writeIndexSnapshot(store, head, Object.assign([...entries], { size: 20_000 }))
    const counted = new CountingBlobs(store)
    for (let n = 0; n < entries.length; n += 997) {
      const entry = entries[n] as KeyedSnapshotEntry
      counted.reads = 0
      expect(await lookUp(counted, entry.tenant, hexOf(entry.id))).toEqual(told(entry))
      expect(counted.reads).toBe(2)
      const other = entry.tenant === 'default' ? 'umlaut-ö' : 'default'
      expect(await lookUp(store, other, hexOf(entry.id))).toBeUndefined()
      expect(await lookUp(store, 'nobody', hexOf(entry.id))).toBeUndefined()
    }
    for (const id of ['0'.repeat(32), 'f'.repeat(32), hexOf([1, 2, 3, 4]), 'no id', '']) {
      expect(await lookUp(store, 'default', id)).toBeUndefined()
    }
  })

  test('a snapshot that is there is left as it is', async () => {
    const store = await makeStore()
    expect(await writeIndexSnapshot(store, head, entriesOf(1, 10))).toBe(true)
    expect(await writeIndexSnapshot(store, head, entriesOf(2, 20))).toBe(false)
    let read = 0
    await readIndexSnapshot(store, key, () => read++)
    expect(read).toBe(10)
  })

  test('the last two of a partition and log stay, others are not touched', async () => {
    const store = await makeStore()
    const write = (change: Partial<SnapshotHead>) =>
      writeIndexSnapshot(store, { ...head, ...change }, entriesOf(1, 3))
    await write({ logId: 'log', nextOffset: 1 })
    await write({ logId: 'log-1-2', nextOffset: 1 })
    await write({ partition: 4, nextOffset: 1 })
    for (const nextOffset of [10, 20, 9, 30]) await write({ nextOffset })
    const keys: string[] = []
    for await (const info of store.list('')) keys.push(info.key)
    expect(keys).toEqual([
      'index/p=0003/log-000000000001.idx',
      'index/p=0003/log-1-000000000020.idx',
      'index/p=0003/log-1-000000000030.idx',
      'index/p=0003/log-1-2-000000000001.idx',
      'index/p=0004/log-1-000000000001.idx',
    ])
    expect(await latestSnapshot(store, 3, 'log-1')).toBe(keys[2])
    expect(await latestSnapshot(store, 3, 'log-1', 30)).toBe(keys[2])
    expect(await latestSnapshot(store, 3, 'log-1', 29)).toBe(keys[1])
    expect(await latestSnapshot(store, 3, 'log-1', 19)).toBeUndefined()
    expect(await latestSnapshot(store, 3, 'lo')).toBeUndefined()
    expect(await latestSnapshot(store, 5, 'log-1')).toBeUndefined()
  })
})

test('a trace that is given twice, as a changing index may, keeps its later decision', async () => {
  const store = memory()
  const [entry] = entriesOf(3, 1)
  if (entry === undefined) throw new TypeError('none')
  const twice = [
    { ...entry, offset: 90, revision: 2 },
    { ...entry, offset: 12 },
  ]
  await writeIndexSnapshot(store, head, Object.assign(twice, { size: 1 }))
  expect(await lookUp(store, entry.tenant, hexOf(entry.id))).toMatchObject({
    offset: 90,
    revision: 2,
  })
})

test('more entries than were announced are taken too', async () => {
  const store = memory()
  const entries = Object.assign(entriesOf(4, 50_000), { size: 10 })
  await writeIndexSnapshot(store, head, entries)
  let read = 0
  await readIndexSnapshot(store, key, () => read++)
  expect(read).toBe(50_000)
})

test('tenants whose names fill more than the first read are found with one read more', async () => {
  const store = memory()
  const entries = [...entriesOf(5, 3_000)].map((one, n) => ({
    ...one,
    tenant: `${'t'.repeat(60)}-${n}`,
  }))
  await writeIndexSnapshot(store, head, Object.assign(entries, { size: 3_000 }))
  const counted = new CountingBlobs(store)
  const [entry] = entries
  if (entry === undefined) throw new TypeError('none')
  expect(await lookUp(counted, entry.tenant, hexOf(entry.id))).toEqual(told(entry))
  expect(counted.reads).toBe(3)
})

test('the thread is given away all along, and the index may change meanwhile', async () => {
  let pauses = 0
  const entries = entriesOf(6, 60_000)
  await writeIndexSnapshot(memory(), head, entries, async () => {
    pauses++
  })
  // Taking, counting and placing each touch every row once.
  expect(pauses).toBeGreaterThan(12)
})

test('a snapshot that is not there is undefined', async () => {
  expect(await openSnapshot(memory(), key)).toBeUndefined()
  expect(await readIndexSnapshot(memory(), key, () => {})).toBeUndefined()
  expect(await latestSnapshot(memory(), 3, 'log-1')).toBeUndefined()
})

const whole = (async () => {
  const store = memory()
  const entries = [...entriesOf(8, 5_000)]
  await writeIndexSnapshot(store, head, Object.assign([...entries], { size: 5_000 }))
  return { bytes: (await store.read(key)) ?? new Uint8Array(), entries }
})()

/** A snapshot of two blocks, changed. */
async function changed(change: (bytes: Buffer) => Uint8Array) {
  const { bytes, entries } = await whole
  const store = memory()
  await store.create(key, change(Buffer.from(bytes)))
  return { store, entries }
}

const corruptOne = expect.objectContaining({ code: 'DATA_CORRUPT' })

test('a file that was cut anywhere is corrupt, never a smaller index', async () => {
  const word = seededWords(9)
  for (let n = 0; n < 60; n++) {
    const at = n < 40 ? n : word()
    const { store } = await changed(bytes =>
      bytes.subarray(0, bytes.length - 1 - (at % bytes.length)),
    )
    await expect(
      readIndexSnapshot(store, key, () => {}),
      `cut ${at}, seed 9`,
    ).rejects.toEqual(corruptOne)
  }
})

test('a bit that flipped anywhere is found, or was in nothing that was read', async () => {
  const word = seededWords(10)
  for (let n = 0; n < 100; n++) {
    let at = 0
    const { store, entries } = await changed(bytes => {
      // Every other one hits the footer, which is small beside the rows.
      const from = n % 2 === 0 ? 16 : bytes.length - 400
      at = from + (word() % (bytes.length - from))
      bytes[at] = (bytes[at] as number) ^ (1 << (n % 8))
      return bytes
    })
    const name = `bit ${n % 8} of byte ${at}, seed 10`
    await expect(
      readIndexSnapshot(store, key, () => {}),
      name,
    ).rejects.toEqual(corruptOne)
    for (let look = 0; look < 5_000; look += 900) {
      const entry = entries[look] as KeyedSnapshotEntry
      const found = await lookUp(store, entry.tenant, hexOf(entry.id)).catch(error => error.code)
      if (found !== 'DATA_CORRUPT') expect(found, name).toEqual(told(entry))
    }
  }
})

test('a footer that says it is larger than any may be is corrupt, and is not asked for', async () => {
  const { store } = await changed(bytes => {
    bytes.writeUInt32BE(footerBytesMax + 1, bytes.length - trailerBytes)
    return bytes
  })
  const counted = new CountingBlobs(store)
  await expect(openSnapshot(counted, key)).rejects.toThrow(/DATA_CORRUPT.*cannot have 268435457/)
  expect(counted.reads).toBe(1)
  const { store: atLimit } = await changed(bytes => {
    bytes.writeUInt32BE(footerBytesMax, bytes.length - trailerBytes)
    return bytes
  })
  await expect(openSnapshot(atLimit, key)).rejects.toThrow(/DATA_CORRUPT.*is not whole/)
})

test('a file that is another’s or a newer release’s is refused by name', async () => {
  const { store } = await changed(same => same)
  const bytes = Buffer.from((await store.read(key)) ?? [])
  const other = snapshotKey({ ...head, partition: 4 })
  await store.create(other, bytes)
  await expect(openSnapshot(store, other)).rejects.toThrow(
    /DATA_CORRUPT.*p=0004.*another partition/,
  )
  await store.create('index/p=0003/text.idx', Buffer.from('no index at all'))
  await expect(openSnapshot(store, 'index/p=0003/text.idx')).rejects.toEqual(corruptOne)
  const trailer = bytes.length - trailerBytes
  bytes.writeUInt16BE(2, trailer + 8)
  const footer = trailer - bytes.readUInt32BE(trailer)
  bytes.writeUInt32BE(crc32(bytes.subarray(footer, trailer + 12)), trailer + 12)
  const newer = snapshotKey({ ...head, partition: 5 })
  await store.create(newer, bytes)
  await expect(openSnapshot(store, newer)).rejects.toThrow(
    /CONFIG_INVALID.*p=0005.* has format 2, this release reads up to 1/,
  )
})
