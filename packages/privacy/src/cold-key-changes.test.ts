import { randomBytes } from 'node:crypto'
import { chmod, link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { ColdKeyChanges } from './cold-key-changes.ts'
import { FileColdKeys } from './file-cold-keys.ts'
import { ColdHashers, coldKeyBytes, coldKeyCheck, coldKeysMax } from './hash.ts'

const made: string[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cold-key-changes-'))
  made.push(folder)
  return join(folder, 'keys', 'cold')
}

afterEach(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true })
})

/** Files of the folder that have the bytes anywhere. */
async function filesWith(folder: string, bytes: Buffer): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir(folder)) {
    if ((await readFile(join(folder, name))).includes(bytes)) found.push(name)
  }
  return found
}

test('a rotated key is the current one of a process that runs, and the one before stays for look-up', async () => {
  const folder = await newFolder()
  const hashers = new ColdHashers(new FileColdKeys(folder, randomBytes))
  const first = await hashers.of('acme')
  const changed = await new ColdKeyChanges(folder, randomBytes).rotate('acme')
  const all = await hashers.all('acme')
  expect(all).toHaveLength(2)
  // The hasher of a key that stays is the one that was: it remembers what it hashed.
  expect(all[0]).toBe(first)
  expect(all[1]?.token('sess_91ab')).not.toBe(first.token('sess_91ab'))
  expect(await hashers.of('acme')).toBe(all[1])
  expect(changed.keys).toEqual(all.map(coldKeyCheck))
  expect((await stat(join(folder, 'acme.key'))).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['acme.key'])
})

test('destroyed keys hash nothing any more, their bytes are nowhere, and other tenants keep theirs', async () => {
  const folder = await newFolder()
  const keys = new FileColdKeys(folder, randomBytes)
  const hashers = new ColdHashers(keys)
  const changes = new ColdKeyChanges(folder, randomBytes)
  const before = (await hashers.of('acme')).token('sess_91ab')
  const other = (await hashers.of('other')).token('sess_91ab')
  await changes.rotate('acme')
  const old = (await keys.keys('acme')).map(key => Buffer.from(key))
  // What a process leaves that is killed as it makes a key, or as it changes one.
  await link(join(folder, 'acme.key'), join(folder, 'acme.key.00ff.tmp'))
  await writeFile(join(folder, 'acme.key.11ff.tmp'), old[0] as Buffer, { mode: 0o600 })
  for (const key of old) expect(await filesWith(folder, key)).not.toEqual([])
  const { destroyed, keys: now } = await changes.destroy('acme')
  expect(destroyed).toHaveLength(2)
  expect(now).toHaveLength(1)
  expect(destroyed).not.toContain(now[0])
  for (const key of old) expect(await filesWith(folder, key)).toEqual([])
  expect((await readdir(folder)).sort()).toEqual(['acme.key', 'other.key'])
  expect((await hashers.all('acme')).map(one => one.token('sess_91ab'))).not.toContain(before)
  expect(await hashers.all('acme')).toHaveLength(1)
  expect((await hashers.of('other')).token('sess_91ab')).toBe(other)
  // A process that starts later has the new one too.
  const later = await new ColdHashers(new FileColdKeys(folder, undefined)).of('acme')
  expect(coldKeyCheck(later)).toBe(now[0])
})

test('who has the file open as it is destroyed has zeros, never half a key', async () => {
  const folder = await newFolder()
  const keys = new FileColdKeys(folder, randomBytes)
  await keys.keys('acme')
  const held = join(folder, 'held')
  await link(join(folder, 'acme.key'), held)
  await new ColdKeyChanges(folder, randomBytes).destroy('acme')
  expect(await readFile(held)).toEqual(Buffer.alloc(coldKeyBytes))
})

test('a rotation leaves no older copy, so that a key destroyed after it is nowhere', async () => {
  const folder = await newFolder()
  const keys = new FileColdKeys(folder, randomBytes)
  const [first = new Uint8Array()] = await keys.keys('acme')
  const held = join(folder, 'held')
  await link(join(folder, 'acme.key'), held)
  const changes = new ColdKeyChanges(folder, randomBytes)
  await changes.rotate('acme')
  expect(await readFile(held)).toEqual(Buffer.alloc(coldKeyBytes))
  expect(await filesWith(folder, Buffer.from(first))).toEqual(['acme.key'])
})

