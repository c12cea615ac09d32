import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import { FileTokenKeys } from './file-token-keys.ts'
import { keysReadEveryMs, Redactors, redactorsMax } from './redactors.ts'
import { tokenKeysMax } from './tokens.ts'

const made: string[] = []
afterEach(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true })
})

async function fileKeys(): Promise<{ folder: string; keys: FileTokenKeys }> {
  const root = await mkdtemp(join(tmpdir(), 'winnow-tokens-'))
  made.push(root)
  const folder = join(root, 'keys', 'tokens')
  return { folder, keys: new FileTokenKeys(folder, randomBytes) }
}

test('a tenant’s key is made once, whoever asks first, and nobody else may read it', async () => {
  const { folder, keys } = await fileKeys()
  const other = new FileTokenKeys(folder, randomBytes)
  const asked = await Promise.all(
    Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? keys : other).keys('team/a')),
  )
  const hex = asked.map(([key]) => Buffer.from(key?.bytes ?? []).toString('hex'))
  expect(new Set(hex).size).toBe(1)
  expect(await readdir(folder)).toEqual(['team%2Fa.tokens'])
  expect((await stat(join(folder, 'team%2Fa.tokens'))).mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
})

test('a rotation adds keys up to the limit and keeps the old ones', async () => {
  const { keys, folder } = await fileKeys()
  const [first] = await keys.keys('acme')
  for (let id = 1; id < tokenKeysMax; id++) expect(await keys.rotate('acme')).toBe(id)
  const all = await keys.keys('acme')
  expect(all.map(({ id }) => id)).toEqual(Array.from({ length: tokenKeysMax }, (_, id) => id))
  expect(all[0]).toEqual(first)
  await expect(keys.rotate('acme')).rejects.toThrow(/tokenKeysMax/)
  expect(await readdir(folder)).toEqual(['acme.tokens'])
})

test('a file that its group may read, as an fsGroup leaves it, is used with a warning', async () => {
  const { keys, folder } = await fileKeys()
  const before = await keys.keys('acme')
  await chmod(join(folder, 'acme.tokens'), 0o660)
  const warnings: string[] = []
  const restarted = new FileTokenKeys(folder, randomBytes, warning => warnings.push(warning))
  expect(await restarted.keys('acme')).toEqual(before)
  expect(warnings).toEqual([expect.stringMatching(/acme\.tokens has mode 660.*chmod 600/)])
})

test('a file that everybody may read, or with a line that is no key, is refused and not replaced', async () => {
  const { keys, folder } = await fileKeys()
  await keys.keys('acme')
  const path = join(folder, 'acme.tokens')
  await chmod(path, 0o604)
  await expect(keys.keys('acme')).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await chmod(path, 0o600)
  for (const wrong of ['', 'no key\n']) {
    await writeFile(path, wrong)
    await expect(keys.keys('acme')).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
    await expect(keys.rotate('acme')).rejects.toMatchObject({ code: 'DATA_CORRUPT' })
    expect(await readFile(path, 'utf8')).toBe(wrong)
  }
})

test('a rotated key is taken up within a minute, and a file that went away leaves the keys of before', async () => {
  const { keys, folder } = await fileKeys()
  let now = 0
  const settings = { redact: true, kinds: ['email'], patterns: [] }
  const redactors = new Redactors(
    keys,
    () => settings,
    () => now,
  )
  const text = async () => (await redactors.of('acme'))?.redactText('a@b.com')
  const before = await text()
  await keys.rotate('acme')
  expect(await text()).toBe(before)
  now += keysReadEveryMs
  await text()
  await expect.poll(text).toMatch(/^<email:e_1/)
  await rm(folder, { recursive: true })
  await writeFile(folder, 'no folder')
  now += keysReadEveryMs
  expect(await text()).toMatch(/^<email:e_1/)
  expect(await text()).toMatch(/^<email:e_1/)
})

test('keys that are as they were leave the redactor as it is; keys that cannot be renewed are logged', async () => {
  const { keys, folder } = await fileKeys()
  let now = 0
  const logged: string[] = []
  const log = { ...silentLog, error: (kind: string) => logged.push(kind) }
  let reads = 0
  const counted = { keys: (tenant: string) => keys.keys(tenant).finally(() => reads++) }
  const settings = { redact: true, kinds: ['email'], patterns: [] }
  const redactors = new Redactors(
    counted,
    () => settings,
    () => now,
    log,
  )
  const first = await redactors.of('acme')
  now += keysReadEveryMs
  await redactors.of('acme')
  await expect.poll(() => reads, { timeout: 20_000 }).toBe(2)
  expect(await redactors.of('acme')).toBe(first)
  expect(logged).toEqual([])
  await writeFile(join(folder, 'acme.tokens'), 'no key\n')
  now += keysReadEveryMs
  expect(await redactors.of('acme')).toBe(first)
  await expect.poll(() => logged, { timeout: 20_000 }).toEqual(['redaction.keys_not_renewed'])
  // Served with the keys of before, and said.
  expect(await redactors.health()).toMatchObject({
    ready: true,
    detail: expect.stringMatching(/tenant acme.*acme\.tokens has no keys/),
  })
  expect(await redactors.of('acme')).toBe(first)
})

test('a tenant whose keys are damaged is unavailable, others are served, and the health sees the mend', async () => {
  const { keys, folder } = await fileKeys()
  await keys.keys('bad')
  const path = join(folder, 'bad.tokens')
  const good = await readFile(path, 'utf8')
  await writeFile(path, good + good)
  const settings = { redact: true, kinds: ['email'], patterns: [] }
  const redactors = new Redactors(
    keys,
    () => settings,
    () => 0,
  )
  await expect(redactors.of('bad')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(await redactors.health()).toMatchObject({ ready: false })
  await redactors.of('good')
  expect(await redactors.health()).toMatchObject({
    ready: true,
    detail: expect.stringContaining('tenant bad'),
  })
  await writeFile(path, good)
  expect(await redactors.health()).toEqual({ ready: true })
  expect(await redactors.of('bad')).toBeDefined()
})

test('redactors of more tenants than are held are made anew, with the same tokens', async () => {
  const { keys } = await fileKeys()
  let asked = 0
  const shared = await keys.keys('all')
  const counted = {
    keys: async () => {
      asked++
      return shared
    },
  }
  const settings = { redact: true, kinds: ['email'], patterns: [] }
  const redactors = new Redactors(
    counted,
    () => settings,
    () => 0,
  )
  for (let n = 0; n < redactorsMax; n++) await redactors.of(`t${n}`)
  await redactors.of('t0')
  expect(asked).toBe(redactorsMax)
  await redactors.of('one more')
  await redactors.of('t1')
  expect(asked).toBe(redactorsMax + 2)
})
