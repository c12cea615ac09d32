import { KeyRing, silentLog } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { entryLine, keyRandomBytes, newKey } from './new-key.ts'
import { loadConfig } from './program-config.ts'

const random = Buffer.alloc(keyRandomBytes, 7)

test('the line that comes with a key lets it in, with what was asked for and no more', () => {
  const made = newKey(
    { tenant: 'team "a": {x}', scopes: 'ingest, read', name: '# checkout', expires: '2027-01-31' },
    random,
  )
  expect(made.key).toMatch(/^winnow_[\w-]{43}$/)
  const text = `keys:\n${entryLine(made)}\n`
  expect(text).not.toContain(made.key)
  const { keys } = loadConfig({ file: 'w.yaml', env: {}, options: {}, readFile: () => text })
  const ring = KeyRing.open({ ...(keys && { keys }), log: silentLog })
  expect(ring?.get(made.hash)).toEqual({
    tenant: 'team "a": {x}',
    scopes: ['ingest', 'read'],
    name: '# checkout',
    expiresAtMs: Date.UTC(2027, 0, 31),
  })
  expect(parse(text).keys[made.hash]).toEqual(made.entry)
})

test('a key without --scopes has everything within its tenant', () => {
  const { entry } = newKey({ tenant: 'a' }, random)
  expect(entry).toEqual({ tenant: 'a', scopes: ['ingest', 'evaluate', 'read', 'content'] })
})

test('what would be no entry is wrong use, with the remedy', () => {
  for (const [options, message] of [
    [{ tenant: 'a', scopes: 'ingest,write' }, '--scopes "write" is none: use some of ingest,'],
    [{ tenant: '' }, 'the entry needs a tenant of 1 to 64 characters'],
    [{ tenant: 'a', expires: 'soon' }, 'the entry has no time in expires: use 2027-01-31'],
    [{ tenant: 'a', name: 'x'.repeat(65) }, 'the entry has a name that is not of 1 to 64'],
  ] as const) {
    expect(() => newKey(options, random)).toThrow(
      expect.objectContaining({ status: 2, message: expect.stringContaining(message) }),
    )
  }
})
