import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBlobKey, mayBeginBlobKey } from './blob-key.ts'

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
const key = fc
  .array(name, { minLength: 1, maxLength: 4 })
  .map(names => `${names.join('/')}.o`)
  .filter(isBlobKey)

test('keys sort by UTF-16 as they do by their bytes', () => {
  fc.assert(
    fc.property(fc.oneof(key, fc.constantFrom('\ud7ff.o', '\ue000.o', '\uffff.o')), key, (a, b) => {
      const byText = Number(a > b) - Number(a < b)
      expect(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)))).toBe(byText)
    }),
  )
})

test('what a key begins with may begin a key', () => {
  fc.assert(
    fc.property(key, fc.nat(40), (whole, length) => {
      const prefix = whole.slice(0, length)
      if (prefix.isWellFormed()) expect(mayBeginBlobKey(prefix), prefix).toBe(true)
    }),
  )
})

test('no key is what another lies in', () => {
  fc.assert(
    fc.property(key, name, (whole, below) => {
      expect(isBlobKey(`${whole}/${below}.o`)).toBe(false)
    }),
  )
})
