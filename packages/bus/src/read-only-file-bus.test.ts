import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { crashed, openBus, spec, temporaryFolder } from './file-bus.fixture.ts'
import { ReadOnlyFileBus } from './read-only-file-bus.ts'

const record = (text: string) => [{ value: Buffer.from(text), header: Buffer.from('h') }]

async function looked(folder: string): Promise<ReadOnlyFileBus> {
  const bus = await ReadOnlyFileBus.open({ folder, specs: [spec] })
  onTestFinished(() => bus.close())
  return bus
}

async function textsOf(bus: ReadOnlyFileBus, partition: number): Promise<string[]> {
  const { first } = await bus.bounds('t', partition)
  const { records } = await bus.read('t', partition, first, 1 << 20)
  return records.map(({ value }) => Buffer.from(value).toString())
}

test('what was acknowledged is read beside the bus that holds the folder', async () => {
  const { bus, folder } = await openBus()
  await bus.append('t', 1, record('a'))
  await bus.append('t', 1, record('b'))
  const membership = bus.join('t', 'g', lease => lease.commit({ offset: 1, note: 'n' }))
  await expect.poll(() => bus.committed('t', 'g', 1)).toBeDefined()
  await membership.close()
  const reader = await looked(folder)
  expect(await textsOf(reader, 1)).toEqual(['a', 'b'])
  expect(await reader.bounds('t', 1)).toEqual(await bus.bounds('t', 1))
  expect(await reader.bounds('t', 0)).toEqual({ first: 0, end: 0 })
  expect(await reader.logId('t')).toBe(await bus.logId('t'))
  expect(await reader.committed('t', 'g', 1)).toEqual({ offset: 1, note: 'n' })
  expect(await reader.committed('t', 'other', 1)).toBeUndefined()
  expect(Buffer.from((await reader.fetch('t', 1, 1)).value).toString()).toBe('b')
  expect(await reader.fetchRanges('t', 1, [{ offset: 1, start: 0, length: 1 }])).toEqual([
    Buffer.from('b'),
  ])
  await bus.append('t', 1, record('c'))
  expect(await textsOf(reader, 1), 'as it was when it was opened').toEqual(['a', 'b'])
  expect(await textsOf(await looked(folder), 1)).toEqual(['a', 'b', 'c'])
})

test('a folder that a crash left is read and stays as it is, its torn end too', async () => {
  const { bus, folder } = await openBus()
  await bus.append('t', 0, record('a'))
  const copy = await crashed(folder)
  const [name = ''] = (await readdir(join(copy, 't'))).filter(one => one.endsWith('.log'))
  const path = join(copy, 't', name)
  await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(100, 7)]))
  const before = await snapshot(copy)
  expect(await textsOf(await looked(copy), 0)).toEqual(['a'])
  expect(await snapshot(copy)).toEqual(before)
})

test('nothing can be appended or joined, and no folder is made', async () => {
  const { folder } = await openBus()
  const reader = await looked(folder)
  await expect(reader.append('t')).rejects.toThrow(/CONFIG_INVALID/)
  expect(() => reader.join('t')).toThrow(/CONFIG_INVALID/)
  const empty = await temporaryFolder()
  await expect(looked(join(empty, 'none'))).rejects.toThrow(/CONFIG_INVALID.*holds no such bus/)
  expect(await readdir(empty)).toEqual([])
})

test('another count of partitions is refused by name', async () => {
  const { folder } = await openBus()
  const specs = [{ ...spec, partitions: 4 }]
  await expect(ReadOnlyFileBus.open({ folder, specs })).rejects.toThrow(/to have 4 partitions/)
})

/** Every file with its bytes. */
async function snapshot(folder: string): Promise<Map<string, string>> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const texts = new Map<string, string>()
  for (const file of files) {
    if (!file.isFile()) continue
    const path = join(file.parentPath, file.name)
    texts.set(path, (await readFile(path)).toString('base64'))
  }
  return texts
}
