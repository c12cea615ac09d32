import { expect, test } from 'vitest'
import { Admission } from './admission.ts'

const limits = { inflightBytesMax: 100, inflightBytesPerTenantMax: 60 }
const overTenant = /inflightBytesPerTenantMax/
const overAll = /inflightBytesMax\)/

test('a tenant gets its bytes up to the limit and not one more, until it gives them back', () => {
  const admission = new Admission(limits)
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
  const admission = new Admission(limits)
  admission.open('a', 60).take(60)
  const ticket = admission.open('b', 40)
  ticket.take(40)
  expect(() => ticket.take(1)).toThrow(overAll)
  expect(() => admission.open('c', 1)).toThrow(overAll)
  expect(admission.bytesInFlight).toBe(100)
})

test('a length that is only promised holds nothing back from others', () => {
  const admission = new Admission(limits)
  admission.open('a', 60)
  admission.open('a', 60).take(60)
  expect(admission.bytesInFlight).toBe(60)
})

test('bytes held already are charged over the limit, and the next request is refused', () => {
  const admission = new Admission(limits)
  const ticket = admission.open('a', 0)
  ticket.charge(500)
  expect(() => admission.open('b', 1)).toThrow(overAll)
  ticket.release()
  admission.open('b', 1)
})

test('a writer at its end admits nothing, one just before it does', () => {
  let lag = 0.99
  const admission = new Admission(limits, () => lag)
  admission.open('a', 1)
  lag = 1
  expect(() => admission.open('a', 1)).toThrow(expect.objectContaining({ code: 'QUOTA_EXCEEDED' }))
})
