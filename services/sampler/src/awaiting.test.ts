import { expect, test } from 'vitest'
import { Awaiting } from './awaiting.ts'

const make = (countMax: number) => new Awaiting({ countMax, lifeMs: 100 })
const waits = (traceId: string, decidedAtMs: number, sliceCount = 0) => ({
  tenant: 't',
  traceId,
  decidedAtMs,
  sliceCount,
})

test('a place among the waiting is free once its trace came or its life is over', () => {
  const awaiting = make(1)
  awaiting.note(waits('a', 0))
  expect(awaiting.hasRoom('t', 100, 0)).toBe(false)
  expect(awaiting.has('t', 'a', 100)).toBe(true)
  expect(awaiting.hasRoom('u', 100, 0)).toBe(true)
  expect(awaiting.hasRoom('t', 101, 0)).toBe(true)
  expect(awaiting.has('t', 'a', 101)).toBe(false)
  awaiting.note(waits('b', 101))
  expect(awaiting.hasRoom('t', 102, 0)).toBe(false)
  awaiting.note(waits('b', 102, 1))
  expect(awaiting.hasRoom('t', 102, 0)).toBe(true)
})

test('what is in flight takes a place, at the limit and one past it', () => {
  const awaiting = make(3)
  expect(awaiting.hasRoom('t', 0, 2)).toBe(true)
  expect(awaiting.hasRoom('t', 0, 3)).toBe(false)
  awaiting.note(waits('a', 0))
  expect(awaiting.hasRoom('t', 0, 1)).toBe(true)
  expect(awaiting.hasRoom('t', 0, 2)).toBe(false)
})

test('it is a fold: what was asked in between changes nothing', () => {
  const [asked, quiet] = [make(2), make(2)]
  for (let at = 0; at < 40; at++) {
    for (const one of [asked, quiet]) one.note(waits(`${at % 7}`, at * 20, at % 3 === 0 ? 1 : 0))
    asked.hasRoom('t', at * 20 + 90, at % 2)
    asked.has('t', `${at % 5}`, at * 20 + 300)
    expect([...asked.entries()]).toEqual([...quiet.entries()])
  }
  const loaded = make(2)
  loaded.load(quiet.entries())
  expect([...loaded.entries()]).toEqual([...quiet.entries()])
})
