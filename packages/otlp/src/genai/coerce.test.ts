import { expect, test } from 'vitest'
import { costOfDetails, detailsCharsMax, flagOf, textOf, textsOf } from './coerce.ts'

test('scalars have a text; bytes, containers and empty ones have none', () => {
  expect(textOf({ intValue: -7n })).toBe('-7')
  expect(textOf({ doubleValue: 0.5 })).toBe('0.5')
  expect(textOf({ boolValue: false })).toBe('false')
  for (const none of [
    {},
    { stringValue: '' },
    { bytesValue: Uint8Array.of(1) },
    { arrayValue: { values: [{ stringValue: 'a' }] } },
    { kvlistValue: { values: [] } },
  ]) {
    expect(textOf(none)).toBeUndefined()
  }
})

test('a flag is a bool or its word', () => {
  expect(flagOf({ boolValue: false })).toBe(false)
  expect(flagOf({ stringValue: 'True' })).toBe(true)
  expect(flagOf({ stringValue: 'false' })).toBe(false)
  for (const none of [{ stringValue: 'yes' }, { intValue: 1n }, {}])
    expect(flagOf(none)).toBeUndefined()
})

test('a list of texts leaves out what has none, and is nothing when nothing is left', () => {
  const values = [{ stringValue: 'stop' }, {}, { stringValue: 'length' }]
  expect(textsOf({ arrayValue: { values } })).toStrictEqual(['stop', 'length'])
  expect(textsOf({ stringValue: 'stop' })).toStrictEqual(['stop'])
  for (const none of [{ arrayValue: { values: [{}] } }, {}]) expect(textsOf(none)).toBeUndefined()
})

test(`details have ${detailsCharsMax} characters and no more`, () => {
  const padded = (length: number) => ({ stringValue: '{"total":1}'.padEnd(length) })
  expect(costOfDetails(padded(detailsCharsMax))).toBe(1)
  expect(costOfDetails(padded(detailsCharsMax + 1))).toBeUndefined()
  expect(costOfDetails({ intValue: 1n })).toBeUndefined()
})
