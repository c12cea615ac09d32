import { expect, test } from 'vitest'
import { RequestBytes } from './request-bytes.ts'

const ops = (...texts: string[]) => texts.map(lines => ({ lines }))

test('texts of any alphabet and size are there as UTF-8, also where more bytes are needed than were guessed', () => {
  const memory = new RequestBytes()
  for (const texts of [
    ['a', 'ü', '😀', ''],
    ['x'.repeat(100_000)],
    ['ü'.repeat(70_000), '€'.repeat(70_000), 'end'],
    ['\ud83d'],
  ]) {
    const taken = memory.take(ops(...texts))
    expect(taken.toString()).toBe(Buffer.from(texts.join('')).toString())
    memory.giveBack(taken)
  }
})

test('what was given back is used again, and what was not stays as it is', () => {
  const memory = new RequestBytes()
  const first = memory.take(ops('first'))
  const second = memory.take(ops('second'))
  expect(first.buffer).not.toBe(second.buffer)
  memory.giveBack(first)
  const third = memory.take(ops('third'))
  expect(third.buffer).toBe(first.buffer)
  expect([second.toString(), third.toString()]).toEqual(['second', 'third'])
})
