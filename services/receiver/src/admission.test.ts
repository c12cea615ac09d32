import { expect, test } from 'vitest'
import { Admission } from './admission.ts'
import { shareSlackBytes } from './admission-share.ts'

const limits = { inflightBytesMax: 100, inflightBytesPerTenantMax: 60 }
const nowMs = (): number => 0
const slack = shareSlackBytes
const large = { inflightBytesMax: 10 * slack, inflightBytesPerTenantMax: 9 * slack }
const overTenant = /inflightBytesPerTenantMax/
const overAll = /inflightBytesMax\)/

test('a tenant gets its bytes up to the limit and not one more, until it gives them back', () => {
  const admission = new Admission(limits, nowMs)
  const ticket = admission.open('a', 0)
  ticket.take(60)
  expect(() => ticket.take(1)).toThrow(overTenant)
  expect(() => admission.open('a', 1)).toThrow(overTenant)
  ticket.release()
  ticket.release()
  expect(admission.bytesInFlight).toBe(0)
  admission.open('a', 60).take(60)
})

test('all tenants together get the limit and not one byte more', () => {
  const admission = new Admission(limits, nowMs)
  admission.open('a', 60).take(60)
  const ticket = admission.open('b', 40)
  ticket.take(40)
  expect(() => ticket.take(1)).toThrow(overAll)
  expect(() => admission.open('c', 1)).toThrow(overAll)
  expect(admission.bytesInFlight).toBe(100)
})

test('a length that is only promised holds nothing back from others', () => {
  const admission = new Admission(limits, nowMs)
  admission.open('a', 60)
  admission.open('a', 60).take(60)
  expect(admission.bytesInFlight).toBe(60)
})

test('bytes held already are charged over the limit, and the next request is refused', () => {
  const admission = new Admission(limits, nowMs)
  const ticket = admission.open('a', 0)
  ticket.charge(500)
  expect(() => admission.open('b', 1)).toThrow(overAll)
  ticket.release()
  admission.open('b', 1)
})

test('what is held as somebody is waited for takes room, and is no part of the share', () => {
  const admission = new Admission(large, nowMs)
  admission.open('b', 0).take(slack)
  const ticket = admission.open('a', 0)
  ticket.take(slack / 2)
  ticket.hold(8 * slack)
  expect(admission.bytesInFlight).toBe(9.5 * slack)
  expect(admission.isBelowShare('a')).toBe(true)
  ticket.hold(-8 * slack)
  expect(admission.bytesInFlight).toBe(1.5 * slack)
  ticket.hold(1)
  ticket.release()
  expect(admission.bytesInFlight).toBe(slack)
})

test('a writer at its end admits nothing, one just before it does', () => {
  let lag = 0.99
  const admission = new Admission(limits, nowMs, () => lag)
  admission.open('a', 1)
  lag = 1
  expect(() => admission.open('a', 1)).toThrow(expect.objectContaining({ code: 'QUOTA_EXCEEDED' }))
})

const aboveShare = /more than its share/

test('from half the lag on a tenant above its share is refused, one at it or below is not', () => {
  let lag = 0.5
  const admission = new Admission(large, nowMs, () => lag)
  const first = admission.open('a', 3 * slack)
  first.take(3 * slack)
  first.release()
  // Alone: there is nobody whose share it takes.
  admission.open('a', 1)
  const other = admission.open('b', slack)
  other.take(slack)
  other.release()
  // At its share and the slack, and one byte past it.
  const ticket = admission.open('a', 1)
  ticket.take(1)
  expect(() => admission.open('a', 1)).toThrow(aboveShare)
  expect([admission.isBelowShare('a'), admission.isBelowShare('b')]).toEqual([false, true])
  admission.open('b', 1)
  lag = 0.49
  admission.open('a', 1)
  lag = 1
  expect(() => admission.open('b', 1)).toThrow(/writer/)
})

test('from half the bytes on a tenant above its share is refused, up to there it is not', () => {
  const admission = new Admission(large, nowMs)
  admission.open('b', 1).take(1)
  const ticket = admission.open('a', 5 * slack)
  ticket.take(5 * slack - 2)
  admission.open('a', 1).take(1)
  expect(admission.bytesInFlight).toBe(5 * slack)
  expect(() => admission.open('a', 1)).toThrow(aboveShare)
  admission.open('b', 5 * slack).take(5 * slack)
  expect(() => admission.open('b', 1)).toThrow(overAll)
  ticket.release()
})

test('what was refused counts for nothing: only what a tenant was given is its share', () => {
  const admission = new Admission(limits, nowMs)
  admission.open('a', 50).take(50)
  for (let n = 0; n < 10; n++) expect(() => admission.open('b', 61)).toThrow(overAll)
  expect(admission.isBelowShare('b')).toBe(true)
})

test('above its share a tenant has the less room the longer the lag, below it all', () => {
  let lag = 0
  const admission = new Admission(large, nowMs, () => lag)
  const other = admission.open('b', 1)
  other.take(1)
  const first = admission.open('a', 4 * slack)
  first.take(4 * slack)
  first.release()
  lag = 0.25
  // Half of the tenant's nine slacks, and one byte more.
  const ticket = admission.open('a', 4.5 * slack)
  expect(() => admission.open('a', 4.5 * slack + 1)).toThrow(aboveShare)
  ticket.take(4.5 * slack)
  expect(() => ticket.take(1)).toThrow(aboveShare)
  expect(() => admission.open('a', 1)).toThrow(aboveShare)
  admission.open('b', 5 * slack)
})

test('a request that was admitted is refused in its middle once there is no room for it any more', () => {
  let lag = 0
  const admission = new Admission(large, nowMs, () => lag)
  admission.open('b', 1).take(1)
  const ticket = admission.open('a', 4 * slack)
  ticket.take(3 * slack)
  lag = 0.5
  expect(() => ticket.take(slack)).toThrow(aboveShare)
  ticket.release()
  expect(admission.bytesInFlight).toBe(1)
})
