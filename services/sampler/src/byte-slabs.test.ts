import { expect, test } from 'vitest'
import { ByteSlabs } from './byte-slabs.ts'

const slabBytes = 256 * 1024

test('texts lie one behind the other until they are cleared, and keep what they say', () => {
  const slabs = new ByteSlabs()
  for (let round = 0; round < 3; round++) {
    const texts = Array.from({ length: 300 }, (_, at) => `${round} ${'é'.repeat(at * 7)} ${at}`)
    const values = texts.map(text => slabs.write(text))
    expect(values.map(value => Buffer.from(value).toString())).toEqual(texts)
    slabs.clear()
  }
})

test('the bytes of a slab are used again once they are cleared', () => {
  const slabs = new ByteSlabs()
  const first = slabs.write('a')
  slabs.clear()
  expect(slabs.write('b').buffer).toBe(first.buffer)
})

test('a text of a slab’s size has its place in one, and one byte more has its own bytes', () => {
  const slabs = new ByteSlabs()
  const first = slabs.write('a')
  const full = slabs.write('x'.repeat(slabBytes))
  const over = slabs.write('y'.repeat(slabBytes + 1))
  expect([first, full, over].map(({ length }) => length)).toEqual([1, slabBytes, slabBytes + 1])
  expect(full.byteOffset).toBe(0)
  slabs.clear()
  expect(slabs.write('z'.repeat(slabBytes)).buffer).toBe(first.buffer)
  expect(slabs.write('z').buffer).toBe(full.buffer)
})
