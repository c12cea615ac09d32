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
    expect(await store.create('a/b.o', bytes('first'))).toBe(true)
    expect(await store.create('a/b.o', bytes('second'))).toBe(false)
    expect(text(await store.read('a/b.o'))).toBe('first')
    expect(await store.head('a/b.o')).toMatchObject({ key: 'a/b.o', bytes: 5 })
  })

  test(`${name}: of eight that create at once one wins and all read the winner's`, async () => {
    const store = await makeStore()
    const racers = Array.from({ length: 8 }, (_, n) => `racer ${n}`)
    const won = await Promise.all(
      racers.map(async racer => {
        const created = await store.create('race.o', bytes(racer))
        return { racer, created, read: text(await store.read('race.o')) }
      }),
    )
    const winners = won.filter(one => one.created)
    expect(winners.length).toBe(1)
    for (const one of won) expect(one.read).toBe(winners[0]?.racer)
  })

  test(`${name}: of eight that create the same bytes at once one hears true`, async () => {
    const store = await makeStore()
    const same = bytes('the same')
    const created = await Promise.all(Array.from({ length: 8 }, () => store.create('race.o', same)))
    expect(created.filter(Boolean).length).toBe(1)
    expect(await store.create('race.o', same)).toBe(false)
  })

  test(`${name}: an object is rewritten whole, left as it is, or not there`, async () => {
    const store = await makeStore()
    await store.create('a/b.o', bytes('first'))
    expect(await store.rewrite('a/b.o', async old => bytes(`${text(old)} and more`))).toBe(true)
    expect(text(await store.read('a/b.o'))).toBe('first and more')
    expect(await store.head('a/b.o')).toMatchObject({ bytes: 14 })
    expect(text(await store.read('a/b.o', -4))).toBe('more')
    expect(await store.rewrite('a/b.o', async () => undefined)).toBe(false)
    expect(text(await store.read('a/b.o'))).toBe('first and more')
    expect(await store.rewrite('none.o', async () => bytes('new'))).toBe(false)
    expect(await store.head('none.o')).toBeUndefined()
    expect(await store.create('a/b.o', bytes('second'))).toBe(false)
    expect((await Array.fromAsync(store.list(''))).map(({ key }) => key)).toEqual(['a/b.o'])
  })

  test(`${name}: what another has rewritten meanwhile is not lost`, async () => {
    const store = await makeStore()
    await store.create('a.o', bytes('|'))
    const append = (own: string) => async (old: Uint8Array) => bytes(text(old) + own)
    let asked = 0
    const done = await store.rewrite('a.o', async old => {
      if (asked++ === 0) expect(await store.rewrite('a.o', append('theirs'))).toBe(true)
      return append(' and mine')(old)
    })
    expect([done, asked]).toEqual([true, 2])
    expect(text(await store.read('a.o'))).toBe('|theirs and mine')
  })

  test(`${name}: what is deleted while it is rewritten stays deleted`, async () => {
    const store = await makeStore()
    await store.create('a.o', bytes('old'))
    const change = async (): Promise<Uint8Array> => {
      await store.delete('a.o')
      return bytes('new')
    }
    expect(await store.rewrite('a.o', change)).toBe(false)
    expect(await store.head('a.o')).toBeUndefined()
  })

  test(`${name}: neither side keeps the other's memory`, async () => {
    const store = await makeStore()
    const mine = bytes('mine')
    await store.create('a.o', mine)
    mine.fill(0)
    const read = await store.read('a.o')
    read?.fill(0)
    expect(text(await store.read('a.o'))).toBe('mine')
  })

  test(`${name}: reads ranges from the start, from the end, and past the end`, async () => {
    const store = await makeStore()
    await store.create('a.o', bytes('0123456789'))
    expect(text(await store.read('a.o', 3))).toBe('3456789')
    expect(text(await store.read('a.o', 3, 4))).toBe('3456')
    expect(text(await store.read('a.o', 8, 4))).toBe('89')
    expect(text(await store.read('a.o', -3))).toBe('789')
    expect(text(await store.read('a.o', -3, 2))).toBe('78')
    expect(text(await store.read('a.o', -30, 2))).toBe('01')
    expect(text(await store.read('a.o', 10))).toBe('')
    expect(text(await store.read('a.o', 99, 1))).toBe('')
    expect(text(await store.read('a.o', 0, 0))).toBe('')
    for (const [start, length] of [
      [0.5, 1],
      [Number.NaN, 1],
      [0, -1],
      [0, Number.NaN],
    ] as const) {
      await expect(store.read('a.o', start, length)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
      })
    }
  })

  test(`${name}: an empty object exists`, async () => {
    const store = await makeStore()
    expect(await store.create('empty.o', new Uint8Array())).toBe(true)
    expect((await store.read('empty.o'))?.length).toBe(0)
    expect(await store.head('empty.o')).toMatchObject({ bytes: 0 })
    for (const [start, length] of [[-3], [0, 5], [-3, 2], [7]] as const) {
      expect((await store.read('empty.o', start, length))?.length, `${start}`).toBe(0)
    }
  })

  test(`${name}: what is not there is undefined, and deleting it is no error`, async () => {
    const store = await makeStore()
    await store.create('folder/a.o', bytes('a'))
    for (const key of ['b.o', 'folder.o', 'folder/b.o', 'folder/a/a.o', 'other/a.o']) {
      expect(await store.read(key), key).toBeUndefined()
      expect(await store.head(key), key).toBeUndefined()
      await store.delete(key)
    }
    expect(text(await store.read('folder/a.o'))).toBe('a')
  })

  test(`${name}: a deleted key is free again`, async () => {
    const store = await makeStore()
    await store.create('a/b/c.o', bytes('old'))
    await store.delete('a/b/c.o')
    expect(await store.head('a/b/c.o')).toBeUndefined()
    expect(await keys(store, '')).toEqual([])
    expect(await store.create('a/b/c.o', bytes('new'))).toBe(true)
    await store.delete('a/b/c.o')
    expect(await store.create('a.o', bytes('now a file'))).toBe(true)
  })

  test(`${name}: lists by prefix, ascending by UTF-8 bytes`, async () => {
    const store = await makeStore()
    // '-' and '.' sort before '/', whatever a folder's own name would sort as.
    const sorted = ['a-b.o', 'a.b', 'a/b.o', 'a/c/d.o', 'a0.o', 'b/1.o', 'z.o', 'é.o', '\ufffd.o']
    for (const key of sorted.toReversed()) await store.create(key, bytes(key))
    expect(await keys(store, '')).toEqual(sorted)
    expect(await keys(store, 'a')).toEqual(sorted.slice(0, 5))
    expect(await keys(store, 'a/')).toEqual(['a/b.o', 'a/c/d.o'])
    expect(await keys(store, 'a/c')).toEqual(['a/c/d.o'])
    expect(await keys(store, 'a/c/d.o')).toEqual(['a/c/d.o'])
    expect(await keys(store, 'a/c/d.o/e')).toEqual([])
    for (const prefix of ['../', '/', '.', 'a//', 'a/.', 'a\0'])
      expect(await keys(store, prefix)).toEqual([])
  })

  test(`${name}: keys may hold spaces, equals signs, umlauts and percent signs`, async () => {
    const store = await makeStore()
    const odd = [
      'date=2026-11-21/p=0003/lög id-1.parquet',
      'a b/ c .o',
      '%2e%2e/x.o',
      '~\'"*?<>|:.o',
    ]
    for (const key of odd) expect(await store.create(key, bytes(key)), key).toBe(true)
    for (const key of odd) expect(text(await store.read(key)), key).toBe(key)
    expect((await keys(store, '')).toSorted()).toEqual(odd.toSorted())
  })

  test(`${name}: a key that leaves the folder or no store could hold is refused`, async () => {
    const store = await makeStore()
    const bad = [
      '',
      '/a.o',
      'a/',
      'a//b.o',
      '.',
      '..',
      '../a.o',
      'a/../b.o',
      'a/./b.o',
      '.half/x.o',
    ]
    bad.push('a\\b.o', 'a\0b.o', 'a\nb.o', '\ud800.o', '😀.o', '.o', 'é/'.repeat(400))
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
    const longName = named('n', blobNameBytesMax)
    expect(await store.create(longName, bytes('x'))).toBe(true)
    const folders = `${'f'.repeat(blobNameBytesMax)}/`.repeat(3)
    const longest = folders + named('n', blobKeyBytesMax - folders.length)
    expect(await store.create(longest, bytes('x'))).toBe(true)
    expect(await store.head(longest)).toMatchObject({ key: longest })
    expect(await keys(store, longest)).toEqual([longest])
    await expect(store.create(`n${longName}`, bytes('x'))).rejects.toThrow(/at most 200/)
    await expect(store.create(`f${folders}n.o`, bytes('x'))).rejects.toThrow(/at most 200/)
    const longer = folders + named('n', blobKeyBytesMax + 1 - folders.length)
    await expect(store.create(longer, bytes('x'))).rejects.toThrow(/at most 768/)
  })

  test(`${name}: an object has a suffix and a folder none, so none is the other`, async () => {
    const store = await makeStore()
    await store.create('x.o', bytes('x'))
    await store.create('y/z.o', bytes('z'))
    const refused = expect.objectContaining({ code: 'CONFIG_INVALID' })
    for (const key of ['x.o/y.o', 'x.o/y/z.o', 'y', 'y/z.o/a.o', 'x.', 'x.O', 'x.o-5b1c', 'x.0']) {
      await expect(store.create(key, bytes('.')), key).rejects.toEqual(refused)
    }
    expect(await keys(store, '')).toEqual(['x.o', 'y/z.o'])
  })

  test(`${name}: it closes`, async () => {
    const store = await makeStore()
    await store.create('x.o', bytes('x'))
    await store.close()
  })
}

/** A name of so many bytes. */
function named(letter: string, length: number): string {
  return `${letter.repeat(length - 2)}.o`
}

async function keys(store: BlobStore, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list(prefix)) found.push(key)
  return found
}