test('a destruction that was killed before it overwrote the keys is ended by the same command', async () => {
  const folder = await newFolder()
  await new FileColdKeys(folder, randomBytes).keys('acme')
  const changes = new ColdKeyChanges(folder, randomBytes)
  const { keys } = await changes.rotate('acme')
  const [oldest = ''] = keys
  const file = join(folder, 'acme.key')
  const before = await readFile(file)
  await changes.destroy('acme', [oldest])
  // What the rename alone leaves: the old file by its other name.
  await writeFile(join(folder, 'acme.key.00ff.tmp'), before, { mode: 0o600 })
  await expect(changes.destroy('acme', [oldest])).rejects.toThrow(/has no key h_/)
  expect(await filesWith(folder, before.subarray(0, coldKeyBytes))).toEqual([])
  expect(await readdir(folder)).toEqual(['acme.key'])
})

test('of two who change the keys of a tenant at once the second is refused, and told what to do', async () => {
  const folder = await newFolder()
  const keys = new FileColdKeys(folder, randomBytes)
  await keys.keys('acme')
  await keys.keys('other')
  const changes = new ColdKeyChanges(folder, randomBytes)
  const lock = join(folder, 'acme.key.lock')
  await writeFile(lock, '')
  for (const act of [() => changes.rotate('acme'), () => changes.destroy('acme')]) {
    await expect(act()).rejects.toThrow(/CONFIG_INVALID.*acme\.key\.lock is there.*remove it/)
  }
  expect(await keys.keys('acme')).toHaveLength(1)
  // Another tenant's are its own, and a look needs no lock.
  expect((await changes.rotate('other')).keys).toHaveLength(2)
  expect((await changes.list('acme'))?.keys).toHaveLength(1)
  await rm(lock)
  expect((await changes.rotate('acme')).keys).toHaveLength(2)
  expect((await readdir(folder)).sort()).toEqual(['acme.key', 'other.key'])
})

test('one older key goes alone, and the current one is replaced where it is named', async () => {
  const folder = await newFolder()
  await new FileColdKeys(folder, randomBytes).keys('acme')
  const changes = new ColdKeyChanges(folder, randomBytes)
  const { keys } = await changes.rotate('acme')
  const [oldest = '', current = ''] = keys
  const first = await changes.destroy('acme', [oldest])
  expect([first.destroyed, first.keys]).toEqual([[oldest], [current]])
  const second = await changes.destroy('acme', [current])
  expect(second.destroyed).toEqual([current])
  expect(second.keys).toHaveLength(1)
  expect(second.keys).not.toContain(current)
  await expect(changes.destroy('acme', [current])).rejects.toThrow(/has no key h_/)
})

test('a tenant has so many keys at most, and one more is refused with the remedy', async () => {
  const folder = await newFolder()
  const keys = new FileColdKeys(folder, randomBytes)
  await keys.keys('acme')
  const changes = new ColdKeyChanges(folder, randomBytes)
  for (let n = 1; n < coldKeysMax; n++) await changes.rotate('acme')
  expect(await keys.keys('acme')).toHaveLength(coldKeysMax)
  await expect(changes.rotate('acme')).rejects.toThrow(/CONFIG_INVALID.*16 keys.*destroy --key/)
  expect(await keys.keys('acme')).toHaveLength(coldKeysMax)
  await writeFile(join(folder, 'acme.key'), randomBytes(coldKeyBytes * (coldKeysMax + 1)))
  await expect(keys.keys('acme')).rejects.toThrow(/DATA_CORRUPT.*544 bytes.*at most 16/)
})

test('a tenant without a key is named with the folder, and none is made', async () => {
  const folder = await newFolder()
  await new FileColdKeys(folder, randomBytes).keys('acme')
  const changes = new ColdKeyChanges(folder, randomBytes)
  expect(await changes.list('acm')).toBeUndefined()
  for (const act of [() => changes.rotate('acm'), () => changes.destroy('acm')]) {
    await expect(act()).rejects.toThrow(/CONFIG_INVALID.*acm\.key is not there.*whole name/)
  }
  expect(await readdir(folder)).toEqual(['acme.key'])
})

test('keys that cannot be read again stay those of before, and it is said', async () => {
  const folder = await newFolder()
  const said: string[] = []
  const hashers = new ColdHashers(new FileColdKeys(folder, randomBytes), (tenant, error) =>
    said.push(`${tenant}: ${(error as Error).message}`),
  )
  const first = await hashers.of('acme')
  expect(said).toEqual([])
  await chmod(join(folder, 'acme.key'), 0o644)
  expect(await hashers.of('acme')).toBe(first)
  expect(said).toEqual([expect.stringMatching(/^acme: .*chmod 600/)])
})

test('a file of zeros is no key', async () => {
  const folder = await newFolder()
  const keys = new FileColdKeys(folder, randomBytes)
  await keys.keys('acme')
  await writeFile(join(folder, 'acme.key'), Buffer.alloc(coldKeyBytes))
  await expect(keys.keys('acme')).rejects.toThrow(/DATA_CORRUPT.*key of zeros/)
})
