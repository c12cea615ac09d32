import { expect, test } from 'vitest'
import {
  type ApiKey,
  accessTo,
  hashOfKey,
  identify,
  keyBytesMax,
  scopes,
  tenantScopes,
} from './api-keys.ts'

const nowMs = Date.UTC(2026, 10, 21)
const keyring = (entries: Readonly<Record<string, Partial<ApiKey>>>) =>
  new Map(
    Object.entries(entries).map(([key, entry]): [string, ApiKey] => [
      hashOfKey(key),
      { tenant: 'team-a', scopes: tenantScopes, ...entry },
    ]),
  )
const keys = keyring({ 'secret-a': {} })
const tenantOf = (given: typeof keys | undefined, headers: Record<string, string>) => {
  const access = identify(given, headers, nowMs)
  return access.kind === 'granted' ? access.key.tenant : undefined
}

test('a key is found as bearer token or as x-api-key', () => {
  expect(tenantOf(keys, { authorization: 'Bearer secret-a' })).toBe('team-a')
  expect(tenantOf(keys, { 'x-api-key': 'secret-a' })).toBe('team-a')
})

test('a key is found as the password of a Basic credential, and never as its user name', () => {
  const basic = (pair: string) => ({
    authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
  })
  expect(tenantOf(keys, basic('pk-public:secret-a'))).toBe('team-a')
  expect(tenantOf(keys, basic(':secret-a'))).toBe('team-a')
  expect(tenantOf(keys, basic('secret-a:'))).toBeUndefined()
  expect(tenantOf(keys, basic('secret-a'))).toBeUndefined()
  expect(tenantOf(keys, { authorization: 'Basic %%%' })).toBeUndefined()
})

test('a wrong or absent key has no tenant, and its own hash opens nothing', () => {
  expect(tenantOf(keys, { authorization: 'Bearer secret-b' })).toBeUndefined()
  expect(tenantOf(keys, { authorization: hashOfKey('secret-a') })).toBeUndefined()
  expect(tenantOf(keys, { 'x-api-key': hashOfKey('secret-a') })).toBeUndefined()
  expect(tenantOf(keys, {})).toBeUndefined()
})

test('without keys any credential is ignored, and everything is allowed', () => {
  expect(tenantOf(undefined, { authorization: 'Bearer whatever' })).toBe('default')
  for (const scope of scopes) expect(accessTo(scope, undefined, {}, nowMs).kind).toBe('granted')
})

test('nobody becomes a tenant by saying nothing, not even where the hash of nothing is configured', () => {
  const careless = keyring({ '': {} })
  expect(tenantOf(careless, {})).toBeUndefined()
  expect(tenantOf(careless, { 'x-api-key': '' })).toBeUndefined()
})

test('a known key without the scope is told which one, and never which key it is', () => {
  const reader = keyring({ k: { scopes: ['read'] } })
  expect(accessTo('read', reader, { 'x-api-key': 'k' }, nowMs).kind).toBe('granted')
  for (const scope of scopes.filter(one => one !== 'read')) {
    const access = accessTo(scope, reader, { 'x-api-key': 'k' }, nowMs)
    expect(access).toEqual({
      kind: 'forbidden',
      scope,
      remedy: `this key lacks the scope ${scope}; use one that has it`,
    })
  }
})

test('a key is known until it expires, and from that moment on unknown', () => {
  const passing = keyring({ k: { expiresAtMs: nowMs + 1 } })
  const headers = { 'x-api-key': 'k' }
  expect(accessTo('read', passing, headers, nowMs).kind).toBe('granted')
  expect(accessTo('read', passing, headers, nowMs + 1)).toEqual({
    kind: 'unknown',
    remedy: 'this key has expired; send its successor',
  })
})

test('a key of keyBytesMax is one, with one byte more it is none', () => {
  const longest = 'k'.repeat(keyBytesMax)
  const both = keyring({ [longest]: {}, [`${longest}k`]: {} })
  expect(tenantOf(both, { 'x-api-key': longest })).toBe('team-a')
  expect(tenantOf(both, { 'x-api-key': `${longest}k` })).toBeUndefined()
})
