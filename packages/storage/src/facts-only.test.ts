import { expect, test } from 'vitest'
import { factsText, rememberText } from './facts-only.ts'
import { sampleDecision } from './samples.ts'

test('a decision that says facts alone is stored as the text it was parsed from', () => {
  const text = JSON.stringify(sampleDecision(1), null, 1)
  const decision = JSON.parse(text)
  expect(JSON.parse(factsText(decision))).toEqual(decision)
  rememberText(decision, text)
  expect(factsText(decision)).toBe(text)
  // What was made from it is another decision, whatever it was made from.
  expect(JSON.parse(factsText({ ...decision, revision: 9 })).revision).toBe(9)
})

test('a text with prose is never stored, remembered or not', () => {
  const decision = sampleDecision(1, {
    requests: [{ id: 'r', reason: 'the customer says that it is wrong' }],
  })
  rememberText(decision, JSON.stringify(decision))
  expect(factsText(decision)).not.toContain('customer')
  expect(JSON.parse(factsText(decision)).requests).toEqual([{ id: 'r', reason: '' }])
})
