import { expect, test } from 'vitest'
import { apiKeysSchema, keysMax } from './api-key-entries.ts'
import { hashOfKey, tenantScopes } from './api-keys.ts'

const hash = hashOfKey('k')
const mistakeOf = (keys: unknown): string => {
  const result = apiKeysSchema.safeParse(keys)
  return result.success ? '' : (result.error.issues[0]?.message ?? '')
}

test('an entry is a tenant with everything in it, or says what the key may do', () => {
  const entry = { tenant: 'b', scopes: ['ingest'], name: 'checkout', expires: '2027-01-31' }
  expect(apiKeysSchema.parse({ [hash]: 'a', [hashOfKey('l')]: entry })).toEqual({
    [hash]: { tenant: 'a', scopes: tenantScopes },
    [hashOfKey('l')]: {
      tenant: 'b',
      scopes: ['ingest'],
      name: 'checkout',
      expiresAtMs: Date.UTC(2027, 0, 31),
    },
  })
  expect(tenantScopes).not.toContain('admin')
})

test('every mistake is named with its entry and the remedy', () => {
  for (const [entry, message] of [
    [{ tenant: 'a', scopes: ['write'] }, 'has scopes that there are not: use some of ingest,'],
    [{ tenant: 'a', scopes: [] }, 'has scopes that there are not'],
    [{ scopes: ['read'] }, 'needs a tenant of 1 to 64 characters'],
    [{ tenant: 'x'.repeat(65) }, 'needs a tenant of 1 to 64 characters'],
    [{ tenant: 'a', name: '' }, 'has a name that is not of 1 to 64 characters'],
    [{ tenant: 'a', expires: 'soon' }, 'has no time in expires: use 2027-01-31'],
    [{ tenant: 'a', scope: 'read' }, 'is neither a tenant nor { tenant, scopes, name, expires }'],
    [7, 'is neither a tenant nor'],
  ] as const) {
    expect(mistakeOf({ [hash]: entry })).toContain(`entry 1 (${hash.slice(0, 8)}…) ${message}`)
  }
})

test('what stands where a hash belongs is not shown: it may be the key itself', () => {
  const message = mistakeOf({ [hash]: 'a', 'my-secret-key': 'a', 'other-secret': { tenant: 1 } })
  expect(message).toContain('entry 2 is no SHA-256 in 64 hex digits: printf %s KEY | sha256sum')
  expect(message).toContain('entry 3 is no SHA-256')
  expect(message).not.toMatch(/my-secret-key|other-secret/)
})

test('keysMax keys are taken, one more is refused', () => {
  const entries = Array.from({ length: keysMax + 1 }, (_, n) => [hashOfKey(String(n)), 'a'])
  expect(mistakeOf(Object.fromEntries(entries.slice(1)))).toBe('')
  expect(mistakeOf(Object.fromEntries(entries))).toBe(
    `has ${keysMax + 1} keys, more than ${keysMax}`,
  )
})
