import { expect, test } from 'vitest'
import { readToken, tokenEnd } from './detect/token-shape.ts'
import {
  SharedTokenKeys,
  sharedSecretCharsMin,
  sharedTokenKeysFrom,
  tokenKeysFrom,
} from './token-keys.ts'
import { Tokens, tokenKeysMax } from './tokens.ts'

const key = (id: number, fill = id + 1) => ({ id, bytes: Buffer.alloc(32, fill) })

test('a token names its kind and its key, and is stable', () => {
  const tokens = new Tokens([key(0), key(11)])
  const token = tokens.token('email', 'maria@example.com')
  expect(token).toMatch(/^<email:e_b[0-9a-f]{11}>$/)
  expect(new Tokens([key(11)]).token('email', 'maria@example.com')).toBe(token)
  expect(readToken(token)).toEqual({ kind: 'email', keyId: 11 })
  expect(tokenEnd(Buffer.from(`x${token}y`), 1, 40)).toBe(1 + token.length)
  for (const other of ['<email:e_b1>', `${token} `, '<Email:e_4f81a09c2b17>', '<unscanned>', '']) {
    expect(readToken(other)).toBeUndefined()
  }
})

test('another kind, thing, key or tenant is another token', async () => {
  const shared = new SharedTokenKeys([key(0)])
  const [a, b] = await Promise.all(
    ['acme', 'globex'].map(async tenant => new Tokens(await shared.keys(tenant))),
  )
  const made = [
    a?.token('email', 'x@example.com'),
    a?.token('secret', 'x@example.com'),
    a?.token('email', 'y@example.com'),
    b?.token('email', 'x@example.com'),
    new Tokens([key(0)]).token('email', 'x@example.com'),
  ]
  expect(new Set(made).size).toBe(made.length)
})

test('after a rotation the last key makes tokens, and the old ones are still found', () => {
  const before = new Tokens([key(0)]).token('card', '4111111111111111')
  const after = new Tokens([key(0), key(1)])
  expect(after.token('card', '4111111111111111')).not.toBe(before)
  expect(after.tokensOf('card', '4111111111111111')).toEqual([
    after.token('card', '4111111111111111'),
    before,
  ])
})

test('more things than are remembered have the tokens they had', () => {
  const tokens = new Tokens([key(0)])
  const first = tokens.token('ip', '203.0.113.0')
  for (let n = 0; n < 20_000; n++) tokens.token('ip', `things ${n}`)
  expect(tokens.token('ip', '203.0.113.0')).toBe(first)
})

test('keys of the wrong length, with an id twice or past the last, or none at all, are refused', () => {
  const last = tokenKeysMax - 1
  expect(() => new Tokens([key(last)])).not.toThrow()
  for (const wrong of [
    [],
    [key(1), key(1)],
    [key(tokenKeysMax, 1)],
    [{ id: 0, bytes: Buffer.alloc(31) }],
  ]) {
    expect(() => new Tokens(wrong)).toThrow(/token key/)
  }
})

test('keys are read from lines or a list, and a line that is none spoils all', () => {
  const hex = 'ab'.repeat(32)
  const text = `# made 2026\n0 ${hex}\n\n f ${hex.toUpperCase()}\n`
  expect(tokenKeysFrom(text)?.map(({ id }) => id)).toEqual([0, 15])
  expect(tokenKeysFrom(`0:${hex},1:${hex}`)).toHaveLength(2)
  for (const wrong of [`0 ${hex}0`, `g ${hex}`, hex, `0 ${hex} x`]) {
    expect(tokenKeysFrom(wrong)).toBeUndefined()
  }
})

test('a shared secret is one text, or several with their ids, and never a short one', () => {
  const secret = 's'.repeat(sharedSecretCharsMin)
  expect(sharedTokenKeysFrom(secret)).toMatchObject([{ id: 0 }])
  expect(sharedTokenKeysFrom(`0:${secret},1:${secret}x`)?.map(({ id }) => id)).toEqual([0, 1])
  expect(sharedTokenKeysFrom(`0: ${secret}\nf:${secret}\n`)?.map(({ id }) => id)).toEqual([0, 15])
  expect(sharedTokenKeysFrom(`0:${secret}`)?.[0]?.bytes).toEqual(
    sharedTokenKeysFrom(secret)?.[0]?.bytes,
  )
  expect(sharedTokenKeysFrom('a secret, as somebody would say')).toHaveLength(1)
  const short = secret.slice(1)
  for (const wrong of [
    '',
    short,
    `0:${secret},0:${secret}x`,
    `0:${secret},${secret}`,
    `0:${short}`,
  ]) {
    expect(sharedTokenKeysFrom(wrong), wrong).toBeUndefined()
  }
})
