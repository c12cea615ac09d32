import { expect, test } from 'vitest'
import { parsePolicy } from '../policy-file.ts'
import { checkRecorded } from './recorded-facts.ts'

const policy = (rules: string) => parsePolicy(`version: v\nrules: [${rules}{ kind: ordinary }]`)
const none = policy('')
const p99 = policy('{ kind: slow }, ')
const p95 = policy('{ kind: slow, name: late, quantile: 0.95 }, ')
const tokens = policy('{ kind: slow, quantity: tokens }, ')
const day = 86_400_000

test('what every policy of the window has asked for is recorded, whatever its rule was called', () => {
  const inForce = [
    { atMs: 0, policy: none },
    { atMs: day, policy: p95 },
  ]
  const renamed = policy('{ kind: slow, name: other, quantile: 0.95, probability: 0.5 }, ')
  expect(() => checkRecorded(renamed, inForce, day)).not.toThrow()
})

test('what is recorded since a part of the window is refused, and since when it was is named', () => {
  const inForce = [
    { atMs: 0, policy: p99 },
    { atMs: day, policy: p95 },
  ]
  expect(() => checkRecorded(p95, inForce, day - 1)).toThrow(
    'late needs the bar of duration at the quantile 0.95, which is recorded since 1970-01-02T00:00:00.000Z only: give --since 1970-01-02T00:00:00.000Z',
  )
})

test('what is not recorded any more, and what never was, is refused', () => {
  const inForce = [
    { atMs: 0, policy: p99 },
    { atMs: day, policy: none },
  ]
  expect(() => checkRecorded(p99, inForce, 0)).toThrow(/quantile 0.99, which is not recorded; put/)
  expect(() => checkRecorded(tokens, inForce, 0)).toThrow(/the bar of tokens/)
})

test('before the first policy that is known, and without any, nothing is refused', () => {
  expect(() => checkRecorded(p99, [{ atMs: day, policy: p99 }], 0)).not.toThrow()
  expect(() => checkRecorded(p99, [], 0)).not.toThrow()
})

test('what a condition names of spans is recorded while a policy names it, in force or in the shadow', () => {
  const asks = policy(`{ kind: condition, name: c, when: 'attribute["app.locale"] == "de"' }, `)
  const inForce = [
    { atMs: 0, policy: none },
    { atMs: day, policy: none, shadow: asks },
    { atMs: 2 * day, policy: asks },
  ]
  expect(() => checkRecorded(asks, inForce, day)).not.toThrow()
  expect(() => checkRecorded(asks, inForce, 0)).toThrow(/app.locale.*is recorded since 1970-01-02/)
})
