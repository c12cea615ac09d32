import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { tenantOf } from './api-keys.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const keys = new Map([[sha256('secret-a'), 'team-a']])

test('a key is found as bearer token or as x-api-key', () => {
  expect(tenantOf(keys, { authorization: 'Bearer secret-a' })).toBe('team-a')
  expect(tenantOf(keys, { 'x-api-key': 'secret-a' })).toBe('team-a')
})

test('a wrong or absent key has no tenant', () => {
  expect(tenantOf(keys, { authorization: 'Bearer secret-b' })).toBeUndefined()
  expect(tenantOf(keys, { authorization: sha256('secret-a') })).toBeUndefined()
  expect(tenantOf(keys, {})).toBeUndefined()
})

test('without keys any credential is ignored', () => {
  expect(tenantOf(undefined, { authorization: 'Bearer whatever' })).toBe('default')
})

test('nobody becomes a tenant by saying nothing, not even where the hash of nothing is configured', () => {
  const careless = new Map([[sha256(''), 'team-a']])
  expect(tenantOf(careless, {})).toBeUndefined()
  expect(tenantOf(careless, { 'x-api-key': '' })).toBeUndefined()
})
