import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '@winnow/runtime'
import { afterAll, expect, test } from 'vitest'
import { blobStoreContract } from './blob-store.contract.ts'
import { FileBlobStore } from './file-blob-store.ts'
import { MemoryBlobStore } from './memory-blob-store.ts'

const made: string[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'blobs-'))
  made.push(folder)
  return folder
}

afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true })
})

blobStoreContract('memory', async () => new MemoryBlobStore(new ManualClock()))
blobStoreContract('file', async () => FileBlobStore.open(join(await newFolder(), 'a', 'b')))

test('memory and file: of eight that rewrite at once no change is lost', async () => {
  const encoded = (text: string): Uint8Array => new TextEncoder().encode(text)
  for (const store of [
    new MemoryBlobStore(new ManualClock()),
    await FileBlobStore.open(await newFolder()),
  ]) {
    await store.create('race.o', encoded('|'))
    const append = (own: string) =>
      store.rewrite('race.o', async old => encoded(new TextDecoder().decode(old) + own))
    expect(await Promise.all([...'abcdefgh'].map(append))).toEqual(Array(8).fill(true))
    const text = new TextDecoder().decode(await store.read('race.o'))
    expect([...text].sort().join('')).toBe('abcdefgh|')
  }
})

test('file: what a crash left half-written is never listed and is swept at open', async () => {
  const folder = await newFolder()
  const store = await FileBlobStore.open(folder)
  await writeFile(join(folder, '.half', 'left'), 'half')
  await store.create('a.o', new Uint8Array(3))
  const found: string[] = []
  for await (const { key } of store.list('')) found.push(key)
  expect(found).toEqual(['a.o'])
  await FileBlobStore.open(folder)
  expect(await readdir(join(folder, '.half'))).toEqual([])
  expect((await readFile(join(folder, 'a.o'))).length).toBe(3)
})

test('file: who only reads sees what is whole, sweeps nothing, and needs no folder', async () => {
  const folder = await newFolder()
  const none = FileBlobStore.existing(join(folder, 'none'))
  expect(await none.read('a.o')).toBeUndefined()
  for await (const { key } of none.list('')) throw new Error(key)
  const store = await FileBlobStore.open(folder)
  await writeFile(join(folder, '.half', 'under way'), 'half')
  await store.create('a.o', new Uint8Array(3))
  expect((await FileBlobStore.existing(folder).read('a.o'))?.length).toBe(3)
  expect(await readdir(join(folder, '.half'))).toEqual(['under way'])
})

test('file: a store that other processes open and sweep while it creates still creates', async () => {
  const folder = await newFolder()
  const store = await FileBlobStore.open(folder)
  // Fewer sweeps than `create` has tries, so it must come through however they fall.
  const sweeps = (async () => {
    for (let n = 0; n < 4; n++) await FileBlobStore.open(folder)
  })()
  const created = await Promise.all(
    Array.from({ length: 8 }, (_, n) => store.create(`k${n}.o`, new Uint8Array(100_000))),
  )
  await sweeps
  expect(created).toEqual(Array(8).fill(true))
  for (let n = 0; n < 8; n++) expect((await store.head(`k${n}.o`))?.bytes).toBe(100_000)
})

test('file: two processes that create the same keys agree on every winner', async () => {
  const folder = await newFolder()
  const stores = [await FileBlobStore.open(folder), await FileBlobStore.open(folder)]
  for (let n = 0; n < 20; n++) {
    const key = `date=2026-11-${n}/x.o`
    const won = await Promise.all(
      stores.map((store, who) => store.create(key, new Uint8Array([who]))),
    )
    expect(won.filter(Boolean).length).toBe(1)
    expect(await stores[0]?.read(key)).toEqual(new Uint8Array([won.indexOf(true)]))
  }
})

test('file: a folder that is a file is an outage with its cause', async () => {
  const folder = await newFolder()
  await writeFile(join(folder, 'file'), '')
  await expect(FileBlobStore.open(join(folder, 'file'))).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    cause: { code: 'ENOTDIR' },
  })
})
