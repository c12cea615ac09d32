import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Circuit } from './circuit.ts'
import { CleanTexts, cleanTextsMax } from './clean-texts.ts'
import { Slots } from './slots.ts'

const never = new AbortController().signal

test('so many at once and no more, of all and of one; whoever has his share lets others go first', async () => {
  const slots = new Slots({ slotsMax: 3, slotsPerOwnerMax: 2, waitingPerOwnerMax: 2 })
  const order: string[] = []
  const take = (owner: string, signal = never) =>
    slots.take(owner, signal).then(slot => {
      order.push(`${owner}:${typeof slot === 'string' ? slot : 'taken'}`)
      return typeof slot === 'string' ? () => {} : slot
    })
  const first = await take('a')
  await take('a')
  const third = take('a')
  const other = await take('b')
  expect(order).toEqual(['a:taken', 'a:taken', 'b:taken'])
  const ended = new AbortController()
  const gone = take('b', ended.signal)
  const full = [take('a'), take('a')]
  await full[1]
  expect(order.at(-1)).toBe('a:full')
  ended.abort()
  await gone
  expect(order.at(-1)).toBe('b:aborted')
  other()
  other()
  await take('b')
  expect(order.at(-1)).toBe('b:taken')
  first()
  await third
  expect(order.filter(one => one === 'a:taken')).toHaveLength(3)
  expect(await slots.take('c', AbortSignal.abort())).toBe('aborted')
})

test('a circuit opens at the limit of failures in a row, and one tries after the pause', () => {
  let nowMs = 0
  const circuit = new Circuit({ failuresMax: 3, pauseMs: 100 }, () => nowMs)
  circuit.failed()
  circuit.failed()
  circuit.succeeded()
  circuit.failed()
  circuit.failed()
  expect(circuit.mayAsk()).toBe(true)
  circuit.failed()
  expect([circuit.isOpen, circuit.mayAsk()]).toEqual([true, false])
  nowMs = 99
  expect(circuit.mayAsk()).toBe(false)
  nowMs = 100
  expect([circuit.mayAsk(), circuit.mayAsk()]).toEqual([true, false])
  circuit.unknown()
  expect(circuit.mayAsk()).toBe(true)
  circuit.failed()
  nowMs = 199
  expect(circuit.mayAsk()).toBe(false)
  nowMs = 200
  expect(circuit.mayAsk()).toBe(true)
  circuit.succeeded()
  expect([circuit.isOpen, circuit.mayAsk(), circuit.mayAsk()]).toEqual([false, true, true])
})

test('clean texts of any length are remembered, bounded, and forgotten in time', () => {
  let nowMs = 0
  const clean = new CleanTexts(() => nowMs)
  clean.add('x'.repeat(64))
  clean.add('y'.repeat(65))
  const asked = ['x'.repeat(64), 'x'.repeat(65), 'y'.repeat(65), 'y'.repeat(66), 'y'.repeat(64)]
  expect(asked.map(text => clean.has(text))).toEqual([true, false, true, false, false])
  const key = `#${hash('sha256', 'z'.repeat(65), 'base64')}`
  for (const text of [key, key.slice(1)]) clean.add(text)
  expect(clean.has('z'.repeat(65))).toBe(false)
  for (let n = 0; n < cleanTextsMax; n++) clean.add(`text ${n}`)
  expect([clean.has('text 0'), clean.has(`text ${cleanTextsMax - 1}`)]).toEqual([false, true])
  const last = `text ${cleanTextsMax - 1}`
  nowMs = 10 * 60_000
  expect(clean.has(last)).toBe(true)
  clean.add('at 10')
  nowMs = 20 * 60_000 - 1
  expect(clean.has(last)).toBe(true)
  nowMs++
  expect([clean.has(last), clean.has('at 10')]).toEqual([false, true])
})
