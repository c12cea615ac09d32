import { expect, test } from 'vitest'
import type { ColdKeys } from './cold-keys.ts'
import { coldKeyBytes } from './hash.ts'

/** Every adapter of the cold keys passes exactly these tests; each promise of `ColdKeys` has one. */
export function coldKeysContract(name: string, makeKeys: () => Promise<ColdKeys>): void {
  const hex = ([key = new Uint8Array(), ...older]: readonly Uint8Array[]): string => {
    expect(older).toEqual([])
    return Buffer.from(key).toString('hex')
  }

  test(`${name}: a tenant's key is made once and stays`, async () => {
    const keys = await makeKeys()
    const key = hex(await keys.keys('acme'))
    expect(key.length).toBe(coldKeyBytes * 2)
    expect(hex(await keys.keys('acme'))).toBe(key)
  })

  test(`${name}: eight that ask first at once get one key`, async () => {
    const keys = await makeKeys()
    const asked = await Promise.all(Array.from({ length: 8 }, () => keys.keys('acme')))
    expect(new Set(asked.map(hex)).size).toBe(1)
  })

  test(`${name}: no two tenants share a key, whatever they are called`, async () => {
    const keys = await makeKeys()
    const tenants = [
      'a',
      'A',
      '%41',
      '..',
      '../a',
      'a/b',
      'Ä b',
      '.',
      '',
      'é',
      'e\u0301',
      '__proto__',
    ]
    const made = new Set<string>()
    for (const tenant of tenants) made.add(hex(await keys.keys(tenant)))
    expect(made.size).toBe(tenants.length)
  })
}
