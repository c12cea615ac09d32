import type { SpanRef } from '@winnow/model'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fingerprintOf, fingerprintText, noFingerprint } from './fingerprint.ts'

const slice = (offset: number, start: number, partition = 0) => ({
  ref: { partition, offset, start, length: 1, spanCount: 1 } satisfies SpanRef,
})
const members = fc.record({
  slices: fc.uniqueArray(fc.record({ offset: fc.maxSafeNat(), start: fc.maxSafeNat() }), {
    selector: ({ offset, start }) => `${offset}:${start}`,
    maxLength: 6,
  }),
  evaluations: fc.uniqueArray(fc.string(), { maxLength: 3 }),
  requests: fc.uniqueArray(fc.string(), { maxLength: 3 }),
})
const named = (ids: readonly string[]) => ids.map(id => ({ id }))

test('a fingerprint is that of a set: neither order nor what was known before matters', () => {
  fc.assert(
    fc.property(members, fc.nat(6), ({ slices, evaluations, requests }, cut) => {
      const placed = slices.map(({ offset, start }) => slice(offset, start))
      const whole = fingerprintOf(placed, named(evaluations), named(requests))
      const turned = [placed, named(evaluations), named(requests)].map(list => list.toReversed())
      const [a, b, c] = turned as [typeof placed, { id: string }[], { id: string }[]]
      expect(fingerprintOf(a, b, c)).toBe(whole)
      const known = fingerprintText(noFingerprint, placed.slice(0, cut), [], named(requests))
      const text = fingerprintText(known, placed.slice(cut), named(evaluations), [])
      expect(text).toBe(whole.toString(16).padStart(16, '0'))
    }),
  )
})

test('neighbours, and kinds of members, have different ones in either half', () => {
  const high = new Set<bigint>()
  const low = new Set<bigint>()
  let count = 0
  const add = (fingerprint: bigint) => {
    high.add(fingerprint >> 32n)
    low.add(fingerprint & 0xffff_ffffn)
    count++
  }
  for (let offset = 0; offset < 100; offset++) {
    for (let start = 0; start < 50; start++)
      add(fingerprintOf([slice(offset, start * 512)], [], []))
  }
  for (const far of [2 ** 32, 2 ** 40, 2 ** 52]) add(fingerprintOf([slice(far, 0)], [], []))
  for (const far of [2 ** 32, 2 ** 40, 2 ** 52]) add(fingerprintOf([slice(0, far)], [], []))
  add(fingerprintOf([slice(0, 0, 1)], [], []))
  for (const id of ['', 'a', 'b', 'ab', 'ba']) {
    add(fingerprintOf([], [{ id }], []))
    add(fingerprintOf([], [], [{ id }]))
  }
  // Of some 5,000 in 32 bits there is a pair with a chance of 1 in 340.
  expect(high.size).toBeGreaterThanOrEqual(count - 1)
  expect(low.size).toBeGreaterThanOrEqual(count - 1)
})
