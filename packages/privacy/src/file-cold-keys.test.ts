import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { coldKeysContract } from './cold-keys.contract.ts'
import { FileColdKeys, keyNameLengthMax } from './file-cold-keys.ts'
import { coldKeyBytes } from './hash.ts'
import { MemoryColdKeys } from './memory-cold-keys.ts'

const made: string[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cold-keys-'))
  made.push(folder)
  return join(folder, 'keys', 'cold')
}

afterEach(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true })
})

coldKeysContract('memory', async () => new MemoryColdKeys(randomBytes))
coldKeysContract('file', async () => new FileColdKeys(await newFolder(), randomBytes))

test('a key is made once, readable by its owner alone, and found again', async () => {
  const folder = await newFolder()
  const key = await new FileColdKeys(folder, randomBytes).key('acme')
  expect(key.length).toBe(coldKeyBytes)
  expect(await new FileColdKeys(folder, randomBytes).key('acme')).toEqual(key)
  expect((await stat(join(folder, 'acme.key'))).mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect(await readdir(folder)).toEqual(['acme.key'])
})

test('eight that ask first at once get one key', async () => {
  const folder = await newFolder()
  const keys = await Promise.all(
    Array.from({ length: 8 }, () => new FileColdKeys(folder, randomBytes).key('acme')),
  )
  expect(new Set(keys.map(key => Buffer.from(key).toString('hex'))).size).toBe(1)
  expect(await readdir(folder)).toEqual(['acme.key'])
})

test('no two tenants share a file and none leaves the folder', async () => {
  const folder = await newFolder()
  const store = new FileColdKeys(folder, randomBytes)
  const tenants = ['a', 'A', '%41', '..', '../a', 'a/b', 'Ä b', '.', '', 'é', 'e\u0301']
  const long = 'x'.repeat(keyNameLengthMax)
  tenants.push(long, `${long}x`, `${long}y`)
  const keys = new Set<string>()
  for (const tenant of tenants) keys.add(Buffer.from(await store.key(tenant)).toString('hex'))
  expect(keys.size).toBe(tenants.length)
  const names = await readdir(folder)
  expect(names.length).toBe(tenants.length)
  expect(new Set(names.map(name => name.toLowerCase())).size).toBe(tenants.length)
})

test('a key that others may read is refused with the remedy', async () => {
  const folder = await newFolder()
  const store = new FileColdKeys(folder, randomBytes)
  await store.key('acme')
  await chmod(join(folder, 'acme.key'), 0o640)
  await expect(store.key('acme')).rejects.toThrow(/CONFIG_INVALID.*mode 640.*chmod 600/)
})

test('a key of another length is refused and left as it is', async () => {
  const folder = await newFolder()
  const store = new FileColdKeys(folder, randomBytes)
  await store.key('acme')
  await writeFile(join(folder, 'acme.key'), 'short')
  await expect(store.key('acme')).rejects.toThrow(/DATA_CORRUPT.*5 bytes.*has 32/)
  expect((await stat(join(folder, 'acme.key'))).size).toBe(5)
})

test('a folder that cannot be made is an outage, not a wrong key', async () => {
  const folder = await newFolder()
  await new FileColdKeys(folder, randomBytes).key('a')
  const store = new FileColdKeys(join(folder, 'a.key', 'below'), randomBytes)
  await expect(store.key('b')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})
