import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { coldKeysContract } from './cold-keys.contract.ts'
import { FileColdKeys } from './file-cold-keys.ts'
import { coldKeyBytes } from './hash.ts'
import { keyNameLengthMax } from './key-files.ts'
import { MemoryColdKeys } from './memory-cold-keys.ts'

const made: string[] = []

/** The one key of a tenant that has one. */
async function keyOf(keys: FileColdKeys, tenant: string): Promise<Uint8Array> {
  const [key = new Uint8Array(), ...older] = await keys.keys(tenant)
  expect(older).toEqual([])
  return key
}

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
  const key = await keyOf(new FileColdKeys(folder, randomBytes), 'acme')
  expect(key.length).toBe(coldKeyBytes)
  expect(await keyOf(new FileColdKeys(folder, randomBytes), 'acme')).toEqual(key)
  expect((await stat(join(folder, 'acme.key'))).mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  expect(await readdir(folder)).toEqual(['acme.key'])
})

test('eight that ask first at once get one key', async () => {
  const folder = await newFolder()
  const keys = await Promise.all(
    Array.from({ length: 8 }, () => keyOf(new FileColdKeys(folder, randomBytes), 'acme')),
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
  for (const tenant of tenants) keys.add(Buffer.from(await keyOf(store, tenant)).toString('hex'))
  expect(keys.size).toBe(tenants.length)
  const names = await readdir(folder)
  expect(names.length).toBe(tenants.length)
  expect(new Set(names.map(name => name.toLowerCase())).size).toBe(tenants.length)
})

test('a key that everybody may read is refused with the remedy; one of its group is used with a warning', async () => {
  const folder = await newFolder()
  const warnings: string[] = []
  const store = new FileColdKeys(folder, randomBytes, warning => warnings.push(warning))
  const key = await keyOf(store, 'acme')
  await chmod(join(folder, 'acme.key'), 0o644)
  await expect(keyOf(store, 'acme')).rejects.toThrow(/CONFIG_INVALID.*mode 644.*chmod 600/)
  expect(warnings).toEqual([])
  await chmod(join(folder, 'acme.key'), 0o660)
  expect(await keyOf(store, 'acme')).toEqual(key)
  expect(warnings).toEqual([expect.stringMatching(/mode 660.*chmod 600/)])
})

test('who makes no keys has those that are there, and says of one that is not whose to mount', async () => {
  const folder = await newFolder()
  const reader = new FileColdKeys(folder, undefined)
  await expect(keyOf(reader, 'acme')).rejects.toThrow(/STORE_UNAVAILABLE.*mount the writers' keys/)
  const key = await keyOf(new FileColdKeys(folder, randomBytes), 'acme')
  expect(await keyOf(reader, 'acme')).toEqual(key)
  await expect(keyOf(reader, 'other')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(await readdir(folder)).toEqual(['acme.key'])
})

test('a key of another length is refused and left as it is', async () => {
  const folder = await newFolder()
  const store = new FileColdKeys(folder, randomBytes)
  await keyOf(store, 'acme')
  await writeFile(join(folder, 'acme.key'), 'short')
  await expect(keyOf(store, 'acme')).rejects.toThrow(/DATA_CORRUPT.*5 bytes.*has 32/)
  expect((await stat(join(folder, 'acme.key'))).size).toBe(5)
})

test('a folder that cannot be made is an outage, not a wrong key', async () => {
  const folder = await newFolder()
  await keyOf(new FileColdKeys(folder, randomBytes), 'a')
  const store = new FileColdKeys(join(folder, 'a.key', 'below'), randomBytes)
  await expect(keyOf(store, 'b')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})
