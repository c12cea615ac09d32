import { expect, test } from 'vitest'
import { blobKeyBytesMax, blobNameBytesMax } from './blob-key.ts'
import type { BlobStore } from './blob-store.ts'

/** Every adapter of the blob store passes exactly these tests; each promise of `BlobStore` has one. */
export function blobStoreContract(name: string, makeStore: () => Promise<BlobStore>): void {
  const bytes = (content: string): Uint8Array => new TextEncoder().encode(content)
  const text = (read: Uint8Array | undefined): string | undefined =>
    read && new TextDecoder().decode(read)

  test(`${name}: an object is created once and never changes`, async () => {
    const store = await makeStore()
    expect(await store.create('a/b', bytes('first'))).toBe(true)
    expect(await store.create('a/b', bytes('second'))).toBe(false)
    expect(text(await store.read('a/b'))).toBe('first')
    expect(await store.head('a/b')).toMatchObject({ key: 'a/b', bytes: 5 })
  })

  test(`${name}: of eight that create at once one wins and all read the winner's`, async () => {
    const store = await makeStore()
    const racers = Array.from({ length: 8 }, (_, n) => `racer ${n}`)
    const won = await Promise.all(
      racers.map(async racer => {
        const created = await store.create('race', bytes(racer))
        return { racer, created, read: text(await store.read('race')) }
      }),
    )
    const winners = won.filter(one => one.created)
    expect(winners.length).toBe(1)
    for (const one of won) expect(one.read).toBe(winners[0]?.racer)
  })

  test(`${name}: neither side keeps the other's memory`, async () => {
    const store = await makeStore()
    const mine = bytes('mine')
    await store.create('a', mine)
    mine.fill(0)
    const read = await store.read('a')
    read?.fill(0)
    expect(text(await store.read('a'))).toBe('mine')
  })

  test(`${name}: reads ranges from the start, from the end, and past the end`, async () => {
    const store = await makeStore()
    await store.create('a', bytes('0123456789'))
    expect(text(await store.read('a', 3))).toBe('3456789')
    expect(text(await store.read('a', 3, 4))).toBe('3456')
    expect(text(await store.read('a', 8, 4))).toBe('89')
    expect(text(await store.read('a', -3))).toBe('789')
    expect(text(await store.read('a', -3, 2))).toBe('78')
    expect(text(await store.read('a', -30, 2))).toBe('01')
    expect(text(await store.read('a', 10))).toBe('')
    expect(text(await store.read('a', 99, 1))).toBe('')
    expect(text(await store.read('a', 0, 0))).toBe('')
    for (const [start, length] of [
      [0.5, 1],
      [Number.NaN, 1],
      [0, -1],
      [0, Number.NaN],
    ] as const) {
      await expect(store.read('a', start, length)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    }
  })

  test(`${name}: an empty object exists`, async () => {
    const store = await makeStore()
    expect(await store.create('empty', new Uint8Array())).toBe(true)
    expect((await store.read('empty'))?.length).toBe(0)
    expect(await store.head('empty')).toMatchObject({ bytes: 0 })
  })

  test(`${name}: what is not there is undefined, and deleting it is no error`, async () => {
    const store = await makeStore()
    await store.create('folder/a', bytes('a'))
    for (const key of ['b', 'folder', 'folder/a/c', 'other/a']) {
      expect(await store.read(key), key).toBeUndefined()
      expect(await store.head(key), key).toBeUndefined()
      await store.delete(key)
    }
    expect(text(await store.read('folder/a'))).toBe('a')
  })

  test(`${name}: a deleted key is free again`, async () => {
    const store = await makeStore()
    await store.create('a/b/c', bytes('old'))
    await store.delete('a/b/c')
    expect(await store.head('a/b/c')).toBeUndefined()
    expect(await keys(store, '')).toEqual([])
    expect(await store.create('a/b/c', bytes('new'))).toBe(true)
    await store.delete('a/b/c')
    expect(await store.create('a', bytes('now a file'))).toBe(true)
  })

  test(`${name}: lists by prefix, ascending by UTF-8 bytes`, async () => {
    const store = await makeStore()
    // '-' and '.' sort before '/', a surrogate pair after U+FFFD although its UTF-16 does not.
    const sorted = ['a-b', 'a.b', 'a/b', 'a/c/d', 'a0', 'b/1', 'z', 'é', '\ufffd', '😀']
    for (const key of sorted.toReversed()) await store.create(key, bytes(key))
    expect(await keys(store, '')).toEqual(sorted)
    expect(await keys(store, 'a')).toEqual(sorted.slice(0, 5))
    expect(await keys(store, 'a/')).toEqual(['a/b', 'a/c/d'])
    expect(await keys(store, 'a/c')).toEqual(['a/c/d'])
    expect(await keys(store, 'a/c/d/e')).toEqual([])
    for (const prefix of ['../', '/', '.', 'a//']) expect(await keys(store, prefix)).toEqual([])
  })

  test(`${name}: keys may hold spaces, equals signs, umlauts and percent signs`, async () => {
    const store = await makeStore()
    const odd = ['date=2026-11-21/p=0003/lög id-1.parquet', 'a b/ c ', '%2e%2e/x', '~\'"*?<>|:']
    for (const key of odd) expect(await store.create(key, bytes(key)), key).toBe(true)
    for (const key of odd) expect(text(await store.read(key)), key).toBe(key)
    expect((await keys(store, '')).toSorted()).toEqual(odd.toSorted())
  })

  test(`${name}: a key that leaves the folder or no store could hold is refused`, async () => {
    const store = await makeStore()
    const bad = ['', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/./b', '.half/x', 'a\\b']
    bad.push('a\0b', 'a\nb', '\ud800', 'n'.repeat(blobNameBytesMax + 1), 'é/'.repeat(400))
    for (const key of bad) {
      const refused = expect.objectContaining({ code: 'CONFIG_INVALID' })
      await expect(store.create(key, bytes('x')), key).rejects.toEqual(refused)
      await expect(store.read(key), key).rejects.toEqual(refused)
      await expect(store.head(key), key).rejects.toEqual(refused)
      await expect(store.delete(key), key).rejects.toEqual(refused)
    }
    expect(await keys(store, '')).toEqual([])
  })

  test(`${name}: the longest name and the longest key are taken, one byte more is not`, async () => {
    const store = await makeStore()
    const longName = 'n'.repeat(blobNameBytesMax)
    expect(await store.create(longName, bytes('x'))).toBe(true)
    const folders = `${'f'.repeat(200)}/`.repeat(5)
    const longest = folders + 'n'.repeat(blobKeyBytesMax - folders.length)
    expect(await store.create(longest, bytes('x'))).toBe(true)
    expect(await store.head(longest)).toMatchObject({ key: longest })
    await expect(store.create(`${longest}n`, bytes('x'))).rejects.toThrow(/at most 1024/)
    await expect(store.create(`${longName}n`, bytes('x'))).rejects.toThrow(/at most 255/)
  })

  test(`${name}: no key is another key's folder`, async () => {
    const store = await makeStore()
    await store.create('x', bytes('x'))
    await store.create('y/z', bytes('z'))
    const refused = expect.objectContaining({ code: 'CONFIG_INVALID' })
    await expect(store.create('x/y', bytes('.'))).rejects.toEqual(refused)
    await expect(store.create('x/y/z', bytes('.'))).rejects.toEqual(refused)
    await expect(store.create('y', bytes('.'))).rejects.toEqual(refused)
    expect(await keys(store, '')).toEqual(['x', 'y/z'])
  })
}

async function keys(store: BlobStore, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list(prefix)) found.push(key)
  return found
}
