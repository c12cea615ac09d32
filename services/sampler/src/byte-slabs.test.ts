import { expect, test } from 'vitest'
import { ByteSlabs } from './byte-slabs.ts'

const put = (slabs: ByteSlabs, text: string) => slabs.copy(Buffer.from(text))
const slabBytes = 256 * 1024

test('records lie one behind the other until they are cleared, and keep what they say', () => {
  const slabs = new ByteSlabs()
  for (let round = 0; round < 3; round++) {
    const texts = Array.from({ length: 300 }, (_, at) => `${round} ${'é'.repeat(at * 7)} ${at}`)
    const values = texts.map(text => put(slabs, text))
    expect(values.map(value => Buffer.from(value).toString())).toEqual(texts)
    slabs.clear()
  }
})

test('the bytes of a slab are used again once they are cleared', () => {
  const slabs = new ByteSlabs()
  const first = put(slabs, 'a')
  slabs.clear()
  expect(put(slabs, 'b').buffer).toBe(first.buffer)
})

test('a record of a slab’s size has its place in one, and one byte more has its own bytes', () => {
  const slabs = new ByteSlabs()
  const first = put(slabs, 'a')
  const full = put(slabs, 'x'.repeat(slabBytes))
  const over = put(slabs, 'y'.repeat(slabBytes + 1))
  expect([first, full, over].map(({ length }) => length)).toEqual([1, slabBytes, slabBytes + 1])
  expect(full.byteOffset).toBe(0)
  slabs.clear()
  expect(put(slabs, 'z'.repeat(slabBytes)).buffer).toBe(first.buffer)
  expect(put(slabs, 'z').buffer).toBe(full.buffer)
})
