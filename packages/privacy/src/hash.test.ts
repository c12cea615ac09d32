import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  ColdHasher,
  ColdHashers,
  coldHashersMax,
  coldKeyBytes,
  hasherMemoMax,
  hasherMemoTextLengthMax,
} from './hash.ts'
import { MemoryColdKeys } from './memory-cold-keys.ts'

const key = (byte: number): Uint8Array => new Uint8Array(coldKeyBytes).fill(byte)

test('a token is 96 bits of SHA3-256 over key and text', () => {
  const digest = createHash('sha3-256')
    .update(`${'07'.repeat(32)}sess_91ab`)
    .digest('base64url')
  expect(new ColdHasher(key(7)).token('sess_91ab')).toBe(`h_${digest.slice(0, 16)}`)
})

test('two tenants never share a token, one tenant always does', () => {
  const [a, again, b] = [new ColdHasher(key(1)), new ColdHasher(key(1)), new ColdHasher(key(2))]
  expect(a.token('x')).toBe(again.token('x'))
  expect(a.token('x')).not.toBe(b.token('x'))
  expect(a.token('x')).not.toBe(a.token('y'))
})

test('what the memo forgets is hashed to the same token', () => {
  const hasher = new ColdHasher(key(3))
  const long = 'x'.repeat(hasherMemoTextLengthMax + 1)
  const before = [hasher.token('first'), hasher.token(long)]
  for (let n = 0; n < hasherMemoMax + 1; n++) hasher.token(`text ${n}`)
  expect([hasher.token('first'), hasher.token(long)]).toEqual(before)
})

test('a key of another length is refused', () => {
  for (const length of [0, coldKeyBytes - 1, coldKeyBytes + 1]) {
    expect(() => new ColdHasher(new Uint8Array(length))).toThrow(/a cold key has 32 bytes/)
  }
})

test('one hasher a tenant, up to the limit of tenants', async () => {
  let made = 0
  const hashers = new ColdHashers(
    new MemoryColdKeys(bytes => {
      made++
      return new Uint8Array(bytes).fill(made & 255)
    }),
  )
  const first = await hashers.of('tenant 0')
  for (let n = 1; n < coldHashersMax; n++) await hashers.of(`tenant ${n}`)
  expect(await hashers.of('tenant 0')).toBe(first)
  // One more pushes out the longest unused, which is now `tenant 1`.
  const second = await hashers.of('tenant 1')
  await hashers.of('one more')
  await hashers.of('and another')
  expect(await hashers.of('tenant 1')).toBe(second)
  expect(made).toBe(coldHashersMax + 2)
})

test('a key that could not be read is asked for again', async () => {
  let asked = 0
  const hashers = new ColdHashers({
    keys: async () => {
      if (++asked === 1) throw new Error('disk away')
      return [key(1)]
    },
  })
  await expect(hashers.of('a')).rejects.toThrow('disk away')
  await expect(hashers.of('a')).resolves.toBeInstanceOf(ColdHasher)
})
