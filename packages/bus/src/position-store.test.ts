import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from './file-bus.fixture.ts'
import { diskIo, type LogIo } from './log-io.ts'
import { PositionStore, positionsFileName } from './position-store.ts'

const owner = { logId: '018f4d2e-5b6a-4c3d-9e8f-0a1b2c3d4e5f', group: 'assembler', partition: 3 }
const golden = join(import.meta.dirname, 'golden', 'positions-v1.txt')

async function open(
  folder: string,
  io: LogIo = diskIo,
  bytesMax = 1 << 20,
): Promise<PositionStore> {
  const store = await PositionStore.open(folder, io, bytesMax)
  onTestFinished(() => store.close())
  return store
}

test('a position and its note survive together, the last one of each owner', async () => {
  const folder = await temporaryFolder()
  const store = await open(folder)
  await store.set(owner, { offset: 1, note: 'one\n"two"' })
  await store.set({ ...owner, partition: 4 }, { offset: 7, note: '' })
  await store.set(owner, { offset: 2, note: 'three' })
  const again = await open(folder)
  expect(again.get(owner)).toEqual({ offset: 2, note: 'three' })
  expect(again.get({ ...owner, partition: 4 })).toEqual({ offset: 7, note: '' })
  expect(again.get({ ...owner, group: 'writer' })).toBeUndefined()
  expect(again.get({ ...owner, logId: 'another' })).toBeUndefined()
})

test('a file cut off at any byte gives the position before, or after, the last commit', async () => {
  const folder = await temporaryFolder()
  const store = await open(folder)
  await store.set(owner, { offset: 1, note: 'before' })
  const path = join(folder, positionsFileName)
  const before = (await stat(path)).size
  await store.set(owner, { offset: 2, note: 'after' })
  const file = await readFile(path)
  const copy = await temporaryFolder()
  for (let length = before; length <= file.length; length += 7) {
    await writeFile(join(copy, positionsFileName), file.subarray(0, length))
    const position = (await open(copy)).get(owner)
    expect([
      { offset: 1, note: 'before' },
      { offset: 2, note: 'after' },
    ]).toContainEqual(position)
  }
})

test('what follows a torn line is not believed, and the file is whole again after the next start', async () => {
  const folder = await temporaryFolder()
  const store = await open(folder)
  await store.set(owner, { offset: 1, note: '' })
  await store.close()
  const path = join(folder, positionsFileName)
  await appendFile(path, '00000000 {"torn":')
  const again = await open(folder)
  await again.set({ ...owner, partition: 5 }, { offset: 9, note: '' })
  const third = await open(folder)
  expect(third.get(owner)?.offset).toBe(1)
  expect(third.get({ ...owner, partition: 5 })?.offset).toBe(9)
})

test('the file is rewritten with the last of each once it has grown over its limit', async () => {
  const folder = await temporaryFolder()
  const store = await open(folder, diskIo, 2000)
  for (let offset = 0; offset < 200; offset++) await store.set(owner, { offset, note: 'n' })
  expect((await stat(join(folder, positionsFileName))).size).toBeLessThan(2200)
  expect((await open(folder)).get(owner)?.offset).toBe(199)
})

test('a commit that could not be synced is neither yes nor no, and the next one is durable', async () => {
  const folder = await temporaryFolder()
  let isBroken = false
  const store = await open(folder, {
    ...diskIo,
    sync: file => (isBroken ? Promise.reject(new Error('EIO')) : diskIo.sync(file)),
  })
  await store.set(owner, { offset: 1, note: '' })
  isBroken = true
  const unsure = store.set(owner, { offset: 2, note: '' })
  await expect(unsure).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' })
  expect(store.durableOf(owner.logId).get('assembler')?.get(3)).toBe(1)
  isBroken = false
  await store.set(owner, { offset: 3, note: '' })
  expect((await open(folder)).get(owner)?.offset).toBe(3)
})

test('commits of one turn share a sync', async () => {
  let syncs = 0
  const store = await open(await temporaryFolder(), {
    ...diskIo,
    sync: file => {
      syncs++
      return diskIo.sync(file)
    },
  })
  const partitions = Array.from({ length: 12 }, (_, partition) => partition)
  await Promise.all(
    partitions.map(partition => store.set({ ...owner, partition }, { offset: 1, note: '' })),
  )
  expect(syncs).toBe(1)
})

test('the format is the golden file, and a newer one is refused by name', async () => {
  const folder = await temporaryFolder()
  const store = await open(folder)
  await store.set(owner, { offset: 12, note: '{"claim":7,"next":3}' })
  const path = join(folder, positionsFileName)
  const written = await readFile(path, 'utf8')
  expect(written).toBe(await readFile(golden, 'utf8'))
  const { crc32 } = await import('node:zlib')
  const newer = JSON.stringify({ v: 2, format: 'winnow positions' })
  await writeFile(path, `${crc32(newer).toString(16).padStart(8, '0')} ${newer}\n`)
  await expect(PositionStore.open(folder, diskIo, 1000)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('has format v 2, this release reads v 1'),
  })
  await writeFile(path, 'something else')
  await expect(PositionStore.open(folder, diskIo, 1000)).rejects.toMatchObject({
    code: 'DATA_CORRUPT',
  })
})
